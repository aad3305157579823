//! The VFS's methods that are not about files: they are the default VFS's.

use super::registration::Registration;
use core::ffi::{c_char, c_int, c_void};
use core::ptr;
use libsqlite3_sys::sqlite3_vfs;

/// Calls a method of the default VFS with the arguments ours was called with.
macro_rules! forward {
    ($p_vfs:ident . $method:ident ( $($arg:expr),* ), $missing:expr) => {
        // SAFETY: SQLite calls this with our VFS; the other arguments are passed on as they came.
        unsafe {
            let default = Registration::behind($p_vfs).default_vfs;
            match (*default).$method {
                Some(method) => method(default $(, $arg)*),
                None => $missing,
            }
        }
    };
}

pub unsafe extern "C" fn x_dl_open(p_vfs: *mut sqlite3_vfs, z_path: *const c_char) -> *mut c_void {
    forward!(p_vfs.xDlOpen(z_path), ptr::null_mut())
}

pub unsafe extern "C" fn x_dl_error(p_vfs: *mut sqlite3_vfs, n_byte: c_int, z_msg: *mut c_char) {
    forward!(p_vfs.xDlError(n_byte, z_msg), ());
}

/// The symbol that SQLite looked up in a library.
pub type Symbol =
    Option<unsafe extern "C" fn(*mut sqlite3_vfs, *mut c_void, z_symbol: *const c_char)>;

pub unsafe extern "C" fn x_dl_sym(
    p_vfs: *mut sqlite3_vfs,
    p_library: *mut c_void,
    z_symbol: *const c_char,
) -> Symbol {
    forward!(p_vfs.xDlSym(p_library, z_symbol), None)
}

pub unsafe extern "C" fn x_dl_close(p_vfs: *mut sqlite3_vfs, p_library: *mut c_void) {
    forward!(p_vfs.xDlClose(p_library), ());
}

pub unsafe extern "C" fn x_randomness(
    p_vfs: *mut sqlite3_vfs,
    n_byte: c_int,
    z_out: *mut c_char,
) -> c_int {
    forward!(p_vfs.xRandomness(n_byte, z_out), 0)
}

pub unsafe extern "C" fn x_sleep(p_vfs: *mut sqlite3_vfs, microseconds: c_int) -> c_int {
    forward!(p_vfs.xSleep(microseconds), 0)
}
