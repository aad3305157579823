//! Paths beside a database's, and how SQLite is told one.

use std::path::{Path, PathBuf};

/// The path of a file that SQLite keeps beside a database.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The folder a path lies in.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The path as a URI for SQLite, without parameters: given as it is, it could be taken for one.
pub(super) fn sqlite_uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    uri.extend(form_urlencoded::byte_serialize(path.as_os_str().as_encoded_bytes()));
    // What a form writes as a plus sign, a URI's path does not.
    uri.replace('+', "%20")
}
