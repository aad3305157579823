//! An open main database: the connection behind it, what SQLite has told, and how the last failure ended.

use super::registration::Registration;
use super::result_code::result_code;
use super::sqlite::Sqlite;
use crate::db::Connection;
use crate::error::{Error, ErrorKind};
use crate::sys::log::log;
use alloc::string::String;
use core::ffi::c_int;
use core::ptr::NonNull;
use libsqlite3_sys::{self as ffi, sqlite3};

/// A main database and the text of its last failure.
pub struct MainDatabase {
    /// The connection.
    pub connection: Connection,
    /// As SQLite knows it.
    full_name: String,
    /// For `PRAGMA litevfs_last_error`.
    pub last_error: Option<String>,
    /// Where SQLite keeps the connection that uses the file; with a shared cache it is the one that does
    /// so just now. There as long as the file is open. `None` before SQLite told, and where it is too
    /// old to tell.
    pub connection_place: Option<NonNull<*mut sqlite3>>,
    /// Whether connections may share SQLite's cache of it.
    pub is_shared: bool,
    /// Whether SQLite was found to keep its locks, which it had not told.
    pub keeps_locks_unsaid: bool,
    /// What all databases share.
    pub registration: &'static Registration,
}

impl MainDatabase {
    /// One that was just opened, under the name by which SQLite knows it.
    pub fn new(
        connection: Connection,
        (full_name, is_shared): (String, bool),
        registration: &'static Registration,
    ) -> MainDatabase {
        MainDatabase {
            connection,
            full_name,
            last_error: None,
            connection_place: None,
            is_shared,
            keeps_locks_unsaid: false,
            registration,
        }
    }

    /// SQLite's functions.
    pub fn sqlite(&self) -> &'static Sqlite {
        &self.registration.sqlite
    }

    /// SQLite's connection that calls us.
    pub fn sqlite3(&self) -> Option<NonNull<sqlite3>> {
        // SAFETY: the place is there as long as the file is, and SQLite does not write to it during a call
        // of a method of the file.
        self.connection_place.and_then(|place| NonNull::new(unsafe { place.read() }))
    }

    /// Has the database belong to SQLite's connection that calls us. Nothing without SQLite's telling.
    pub fn join_group(&mut self) {
        if let Some(owner) = self.sqlite3() {
            self.connection.join(&self.registration.groups, owner.as_ptr().expose_provenance());
        }
    }

    /// Keeps the text of what failed when SQLite called for another file: a commit over several databases,
    /// or the journal. Of the connections to a database only the one that writes has a journal in use.
    pub fn keep_failure_elsewhere(&mut self) {
        if self.connection.is_writing()
            && let Some(error) = self.registration.journal_failures.take(&self.full_name)
        {
            self.last_error = Some(error.message().into());
        }
        if let Some(error) = self.connection.take_failure_elsewhere() {
            self.last_error = Some(error.message().into());
        }
    }

    /// Logs a failure, keeps its text, and maps it. What is no fault but a matter of waiting is not
    /// worth a line on a terminal.
    pub fn report(&mut self, what: &str, outcome: Result<(), Error>) -> c_int {
        let Err(error) = outcome else {
            return ffi::SQLITE_OK;
        };
        // What stays so for good is told once: SQLite asks for every page.
        let is_known = self.last_error.as_deref() == Some(error.message());
        match error.kind() {
            ErrorKind::Busy
            | ErrorKind::StaleView
            | ErrorKind::LeaseHeld
            | ErrorKind::Interrupted => {
                log!(Info, "{what}: {error}");
            }
            ErrorKind::Gone | ErrorKind::Forked if is_known => log!(Debug, "{what}: {error}"),
            _ => log!(Error, "{what}: {error}"),
        }
        let rc = match error.kind() {
            // SQLite may be about to undo a transaction: only with this does it drop what it could not undo.
            ErrorKind::Interrupted if self.connection.is_writing() => ffi::SQLITE_IOERR,
            kind => result_code(kind),
        };
        self.last_error = Some(error.message().into());
        rc
    }
}
