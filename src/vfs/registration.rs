//! The VFS object: made once, registered, and there until the process ends.
//!
//! It is handed the methods, which find what they share behind it.

use super::journal_failures::Failures;
use super::sqlite::Sqlite;
use super::super_journal::SuperJournals;
use crate::db::{Groups, Origins};
use crate::error::{Error, ErrorKind, Result};
use alloc::boxed::Box;
use alloc::format;
use core::ffi::{CStr, c_int};
use core::ptr;
use libsqlite3_sys as ffi;
use libsqlite3_sys::sqlite3_vfs;

/// The name the VFS is registered under.
pub const VFS_NAME: &CStr = c"litevfs";

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

impl Registration {
    /// What is behind a VFS pointer.
    ///
    /// # Safety
    ///
    /// `p_vfs` must be the VFS that [`register`] made.
    pub unsafe fn behind(p_vfs: *mut sqlite3_vfs) -> &'static Registration {
        // SAFETY: `pAppData` is a registration that is never freed.
        unsafe { &*(*p_vfs).pAppData.cast::<Registration>() }
    }
}

/// Registers the VFS with the methods of `table`, as the default one if asked to. Doing it again is fine;
/// `origins` is called the first time only.
pub fn register(
    sqlite: Sqlite,
    table: sqlite3_vfs,
    make_default: bool,
    origins: impl FnOnce() -> Result<Origins>,
) -> Result<()> {
    // SAFETY: `sqlite3_vfs_find` with a string.
    let registered = unsafe { (sqlite.vfs_find)(VFS_NAME.as_ptr()) };
    let vfs = if registered.is_null() { make_vfs(sqlite, table, origins()?)? } else { registered };
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

fn make_vfs(sqlite: Sqlite, table: sqlite3_vfs, origins: Origins) -> Result<*mut sqlite3_vfs> {
    // SAFETY: `sqlite3_vfs_find` with null asks for the default VFS.
    let default_vfs = unsafe { (sqlite.vfs_find)(ptr::null()) };
    if default_vfs.is_null() {
        let text = "SQLite has no default VFS, which litevfs needs for temporary files";
        return Err(Error::new(ErrorKind::Config, text));
    }
    // SAFETY: a registered VFS, which stays.
    let default_size = unsafe { (*default_vfs).szOsFile };
    let registration = Box::new(Registration {
        sqlite,
        default_vfs,
        origins,
        groups: Groups::new(),
        super_journals: SuperJournals::default(),
        journal_failures: Failures::default(),
    });
    let vfs = sqlite3_vfs {
        // A file is ours or the default VFS's.
        szOsFile: table.szOsFile.max(default_size),
        zName: VFS_NAME.as_ptr(),
        pAppData: Box::into_raw(registration).cast(),
        ..table
    };
    Ok(Box::into_raw(Box::new(vfs)))
}
