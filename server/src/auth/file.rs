//! The tokens file: one JSON object a line, as docs/server.md describes them.
//!
//! The server reads it; `litevfs-cloud token` changes it. A change is made under a lock and put in
//! place as a whole, so that two at once are both kept and no reader sees half of one.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use chrono::{DateTime, SecondsFormat, Utc};
use litevfs::types::ParseError;
use serde::{Deserialize, Serialize};

use super::token::{Hash, Permission, Token};

/// The longest file that is read, in bytes: room for tens of thousands of tokens.
const MAX_BYTES: u64 = 16 << 20;

/// Why a tokens file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It could not be read, locked or written.
    #[error("the tokens file {}: {what}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was being done.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// It is not there.
    #[error(
        "there is no tokens file {}: make it with `litevfs-cloud token create --tokens-file FILE`",
        .0.display()
    )]
    Missing(PathBuf),
    /// A line makes no sense. Its text stays out of this: somebody may have put a secret there.
    #[error("the tokens file {}, line {line}: {what}", .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
}

/// A line of the file: a token, and what is remembered of it for people.
#[derive(Clone)]
pub struct Record {
    /// What counts.
    pub token: Token,
    /// What its maker called it.
    pub name: Option<String>,
    /// When it was made.
    pub created: DateTime<Utc>,
}

/// A record as it is written.
#[derive(Serialize, Deserialize)]
// A misspelt limit must not become no limit.
#[serde(deny_unknown_fields)]
struct Line {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    databases: Option<String>,
    access: Permission,
    created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
}

impl TryFrom<Line> for Record {
    type Error = String;

    fn try_from(line: Line) -> Result<Record, String> {
        let time = |field: &str, text: &str| {
            let parsed = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
            parsed.map_err(|_| format!("{field} is not a time like 2030-01-31T12:00:00Z"))
        };
        if line.id.is_empty() || !line.id.bytes().all(|b| b.is_ascii_graphic()) {
            return Err("the id is empty, or has characters that are not printable".into());
        }
        let cluster = line.cluster.map(|name| name.parse()).transpose();
        let expires = line.expires.map(|text| time("expires", &text)).transpose()?;
        let token = Token {
            id: line.id.into(),
            hash: Hash::parse(&line.sha256).ok_or("sha256 is not 64 hex digits")?,
            cluster: cluster.map_err(|error: ParseError| error.to_string())?,
            databases: line.databases.map(|glob| glob.parse()).transpose()?,
            access: line.access,
            expires,
        };
        Ok(Record { token, name: line.name, created: time("created", &line.created)? })
    }
}

impl From<&Record> for Line {
    fn from(record: &Record) -> Line {
        let token = &record.token;
        Line {
            id: token.id.to_string(),
            name: record.name.clone(),
            sha256: token.hash.hex(),
            cluster: token.cluster.as_ref().map(ToString::to_string),
            databases: token.databases.as_ref().map(ToString::to_string),
            access: token.access,
            created: rfc3339(record.created),
            expires: token.expires.map(rfc3339),
        }
    }
}

/// A time as it stands in the file, to the second.
pub fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Reads all records.
pub fn read(path: &Path) -> Result<Vec<Record>, FileError> {
    let text = read_text(path)?.ok_or_else(|| FileError::Missing(path.to_owned()))?;
    parse(path, &text)
}

/// Adds a record at the end; makes the file if there is none.
pub fn add(path: &Path, record: &Record) -> Result<(), FileError> {
    edit(path, |mut text| {
        let line = serde_json::to_string(&Line::from(record)).map_err(io::Error::other)?;
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&line);
        text.push('\n');
        Ok(Some(text))
    })
    .map(drop)
}

/// Removes the record with that id; whether there was one. All other lines stay as they are.
pub fn remove(path: &Path, id: &str) -> Result<bool, FileError> {
    if !path.exists() {
        return Err(FileError::Missing(path.to_owned()));
    }
    edit(path, |text| {
        let is_it =
            |line: &str| serde_json::from_str::<Line>(line).is_ok_and(|record| record.id == id);
        let kept: String = text.split_inclusive('\n').filter(|line| !is_it(line)).collect();
        Ok((kept.len() < text.len()).then_some(kept))
    })
}

fn read_text(path: &Path) -> Result<Option<String>, FileError> {
    let failed = |source| FileError::Io { path: path.to_owned(), what: "reading it", source };
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    let mut text = String::new();
    file.take(MAX_BYTES.saturating_add(1)).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(failed(io::Error::other("it is longer than 16 MiB")));
    }
    Ok(Some(text))
}

fn parse(path: &Path, text: &str) -> Result<Vec<Record>, FileError> {
    let mut records = Vec::new();
    let (mut ids, mut hashes) = (BTreeSet::new(), BTreeSet::new());
    for (line, number) in text.lines().zip(1..) {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        let bad = |what| FileError::Line { path: path.to_owned(), line: number, what };
        let record = serde_json::from_str::<Line>(line)
            .map_err(|error| bad(json_fault(&error)))
            .and_then(|line| Record::try_from(line).map_err(bad))?;
        let token = &record.token;
        if !ids.insert(token.id.clone()) || !hashes.insert(token.hash.clone()) {
            return Err(bad("its id or its sha256 stands in an earlier line too".into()));
        }
        records.push(record);
    }
    Ok(records)
}

/// What is wrong with a line, without a word of it: serde quotes values that do not fit.
fn json_fault(error: &serde_json::Error) -> String {
    let what = if error.is_data() { "a field is missing, unknown or wrong" } else { "not JSON" };
    format!(
        "{what} (column {}): id, sha256, access and created must be there, name, cluster, databases \
         and expires may be",
        error.column()
    )
}

/// Changes the file's text, unless `change` has none to make; whether it did.
fn edit(
    path: &Path,
    change: impl FnOnce(String) -> io::Result<Option<String>>,
) -> Result<bool, FileError> {
    // A link is followed once, here: what it points to is replaced, not the link.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let failed = |what| move |source| FileError::Io { path: path.to_owned(), what, source };
    // Before anything is made beside it: a device's name, say, is not to become a file's.
    if target.metadata().is_ok_and(|metadata| !metadata.is_file()) {
        return Err(failed("changing it")(io::Error::other("it is not a file: name one")));
    }
    let _lock = lock(&target).map_err(failed("locking it"))?;
    let old = read_text(&target)?.unwrap_or_default();
    // What cannot be read cannot be changed either: the server would not take the result.
    parse(path, &old)?;
    let Some(new) = change(old).map_err(failed("changing it"))? else {
        return Ok(false);
    };
    replace(&target, &new).map_err(failed("writing it"))?;
    Ok(true)
}

/// Waits for, and takes, the lock beside the file. The file itself is replaced, so it can't be it.
fn lock(target: &Path) -> io::Result<File> {
    let mut name = target.as_os_str().to_owned();
    name.push(".lock");
    let lock = OpenOptions::new().create(true).append(true).mode(0o600).open(name)?;
    lock.lock()?;
    Ok(lock)
}

/// Puts the new text in place: readers see the old file or the new one, also after a power cut.
fn replace(target: &Path, text: &str) -> io::Result<()> {
    let dir = target.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Readable by its owner alone from the first byte on.
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(text.as_bytes())?;
    if let Ok(old) = target.metadata() {
        // The server may run as another user than whoever makes tokens, and must still read it.
        let (mine, old_owner) = (file.as_file().metadata()?, (old.uid(), old.gid()));
        if (mine.uid(), mine.gid()) != old_owner {
            fchown(file.as_file(), Some(old_owner.0), Some(old_owner.1))?;
        }
        file.as_file().set_permissions(old.permissions())?;
    }
    file.as_file().sync_all()?;
    file.persist(target).map_err(|error| error.error)?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests;
