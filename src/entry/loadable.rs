//! Entry points for `sqlite3_load_extension` and the shell's `.load`.

use super::start;
use crate::vfs::{Sqlite, shielded};
use alloc::format;
use core::ffi::{c_char, c_int, c_void};
use libsqlite3_sys as ffi;
use libsqlite3_sys::{sqlite3, sqlite3_vfs};

/// The first part of `sqlite3_api_routines` (sqlite3ext.h), as far as we read it. Members are only
/// ever added at its end; all of them are pointers to functions. The number is the member's place.
#[repr(C)]
pub struct ApiRoutines {
    _until_malloc: [*const c_void; 68],
    malloc: Option<unsafe extern "C" fn(c_int) -> *mut c_void>,
    _until_vfs_find: [*const c_void; 141 - 69],
    vfs_find: Option<unsafe extern "C" fn(*const c_char) -> *mut sqlite3_vfs>,
    vfs_register: Option<unsafe extern "C" fn(*mut sqlite3_vfs, c_int) -> c_int>,
}

/// Loads the extension: the VFS `litevfs` is there afterwards.
///
/// # Safety
///
/// To be called by SQLite.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sqlite3_litevfs_init(
    _db: *mut sqlite3,
    pz_err_msg: *mut *mut c_char,
    p_api: *const ApiRoutines,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { load(pz_err_msg, p_api, false) }
}

/// Loads the extension and makes its VFS the default one.
///
/// # Safety
///
/// To be called by SQLite.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sqlite3_litevfs_init_default_vfs(
    _db: *mut sqlite3,
    pz_err_msg: *mut *mut c_char,
    p_api: *const ApiRoutines,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { load(pz_err_msg, p_api, true) }
}

/// # Safety
///
/// `p_api` must be null or SQLite's routines, `pz_err_msg` null or a place for a text.
unsafe fn load(
    pz_err_msg: *mut *mut c_char,
    p_api: *const ApiRoutines,
    make_default: bool,
) -> c_int {
    // SAFETY: the caller's promise. A SQLite without these members is older than 3.5, which can't
    // load extensions.
    let Some(sqlite) = (unsafe { p_api.as_ref() }).and_then(routines) else {
        return ffi::SQLITE_ERROR;
    };
    shielded(ffi::SQLITE_ERROR, || match start(sqlite, make_default) {
        // The VFS must outlive the connection that loaded it.
        Ok(()) => ffi::SQLITE_OK_LOAD_PERMANENTLY,
        Err(error) => {
            if !pz_err_msg.is_null() {
                let text = sqlite.text(&format!("litevfs: {error}"));
                // SAFETY: not null, so a place for a text of SQLite's allocator.
                unsafe { pz_err_msg.write(text) };
            }
            ffi::SQLITE_ERROR
        }
    })
}

fn routines(api: &ApiRoutines) -> Option<Sqlite> {
    Some(Sqlite { malloc: api.malloc?, vfs_find: api.vfs_find?, vfs_register: api.vfs_register? })
}

const _: () = {
    let pointer_len = core::mem::size_of::<*const ()>();
    let offset = core::mem::offset_of!(ApiRoutines, vfs_register);
    assert!(matches!(offset.checked_div(pointer_len), Some(142)), "a member is not in its place");
};

#[cfg(test)]
mod tests {
    use super::*;
    use core::ptr;

    #[test]
    fn without_routines_loading_fails() {
        // SAFETY: both pointers may be null.
        let rc = unsafe { sqlite3_litevfs_init(ptr::null_mut(), ptr::null_mut(), ptr::null()) };
        assert_eq!(rc, ffi::SQLITE_ERROR);
    }
}
