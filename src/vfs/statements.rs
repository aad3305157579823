//! What the statements that SQLite runs mean for a main database: SQLite does not tell a VFS, so the connection
//! is asked.

use super::main_database::MainDatabase;
use super::sqlite::MIN_VERSION_WITH_RUNS;
use crate::error::{Error, ErrorKind};
use core::ffi::c_int;
use libsqlite3_sys as ffi;

impl MainDatabase {
    /// Whether SQLite runs a statement on the connection that may write, to this database or another.
    pub fn runs_a_write(&self) -> bool {
        let functions = &self.sqlite().connections;
        // SAFETY: the connection that uses the file, in a call of one of the file's methods.
        self.sqlite3().is_some_and(|db| unsafe { functions.runs_a_write(db.as_ptr()) })
    }

    /// [`MainDatabase::report`] for a page that is not to be had. When that is for an interrupt, a query ends, and the
    /// transaction goes on; a statement that writes ends with it, which is SQLite's own doing. What SQLite reads
    /// for a `ROLLBACK TO` or a COMMIT must not end as if it were a query.
    pub fn report_read(&mut self, error: Error) -> c_int {
        let is_interrupt = error.kind() == ErrorKind::Interrupted;
        let functions = &self.sqlite().connections;
        // SAFETY: the connection that uses the file, in a call of one of the file's methods.
        let is_told = is_interrupt
            && self.sqlite3().is_some_and(|db| unsafe { functions.runs_plainly(db.as_ptr()) });
        let rc = self.report("read", Err(error));
        if is_told { ffi::SQLITE_INTERRUPT } else { rc }
    }

    /// Marks the statements that have SQLite take its lock now, where that is of interest.
    pub fn mark_lockers(&mut self) {
        let sqlite = self.sqlite();
        if sqlite.version >= MIN_VERSION_WITH_RUNS
            && let Some(db) = self.sqlite3()
            && self.connection.has_request_limit()
        {
            // SAFETY: the connection that uses the file, in a call of one of the file's methods.
            unsafe { sqlite.connections.runs_marked(db.as_ptr(), true) };
        }
    }

    /// Whether SQLite turns out to keep its locks: it tells of `PRAGMA locking_mode` without a schema only
    /// the main database, but what had it take the lock is over, and there is no transaction.
    fn finds_locks_kept(&mut self) -> bool {
        let (sqlite, Some(db)) = (self.sqlite(), self.sqlite3()) else { return false };
        if sqlite.version < MIN_VERSION_WITH_RUNS {
            return false;
        }
        let functions = &sqlite.connections;
        // SAFETY: the connection that uses the file, in a call of one of the file's methods.
        let is_kept = unsafe {
            (functions.get_autocommit)(db.as_ptr()) != 0
                && !functions.runs_marked(db.as_ptr(), false)
        };
        if is_kept {
            self.keeps_locks_unsaid = true;
            self.connection.set_keeps_locks(true);
        }
        is_kept
    }

    /// SQLite lets go of a lock, so it does not keep them.
    pub fn forget_locks_kept(&mut self) {
        if core::mem::take(&mut self.keeps_locks_unsaid) {
            self.connection.set_keeps_locks(false);
        }
    }

    /// Reads; a limit on the requests of a query does not hold where none is running.
    pub fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        match self.connection.read_at(offset, buf) {
            Err(error) if error.kind() == ErrorKind::RequestLimit && self.finds_locks_kept() => {
                self.connection.read_at(offset, buf)
            }
            outcome => outcome,
        }
    }
}
