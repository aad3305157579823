//! What was under a name, out of the way of a file that takes the name.
//!
//! A database is its file and the logs that SQLite keeps beside it, and one rename replaces one file. Whenever this
//! process is killed, there is under the name the old file with its logs, the new file without any, or none:
//!
//! | beside the file | what is done |
//! | --- | --- |
//! | no log | nothing: the rename replaces the file |
//! | logs that SQLite can bring into the file | that; then likewise |
//! | logs that it can't: others use the file, it is encrypted or no database | first the file gets another name, then the logs |
//!
//! The other name is `.litevfs-export-`, six characters and `-old`; with its logs it can be opened there, too. They
//! go back, the file last, if the new one does not get the name.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::check::is_encrypted;
use super::paths::{beside, sqlite_uri};

/// What SQLite keeps beside a database. It would be taken for the new file's.
const LOGS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// The names that files had, and those that they have, in the order in which they were renamed.
pub(super) struct Aside(Vec<(PathBuf, PathBuf)>);

impl Aside {
    /// Puts aside what would not go, or would stay, when `made` takes the name `path`.
    pub(super) fn put(path: &Path, made: &Path) -> io::Result<Aside> {
        let mut aside = Aside(Vec::new());
        if path.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        // A failure is met by what follows.
        if has_logs(path) && !is_encrypted(path).unwrap_or(true) {
            let _ = fold(path);
        }
        if !has_logs(path) {
            return Ok(aside);
        }
        let old = beside(made, "-old");
        for suffix in [""].into_iter().chain(LOGS) {
            let (from, to) = (beside(path, suffix), beside(&old, suffix));
            match fs::rename(&from, &to) {
                Ok(()) => aside.0.push((from, to)),
                Err(error) if is_missing(&error) => {}
                Err(error) => {
                    aside.put_back();
                    return Err(error);
                }
            }
        }
        Ok(aside)
    }

    /// Has all of it where it was.
    pub(super) fn put_back(self) {
        for (from, to) in self.0.into_iter().rev() {
            let _ = fs::rename(to, from);
        }
    }

    /// Removes it: the new file is there.
    pub(super) fn remove(self) {
        for (_, to) in self.0 {
            let _ = fs::remove_file(to);
        }
    }
}

fn has_logs(path: &Path) -> bool {
    LOGS.iter().any(|suffix| {
        let found = beside(path, suffix).symlink_metadata();
        found.map_or_else(|error| !is_missing(&error), |_| true)
    })
}

/// Too long a name is none that SQLite could have given.
fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidFilename)
}

/// Has SQLite bring the logs of a database into its file: none is left where nobody else uses it.
fn fold(path: &Path) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(sqlite_uri(path), flags)?;
    db.busy_timeout(Duration::ZERO)?;
    // Rolls back what a journal says.
    db.query_row("PRAGMA schema_version", (), |_| Ok(()))?;
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))?;
    db.close().map_err(|(_, error)| error)
}
