//! The start-up hook for programs that link SQLite and this library together. `ffi/static_init.c`
//! has SQLite call it.

use super::start;
use crate::sys::log::log;
use crate::vfs::{Sqlite, shielded};
use core::ffi::c_int;
use libsqlite3_sys as ffi;

/// Registers the VFS `litevfs`. Answers with a result code of SQLite.
#[unsafe(no_mangle)]
pub extern "C" fn litevfs_static_init() -> c_int {
    let sqlite = Sqlite {
        malloc: ffi::sqlite3_malloc,
        vfs_find: ffi::sqlite3_vfs_find,
        vfs_register: ffi::sqlite3_vfs_register,
    };
    shielded(ffi::SQLITE_ERROR, || match start(sqlite, false) {
        Ok(()) => ffi::SQLITE_OK,
        Err(error) => {
            log!(Error, "start: {error}");
            ffi::SQLITE_ERROR
        }
    })
}
