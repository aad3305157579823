//! What SQLite announces and asks of a main database (`xFileControl`).

use super::main_database::MainDatabase;
use super::pragma::{self, Answer};
use super::registration::VFS_NAME;
use super::result_code::{final_code, plain_busy, result_code};
use super::super_journal::{Announced, NOT_ATOMIC};
use super::visit::{VISIT, Visitor};
use crate::error::{Error, ErrorKind};
use crate::sys::log::log;
use alloc::format;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr::NonNull;
use libsqlite3_sys::{self as ffi, sqlite3_int64};

/// Carries out an operation.
///
/// # Safety
///
/// `arg` must be what SQLite documents for `op`.
pub unsafe fn control(database: &mut MainDatabase, op: c_int, arg: *mut c_void) -> c_int {
    let is_commit = matches!(op, ffi::SQLITE_FCNTL_SYNC | ffi::SQLITE_FCNTL_COMMIT_PHASETWO);
    if is_commit && let Err(error) = database.connection.check_process() {
        return database.report("COMMIT after fork()", Err(error));
    }
    match op {
        // SAFETY: passed on from the caller: a string or null.
        ffi::SQLITE_FCNTL_SYNC => unsafe { prepare_commit(database, arg.cast()) },
        ffi::SQLITE_FCNTL_COMMIT_PHASETWO => {
            let outcome = database.connection.confirm_commit();
            final_code(database.report("COMMIT", outcome))
        }
        // SAFETY: passed on from the caller: an array of three or more strings or nulls.
        ffi::SQLITE_FCNTL_PRAGMA => unsafe { run_pragma(database, arg.cast()) },
        ffi::SQLITE_FCNTL_PDB => {
            database.connection_place = NonNull::new(arg.cast());
            database.join_group();
            ffi::SQLITE_NOTFOUND
        }
        ffi::SQLITE_FCNTL_VFSNAME => {
            let name = database.sqlite().text(VFS_NAME.to_str().unwrap_or_default());
            let out: *mut *mut c_char = arg.cast();
            // SAFETY: for this operation `arg` is a place for a string of SQLite's allocator.
            unsafe { out.write(name) };
            ffi::SQLITE_OK
        }
        VISIT if !arg.is_null() => {
            // What the parent's threads held when it forked nobody gives back here.
            if let Err(error) = database.connection.check_process() {
                return database.report("after fork()", Err(error));
            }
            // SAFETY: for this operation, which nobody but `visit` asks for, `arg` is a visitor.
            let visitor: &mut Visitor<'_> = unsafe { &mut *arg.cast() };
            visitor(database);
            ffi::SQLITE_OK
        }
        // SAFETY: passed on from the caller: a place for a 64-bit number.
        ffi::SQLITE_FCNTL_MMAP_SIZE => unsafe { answer::<sqlite3_int64>(arg, 0) },
        // How much room to make in advance: the server has it, or has not.
        ffi::SQLITE_FCNTL_SIZE_HINT | ffi::SQLITE_FCNTL_CHUNK_SIZE => ffi::SQLITE_OK,
        // There is no file that could be moved, and no WAL file that could stay.
        // SAFETY: passed on from the caller: a place for a number.
        ffi::SQLITE_FCNTL_HAS_MOVED | ffi::SQLITE_FCNTL_PERSIST_WAL => unsafe {
            answer::<c_int>(arg, 0)
        },
        // SAFETY: as above.
        ffi::SQLITE_FCNTL_POWERSAFE_OVERWRITE => unsafe { answer::<c_int>(arg, 1) },
        _ => ffi::SQLITE_NOTFOUND,
    }
}

/// Answers a question with what it always is here, whatever the caller would like to set.
///
/// # Safety
///
/// `place` must be one for a `T`.
unsafe fn answer<T>(place: *mut c_void, value: T) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { place.cast::<T>().write(value) };
    ffi::SQLITE_OK
}

/// All of a transaction is written, but for those of other databases. It is made ready to be pushed, which
/// `SQLITE_FCNTL_COMMIT_PHASETWO` does when SQLite can't roll back any more.
///
/// # Safety
///
/// `super_journal` must be null or a string.
unsafe fn prepare_commit(database: &mut MainDatabase, super_journal: *const c_char) -> c_int {
    database.join_group();
    let super_journals = &database.registration.super_journals;
    // SAFETY: not null, so a string that lives during the call.
    let name = (!super_journal.is_null()).then(|| unsafe { CStr::from_ptr(super_journal) });
    let announced = name.map(|name| super_journals.announce(name, database.connection.group()));
    if announced == Some(Announced::Foreign) && !database.connection.is_clean() {
        let text = format!("{}: {NOT_ATOMIC}", database.connection.name());
        let error = Error::new(ErrorKind::Unsupported, text);
        let error = database.connection.refuse_commit(error);
        return database.report("COMMIT", Err(error));
    }
    let outcome = match announced {
        Some(Announced::Together) => database.connection.prepare_commit_together(),
        _ => database.connection.prepare_commit(),
    };
    if let (Some(name), Some(round)) = (name, database.connection.round()) {
        super_journals.set_round(name, round);
    }
    database.keep_failure_elsewhere();
    plain_busy(database.report("COMMIT", outcome))
}

/// `arg[1]` is the pragma's name, `arg[2]` its value or null; `arg[0]` takes a row or an error text.
///
/// # Safety
///
/// `args` must point to three strings or nulls, the second not null.
unsafe fn run_pragma(database: &mut MainDatabase, args: *mut *mut c_char) -> c_int {
    // SAFETY: the caller's promise.
    let (name, value) = unsafe { (args.add(1).read(), args.add(2).read()) };
    if name.is_null() {
        return ffi::SQLITE_NOTFOUND;
    }
    // SAFETY: not null, so a string that lives during the call; the value likewise.
    let name = unsafe { CStr::from_ptr(name) };
    let value = (!value.is_null()).then(|| {
        // SAFETY: as above.
        unsafe { CStr::from_ptr(value) }
    });
    let Ok(name) = name.to_str() else {
        return ffi::SQLITE_NOTFOUND;
    };
    // A value that is not UTF-8 is in no pragma's range.
    let value = value.map(|value| value.to_str().unwrap_or("\u{fffd}"));
    database.keep_failure_elsewhere();
    let last_error = database.last_error.clone();
    let outcome = pragma::run(&mut database.connection, last_error.as_deref(), name, value);
    let (rc, text) = match outcome {
        // To SQLite a pragma that nobody knows is one that does nothing and has no row. With OK and no
        // text it would have a column without a name, which some programs can't bear.
        Ok(Answer::NotOurs | Answer::Done) => return ffi::SQLITE_NOTFOUND,
        Ok(Answer::ForgetLastError) => {
            database.last_error = None;
            return ffi::SQLITE_NOTFOUND;
        }
        Ok(Answer::Row(text)) => (ffi::SQLITE_OK, text),
        Err(error) => {
            log!(Debug, "PRAGMA {name}: {error}");
            let rc = result_code(error.kind());
            database.last_error = Some(error.message().into());
            (rc, error.message().into())
        }
    };
    let text = database.sqlite().text(&text);
    // SAFETY: the first of the array is the place for a text of SQLite's allocator.
    unsafe { args.write(text) };
    rc
}
