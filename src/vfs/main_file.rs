//! A main database's methods (`sqlite3_io_methods`), in the order of sqlite3.h.
//!
//! Each is three steps: find our object behind SQLite's pointer, call the connection, map the outcome.
//! Version 1 of the table: no shared memory, so SQLite knows that it can't use a WAL here.

use super::file_control;
use super::interrupt::Call;
use super::registration::Registration;
use super::result_code::{plain_busy, result_code};
use super::shield::shielded;
use super::sqlite::{MIN_VERSION_WITH_RUNS, Sqlite};
use crate::db::{Connection, Lock};
use crate::error::{Error, ErrorKind};
use crate::sys::log::log;
use alloc::boxed::Box;
use alloc::string::String;
use core::ffi::{c_int, c_void};
use core::ptr::{self, NonNull};
use core::slice;
use libsqlite3_sys as ffi;
use libsqlite3_sys::{sqlite3, sqlite3_file, sqlite3_int64, sqlite3_io_methods};

/// How long a COMMIT that is under way goes on waiting for its outcome when it is interrupted.
pub const COMMIT_GRACE_MS: u64 = 2_000;

/// What lies behind SQLite's pointer to an open main database.
#[repr(C)]
pub struct MainFile {
    base: sqlite3_file,
    /// From `Box::into_raw`; ours until `x_close`. Valid while `base.pMethods` is [`METHODS`].
    database: *mut Database,
}

/// A main database and the text of its last failure.
pub struct Database {
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
    is_shared: bool,
    /// Whether SQLite was found to keep its locks, which it had not told.
    keeps_locks_unsaid: bool,
    /// What all databases share.
    pub registration: &'static Registration,
}

impl Database {
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

    /// Whether SQLite runs a statement on the connection that may write, to this database or another.
    fn runs_a_write(&self) -> bool {
        let functions = &self.sqlite().connections;
        // SAFETY: the connection that uses the file, in a call of one of the file's methods.
        self.sqlite3().is_some_and(|db| unsafe { functions.runs_a_write(db.as_ptr()) })
    }

    /// [`Database::report`] for a page that is not to be had. When that is for an interrupt, a query ends, and the
    /// transaction goes on; a statement that writes ends with it, which is SQLite's own doing. What SQLite reads
    /// for a `ROLLBACK TO` or a COMMIT must not end as if it were a query.
    fn report_read(&mut self, error: Error) -> c_int {
        let is_interrupt = error.kind() == ErrorKind::Interrupted;
        let functions = &self.sqlite().connections;
        // SAFETY: the connection that uses the file, in a call of one of the file's methods.
        let is_told = is_interrupt
            && self.sqlite3().is_some_and(|db| unsafe { functions.runs_plainly(db.as_ptr()) });
        let rc = self.report("read", Err(error));
        if is_told { ffi::SQLITE_INTERRUPT } else { rc }
    }

    /// Marks the statements that have SQLite take its lock now, where that is of interest.
    fn mark_lockers(&mut self) {
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

    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        match self.connection.read_at(offset, buf) {
            Err(error) if error.kind() == ErrorKind::RequestLimit && self.finds_locks_kept() => {
                self.connection.read_at(offset, buf)
            }
            outcome => outcome,
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

impl MainFile {
    /// Makes an open file of the memory SQLite gave us.
    ///
    /// # Safety
    ///
    /// `p_file` must have room for a [`MainFile`].
    pub unsafe fn open(
        p_file: *mut sqlite3_file,
        connection: Connection,
        (full_name, is_shared): (String, bool),
        registration: &'static Registration,
    ) {
        let database = Box::new(Database {
            connection,
            full_name,
            last_error: None,
            connection_place: None,
            is_shared,
            keeps_locks_unsaid: false,
            registration,
        });
        let base = sqlite3_file { pMethods: &raw const METHODS };
        // SAFETY: the caller's promise; the memory holds nothing that must be dropped.
        unsafe {
            p_file.cast::<MainFile>().write(MainFile { base, database: Box::into_raw(database) });
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
unsafe fn with(p_file: *mut sqlite3_file, body: impl FnOnce(&mut Database) -> c_int) -> c_int {
    let checked = |database: &mut Database| match database.connection.check_process() {
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
    body: impl FnOnce(&mut Database) -> c_int,
) -> c_int {
    let mut body = Some(body);
    let mut once =
        |database: &mut Database| body.take().map_or(ffi::SQLITE_INTERNAL, |body| body(database));
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
    body: &mut dyn FnMut(&mut Database) -> c_int,
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
unsafe fn database<'a>(p_file: *mut sqlite3_file) -> &'a mut Database {
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

/// Memory of SQLite's as bytes, whatever they are.
///
/// Rust must not be shown uninitialised memory, which this may be. Zeroing what is filled at once takes as
/// long as reading it from the disk's cache does by a quarter. The assembly does nothing, but for all that
/// the compiler knows it writes to the memory; so the bytes have values, those that happen to be there.
/// WebAssembly has no assembly to do that with.
///
/// # Safety
///
/// There must be `len` bytes at `start`, for nobody else to use as long as the slice lives.
unsafe fn bytes_to_fill<'a>(start: *mut u8, len: usize) -> &'a mut [u8] {
    // SAFETY: nothing is executed, or the bytes that are there are set. The rest is the caller's promise.
    unsafe {
        #[cfg(not(target_family = "wasm"))]
        core::arch::asm!("/* {0} */", in(reg) start, options(nostack, preserves_flags));
        #[cfg(target_family = "wasm")]
        start.write_bytes(0, len);
        slice::from_raw_parts_mut(start, len)
    }
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
    let read = |database: &mut Database| match database.read_at(offset, buf) {
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
    let write = |database: &mut Database| {
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
    let truncate = |database: &mut Database| {
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
    let file_size = |database: &mut Database| match database.connection.size_bytes() {
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
    let lock = |database: &mut Database| {
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
        if core::mem::take(&mut database.keeps_locks_unsaid) {
            database.connection.set_keeps_locks(false);
        }
        database.connection.unlock(lock_of(e_lock));
        database.keep_failure_elsewhere();
        ffi::SQLITE_OK
    })
}

unsafe extern "C" fn x_check_reserved_lock(p_file: *mut sqlite3_file, p_res: *mut c_int) -> c_int {
    let check = |database: &mut Database| {
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
    let control = |database: &mut Database| {
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
