//! The start-up hooks of programs that link SQLite and this library together: `ffi/static_init.c` has
//! SQLite call the one, SQLite's build for browsers calls the other.

use super::start;
use crate::sys::log::log;
use crate::vfs::{self, ConnectionFunctions, Sqlite, shielded};
use core::ffi::{c_char, c_int};
use libsqlite3_sys as ffi;
use libsqlite3_sys::{sqlite3, sqlite3_api_routines};

/// Registers the VFS `litevfs`. Answers with a result code of SQLite.
#[cfg(feature = "static")]
#[unsafe(no_mangle)]
pub extern "C" fn litevfs_static_init() -> c_int {
    start_linked(false)
}

/// Registers the VFS `litevfs` as the default one. Answers with a result code of SQLite.
#[cfg(feature = "emscripten")]
#[unsafe(no_mangle)]
pub extern "C" fn sqlite3_wasm_extra_init(_: *const c_char) -> c_int {
    start_linked(true)
}

fn start_linked(make_default: bool) -> c_int {
    let sqlite = sqlite();
    shielded(ffi::SQLITE_ERROR, || match start(sqlite, make_default) {
        Ok(()) => {
            vfs::add_to_every_connection(&sqlite, x_new_connection);
            ffi::SQLITE_OK
        }
        Err(error) => {
            log!(Error, "start: {error}");
            ffi::SQLITE_ERROR
        }
    })
}

/// What SQLite calls with every connection that is opened. An error would keep it from opening.
unsafe extern "C" fn x_new_connection(
    db: *mut sqlite3,
    _: *mut *mut c_char,
    _: *const sqlite3_api_routines,
) -> c_int {
    // SAFETY: the connection that is being opened.
    shielded((), || unsafe { vfs::add_to_connection(&sqlite(), db) });
    ffi::SQLITE_OK
}

fn sqlite() -> Sqlite {
    Sqlite {
        // SAFETY: it asks for nothing.
        version: unsafe { ffi::sqlite3_libversion_number() },
        malloc: ffi::sqlite3_malloc,
        vfs_find: ffi::sqlite3_vfs_find,
        vfs_register: ffi::sqlite3_vfs_register,
        connections: ConnectionFunctions {
            uri_parameter: ffi::sqlite3_uri_parameter,
            uri_boolean: ffi::sqlite3_uri_boolean,
            file_control: ffi::sqlite3_file_control,
            prepare_v2: ffi::sqlite3_prepare_v2,
            step: ffi::sqlite3_step,
            column_count: ffi::sqlite3_column_count,
            column_text: ffi::sqlite3_column_text,
            finalize: ffi::sqlite3_finalize,
            // An older SQLite can be linked, too.
            is_interrupted: None,
            sql: ffi::sqlite3_sql,
            next_stmt: ffi::sqlite3_next_stmt,
            stmt_busy: ffi::sqlite3_stmt_busy,
            stmt_readonly: ffi::sqlite3_stmt_readonly,
            stmt_status: ffi::sqlite3_stmt_status,
            get_autocommit: ffi::sqlite3_get_autocommit,
            auto_extension: ffi::sqlite3_auto_extension,
            create_function_v2: ffi::sqlite3_create_function_v2,
            create_module_v2: ffi::sqlite3_create_module_v2,
            declare_vtab: ffi::sqlite3_declare_vtab,
            user_data: ffi::sqlite3_user_data,
            context_db_handle: ffi::sqlite3_context_db_handle,
            value_text: ffi::sqlite3_value_text,
            result_text: ffi::sqlite3_result_text,
            result_int64: ffi::sqlite3_result_int64,
            result_null: ffi::sqlite3_result_null,
            result_error: ffi::sqlite3_result_error,
        },
    }
}
