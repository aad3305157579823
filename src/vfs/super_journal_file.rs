//! A super-journal's methods. There is no file: that it is there is all that counts, and what is written to it
//! are the names of the journals that take part ([`SuperJournals`](super::super_journal::SuperJournals)).

use super::journal;
use super::registration::Registration;
use super::shield::shielded;
use super::super_journal::NOT_ATOMIC;
use crate::sys::log::log;
use alloc::ffi::CString;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::{ptr, slice};
use libsqlite3_sys as ffi;
use libsqlite3_sys::{sqlite3_file, sqlite3_int64, sqlite3_io_methods};

/// What lies behind SQLite's pointer to an open super-journal.
#[repr(C)]
pub struct SuperJournalFile {
    base: sqlite3_file,
    registration: &'static Registration,
    /// From `CString::into_raw`; ours until `x_close`.
    name: *mut c_char,
}

/// Opens a super-journal: SQLite does so to make one, and to read one while it rolls back.
///
/// # Safety
///
/// `p_file` must have room for a [`SuperJournalFile`].
pub unsafe fn open(
    registration: &'static Registration,
    name: &CStr,
    p_file: *mut sqlite3_file,
    flags: c_int,
) -> c_int {
    shielded(ffi::SQLITE_INTERNAL, || {
        match flags & ffi::SQLITE_OPEN_CREATE {
            0 => registration.super_journals.start_rollback(name),
            _ => registration.super_journals.create(name),
        }
        let base = sqlite3_file { pMethods: &raw const METHODS };
        let name = CString::from(name).into_raw();
        let file = SuperJournalFile { base, registration, name };
        // SAFETY: the caller's promise; the memory holds nothing that must be dropped.
        unsafe { p_file.cast::<SuperJournalFile>().write(file) };
        ffi::SQLITE_OK
    })
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    xClose: Some(x_close),
    xRead: Some(x_read),
    xWrite: Some(x_write),
    xTruncate: Some(x_truncate),
    xFileSize: Some(x_file_size),
    // Those that do not look at the file.
    ..journal::METHODS
};

unsafe extern "C" fn x_close(p_file: *mut sqlite3_file) -> c_int {
    let file: *mut SuperJournalFile = p_file.cast();
    // SAFETY: SQLite closes a file once, and does not call us with it again; `open` made the name.
    unsafe {
        (*file).base.pMethods = ptr::null();
        drop(CString::from_raw((*file).name));
    }
    ffi::SQLITE_OK
}

/// Nothing: that it is there is all that counts.
unsafe extern "C" fn x_read(
    _: *mut sqlite3_file,
    p_buf: *mut c_void,
    i_amt: c_int,
    _: sqlite3_int64,
) -> c_int {
    let Ok(len) = usize::try_from(i_amt) else {
        return ffi::SQLITE_IOERR_READ;
    };
    // SAFETY: SQLite's buffer has `i_amt` bytes.
    unsafe { ptr::write_bytes(p_buf.cast::<u8>(), 0, len) };
    if len == 0 { ffi::SQLITE_OK } else { ffi::SQLITE_IOERR_SHORT_READ }
}

unsafe extern "C" fn x_write(
    p_file: *mut sqlite3_file,
    p_buf: *const c_void,
    i_amt: c_int,
    _: sqlite3_int64,
) -> c_int {
    let Ok(len) = usize::try_from(i_amt) else {
        return ffi::SQLITE_IOERR_WRITE;
    };
    // SAFETY: an open file of ours; SQLite's buffer has `i_amt` bytes that it does not change meanwhile.
    let (registration, name, journals) = unsafe {
        let file: *mut SuperJournalFile = p_file.cast();
        let journals = slice::from_raw_parts(p_buf.cast::<u8>(), len);
        ((*file).registration, CStr::from_ptr((*file).name), journals)
    };
    shielded(ffi::SQLITE_INTERNAL, || {
        if registration.super_journals.list(name, journals, &registration.groups) {
            return ffi::SQLITE_OK;
        }
        log!(Error, "COMMIT: {}", NOT_ATOMIC);
        ffi::SQLITE_IOERR_WRITE
    })
}

unsafe extern "C" fn x_truncate(_: *mut sqlite3_file, _: sqlite3_int64) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn x_file_size(_: *mut sqlite3_file, p_size: *mut sqlite3_int64) -> c_int {
    // SAFETY: SQLite's place for the answer.
    unsafe { p_size.write(0) };
    ffi::SQLITE_OK
}
