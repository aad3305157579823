//! `sqlite3_interrupt` during a call of ours: whoever waits for the server looks whether it happened.
//!
//! SQLite tells since 3.41. An older one tells its parser, while a statement is running: a text with nothing in
//! it is parsed, of which authorizers and traces hear nothing. Where no statement is running the parser forgets
//! the interrupt instead, so while SQLite reads the schema one is run that does nothing; there nobody hears of it
//! either. In any other place where none is running, it is not asked.
//!
//! To parse, SQLite takes the locks of all databases that connections share a cache of, and lets go of this
//! one meanwhile if it has to. In the middle of reading it that is not to be, so there it is not asked.

use super::sqlite::ConnectionFunctions;
use crate::sys::{self, Tick};
use core::cell::Cell;
use core::ffi::CStr;
use core::ptr::{self, NonNull};
use libsqlite3_sys::{self as ffi, sqlite3, sqlite3_stmt};

/// How long a COMMIT that is under way goes on waiting for its outcome when it is interrupted.
pub const COMMIT_GRACE_MS: u64 = 2_000;

/// Something to parse that is no statement, and statements.
const NOTHING: &CStr = c" ";
const QUERY: &CStr = c"SELECT 1";
const VACUUM: &CStr = c"VACUUM";

/// A call of SQLite's that may have to wait.
pub struct Call {
    functions: Option<&'static ConnectionFunctions>,
    db: *mut sqlite3,
    /// Whether connections may share the cache of the file that the call is for.
    is_shared: bool,
    /// A statement that is running as long as this is there.
    running: Cell<*mut sqlite3_stmt>,
    /// For how long an interrupt is not heeded.
    grace_ms: u64,
    interrupted: Cell<Option<Tick>>,
}

impl Call {
    /// A call on that connection, if it is known.
    pub fn on(
        functions: Option<&'static ConnectionFunctions>,
        db: Option<NonNull<sqlite3>>,
        is_shared: bool,
        grace_ms: u64,
    ) -> Call {
        Call {
            functions,
            db: db.map_or(ptr::null_mut(), NonNull::as_ptr),
            is_shared,
            running: Cell::new(ptr::null_mut()),
            grace_ms,
            interrupted: Cell::new(None),
        }
    }

    /// Does what may have to wait.
    pub fn run<T>(&self, body: impl FnOnce() -> T) -> T {
        let _interruptible =
            sys::Interruptible::new(is_over, ptr::from_ref(self).expose_provenance());
        body()
    }

    fn is_interrupted(&self) -> bool {
        let (Some(functions), false) = (self.functions, self.db.is_null()) else { return false };
        // SAFETY: this thread is inside a call of SQLite's on the connection.
        unsafe {
            match functions.is_interrupted {
                Some(is_interrupted) => is_interrupted(self.db) != 0,
                None => !self.is_shared && self.asks_parser(functions),
            }
        }
    }

    /// # Safety
    ///
    /// This thread must be inside a call of SQLite's on the connection.
    unsafe fn asks_parser(&self, functions: &ConnectionFunctions) -> bool {
        // SAFETY: the caller's promise. The query touches no database, and is ended where there is one.
        unsafe {
            if !functions.runs_any(self.db) {
                if !functions.reads_schema(self.db, VACUUM) {
                    return false;
                }
                let (_, query) = functions.prepare(self.db, QUERY);
                if !query.is_null() {
                    (functions.step)(query);
                    self.running.set(query);
                }
            }
            functions.prepare(self.db, NOTHING).0 == ffi::SQLITE_INTERRUPT
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if let (Some(functions), false) = (self.functions, self.running.get().is_null()) {
            // SAFETY: a statement of ours that nobody else knows.
            unsafe { (functions.finalize)(self.running.get()) };
        }
    }
}

fn is_over(call: usize) -> bool {
    // SAFETY: `run` has this called on the same thread while it borrows the call.
    let call = unsafe { &*ptr::with_exposed_provenance::<Call>(call) };
    if call.interrupted.get().is_none() && call.is_interrupted() {
        call.interrupted.set(Some(Tick::now()));
    }
    call.interrupted.get().is_some_and(|since| since.age_ms() >= call.grace_ms)
}
