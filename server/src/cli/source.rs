//! A local SQLite file as it is at one moment, although other programs may be using it.
//!
//! A read transaction is taken and kept, which keeps writers from the file. If everything is in the
//! file then, it is read as it is. Otherwise (a WAL that was not checkpointed yet, a file longer than
//! the database) SQLite's backup functions make a copy first, beside it if possible. A hot journal is
//! rolled back by SQLite, as whenever somebody opens such a file.
//!
//! Where SQLite can open nothing because it can write nothing (WAL mode or a hot journal on read-only
//! media), the file is read without a lock, or copied with its WAL or journal and opened there. What is
//! read so is held against the times of the files: if somebody wrote meanwhile after all, that is told.
//!
//! From a pipe comes a file alone; it is copied first, because the server is to know how long it is.

mod still;

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use tempfile::NamedTempFile;

use super::check::{Finding, check};
use super::client::Done;
use super::paths::{beside, folder_of};
use super::stop::Flag;

use crate::sqlite_file::{BadFile, START_LEN, SqliteFile};
use still::{PIECE, Stamp, State};

/// How long another program may keep the database locked.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Pages to copy in one step.
const STEP: i32 = 1024;

/// A SQLite file to read from start to end. It does not change while this lives.
pub(super) struct Source {
    file: File,
    len: u64,
    /// What SQLite finds wrong with it.
    pub(super) finding: Finding,
    /// What keeps writers out of the file; a copy needs none.
    _lock: Option<Connection>,
    /// What shows whether somebody wrote to it all the same: its state, and where no lock could be taken
    /// those of the files beside it.
    states: (State, Option<Stamp>),
}

impl Source {
    /// Opens a file, and has SQLite check it if that is wanted; `-` is standard input.
    ///
    /// Closing any other handle of the same file ends the lock (POSIX), so the one that is opened
    /// first, to see what the file is, is the one that is read.
    pub(super) fn open(path: &Path, is_checked: bool, stop: &Flag) -> Done<Source> {
        let name = path.display();
        let failed = |error: &dyn std::fmt::Display| format!("{name}: {error}");
        if path.as_os_str() == "-" {
            let input = still::standard_input()?;
            let source = Source::piped(input, is_checked, stop);
            return Ok(source.map_err(|error| format!("standard input: {error}"))?);
        }
        // What begins with "file:", or is ":memory:", is a name here and not what SQLite takes it for.
        let path = &if path.is_relative() { Path::new(".").join(path) } else { path.to_owned() };
        let file = File::open(path).map_err(|error| failed(&error))?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(failed(&"this is a folder: name a file in it").into());
        }
        if !metadata.is_file() {
            let source = Source::piped(file, is_checked, stop);
            return Ok(source.map_err(|error| failed(&error))?);
        }
        Ok(Source::of_file(file, path, is_checked, stop).map_err(|error| failed(&error))?)
    }

    fn of_file(file: File, path: &Path, is_checked: bool, stop: &Flag) -> Done<Source> {
        header(&file)?;
        let (lock, stamp) = match lock(path) {
            Ok(lock) => (lock, None),
            Err(error) if cannot_write(&error) => {
                let stamp = Stamp::of(path)?;
                if has_content(&beside(path, "-wal")) || has_content(&beside(path, "-journal")) {
                    let copy = still::copy_all(path, stop)?;
                    stamp.is_still_right()?;
                    return Source::of_copy(copy, is_checked, stop);
                }
                (still::begin(path).map_err(|error| explain(&error))?, Some(stamp))
            }
            Err(error) => return Err(explain(&error).into()),
        };
        let state = State::of(&file.metadata()?);
        let len = file.metadata()?.len();
        let pages = header(&file)?.pages(len);
        let finding = found(&lock, is_checked)?;
        stop.look()?;
        if !has_content(&beside(path, "-wal")) {
            match pages {
                Ok(_) => {
                    return Ok(Source {
                        file,
                        len,
                        finding,
                        _lock: Some(lock),
                        states: (state, stamp),
                    });
                }
                Err(BadFile::Longer(_)) => {}
                // SQLite would read zeroes for what is missing.
                Err(error) => return Err(error.into()),
            }
        }
        let file = copy(&lock, path, stop)?;
        if let Some(stamp) = stamp {
            stamp.is_still_right()?;
        }
        Source::of_own(file, finding)
    }

    /// A file that only this process knows.
    fn of_own(file: File, finding: Finding) -> Done<Source> {
        let metadata = file.metadata()?;
        let (len, states) = (metadata.len(), (State::of(&metadata), None));
        Ok(Source { file, len, finding, _lock: None, states })
    }

    /// What can be read once only.
    fn piped(input: File, is_checked: bool, stop: &Flag) -> Done<Source> {
        Source::of_copy(still::spool(input, stop)?, is_checked, stop)
    }

    /// A copy in a folder of its own.
    fn of_copy(copy: still::Copy, is_checked: bool, stop: &Flag) -> Done<Source> {
        let path = copy.path();
        let (file, db) = copy.open().map_err(|error| explain(&error))?;
        let finding = found(&db, is_checked)?;
        match header(&file)?.pages(file.metadata()?.len()) {
            Ok(_) => Source::of_own(file, finding),
            Err(BadFile::Longer(_)) => Source::of_own(self::copy(&db, &path, stop)?, finding),
            Err(error) => Err(error.into()),
        }
    }

    /// Bytes of the file.
    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    /// Its bytes, piece by piece; exactly [`Source::len`] of them, or an error.
    pub(super) fn pieces(&self) -> io::Result<Pieces> {
        let mut file = self.file.try_clone()?;
        file.rewind()?;
        Ok(Pieces { file, left: self.len, states: self.states.clone() })
    }
}

/// See [`Source::pieces`].
pub(super) struct Pieces {
    file: File,
    left: u64,
    states: (State, Option<Stamp>),
}

impl Iterator for Pieces {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<io::Result<Bytes>> {
        let len = usize::try_from(self.left).unwrap_or(usize::MAX).min(PIECE);
        if len == 0 {
            return None;
        }
        let mut piece = vec![0; len];
        let read = match self.file.read_exact(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(still::changed()),
            read => read,
        };
        self.left = if read.is_ok() { self.left.saturating_sub(len as u64) } else { 0 };
        // Before the last piece, without which the server takes in nothing.
        let read = if self.left == 0 { read.and_then(|()| self.is_unchanged()) } else { read };
        Some(read.map(|()| Bytes::from(piece)))
    }
}

impl Pieces {
    fn is_unchanged(&self) -> io::Result<()> {
        let (state, stamp) = &self.states;
        if State::of(&self.file.metadata()?) != *state {
            return Err(still::changed());
        }
        stamp.as_ref().map_or(Ok(()), Stamp::is_still_right)
    }
}

fn found(db: &Connection, is_checked: bool) -> Done<Finding> {
    if !is_checked {
        return Ok(Finding::Sound);
    }
    Ok(check(db).map_err(|error| explain(&error))?)
}

fn header(mut file: &File) -> Done<SqliteFile> {
    file.rewind()?;
    let mut start = Vec::new();
    file.take(START_LEN as u64).read_to_end(&mut start)?;
    Ok(SqliteFile::parse(&start)?)
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
fn copy(db: &Connection, path: &Path, stop: &Flag) -> Done<File> {
    let temp = tempfile::Builder::new()
        .prefix(".litevfs-import-")
        .tempfile_in(folder_of(path))
        .or_else(|_| NamedTempFile::new())?;
    let mut to = Connection::open(temp.path())?;
    let file = temp.reopen()?;
    temp.close()?;
    // Nobody needs the copy after a crash; a journal would need its name.
    to.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")?;
    let backup = Backup::new(db, &mut to)?;
    loop {
        stop.look()?;
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

/// Whether SQLite can open nothing because it can write nothing: no index of a WAL, no rollback.
fn cannot_write(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
}

fn explain(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => "this is not a SQLite file, or it is encrypted".into(),
        Some(ErrorCode::DatabaseCorrupt) => {
            "the database is damaged or cut short: get a whole copy".into()
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program keeps it locked: try again later".into()
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
