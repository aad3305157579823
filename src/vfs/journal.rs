//! A rollback journal's methods: a small one is in memory, a larger one goes on in a temporary file of the
//! default VFS, without a name.
//!
//! Our object is followed by the default VFS's, in one piece of memory that SQLite gave us. Once that is
//! open, reads and writes go through; syncs stop here, because a journal does not have to survive anything.

use super::registration::Registration;
use alloc::vec::Vec;
use core::ffi::{c_int, c_void};
use core::{mem, ptr, slice};
use libsqlite3_sys as ffi;
use libsqlite3_sys::{sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs};

/// Bytes of a journal in memory. To make a file and unlink it again costs more than most commits do otherwise.
const MAX_MEMORY_BYTES: usize = 64 << 10;

/// What lies behind SQLite's pointer to an open journal; the default VFS's file comes after it.
#[repr(C)]
pub struct JournalFile {
    base: sqlite3_file,
    default: *mut sqlite3_vfs,
    /// The journal, until the default VFS's file is open.
    memory: Vec<u8>,
    is_file: bool,
    /// Bytes of the file. Emscripten can't tell those of one without a name.
    file_size: sqlite3_int64,
}

/// Calls a method of the default VFS's file with the arguments it was called with.
macro_rules! forward {
    ($p_file:ident . $method:ident ( $($arg:expr),* ), $missing:ident) => {{
        let real = real($p_file);
        // SAFETY: SQLite calls this with an open journal of ours, behind which `move_to_file` left a file
        // of the default VFS with its methods; the other arguments are passed on as they came.
        unsafe {
            match (*(*real).pMethods).$method {
                Some(method) => method(real $(, $arg)*),
                None => ffi::$missing,
            }
        }
    }};
}

/// Opens a journal.
///
/// # Safety
///
/// `p_file` must have room for a [`JournalFile`] and a file of the default VFS.
pub unsafe fn open(registration: &Registration, p_file: *mut sqlite3_file) -> c_int {
    let base = sqlite3_file { pMethods: &raw const METHODS };
    let default = registration.default_vfs;
    let journal = JournalFile { base, default, memory: Vec::new(), is_file: false, file_size: 0 };
    // SAFETY: our caller has room for it, and nothing is there yet.
    unsafe { p_file.cast::<JournalFile>().write(journal) };
    ffi::SQLITE_OK
}

/// The default VFS's file behind ours.
fn real(p_file: *mut sqlite3_file) -> *mut sqlite3_file {
    p_file.wrapping_byte_add(mem::size_of::<JournalFile>())
}

/// Our object. The file behind it is not a part of it.
///
/// # Safety
///
/// `p_file` must be an open journal, and nobody else may look at it meanwhile.
unsafe fn journal<'a>(p_file: *mut sqlite3_file) -> &'a mut JournalFile {
    // SAFETY: `open` left one there, and it stays until it is closed.
    unsafe { &mut *p_file.cast::<JournalFile>() }
}

/// Has the journal go on in a file of the default VFS.
fn move_to_file(p_file: *mut sqlite3_file, journal: &mut JournalFile) -> c_int {
    let flags = ffi::SQLITE_OPEN_READWRITE
        | ffi::SQLITE_OPEN_CREATE
        | ffi::SQLITE_OPEN_EXCLUSIVE
        | ffi::SQLITE_OPEN_DELETEONCLOSE
        | ffi::SQLITE_OPEN_TEMP_JOURNAL;
    let real = real(p_file);
    // SAFETY: the default VFS is registered, and stays; SQLite allows its file to be opened without a name
    // for a temporary one; `real` is where whoever opened us has room for it.
    let rc = unsafe {
        let Some(x_open) = (*journal.default).xOpen else {
            return ffi::SQLITE_CANTOPEN;
        };
        ptr::write_bytes(real.cast::<u8>(), 0, mem::size_of::<sqlite3_file>());
        let mut out_flags = 0;
        let rc = x_open(journal.default, ptr::null(), real, flags, &raw mut out_flags);
        if rc != ffi::SQLITE_OK && !(*real).pMethods.is_null() {
            // "xClose is called even if xOpen fails, when pMethods is set."
            if let Some(x_close) = (*(*real).pMethods).xClose {
                x_close(real);
            }
        }
        rc
    };
    if rc != ffi::SQLITE_OK {
        return rc;
    }
    journal.is_file = true;
    let memory = mem::take(&mut journal.memory);
    // At most `MAX_MEMORY_BYTES`.
    let len = c_int::try_from(memory.len()).unwrap_or(c_int::MAX);
    journal.file_size = len.into();
    match len {
        0 => ffi::SQLITE_OK,
        len => forward!(p_file.xWrite(memory.as_ptr().cast(), len, 0), SQLITE_IOERR_WRITE),
    }
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
    // SAFETY: SQLite calls this with an open journal of ours; it is not looked at again.
    let is_file = unsafe {
        let journal = journal(p_file);
        let is_file = journal.is_file;
        ptr::drop_in_place(journal);
        is_file
    };
    let rc = if is_file { forward!(p_file.xClose(), SQLITE_OK) } else { ffi::SQLITE_OK };
    // SAFETY: the memory is SQLite's, which frees it after this call.
    unsafe { (*p_file).pMethods = ptr::null() };
    rc
}

unsafe extern "C" fn x_read(
    p_file: *mut sqlite3_file,
    p_buf: *mut c_void,
    i_amt: c_int,
    i_ofst: sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite calls this with an open journal of ours.
    let journal = unsafe { journal(p_file) };
    if journal.is_file {
        return forward!(p_file.xRead(p_buf, i_amt, i_ofst), SQLITE_IOERR_READ);
    }
    let (Ok(len), Ok(begin)) = (usize::try_from(i_amt), usize::try_from(i_ofst)) else {
        return ffi::SQLITE_IOERR_READ;
    };
    // SAFETY: SQLite's place for so many bytes.
    let bytes = unsafe { slice::from_raw_parts_mut(p_buf.cast::<u8>(), len) };
    let there = journal.memory.get(begin..).unwrap_or_default();
    let there = there.get(..len).unwrap_or(there);
    let (filled, rest) = bytes.split_at_mut(there.len());
    filled.copy_from_slice(there);
    // "If xRead() returns SQLITE_IOERR_SHORT_READ it must also fill in the unread portions with zeros."
    rest.fill(0);
    if rest.is_empty() { ffi::SQLITE_OK } else { ffi::SQLITE_IOERR_SHORT_READ }
}

unsafe extern "C" fn x_write(
    p_file: *mut sqlite3_file,
    p_buf: *const c_void,
    i_amt: c_int,
    i_ofst: sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite calls this with an open journal of ours.
    let journal = unsafe { journal(p_file) };
    let (Ok(len), Ok(begin)) = (usize::try_from(i_amt), usize::try_from(i_ofst)) else {
        return ffi::SQLITE_IOERR_WRITE;
    };
    let end = begin.saturating_add(len);
    if !journal.is_file && end > MAX_MEMORY_BYTES {
        let rc = move_to_file(p_file, journal);
        if rc != ffi::SQLITE_OK {
            return rc;
        }
    }
    if journal.is_file {
        let rc = forward!(p_file.xWrite(p_buf, i_amt, i_ofst), SQLITE_IOERR_WRITE);
        if rc == ffi::SQLITE_OK {
            journal.file_size = journal.file_size.max(i_ofst.saturating_add(i_amt.into()));
        }
        return rc;
    }
    // SAFETY: SQLite's bytes, so many of them.
    let bytes = unsafe { slice::from_raw_parts(p_buf.cast::<u8>(), len) };
    let missing = end.saturating_sub(journal.memory.len());
    if journal.memory.try_reserve(missing).is_err() {
        return ffi::SQLITE_IOERR_NOMEM;
    }
    let len = journal.memory.len().saturating_add(missing);
    litevfs_hot::resize(&mut journal.memory, len);
    journal.memory.get_mut(begin..end).unwrap_or_default().copy_from_slice(bytes);
    ffi::SQLITE_OK
}

unsafe extern "C" fn x_truncate(p_file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    // SAFETY: SQLite calls this with an open journal of ours.
    let journal = unsafe { journal(p_file) };
    if journal.is_file {
        let rc = forward!(p_file.xTruncate(size), SQLITE_IOERR_TRUNCATE);
        if rc == ffi::SQLITE_OK {
            journal.file_size = size;
        }
        return rc;
    }
    journal.memory.truncate(usize::try_from(size).unwrap_or(0));
    ffi::SQLITE_OK
}

unsafe extern "C" fn x_sync(_: *mut sqlite3_file, _: c_int) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn x_file_size(p_file: *mut sqlite3_file, p_size: *mut sqlite3_int64) -> c_int {
    // SAFETY: SQLite calls this with an open journal of ours.
    let journal = unsafe { journal(p_file) };
    let size = match journal.is_file {
        true => journal.file_size,
        false => sqlite3_int64::try_from(journal.memory.len()).unwrap_or(sqlite3_int64::MAX),
    };
    // SAFETY: SQLite's place for the answer.
    unsafe { p_size.write(size) };
    ffi::SQLITE_OK
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
