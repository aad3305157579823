//! The start-up hook for programs that link SQLite and this library together. `ffi/static_init.c`
//! has SQLite call it.

use super::start;
use crate::sys::log::log;
use crate::vfs::{ConnectionFunctions, Sqlite, shielded};
use core::ffi::c_int;
use libsqlite3_sys as ffi;

/// Registers the VFS `litevfs`. Answers with a result code of SQLite.
#[unsafe(no_mangle)]
pub extern "C" fn litevfs_static_init() -> c_int {
    let sqlite = Sqlite {
        malloc: ffi::sqlite3_malloc,
        vfs_find: ffi::sqlite3_vfs_find,
        vfs_register: ffi::sqlite3_vfs_register,
        connections: Some(ConnectionFunctions {
            uri_parameter: ffi::sqlite3_uri_parameter,
            uri_boolean: ffi::sqlite3_uri_boolean,
            file_control: ffi::sqlite3_file_control,
            next_stmt: ffi::sqlite3_next_stmt,
            stmt_busy: ffi::sqlite3_stmt_busy,
            stmt_readonly: ffi::sqlite3_stmt_readonly,
            auto_extension: ffi::sqlite3_auto_extension,
            create_function_v2: ffi::sqlite3_create_function_v2,
            create_module_v2: ffi::sqlite3_create_module_v2,
            declare_vtab: ffi::sqlite3_declare_vtab,
            context_db_handle: ffi::sqlite3_context_db_handle,
            value_text: ffi::sqlite3_value_text,
            result_text: ffi::sqlite3_result_text,
            result_int64: ffi::sqlite3_result_int64,
            result_null: ffi::sqlite3_result_null,
            result_error: ffi::sqlite3_result_error,
        }),
    };
    shielded(ffi::SQLITE_ERROR, || match start(sqlite, false) {
        Ok(()) => ffi::SQLITE_OK,
        Err(error) => {
            log!(Error, "start: {error}");
            ffi::SQLITE_ERROR
        }
    })
}
