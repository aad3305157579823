//! From a connection and the name of a schema to the database of ours behind it.
//!
//! SQLite alone knows which file a schema has, and a VFS between it and us may have wrapped that file. So
//! the way there is a file control with a number of our own, which every other VFS passes on or refuses.
//! SQLite holds the locks of connection and file meanwhile.

use super::main_database::MainDatabase;
use super::sqlite::ConnectionFunctions;
use core::ffi::{CStr, c_int, c_void};
use core::ptr;
use libsqlite3_sys as ffi;
use libsqlite3_sys::{sqlite3, sqlite3_file};

/// The number: "The SQLite core reserves all opcodes less than 100 for its own use." The letters LVFS.
pub const VISIT: c_int = 0x4c56_4653;

/// What [`VISIT`] is given a pointer to.
pub type Visitor<'a> = &'a mut dyn FnMut(&MainDatabase);

/// What there is behind a schema's name.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<T> {
    /// A database of ours, and what it was asked.
    Ours(T),
    /// Something else.
    Other,
    /// No such schema.
    Nothing,
}

/// Asks the database behind a schema.
///
/// # Safety
///
/// `db` must be an open connection that this thread may use, and not be inside a method of a file.
pub unsafe fn visit<T>(
    sqlite: &ConnectionFunctions,
    db: *mut sqlite3,
    schema: &CStr,
    mut ask: impl FnMut(&MainDatabase) -> T,
) -> Found<T> {
    let mut answer = None;
    let mut body = |database: &MainDatabase| answer = Some(ask(database));
    let mut visitor: Visitor<'_> = &mut body;
    let arg: *mut c_void = (&raw mut visitor).cast();
    // SAFETY: the caller's promise; `control` calls the visitor before it returns, nobody else knows the
    // number.
    unsafe { (sqlite.file_control)(db, schema.as_ptr(), VISIT, arg) };
    if let Some(answer) = answer {
        return Found::Ours(answer);
    }
    let mut file: *mut sqlite3_file = ptr::null_mut();
    let place: *mut c_void = (&raw mut file).cast();
    // SAFETY: the caller's promise; SQLite itself answers this one, for every schema that there is.
    let rc = unsafe {
        (sqlite.file_control)(db, schema.as_ptr(), ffi::SQLITE_FCNTL_FILE_POINTER, place)
    };
    // The schema of temporary tables is always there, its file only with the first of them.
    let is_temp = schema.to_bytes().eq_ignore_ascii_case(b"temp");
    if rc == ffi::SQLITE_OK || is_temp { Found::Other } else { Found::Nothing }
}
