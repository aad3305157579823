//! A rollback journal's methods: a temporary file of the default VFS, without a name.
//!
//! Our object is followed by the default VFS's, in one piece of memory that SQLite gave us. Reads and
//! writes go through; syncs stop here, because a journal does not have to survive anything.

use super::registration::Registration;
use core::ffi::{c_int, c_void};
use core::{mem, ptr};
use libsqlite3_sys as ffi;
use libsqlite3_sys::{sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs};

/// What lies behind SQLite's pointer to an open journal; the default VFS's file comes after it.
#[repr(C, align(16))]
pub struct JournalFile {
    base: sqlite3_file,
}

/// Opens a journal.
///
/// # Safety
///
/// `p_file` must have room for a [`JournalFile`] and a file of the default VFS.
pub unsafe fn open(registration: &Registration, p_file: *mut sqlite3_file) -> c_int {
    let default: *mut sqlite3_vfs = registration.default_vfs;
    let flags = ffi::SQLITE_OPEN_READWRITE
        | ffi::SQLITE_OPEN_CREATE
        | ffi::SQLITE_OPEN_EXCLUSIVE
        | ffi::SQLITE_OPEN_DELETEONCLOSE
        | ffi::SQLITE_OPEN_TEMP_JOURNAL;
    // SAFETY: `default` is a registered VFS, which stays; SQLite allows its file to be opened without
    // a name for a temporary one; `real` is where our caller has room for its file.
    unsafe {
        let Some(x_open) = (*default).xOpen else {
            return ffi::SQLITE_CANTOPEN;
        };
        let real = real(p_file);
        ptr::write_bytes(real.cast::<u8>(), 0, mem::size_of::<sqlite3_file>());
        let mut out_flags = 0;
        let rc = x_open(default, ptr::null(), real, flags, &raw mut out_flags);
        if rc == ffi::SQLITE_OK {
            (*p_file).pMethods = &raw const METHODS;
        } else if !(*real).pMethods.is_null() {
            // "xClose is called even if xOpen fails, when pMethods is set."
            if let Some(x_close) = (*(*real).pMethods).xClose {
                x_close(real);
            }
        }
        rc
    }
}

/// The default VFS's file behind ours.
fn real(p_file: *mut sqlite3_file) -> *mut sqlite3_file {
    p_file.wrapping_byte_add(mem::size_of::<JournalFile>())
}

/// Those that close, read, write, cut and measure a journal look at the file; the others do not, and
/// serve any file that is no database.
pub(super) static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 1,
    xClose: Some(x_close),
    xRead: Some(x_read),
    xWrite: Some(x_write),
    xTruncate: Some(x_truncate),
    xSync: Some(x_sync),
    xFileSize: Some(x_file_size),
    xLock: Some(x_lock),
    xUnlock: Some(x_lock),
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

/// Calls a method of the default VFS's file with the arguments it was called with.
macro_rules! forward {
    ($p_file:ident . $method:ident ( $($arg:expr),* ), $missing:ident) => {{
        let real = real($p_file);
        // SAFETY: SQLite calls this with an open journal of ours, behind which `open` left a file of
        // the default VFS with its methods; the other arguments are passed on as they came.
        unsafe {
            match (*(*real).pMethods).$method {
                Some(method) => method(real $(, $arg)*),
                None => ffi::$missing,
            }
        }
    }};
}

unsafe extern "C" fn x_close(p_file: *mut sqlite3_file) -> c_int {
    let rc = forward!(p_file.xClose(), SQLITE_OK);
    // SAFETY: our object lives until SQLite frees it, after this call.
    unsafe { (*p_file).pMethods = ptr::null() };
    rc
}

unsafe extern "C" fn x_read(
    p_file: *mut sqlite3_file,
    p_buf: *mut c_void,
    i_amt: c_int,
    i_ofst: sqlite3_int64,
) -> c_int {
    forward!(p_file.xRead(p_buf, i_amt, i_ofst), SQLITE_IOERR_READ)
}

unsafe extern "C" fn x_write(
    p_file: *mut sqlite3_file,
    p_buf: *const c_void,
    i_amt: c_int,
    i_ofst: sqlite3_int64,
) -> c_int {
    forward!(p_file.xWrite(p_buf, i_amt, i_ofst), SQLITE_IOERR_WRITE)
}

unsafe extern "C" fn x_truncate(p_file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    forward!(p_file.xTruncate(size), SQLITE_IOERR_TRUNCATE)
}

unsafe extern "C" fn x_sync(_: *mut sqlite3_file, _: c_int) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn x_file_size(p_file: *mut sqlite3_file, p_size: *mut sqlite3_int64) -> c_int {
    forward!(p_file.xFileSize(p_size), SQLITE_IOERR_FSTAT)
}

unsafe extern "C" fn x_lock(_: *mut sqlite3_file, _: c_int) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn x_check_reserved_lock(_: *mut sqlite3_file, p_res: *mut c_int) -> c_int {
    // SAFETY: SQLite's place for the answer.
    unsafe { p_res.write(0) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn x_file_control(_: *mut sqlite3_file, _: c_int, _: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn x_sector_size(_: *mut sqlite3_file) -> c_int {
    4096
}

unsafe extern "C" fn x_device_characteristics(_: *mut sqlite3_file) -> c_int {
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}
