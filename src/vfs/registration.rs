//! The VFS object: made once, registered, and there until the process ends.

use super::journal::{Failures, JournalFile};
use super::main_file::MainFile;
use super::sqlite::Sqlite;
use super::super_journal::{SuperJournalFile, SuperJournals};
use super::{VFS_NAME, tables};
use crate::db::{Groups, Origins};
use crate::error::{Error, ErrorKind, Result};
use alloc::boxed::Box;
use alloc::format;
use core::ffi::c_int;
use core::{mem, ptr};
use libsqlite3_sys as ffi;
use libsqlite3_sys::sqlite3_vfs;

/// What the methods find behind `pAppData`.
pub struct Registration {
    /// SQLite's functions.
    pub sqlite: Sqlite,
    /// The VFS that was the default one before us.
    pub default_vfs: *mut sqlite3_vfs,
    /// Where our databases come from.
    pub origins: Origins,
    /// Which open databases belong to one connection of SQLite's.
    pub groups: Groups,
    /// What their common transactions are decided by.
    pub super_journals: SuperJournals,
    /// Why journals failed, for the databases to tell.
    pub journal_failures: Failures,
}

/// Registers the VFS, as the default one if asked to. Doing it again is fine; `origins` is called the
/// first time only.
pub fn register(
    sqlite: Sqlite,
    make_default: bool,
    origins: impl FnOnce() -> Result<Origins>,
) -> Result<()> {
    // SAFETY: `sqlite3_vfs_find` with a string.
    let registered = unsafe { (sqlite.vfs_find)(VFS_NAME.as_ptr()) };
    let vfs = if registered.is_null() { make_vfs(sqlite, origins()?)? } else { registered };
    if !registered.is_null() && !make_default {
        return Ok(());
    }
    // SAFETY: `vfs` is a complete VFS object that is never freed or moved.
    match unsafe { (sqlite.vfs_register)(vfs, c_int::from(make_default)) } {
        ffi::SQLITE_OK => Ok(()),
        rc => {
            Err(Error::new(ErrorKind::Config, format!("SQLite does not take the VFS: code {rc}")))
        }
    }
}

fn make_vfs(sqlite: Sqlite, origins: Origins) -> Result<*mut sqlite3_vfs> {
    // SAFETY: `sqlite3_vfs_find` with null asks for the default VFS.
    let default_vfs = unsafe { (sqlite.vfs_find)(ptr::null()) };
    if default_vfs.is_null() {
        let text = "SQLite has no default VFS, which litevfs needs for temporary files";
        return Err(Error::new(ErrorKind::Config, text));
    }
    // SAFETY: a registered VFS, which stays.
    let default_size = unsafe { (*default_vfs).szOsFile };
    let own_size = mem::size_of::<MainFile>()
        .max(mem::size_of::<JournalFile>())
        .max(mem::size_of::<SuperJournalFile>());
    let own_size = c_int::try_from(own_size).unwrap_or(c_int::MAX);
    let registration = Box::new(Registration {
        sqlite,
        default_vfs,
        origins,
        groups: Groups::new(),
        super_journals: SuperJournals::default(),
        journal_failures: Failures::default(),
    });
    let vfs = sqlite3_vfs {
        iVersion: 2,
        // A file is ours or the default VFS's.
        szOsFile: own_size.max(default_size),
        mxPathname: tables::MAX_PATH_LEN,
        pNext: ptr::null_mut(),
        zName: VFS_NAME.as_ptr(),
        pAppData: Box::into_raw(registration).cast(),
        xOpen: Some(tables::x_open),
        xDelete: Some(tables::x_delete),
        xAccess: Some(tables::x_access),
        xFullPathname: Some(tables::x_full_pathname),
        xDlOpen: Some(tables::x_dl_open),
        xDlError: Some(tables::x_dl_error),
        xDlSym: Some(tables::x_dl_sym),
        xDlClose: Some(tables::x_dl_close),
        xRandomness: Some(tables::x_randomness),
        xSleep: Some(tables::x_sleep),
        xCurrentTime: Some(tables::x_current_time),
        xGetLastError: Some(tables::x_get_last_error),
        xCurrentTimeInt64: Some(tables::x_current_time_int64),
        xSetSystemCall: None,
        xGetSystemCall: None,
        xNextSystemCall: None,
    };
    Ok(Box::into_raw(Box::new(vfs)))
}
