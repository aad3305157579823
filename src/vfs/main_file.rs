//! A main database's methods (`sqlite3_io_methods`), in the order of sqlite3.h.
//!
//! Each is three steps: find our object behind SQLite's pointer, call the connection, map the outcome.
//! Version 1 of the table: no shared memory, so SQLite knows that it can't use a WAL here.

use super::buffer::bytes_to_fill;
use super::file_control;
use super::interrupt::{COMMIT_GRACE_MS, Call};
use super::main_database::MainDatabase;
use super::result_code::plain_busy;
use super::shield::shielded;
use crate::db::Lock;
use crate::sys::log::log;
use alloc::boxed::Box;
use core::ffi::{c_int, c_void};
use core::{ptr, slice};
use libsqlite3_sys as ffi;
use libsqlite3_sys::{sqlite3_file, sqlite3_int64, sqlite3_io_methods};

/// What lies behind SQLite's pointer to an open main database.
#[repr(C)]
pub struct MainFile {
    base: sqlite3_file,
    /// From `Box::into_raw`; ours until `x_close`. Valid while `base.pMethods` is [`METHODS`].
    database: *mut MainDatabase,
}

impl MainFile {
    /// Makes an open file of the memory SQLite gave us.
    ///
    /// # Safety
    ///
    /// `p_file` must have room for a [`MainFile`].
    pub unsafe fn open(p_file: *mut sqlite3_file, database: MainDatabase) {
        let database = Box::into_raw(Box::new(database));
        let base = sqlite3_file { pMethods: &raw const METHODS };
        // SAFETY: the caller's promise; the memory holds nothing that must be dropped.
        unsafe {
            p_file.cast::<MainFile>().write(MainFile { base, database });
        }
    }
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 1,
    xClose: Some(x_close),
    xRead: Some(x_read),
    xWrite: Some(x_write),
    xTruncate: Some(x_truncate),
    xSync: Some(x_sync),
    xFileSize: Some(x_file_size),
    xLock: Some(x_lock),
    xUnlock: Some(x_unlock),
    xCheckReservedLock: Some(x_check_reserved_lock),
    xFileControl: Some(x_file_control),
    xSectorSize: Some(x_sector_size),
    xDeviceCharacteristics: Some(x_device_characteristics),
    xShmMap: None,
    xShmLock: None,
    xShmBarrier: None,
    xShmUnmap: None,
    xFetch: None,
    xUnfetch: None,
};

/// Calls `body` with the database behind `p_file`, shielded, and not in a forked child.
///
/// # Safety
///
/// `p_file` must be a file that [`MainFile::open`] made and that is not closed. SQLite calls the
/// methods of one file one at a time.
unsafe fn with(p_file: *mut sqlite3_file, body: impl FnOnce(&mut MainDatabase) -> c_int) -> c_int {
    let checked = |database: &mut MainDatabase| match database.connection.check_process() {
        Ok(()) => body(database),
        Err(error) => database.report("after fork()", Err(error)),
    };
    // SAFETY: passed on.
    unsafe { interruptible(p_file, 0, checked) }
}

/// Calls `body` with the database behind `p_file`, shielded, with waits that go on for so long after an
/// interrupt.
///
/// # Safety
///
/// As [`with`].
unsafe fn interruptible(
    p_file: *mut sqlite3_file,
    grace_ms: u64,
    body: impl FnOnce(&mut MainDatabase) -> c_int,
) -> c_int {
    let mut body = Some(body);
    let mut once = |database: &mut MainDatabase| {
        body.take().map_or(ffi::SQLITE_INTERNAL, |body| body(database))
    };
    // SAFETY: passed on.
    unsafe { interruptible_any(p_file, grace_ms, &mut once) }
}

/// The same for all bodies, because a shield is made anew for each type.
///
/// # Safety
///
/// As [`with`].
unsafe fn interruptible_any(
    p_file: *mut sqlite3_file,
    grace_ms: u64,
    body: &mut dyn FnMut(&mut MainDatabase) -> c_int,
) -> c_int {
    // SAFETY: the caller's promise.
    let database = unsafe { database(p_file) };
    let functions = Some(&database.sqlite().connections);
    let call = Call::on(functions, database.sqlite3(), database.is_shared, grace_ms);
    call.run(|| shielded(ffi::SQLITE_INTERNAL, || body(database)))
}

/// The database behind `p_file`.
///
/// # Safety
///
/// As [`with`].
unsafe fn database<'a>(p_file: *mut sqlite3_file) -> &'a mut MainDatabase {
    // SAFETY: the caller's promise: `database` is valid and, one call at a time, not borrowed.
    unsafe { &mut *(*p_file.cast::<MainFile>()).database }
}

unsafe extern "C" fn x_close(p_file: *mut sqlite3_file) -> c_int {
    let file: *mut MainFile = p_file.cast();
    // SAFETY: SQLite closes a file once. Without methods it will not call us with it again.
    let database = unsafe {
        (*file).base.pMethods = ptr::null();
        Box::from_raw((*file).database)
    };
    shielded(ffi::SQLITE_OK, || {
        drop(database);
        ffi::SQLITE_OK
    })
}

unsafe extern "C" fn x_read(
    p_file: *mut sqlite3_file,
    p_buf: *mut c_void,
    i_amt: c_int,
    i_ofst: sqlite3_int64,
) -> c_int {
    let (Ok(len), Ok(offset)) = (usize::try_from(i_amt), u64::try_from(i_ofst)) else {
        return ffi::SQLITE_IOERR_READ;
    };
    // SAFETY: SQLite's buffer has `i_amt` bytes, which nobody else uses during the call.
    let buf = unsafe { bytes_to_fill(p_buf.cast(), len) };
    let read = |database: &mut MainDatabase| match database.read_at(offset, buf) {
        Ok(filled) if filled == len => ffi::SQLITE_OK,
        // "If xRead() returns SQLITE_IOERR_SHORT_READ it must also fill in the unread portions of the
        // buffer with zeros" (sqlite3_io_methods). `read_at` did.
        Ok(_) => ffi::SQLITE_IOERR_SHORT_READ,
        Err(error) if !database.connection.is_locked() => {
            // The look at the header when a file is opened. Failing here would fail the opening;
            // the first statement will find the same and say so.
            log!(Debug, "reading the header: {error}");
            buf.fill(0);
            ffi::SQLITE_IOERR_SHORT_READ
        }
        Err(error) => database.report_read(error),
    };
    // SAFETY: SQLite calls this with an open file of ours.
    unsafe { with(p_file, read) }
}

unsafe extern "C" fn x_write(
    p_file: *mut sqlite3_file,
    p_buf: *const c_void,
    i_amt: c_int,
    i_ofst: sqlite3_int64,
) -> c_int {
    let (Ok(len), Ok(offset)) = (usize::try_from(i_amt), u64::try_from(i_ofst)) else {
        return ffi::SQLITE_IOERR_WRITE;
    };
    // SAFETY: SQLite's buffer has `i_amt` bytes that it does not change during the call.
    let buf = unsafe { slice::from_raw_parts(p_buf.cast::<u8>(), len) };
    let write = |database: &mut MainDatabase| {
        let outcome = database.connection.write_at(offset, buf);
        plain_busy(database.report("write", outcome))
    };
    // SAFETY: SQLite calls this with an open file of ours.
    unsafe { with(p_file, write) }
}

unsafe extern "C" fn x_truncate(p_file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    let Ok(size_bytes) = u64::try_from(size) else {
        return ffi::SQLITE_IOERR_TRUNCATE;
    };
    let truncate = |database: &mut MainDatabase| {
        let outcome = database.connection.truncate(size_bytes);
        database.report("truncate", outcome)
    };
    // SAFETY: SQLite calls this with an open file of ours.
    unsafe { with(p_file, truncate) }
}

/// Nothing: the transaction becomes durable with `SQLITE_FCNTL_COMMIT_PHASETWO`.
unsafe extern "C" fn x_sync(_: *mut sqlite3_file, _: c_int) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn x_file_size(p_file: *mut sqlite3_file, p_size: *mut sqlite3_int64) -> c_int {
    let file_size = |database: &mut MainDatabase| match database.connection.size_bytes() {
        Ok(size_bytes) => {
            let size = sqlite3_int64::try_from(size_bytes).unwrap_or(sqlite3_int64::MAX);
            // SAFETY: SQLite's place for the answer.
            unsafe { p_size.write(size) };
            ffi::SQLITE_OK
        }
        Err(error) => database.report("file size", Err(error)),
    };
    // SAFETY: SQLite calls this with an open file of ours.
    unsafe { with(p_file, file_size) }
}

unsafe extern "C" fn x_lock(p_file: *mut sqlite3_file, e_lock: c_int) -> c_int {
    let lock = |database: &mut MainDatabase| {
        database.join_group();
        let lock = lock_of(e_lock);
        let asks = lock == Lock::Shared && database.connection.auto_lease();
        if asks && database.runs_a_write() {
            database.connection.expect_write();
        }
        if lock == Lock::Shared {
            database.mark_lockers();
        }
        let outcome = database.connection.lock(lock);
        database.report("lock", outcome)
    };
    // SAFETY: SQLite calls this with an open file of ours.
    unsafe { with(p_file, lock) }
}

unsafe extern "C" fn x_unlock(p_file: *mut sqlite3_file, e_lock: c_int) -> c_int {
    // SAFETY: SQLite calls this with an open file of ours.
    let database = unsafe { database(p_file) };
    shielded(ffi::SQLITE_OK, || {
        if database.connection.check_process().is_err() {
            // Nothing of the parent's is touched, also when the child closes what it inherited.
            return ffi::SQLITE_OK;
        }
        // While it is known who writes, and after it is known how that ended.
        database.keep_failure_elsewhere();
        database.forget_locks_kept();
        database.connection.unlock(lock_of(e_lock));
        database.keep_failure_elsewhere();
        ffi::SQLITE_OK
    })
}

unsafe extern "C" fn x_check_reserved_lock(p_file: *mut sqlite3_file, p_res: *mut c_int) -> c_int {
    let check = |database: &mut MainDatabase| {
        // SAFETY: SQLite's place for the answer.
        unsafe { p_res.write(c_int::from(database.connection.is_reserved())) };
        ffi::SQLITE_OK
    };
    // SAFETY: SQLite calls this with an open file of ours.
    unsafe { with(p_file, check) }
}

unsafe extern "C" fn x_file_control(
    p_file: *mut sqlite3_file,
    op: c_int,
    p_arg: *mut c_void,
) -> c_int {
    let grace_ms = if op == ffi::SQLITE_FCNTL_COMMIT_PHASETWO { COMMIT_GRACE_MS } else { 0 };
    let control = |database: &mut MainDatabase| {
        // SAFETY: the argument that belongs to `op`.
        unsafe { file_control::control(database, op, p_arg) }
    };
    // SAFETY: SQLite calls this with an open file of ours.
    unsafe { interruptible(p_file, grace_ms, control) }
}

/// With "powersafe overwrite" SQLite journals single pages whatever this says.
unsafe extern "C" fn x_sector_size(_: *mut sqlite3_file) -> c_int {
    4096
}

unsafe extern "C" fn x_device_characteristics(_: *mut sqlite3_file) -> c_int {
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

fn lock_of(e_lock: c_int) -> Lock {
    match e_lock {
        ffi::SQLITE_LOCK_NONE => Lock::None,
        ffi::SQLITE_LOCK_SHARED => Lock::Shared,
        ffi::SQLITE_LOCK_RESERVED => Lock::Reserved,
        ffi::SQLITE_LOCK_PENDING => Lock::Pending,
        _ => Lock::Exclusive,
    }
}
