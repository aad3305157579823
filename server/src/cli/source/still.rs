//! Files that no lock protects: what cannot be written to, and what comes through a pipe.

use std::fs::{File, Metadata};
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tempfile::TempDir;

use super::super::causes::root_cause;
use super::super::check::open_still;
use super::super::client::Done;
use super::super::paths::beside;
use super::super::stop::Flag;
use crate::sqlite_file::{START_LEN, SqliteFile};

/// Bytes to read at once.
pub(super) const PIECE: usize = 256 << 10;

/// What a database consists of while it is in use, but for the WAL's index, which SQLite makes anew.
const PARTS: [&str; 3] = ["", "-wal", "-journal"];

/// The state of a file that is open, as far as the file system tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    inode: u64,
    len: u64,
    modified: (i64, i64),
}

impl State {
    pub(super) fn of(file: &Metadata) -> State {
        let modified = (file.mtime(), file.mtime_nsec());
        State { inode: file.ino(), len: file.len(), modified }
    }
}

/// The state of a file that nobody should write to, and of those that SQLite keeps beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    path: PathBuf,
    parts: [Option<State>; 3],
}

impl Stamp {
    pub(super) fn of(path: &Path) -> io::Result<Stamp> {
        let mut parts = [None; 3];
        for (part, suffix) in parts.iter_mut().zip(PARTS) {
            *part = match beside(path, suffix).metadata() {
                Ok(metadata) => Some(State::of(&metadata)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
        }
        Ok(Stamp { path: path.to_owned(), parts })
    }

    /// Fails if somebody has written meanwhile.
    pub(super) fn is_still_right(&self) -> io::Result<()> {
        if Stamp::of(&self.path)? == *self { Ok(()) } else { Err(changed()) }
    }
}

/// A file was not the same from start to end.
pub(super) fn changed() -> io::Error {
    io::Error::other("another program wrote to it while it was read: try again")
}

/// Begins to read a file as if nobody wrote to it.
pub(super) fn begin(path: &Path) -> rusqlite::Result<Connection> {
    let db = open_still(path)?;
    db.execute_batch("BEGIN")?;
    db.query_row("PRAGMA schema_version", (), |_| Ok(()))?;
    Ok(db)
}

/// Standard input, which must be a file or a pipe.
pub(super) fn standard_input() -> Done<File> {
    let input = io::stdin();
    if input.is_terminal() {
        return Err("a SQLite file does not come from a terminal: give a file, or pipe it".into());
    }
    Ok(input.as_fd().try_clone_to_owned()?.into())
}

/// A database in a folder of its own, which goes with this.
pub(super) struct Copy {
    folder: TempDir,
}

impl Copy {
    fn new() -> Done<Copy> {
        let folder = tempfile::Builder::new().prefix("litevfs-import-").tempdir();
        Ok(Copy { folder: folder.map_err(|error| no_room(&error))? })
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("db")
    }

    /// The file with all that belongs in it, and a connection to it; both have no name any more.
    pub(super) fn open(self) -> rusqlite::Result<(File, Connection)> {
        let path = self.path();
        let has_more = PARTS.iter().skip(1).any(|suffix| beside(&path, suffix).exists());
        if has_more {
            // Rolls back, or brings the WAL in; the mode is part of the database and stays.
            let db = Connection::open(&path)?;
            db.query_row("PRAGMA schema_version", (), |_| Ok(()))?;
            db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))?;
            db.close().map_err(|(_, error)| error)?;
        }
        let db = begin(&path)?;
        let file = File::open(&path).map_err(|_| rusqlite::Error::InvalidPath(path))?;
        Ok((file, db))
    }
}

/// Copies a database with its WAL or journal.
pub(super) fn copy_all(path: &Path, stop: &Flag) -> Done<Copy> {
    let copy = Copy::new()?;
    for suffix in PARTS {
        match File::open(beside(path, suffix)) {
            Ok(from) => transfer(from, File::create(beside(&copy.path(), suffix))?, stop)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(copy)
}

/// Takes in what a pipe brings, if it is a SQLite file, and no more of it than that says it has.
pub(super) fn spool(mut input: File, stop: &Flag) -> Done<Copy> {
    let mut start = Vec::new();
    (&mut input).take(START_LEN as u64).read_to_end(&mut start)?;
    let most = SqliteFile::parse(&start)?.most_bytes();
    let copy = Copy::new()?;
    transfer(start.chain(input).take(most), File::create(copy.path())?, stop)?;
    Ok(copy)
}

fn no_room(error: &io::Error) -> String {
    let folder = std::env::temp_dir();
    format!("no copy can be made in {} ({}): set TMPDIR", folder.display(), root_cause(error))
}

fn transfer(mut from: impl Read, mut to: File, stop: &Flag) -> Done {
    let mut piece = vec![0; PIECE];
    loop {
        stop.look()?;
        let count = from.read(&mut piece)?;
        match piece.get(..count) {
            None | Some([]) => return Ok(()),
            Some(bytes) => to.write_all(bytes).map_err(|error| no_room(&error))?,
        }
    }
}
