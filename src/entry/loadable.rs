//! Entry points for `sqlite3_load_extension` and the shell's `.load`.

use super::start;
use crate::vfs::{self, ConnectionFunctions, MIN_VERSION, Malloc, Sqlite, copy_text, shielded};
use alloc::format;
use core::ffi::{c_char, c_int};
use core::mem;
use libsqlite3_sys as ffi;
use libsqlite3_sys::{sqlite3, sqlite3_api_routines};

/// `sqlite3_api_routines` (sqlite3ext.h) as it is laid out: nothing but pointers to functions. Members are
/// only ever added at its end; how many there are depends on SQLite's version.
#[repr(transparent)]
pub struct ApiRoutines(Option<unsafe extern "C" fn()>);

const TOO_OLD: &str = "litevfs: this SQLite is older than 3.14.0, and can't keep an extension loaded; \
                       nothing was registered";

/// The first version that tells of `sqlite3_interrupt`.
const MIN_VERSION_FOR_INTERRUPTS: c_int = 3_041_000;

/// Loads the extension: the VFS `litevfs` is there afterwards.
///
/// # Safety
///
/// To be called by SQLite.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sqlite3_litevfs_init(
    db: *mut sqlite3,
    pz_err_msg: *mut *mut c_char,
    p_api: *const ApiRoutines,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { load(db, pz_err_msg, p_api, false) }
}

/// Loads the extension and makes its VFS the default one.
///
/// # Safety
///
/// To be called by SQLite.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sqlite3_litevfs_init_default_vfs(
    db: *mut sqlite3,
    pz_err_msg: *mut *mut c_char,
    p_api: *const ApiRoutines,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { load(db, pz_err_msg, p_api, true) }
}

/// # Safety
///
/// `p_api` must be null or SQLite's routines, `pz_err_msg` null or a place for a text, `db` an open
/// connection of this SQLite.
unsafe fn load(
    db: *mut sqlite3,
    pz_err_msg: *mut *mut c_char,
    p_api: *const ApiRoutines,
    make_default: bool,
) -> c_int {
    let fail = |malloc: Malloc, text: &str| {
        if !pz_err_msg.is_null() {
            // SAFETY: not null, so a place for a text of SQLite's allocator.
            unsafe { pz_err_msg.write(copy_text(malloc, text)) };
        }
        ffi::SQLITE_ERROR
    };
    // SAFETY: the caller's promise.
    let sqlite = match unsafe { routines(p_api) } {
        Ok(sqlite) => sqlite,
        Err(None) => return ffi::SQLITE_ERROR,
        Err(Some(malloc)) => return fail(malloc, TOO_OLD),
    };
    shielded(ffi::SQLITE_ERROR, || match start(sqlite, make_default) {
        Ok(()) => {
            vfs::add_to_every_connection(&sqlite, x_new_connection);
            // SAFETY: the caller's promise.
            unsafe { vfs::add_to_connection(&sqlite, db) };
            // The VFS must outlive the connection that loaded it.
            ffi::SQLITE_OK_LOAD_PERMANENTLY
        }
        Err(error) => fail(sqlite.malloc, &format!("litevfs: {error}")),
    })
}

/// What SQLite calls with every connection that is opened, also those that have nothing to do with us:
/// an error would keep them from opening.
unsafe extern "C" fn x_new_connection(
    db: *mut sqlite3,
    _: *mut *mut c_char,
    p_api: *const sqlite3_api_routines,
) -> c_int {
    shielded((), || {
        // SAFETY: SQLite's table, and the connection that is being opened.
        unsafe {
            if let Ok(sqlite) = routines(p_api.cast()) {
                vfs::add_to_connection(&sqlite, db);
            }
        }
    });
    ffi::SQLITE_OK
}

/// The function in that place of the table, of the type that sqlite3ext.h says.
///
/// # Safety
///
/// The table must have the place, and `F` must be the type of a pointer to the function there.
unsafe fn routine<F>(api: *const ApiRoutines, place: usize) -> Option<F> {
    // SAFETY: the caller's promise; null is `None` for a pointer to a function of any type.
    unsafe { mem::transmute_copy::<ApiRoutines, Option<F>>(&api.add(place).read()) }
}

/// What we need of SQLite's functions. The numbers are their places in sqlite3ext.h. Of a SQLite that is too
/// old, whose table ends before some of them, the allocator.
///
/// # Safety
///
/// `api` must be null or SQLite's table.
unsafe fn routines(api: *const ApiRoutines) -> Result<Sqlite, Option<Malloc>> {
    if api.is_null() {
        return Err(None);
    }
    // SAFETY: the caller's promise. The first two are there in every SQLite that loads extensions, the
    // others in those that are new enough. The fields say what type each function has.
    unsafe {
        let version: unsafe extern "C" fn() -> c_int = routine(api, 67).ok_or(None)?;
        let (version, malloc) = (version(), routine(api, 68).ok_or(None)?);
        if version < MIN_VERSION {
            return Err(Some(malloc));
        }
        Ok(Sqlite {
            version,
            malloc,
            vfs_find: routine(api, 141).ok_or(None)?,
            vfs_register: routine(api, 142).ok_or(None)?,
            connections: connections(api, version).ok_or(None)?,
        })
    }
}

/// # Safety
///
/// `api` must be the table of a SQLite of that version, not older than [`MIN_VERSION`].
unsafe fn connections(api: *const ApiRoutines, version: c_int) -> Option<ConnectionFunctions> {
    // SAFETY: the caller's promise; the fields say what type each function has.
    unsafe {
        Some(ConnectionFunctions {
            column_count: routine(api, 22)?,
            column_text: routine(api, 36)?,
            declare_vtab: routine(api, 50)?,
            finalize: routine(api, 57)?,
            get_autocommit: routine(api, 60)?,
            is_interrupted: match version >= MIN_VERSION_FOR_INTERRUPTS {
                true => routine(api, 266),
                false => None,
            },
            result_error: routine(api, 80)?,
            result_int64: routine(api, 83)?,
            result_null: routine(api, 84)?,
            result_text: routine(api, 85)?,
            step: routine(api, 94)?,
            user_data: routine(api, 101)?,
            value_text: routine(api, 109)?,
            prepare_v2: routine(api, 116)?,
            create_module_v2: routine(api, 119)?,
            file_control: routine(api, 127)?,
            context_db_handle: routine(api, 149)?,
            next_stmt: routine(api, 152)?,
            sql: routine(api, 153)?,
            create_function_v2: routine(api, 162)?,
            stmt_status: routine(api, 170)?,
            stmt_busy: routine(api, 184)?,
            stmt_readonly: routine(api, 185)?,
            uri_boolean: routine(api, 187)?,
            uri_parameter: routine(api, 189)?,
            auto_extension: routine(api, 192)?,
        })
    }
}

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
    unsafe extern "C" fn version_3_13() -> c_int {
        3_013_000
    }

    unsafe extern "C" fn malloc(bytes: c_int) -> *mut core::ffi::c_void {
        alloc::vec![0_u8; bytes as usize].leak().as_mut_ptr().cast()
    }

    #[test]
    fn an_old_sqlite_is_refused_by_what_it_has() {
        // The table ends where an old one does: reading on would be noticed by the sanitizer and by Miri.
        let mut table: alloc::vec::Vec<Option<unsafe extern "C" fn()>> = alloc::vec![None; 69];
        // SAFETY: pointers to functions have one size; SQLite knows of what type each is.
        unsafe {
            table[67] = mem::transmute_copy(&(version_3_13 as *const ()));
            table[68] = mem::transmute_copy(&(malloc as *const ()));
        }
        let mut text = ptr::null_mut();
        // SAFETY: a table as SQLite has it; it is not called with the connection.
        let rc =
            unsafe { sqlite3_litevfs_init(ptr::null_mut(), &raw mut text, table.as_ptr().cast()) };
        assert_eq!(rc, ffi::SQLITE_ERROR);
        // SAFETY: a text was given.
        let text = unsafe { core::ffi::CStr::from_ptr(text) }.to_str().unwrap();
        assert!(text.contains("older than 3.14.0"), "{text}");
    }
}
