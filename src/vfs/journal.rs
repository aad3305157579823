//! A rollback journal's methods, over a [`PrivateFile`]: a small one is in memory, of a larger one parts go
//! to a temporary file without a name.
//!
//! It never needs to survive the process, so nothing is synced. But SQLite must get back what it wrote: it
//! takes a journal that is shorter, or whose checksums do not hold, for one that ends there, and rolls back
//! less than it promised without a word. So:
//!
//! - a write that is answered with OK is read back as it was, whatever the disk does afterwards;
//! - a write that fails changes nothing;
//! - a read that fails says `SQLITE_IOERR`, never "short", and SQLite then drops the whole transaction;
//! - what ends a journal (cutting it, zeroing its header, closing it) can't fail.
//!
//! What failed is told by the database (`journal_failures.rs`).

use super::registration::Registration;
use super::result_code::result_code;
use super::shield::shielded;
use crate::error::Result;
use crate::pager::PrivateFile;
use crate::sys::log::log;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use core::ffi::{CStr, c_int, c_void};
use core::{ptr, slice};
use libsqlite3_sys as ffi;
use libsqlite3_sys::{sqlite3_file, sqlite3_int64, sqlite3_io_methods};

/// What SQLite adds to a database's full name.
const SUFFIX: &str = "-journal";

/// What lies behind SQLite's pointer to an open journal.
#[repr(C)]
pub struct JournalFile {
    base: sqlite3_file,
    /// From `Box::into_raw`; ours until `x_close`.
    journal: *mut Journal,
}

struct Journal {
    /// The full name of the database.
    database: String,
    bytes: PrivateFile,
    registration: &'static Registration,
}

/// Opens a journal.
///
/// # Safety
///
/// `p_file` must have room for a [`JournalFile`].
pub unsafe fn open(
    registration: &'static Registration,
    name: &CStr,
    p_file: *mut sqlite3_file,
) -> c_int {
    shielded(ffi::SQLITE_INTERNAL, || {
        let name = name.to_string_lossy();
        let database = name.strip_suffix(SUFFIX).unwrap_or(&name).to_string();
        let bytes = PrivateFile::new("the rollback journal of a transaction");
        let journal = Box::into_raw(Box::new(Journal { database, bytes, registration }));
        let base = sqlite3_file { pMethods: &raw const METHODS };
        // SAFETY: our caller has room for it, and nothing is there that must be dropped.
        unsafe { p_file.cast::<JournalFile>().write(JournalFile { base, journal }) };
        ffi::SQLITE_OK
    })
}

/// Calls `body` with the journal behind `p_file`, shielded. An error is logged and kept for the database.
///
/// # Safety
///
/// `p_file` must be an open journal. SQLite calls the methods of one file one at a time.
unsafe fn with(
    p_file: *mut sqlite3_file,
    body: impl FnOnce(&mut PrivateFile) -> Result<c_int>,
) -> c_int {
    // SAFETY: the caller's promise: `journal` is valid and, one call at a time, not borrowed.
    let journal = unsafe { &mut *(*p_file.cast::<JournalFile>()).journal };
    shielded(ffi::SQLITE_INTERNAL, || {
        body(&mut journal.bytes).unwrap_or_else(|error| {
            log!(Error, "{error}");
            let rc = result_code(error.kind());
            journal.registration.journal_failures.add(&journal.database, error);
            rc
        })
    })
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

unsafe extern "C" fn x_close(p_file: *mut sqlite3_file) -> c_int {
    let file: *mut JournalFile = p_file.cast();
    // SAFETY: SQLite closes a file once. Without methods it will not call us with it again.
    let journal = unsafe {
        (*file).base.pMethods = ptr::null();
        Box::from_raw((*file).journal)
    };
    shielded(ffi::SQLITE_OK, || {
        drop(journal);
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
    let read = |bytes: &mut PrivateFile| {
        // SAFETY: SQLite's place for so many bytes, of which it may have set none.
        let buf = unsafe {
            ptr::write_bytes(p_buf.cast::<u8>(), 0, len);
            slice::from_raw_parts_mut(p_buf.cast::<u8>(), len)
        };
        // "If xRead() returns SQLITE_IOERR_SHORT_READ it must also fill in the unread portions with zeros."
        let is_whole = bytes.read_at(offset, buf)? == len;
        Ok(if is_whole { ffi::SQLITE_OK } else { ffi::SQLITE_IOERR_SHORT_READ })
    };
    // SAFETY: SQLite calls this with an open journal of ours.
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
    // SAFETY: SQLite's bytes, so many of them.
    let buf = unsafe { slice::from_raw_parts(p_buf.cast::<u8>(), len) };
    let write = |bytes: &mut PrivateFile| bytes.write_at(offset, buf).map(|()| ffi::SQLITE_OK);
    // SAFETY: SQLite calls this with an open journal of ours.
    unsafe { with(p_file, write) }
}

unsafe extern "C" fn x_truncate(p_file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    let truncate = |bytes: &mut PrivateFile| {
        bytes.truncate(u64::try_from(size).unwrap_or(0));
        Ok(ffi::SQLITE_OK)
    };
    // SAFETY: SQLite calls this with an open journal of ours.
    unsafe { with(p_file, truncate) }
}

unsafe extern "C" fn x_sync(_: *mut sqlite3_file, _: c_int) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn x_file_size(p_file: *mut sqlite3_file, p_size: *mut sqlite3_int64) -> c_int {
    let file_size = |bytes: &mut PrivateFile| {
        let size = sqlite3_int64::try_from(bytes.len_bytes()).unwrap_or(sqlite3_int64::MAX);
        // SAFETY: SQLite's place for the answer.
        unsafe { p_size.write(size) };
        Ok(ffi::SQLITE_OK)
    };
    // SAFETY: SQLite calls this with an open journal of ours.
    unsafe { with(p_file, file_size) }
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
