//! The VFS's methods (`sqlite3_vfs`), in the order of sqlite3.h.
//!
//! What is not about files of ours goes to the VFS that was the default one before.

use super::interrupt::{COMMIT_GRACE_MS, Call};
use super::journal::{self, JournalFile};
use super::main_file::MainFile;
use super::open::{database_name, open_database};
use super::parameters::Parameters;
use super::passed_on::{x_dl_close, x_dl_error, x_dl_open, x_dl_sym, x_randomness, x_sleep};
use super::registration::{self, Registration};
use super::result_code::{final_code, result_code};
use super::shield::shielded;
use super::sqlite::Sqlite;
use super::super_journal_file::{self, SuperJournalFile};
use crate::db::Origins;
use crate::error::Result;
use crate::sys::{self, log::log};
use core::ffi::{CStr, c_char, c_int};
use core::mem::size_of;
use core::ptr::{self, NonNull};
use libsqlite3_sys as ffi;
use libsqlite3_sys::{sqlite3_file, sqlite3_int64, sqlite3_vfs};

/// Bytes of the longest path: a database name, SQLite's suffixes, and room for a name too long to be
/// taken, so that it is refused by our message.
const MAX_PATH_LEN: c_int = 1024;

/// Milliseconds from the beginning of the Julian calendar to the Unix epoch.
const JULIAN_EPOCH_MS: sqlite3_int64 = 210_866_760_000_000;
const MS_PER_DAY: f64 = 86_400_000.0;

/// Bytes that each kind of file of ours fits into.
const OWN_FILE_LEN: usize = {
    let (main, journal) = (size_of::<MainFile>(), size_of::<JournalFile>());
    let larger = if main > journal { main } else { journal };
    let super_journal = size_of::<SuperJournalFile>();
    if larger > super_journal { larger } else { super_journal }
};

const TEMPORARY: c_int = ffi::SQLITE_OPEN_TEMP_DB
    | ffi::SQLITE_OPEN_TEMP_JOURNAL
    | ffi::SQLITE_OPEN_SUBJOURNAL
    | ffi::SQLITE_OPEN_TRANSIENT_DB;

/// The methods, and how large a file of ours is: [`registration::register`] fills in what is null.
const TABLE: sqlite3_vfs = sqlite3_vfs {
    iVersion: 2,
    szOsFile: OWN_FILE_LEN as c_int,
    mxPathname: MAX_PATH_LEN,
    pNext: ptr::null_mut(),
    zName: ptr::null(),
    pAppData: ptr::null_mut(),
    xOpen: Some(x_open),
    xDelete: Some(x_delete),
    xAccess: Some(x_access),
    xFullPathname: Some(x_full_pathname),
    xDlOpen: Some(x_dl_open),
    xDlError: Some(x_dl_error),
    xDlSym: Some(x_dl_sym),
    xDlClose: Some(x_dl_close),
    xRandomness: Some(x_randomness),
    xSleep: Some(x_sleep),
    xCurrentTime: Some(x_current_time),
    xGetLastError: Some(x_get_last_error),
    xCurrentTimeInt64: Some(x_current_time_int64),
    xSetSystemCall: None,
    xGetSystemCall: None,
    xNextSystemCall: None,
};

/// Registers the VFS, as the default one if asked to. Doing it again is fine; `origins` is called the
/// first time only.
pub fn register(
    sqlite: Sqlite,
    make_default: bool,
    origins: impl FnOnce() -> Result<Origins>,
) -> Result<()> {
    registration::register(sqlite, TABLE, make_default, origins)
}

/// What tells our VFS from another copy's of the same name.
pub const X_OPEN: unsafe extern "C" fn(
    *mut sqlite3_vfs,
    *const c_char,
    *mut sqlite3_file,
    c_int,
    *mut c_int,
) -> c_int = x_open;

unsafe extern "C" fn x_open(
    p_vfs: *mut sqlite3_vfs,
    z_name: *const c_char,
    p_file: *mut sqlite3_file,
    flags: c_int,
    p_out_flags: *mut c_int,
) -> c_int {
    // "SQLite [calls xClose] even if the xOpen call fails, unless xOpen sets pMethods to NULL."
    // SAFETY: SQLite's memory for a file, of `szOsFile` bytes.
    unsafe { (*p_file).pMethods = ptr::null() };
    // SAFETY: SQLite calls this with our VFS.
    let registration = unsafe { Registration::behind(p_vfs) };
    if z_name.is_null() || flags & TEMPORARY != 0 {
        let default = registration.default_vfs;
        // SAFETY: the default VFS gets what SQLite gave us; the file is large enough for its own.
        return unsafe {
            match (*default).xOpen {
                Some(x_open) => x_open(default, z_name, p_file, flags, p_out_flags),
                None => ffi::SQLITE_CANTOPEN,
            }
        };
    }
    let tell = |flags: c_int| {
        if !p_out_flags.is_null() {
            // SAFETY: SQLite's place for the flags.
            unsafe { p_out_flags.write(flags) };
        }
    };
    tell(flags);
    if flags & ffi::SQLITE_OPEN_SUPER_JOURNAL != 0 {
        // SAFETY: not null, so a string that lives during the call; the file is large enough for ours.
        return unsafe {
            super_journal_file::open(registration, CStr::from_ptr(z_name), p_file, flags)
        };
    }
    if flags & ffi::SQLITE_OPEN_MAIN_JOURNAL != 0 {
        // SAFETY: not null, so a string that lives during the call; the file is large enough for ours.
        return unsafe { journal::open(registration, CStr::from_ptr(z_name), p_file) };
    }
    if flags & ffi::SQLITE_OPEN_MAIN_DB == 0 {
        // A WAL: the methods have no shared memory, so nobody should ask.
        return ffi::SQLITE_CANTOPEN;
    }
    shielded(ffi::SQLITE_INTERNAL, || {
        // SAFETY: `z_name` is not null, so the name of a main database, and `p_file` has room for one.
        match unsafe { open_database(registration, z_name, p_file, flags) } {
            Ok(out_flags) => {
                tell(out_flags);
                ffi::SQLITE_OK
            }
            Err(error) => {
                log!(Error, "open: {error}");
                result_code(error.kind())
            }
        }
    })
}

/// Journals have no files to delete, and databases are not deleted through SQLite. Deleting a
/// super-journal commits a transaction over several databases.
unsafe extern "C" fn x_delete(
    p_vfs: *mut sqlite3_vfs,
    z_name: *const c_char,
    _sync_dir: c_int,
) -> c_int {
    // SAFETY: SQLite calls this with our VFS and a string that lives during the call.
    let (registration, name) = unsafe { (Registration::behind(p_vfs), CStr::from_ptr(z_name)) };
    shielded(ffi::SQLITE_IOERR_DELETE, || {
        let journals = &registration.super_journals;
        // The connection that announced it deletes it, and has its databases open meanwhile.
        let db = NonNull::new(ptr::with_exposed_provenance_mut(journals.owner(name)));
        // SQLite is in the middle of none of the databases.
        let call = Call::on(Some(&registration.sqlite.connections), db, false, COMMIT_GRACE_MS);
        match call.run(|| journals.delete(name)) {
            Ok(()) => ffi::SQLITE_OK,
            Err(error) => {
                log!(Error, "COMMIT: {error}");
                final_code(result_code(error.kind()))
            }
        }
    })
}

/// Journals are never found: there is none to roll back. Super-journals are, while they exist: ours, or
/// one that another VFS made for a transaction that we are part of, as are directories.
unsafe extern "C" fn x_access(
    p_vfs: *mut sqlite3_vfs,
    z_name: *const c_char,
    flags: c_int,
    p_res_out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite calls this with our VFS and a string that lives during the call.
    let (registration, name) = unsafe { (Registration::behind(p_vfs), CStr::from_ptr(z_name)) };
    let exists = shielded(false, || registration.super_journals.exists(name));
    // SAFETY: SQLite's place for the answer.
    unsafe { p_res_out.write(c_int::from(exists)) };
    if flags == ffi::SQLITE_ACCESS_EXISTS && !name.to_bytes().contains(&b'/') {
        return ffi::SQLITE_OK;
    }
    // SAFETY: SQLite calls this with our VFS; its arguments are passed on as they came.
    unsafe {
        let default = registration.default_vfs;
        (*default)
            .xAccess
            .map_or(ffi::SQLITE_OK, |method| method(default, z_name, flags, p_res_out))
    }
}

/// There are no directories: a name means the same everywhere, with what the URI says beside it.
unsafe extern "C" fn x_full_pathname(
    p_vfs: *mut sqlite3_vfs,
    z_name: *const c_char,
    n_out: c_int,
    z_out: *mut c_char,
) -> c_int {
    // SAFETY: SQLite calls this with our VFS and the name of a main database that it is about to open.
    let (registration, path) = unsafe { (Registration::behind(p_vfs), CStr::from_ptr(z_name)) };
    shielded(ffi::SQLITE_INTERNAL, || {
        // SAFETY: as above.
        let parameters = unsafe { Parameters::read(&registration.sqlite, z_name) };
        let path = path.to_str().unwrap_or("?");
        let full_name = match parameters {
            Ok(parameters) => parameters.full_name(&registration.origins, path),
            // `xOpen` will say so.
            Err(_) => path.into(),
        };
        // "-journal" must fit behind it, or SQLite refuses it without a word.
        let room = usize::try_from(n_out).unwrap_or(0).saturating_sub(8);
        if full_name.len() >= room {
            // A name too long, as the tag behind it is not: the text is the one of `xOpen`.
            if let Err(error) = database_name(path) {
                log!(Error, "open: {error}");
            }
            return ffi::SQLITE_CANTOPEN;
        }
        // SAFETY: `z_out` has `n_out` bytes, which is more than the name has.
        unsafe {
            ptr::copy_nonoverlapping(full_name.as_ptr().cast(), z_out, full_name.len());
            z_out.add(full_name.len()).write(0);
        }
        ffi::SQLITE_OK
    })
}

unsafe extern "C" fn x_current_time(_: *mut sqlite3_vfs, p_days: *mut f64) -> c_int {
    // SAFETY: SQLite's place for the answer.
    unsafe { p_days.write(julian_ms() as f64 / MS_PER_DAY) };
    ffi::SQLITE_OK
}

/// No error of the operating system's. SQLite asks after each failure, and some programs print the answer
/// beside it. Our failures have none; what the default VFS would answer with is whatever failed last on this
/// thread, here or anywhere else. What has failed says `PRAGMA litevfs_last_error`.
unsafe extern "C" fn x_get_last_error(
    _: *mut sqlite3_vfs,
    n_byte: c_int,
    z_msg: *mut c_char,
) -> c_int {
    if n_byte > 0 && !z_msg.is_null() {
        // SAFETY: SQLite's place for a text of so many bytes.
        unsafe { z_msg.write(0) };
    }
    0
}

unsafe extern "C" fn x_current_time_int64(_: *mut sqlite3_vfs, p_ms: *mut sqlite3_int64) -> c_int {
    // SAFETY: SQLite's place for the answer.
    unsafe { p_ms.write(julian_ms()) };
    ffi::SQLITE_OK
}

fn julian_ms() -> sqlite3_int64 {
    let unix_ms = sqlite3_int64::try_from(sys::unix_ms()).unwrap_or(0);
    unix_ms.saturating_add(JULIAN_EPOCH_MS)
}
