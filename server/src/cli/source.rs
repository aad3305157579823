//! A local SQLite file as it is at one moment, although other programs may be using it.
//!
//! A read transaction is taken and kept, which keeps writers from the file. If everything is in the
//! file then, it is read as it is. Otherwise (a WAL that was not checkpointed yet, a file longer than
//! the database) SQLite's backup functions make a copy first, beside it if possible. A hot journal is
//! rolled back by SQLite, as whenever somebody opens such a file.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};
use tempfile::NamedTempFile;

use super::client::Done;
use crate::sqlite_file::{BadFile, START_LEN, SqliteFile};

/// How long another program may keep the database locked.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Pages to copy in one step.
const STEP: i32 = 1024;
/// Bytes to read at once.
const PIECE: usize = 256 << 10;

/// A SQLite file to read from start to end. It does not change while this lives.
pub(super) struct Source {
    file: File,
    len: u64,
    /// What keeps writers out of the file; a copy needs none.
    _lock: Option<Connection>,
}

impl Source {
    /// Opens a file.
    ///
    /// Closing any other handle of the same file ends the lock (POSIX), so the one that is opened
    /// first, to see what the file is, is the one that is read.
    pub(super) fn open(path: &Path) -> Done<Source> {
        let name = path.display();
        let failed = |error: &dyn std::fmt::Display| format!("{name}: {error}");
        let file = File::open(path).map_err(|error| failed(&error))?;
        if !file.metadata()?.is_file() {
            return Err(failed(&"this is not a file").into());
        }
        header(&file).map_err(|error| failed(&error))?;
        let lock = lock(path).map_err(|error| failed(&explain(&error)))?;
        let len = file.metadata()?.len();
        let pages = header(&file).map_err(|error| failed(&error))?.pages(len);
        if !has_content(&beside(path, "-wal")) {
            match pages {
                Ok(_) => return Ok(Source { file, len, _lock: Some(lock) }),
                Err(BadFile::Longer(_)) => {}
                // SQLite would read zeroes for what is missing.
                Err(error) => return Err(failed(&error).into()),
            }
        }
        let file = copy(&lock, path).map_err(|error| failed(&error))?;
        let len = file.metadata()?.len();
        Ok(Source { file, len, _lock: None })
    }

    /// Bytes of the file.
    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    /// Its bytes, piece by piece; exactly [`Source::len`] of them, or an error.
    pub(super) fn pieces(&self) -> io::Result<Pieces> {
        let mut file = self.file.try_clone()?;
        file.rewind()?;
        Ok(Pieces { file, left: self.len })
    }
}

/// See [`Source::pieces`].
pub(super) struct Pieces {
    file: File,
    left: u64,
}

impl Iterator for Pieces {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<io::Result<Bytes>> {
        let len = usize::try_from(self.left).unwrap_or(usize::MAX).min(PIECE);
        if len == 0 {
            return None;
        }
        let mut piece = vec![0; len];
        let read = self.file.read_exact(&mut piece);
        self.left = if read.is_ok() { self.left.saturating_sub(len as u64) } else { 0 };
        Some(read.map(|()| Bytes::from(piece)))
    }
}

fn header(mut file: &File) -> Done<SqliteFile> {
    file.rewind()?;
    let mut start = Vec::new();
    file.take(START_LEN as u64).read_to_end(&mut start)?;
    Ok(SqliteFile::parse(&start)?)
}

/// The path of a file that SQLite keeps beside a database.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn has_content(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.len() > 0)
}

/// Begins a read transaction, and leaves the files as they are found.
fn lock(path: &Path) -> rusqlite::Result<Connection> {
    let had_wal = has_content(&beside(path, "-wal"));
    // Read and write if possible: a hot journal has to be rolled back before anything can be read.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    // What somebody left in the WAL is for them to checkpoint.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, had_wal)?;
    db.execute_batch("BEGIN")?;
    db.query_row("PRAGMA schema_version", (), |_| Ok(()))?;
    Ok(db)
}

/// A copy without a name: whatever happens to the process, nothing is left behind.
fn copy(db: &Connection, path: &Path) -> Done<File> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let temp = tempfile::Builder::new()
        .prefix(".litevfs-import-")
        .tempfile_in(folder.unwrap_or(Path::new(".")))
        .or_else(|_| NamedTempFile::new())?;
    let mut to = Connection::open(temp.path())?;
    let file = temp.reopen()?;
    temp.close()?;
    // Nobody needs the copy after a crash; a journal would need its name.
    to.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")?;
    let backup = Backup::new(db, &mut to)?;
    loop {
        match backup.step(STEP)? {
            StepResult::Done => break,
            StepResult::More => {}
            _ => return Err("another program keeps it locked: try again later".into()),
        }
    }
    drop(backup);
    to.close().map_err(|(_, error)| error)?;
    Ok(file)
}

fn explain(error: &rusqlite::Error) -> String {
    let extended = error.sqlite_error().map(|error| error.extended_code);
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => "this is not a SQLite file, or it is encrypted".into(),
        Some(ErrorCode::DatabaseCorrupt) => {
            "the database is damaged or cut short: get a whole copy".into()
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program keeps it locked: try again later".into()
        }
        Some(ErrorCode::ReadOnly) if extended == Some(ffi::SQLITE_READONLY_ROLLBACK) => {
            "a transaction was cut off and must be rolled back first: make the file writable".into()
        }
        Some(ErrorCode::CannotOpen) => {
            "SQLite cannot open it: its folder must be writable in WAL mode; copy it elsewhere"
                .into()
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
