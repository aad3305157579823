//! `sqlite3_interrupt` during a call of ours: whoever waits for the server looks whether it happened.
//!
//! SQLite tells since 3.41. An older one tells a statement that is stepped, if another one is running: so such
//! a SQLite is asked with two statements that do nothing, prepared when a wait has lasted for a moment.

use super::sqlite::ConnectionFunctions;
use crate::sys::{self, Tick};
use core::cell::Cell;
use core::ffi::CStr;
use core::ptr::{self, NonNull};
use libsqlite3_sys::{self as ffi, sqlite3, sqlite3_stmt};

const NOTHING: &CStr = c"SELECT 1";

/// A call of SQLite's that may have to wait.
pub struct Call {
    functions: Option<&'static ConnectionFunctions>,
    db: *mut sqlite3,
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
        grace_ms: u64,
    ) -> Call {
        Call {
            functions,
            db: db.map_or(ptr::null_mut(), NonNull::as_ptr),
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
                None => self.asks_statement(functions),
            }
        }
    }

    /// # Safety
    ///
    /// This thread must be inside a call of SQLite's on the connection.
    unsafe fn asks_statement(&self, functions: &ConnectionFunctions) -> bool {
        let mut statement = ptr::null_mut();
        // SAFETY: the caller's promise; a string with an end, and a place for the answer. The statement
        // touches no database, and is stepped and ended where there is one.
        unsafe {
            let place = &raw mut statement;
            // An interrupt ends that, too.
            let mut rc =
                (functions.prepare_v2)(self.db, NOTHING.as_ptr(), -1, place, ptr::null_mut());
            if !statement.is_null() {
                rc = (functions.step)(statement);
                if self.running.get().is_null() {
                    self.running.set(statement);
                } else {
                    (functions.finalize)(statement);
                }
            }
            rc == ffi::SQLITE_INTERRUPT
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
