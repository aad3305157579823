//! From what SQLite calls a main database, name and URI, to an open file.

use super::main_database::MainDatabase;
use super::main_file::MainFile;
use super::parameters::Parameters;
use super::registration::Registration;
use crate::error::{Error, ErrorKind, Result};
use crate::types::DbName;
use alloc::format;
use core::ffi::{CStr, c_char, c_int};
use libsqlite3_sys as ffi;
use libsqlite3_sys::sqlite3_file;

/// Answers with the flags that the database is open with.
///
/// # Safety
///
/// `z_name` must be the name of a main database as SQLite gives it to `xOpen`, `p_file` memory of
/// `szOsFile` bytes.
pub unsafe fn open_database(
    registration: &'static Registration,
    z_name: *const c_char,
    p_file: *mut sqlite3_file,
    flags: c_int,
) -> Result<c_int> {
    let origins = &registration.origins;
    // SAFETY: the caller's promise.
    let (full_name, parameters) =
        unsafe { (CStr::from_ptr(z_name), Parameters::read(&registration.sqlite, z_name)?) };
    let config = parameters.config(origins)?;
    let full_name = full_name.to_str().unwrap_or_default();
    let name = database_name(parameters.path(origins, &config, full_name))?;
    if parameters.is_unlocked {
        let text = "nolock=1 can't be had: what several connections do would mix; leave it out";
        return Err(Error::new(ErrorKind::Config, format!("{name}: {text}")));
    }
    let moment = parameters.moment()?;
    let origin = origins.origin(config)?;
    let mut connection = match &moment {
        Some(moment) => origin.connect_past(&name, moment)?,
        None => origin.connect(&name),
    };
    if flags & ffi::SQLITE_OPEN_CREATE == 0 && !connection.exists()? {
        let text = format!("{name}: no such database, and the mode does not allow to create it");
        return Err(Error::new(ErrorKind::NotFound, text));
    }
    if parameters.is_immutable {
        connection.make_read_only("it was opened with immutable=1");
        connection.pin()?;
    }
    if flags & ffi::SQLITE_OPEN_READONLY != 0 {
        connection.make_read_only("it was opened with mode=ro");
    }
    let out_flags = match connection.refusal_to_write() {
        Some(_) => {
            flags & !(ffi::SQLITE_OPEN_READWRITE | ffi::SQLITE_OPEN_CREATE)
                | ffi::SQLITE_OPEN_READONLY
        }
        None => flags,
    };
    if connection.refusal_to_write().is_none() {
        connection.set_auto_lease(origins.auto_lease())?;
    }
    let named = (full_name.into(), parameters.is_shared);
    let database = MainDatabase::new(connection, named, registration);
    // SAFETY: the caller's promise.
    unsafe { MainFile::open(p_file, database) };
    Ok(out_flags)
}

/// The database a path names.
pub fn database_name(path: &str) -> Result<DbName> {
    path.strip_prefix('/').unwrap_or(path).parse().map_err(|e| {
        let shown: alloc::string::String = path.chars().take(80).collect();
        Error::new(ErrorKind::Name, format!("'{shown}': {e}; open file:NAME?vfs=litevfs"))
    })
}
