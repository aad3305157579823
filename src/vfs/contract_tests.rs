//! The raw tables, called as SQLite calls them, without SQLite in between.

use super::*;
use crate::backend::Backend;
use crate::backend::twins::MemoryBackend;
use crate::config::{Config, Environment};
use crate::db::Origins;
use crate::error::Result;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr;
use libsqlite3_sys as ffi;
use libsqlite3_sys::{sqlite3_file, sqlite3_io_methods, sqlite3_vfs};
use std::cell::{Cell, RefCell};

thread_local! {
    /// What was registered last, and whether as the default.
    static REGISTERED: Cell<(*mut sqlite3_vfs, c_int)> = const { Cell::new((ptr::null_mut(), 0)) };
    static DEFAULT: Cell<*mut sqlite3_vfs> = const { Cell::new(ptr::null_mut()) };
    /// What was opened through the default VFS: its name, if it had one, and the flags.
    static OPENED: RefCell<Vec<(Option<String>, c_int)>> = const { RefCell::new(Vec::new()) };
}

unsafe extern "C" fn malloc(bytes: c_int) -> *mut c_void {
    let layout = std::alloc::Layout::from_size_align(bytes as usize, 8).unwrap();
    // SAFETY: texts are never empty: they have their zero byte.
    unsafe { std::alloc::alloc(layout).cast() }
}

unsafe extern "C" fn uri_parameter(_: *const c_char, _: *const c_char) -> *const c_char {
    ptr::null()
}

unsafe extern "C" fn uri_boolean(_: *const c_char, _: *const c_char, default: c_int) -> c_int {
    default
}

unsafe extern "C" fn not_called() {
    unreachable!("the tables are called without a connection of SQLite's");
}

/// A name without parameters, and no connection.
fn connections() -> ConnectionFunctions {
    macro_rules! functions {
        ($($name:ident),*) => {
            ConnectionFunctions {
                uri_parameter,
                uri_boolean,
                is_interrupted: None,
                // SAFETY: pointers to functions have one size, and nobody calls these.
                $($name: unsafe {
                    core::mem::transmute_copy(&(not_called as *const ()))
                },)*
            }
        };
    }
    functions!(
        file_control,
        prepare_v2,
        step,
        column_count,
        column_text,
        finalize,
        next_stmt,
        sql,
        stmt_busy,
        stmt_readonly,
        stmt_status,
        get_autocommit,
        auto_extension,
        create_function_v2,
        create_module_v2,
        declare_vtab,
        user_data,
        context_db_handle,
        value_text,
        result_text,
        result_int64,
        result_null,
        result_error
    )
}

unsafe extern "C" fn vfs_find(name: *const c_char) -> *mut sqlite3_vfs {
    if name.is_null() { DEFAULT.get() } else { REGISTERED.get().0 }
}

unsafe extern "C" fn vfs_register(vfs: *mut sqlite3_vfs, make_default: c_int) -> c_int {
    REGISTERED.set((vfs, make_default));
    ffi::SQLITE_OK
}

unsafe extern "C" fn default_open(
    _: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    _: *mut c_int,
) -> c_int {
    // SAFETY: a string, when it is not null.
    let name = (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) });
    let name = name.map(|name| name.to_str().unwrap().to_string());
    OPENED.with_borrow_mut(|opened| opened.push((name, flags)));
    // SAFETY: a file's memory.
    unsafe { (*file).pMethods = ptr::null() };
    ffi::SQLITE_NOMEM
}

unsafe extern "C" fn default_last_error(_: *mut sqlite3_vfs, _: c_int, _: *mut c_char) -> c_int {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Registers the VFS over a server that has `db1` with two pages of 512 bytes.
fn registered() -> *mut sqlite3_vfs {
    // SAFETY: all members may be zero.
    let mut default: sqlite3_vfs = unsafe { core::mem::zeroed() };
    default.xOpen = Some(default_open);
    default.xGetLastError = Some(default_last_error);
    default.szOsFile = 100;
    DEFAULT.set(Box::into_raw(Box::new(default)));
    REGISTERED.set((ptr::null_mut(), 0));
    let sqlite =
        Sqlite { version: MIN_VERSION, malloc, vfs_find, vfs_register, connections: connections() };
    register(sqlite, false, || {
        let var = |name: &str| (name == "LITEFS_CLOUD_TOKEN").then(|| "token".to_string());
        Origins::new(Environment::from_vars(var)?, Box::new(reach))
    })
    .unwrap();
    REGISTERED.get().0
}

fn reach(_: &Config) -> Result<Box<dyn Backend>> {
    let server = MemoryBackend::default();
    server.commit_elsewhere(&"db1".parse().unwrap(), |pages| {
        let mut page1 = vec![1; 512];
        page1[..24].copy_from_slice(b"SQLite format 3\0\x02\x00\x01\x01\0\x40\x20\x20");
        page1[40..60].fill(0);
        page1[100] = 13;
        page1[24..32].copy_from_slice(&[0, 0, 0, 1, 0, 0, 0, 2]);
        page1[92..96].copy_from_slice(&[0, 0, 0, 1]);
        pages.insert(crate::types::Pgno::ONE, page1);
        pages.insert(crate::types::Pgno::new(2).unwrap(), vec![2; 512]);
    });
    Ok(Box::new(server))
}

/// A file of SQLite's: zeroed memory of the size the VFS asks for.
struct OpenFile {
    memory: Vec<u64>,
    rc: c_int,
    out_flags: c_int,
}

const MAIN_DB: c_int =
    ffi::SQLITE_OPEN_MAIN_DB | ffi::SQLITE_OPEN_READWRITE | ffi::SQLITE_OPEN_CREATE;

impl OpenFile {
    fn open(vfs: *mut sqlite3_vfs, name: Option<&CStr>, flags: c_int) -> OpenFile {
        OpenFile::open_at(vfs, name.map_or(ptr::null(), CStr::as_ptr), flags)
    }

    fn open_at(vfs: *mut sqlite3_vfs, name: *const c_char, flags: c_int) -> OpenFile {
        // SAFETY: a registered VFS.
        let (size, x_open) = unsafe { ((*vfs).szOsFile, (*vfs).xOpen.unwrap()) };
        let mut file = OpenFile { memory: vec![!0; size as usize / 8 + 1], rc: 0, out_flags: 0 };
        // SAFETY: the memory is large enough, the name a string or null.
        file.rc = unsafe { x_open(vfs, name, file.pointer(), flags, &raw mut file.out_flags) };
        file
    }

    fn pointer(&mut self) -> *mut sqlite3_file {
        self.memory.as_mut_ptr().cast()
    }

    fn methods(&mut self) -> Option<&'static sqlite3_io_methods> {
        // SAFETY: `xOpen` has written the pointer: null or a static table.
        unsafe { (*self.pointer()).pMethods.as_ref() }
    }

    fn read(&mut self, buf: &mut [u8], offset: i64) -> c_int {
        let x_read = self.methods().unwrap().xRead.unwrap();
        // SAFETY: an open file, and a buffer of that length.
        unsafe { x_read(self.pointer(), buf.as_mut_ptr().cast(), buf.len() as c_int, offset) }
    }

    fn lock(&mut self, lock: c_int) -> c_int {
        let x_lock = self.methods().unwrap().xLock.unwrap();
        // SAFETY: an open file.
        unsafe { x_lock(self.pointer(), lock) }
    }

    fn control(&mut self, op: c_int, arg: *mut c_void) -> c_int {
        let x_file_control = self.methods().unwrap().xFileControl.unwrap();
        // SAFETY: an open file, and the argument that belongs to the operation.
        unsafe { x_file_control(self.pointer(), op, arg) }
    }

    /// Runs a pragma: its code and text.
    fn pragma(&mut self, name: &CStr, value: Option<&CStr>) -> (c_int, Option<String>) {
        let value = value.map_or(ptr::null(), CStr::as_ptr);
        let mut args = [ptr::null_mut(), name.as_ptr().cast_mut(), value.cast_mut()];
        let rc = self.control(ffi::SQLITE_FCNTL_PRAGMA, args.as_mut_ptr().cast());
        // SAFETY: null or a text.
        let text = (!args[0].is_null()).then(|| unsafe { CStr::from_ptr(args[0]) });
        (rc, text.map(|text| text.to_str().unwrap().to_string()))
    }
}

#[test]
fn registering_again_keeps_the_object_and_can_make_it_the_default() {
    let vfs = registered();
    let sqlite =
        Sqlite { version: MIN_VERSION, malloc, vfs_find, vfs_register, connections: connections() };
    register(sqlite, false, || unreachable!("it is registered already")).unwrap();
    assert_eq!(REGISTERED.get(), (vfs, 0));
    register(sqlite, true, || unreachable!("it is registered already")).unwrap();
    assert_eq!(REGISTERED.get(), (vfs, 1));
}

#[test]
fn an_open_that_fails_clears_the_methods() {
    let vfs = registered();
    for (name, flags) in [
        (c"no/such name", MAIN_DB),
        (c"db1@0123456789abcdef", MAIN_DB),
        (c".hidden", MAIN_DB),
        (c"missing", ffi::SQLITE_OPEN_MAIN_DB | ffi::SQLITE_OPEN_READONLY),
        (c"db1-wal", ffi::SQLITE_OPEN_WAL | ffi::SQLITE_OPEN_READWRITE),
    ] {
        let mut file = OpenFile::open(vfs, Some(name), flags);
        assert_eq!(file.rc, ffi::SQLITE_CANTOPEN, "{name:?}");
        assert!(file.methods().is_none(), "{name:?}");
    }
}

#[test]
fn the_last_error_is_never_somebody_else_s() {
    let vfs = registered();
    let mut file = OpenFile::open(vfs, Some(c"no/such name"), MAIN_DB);
    assert_eq!((file.rc, file.methods().is_some()), (ffi::SQLITE_CANTOPEN, false));
    // What failed on this thread, but not here.
    std::fs::File::open("/no/such/file").unwrap_err();
    let mut text = [c_char::MAX; 8];
    // SAFETY: a registered VFS, and a buffer of that length.
    let code = unsafe { (*vfs).xGetLastError.unwrap()(vfs, 8, text.as_mut_ptr()) };
    assert_eq!((code, text[0]), (0, 0));
}

#[test]
fn a_short_read_fills_the_rest_with_zeros() {
    let vfs = registered();
    let mut file = OpenFile::open(vfs, Some(c"db1"), MAIN_DB);
    assert_eq!((file.rc, file.out_flags), (ffi::SQLITE_OK, MAIN_DB));
    assert_eq!(file.lock(ffi::SQLITE_LOCK_SHARED), ffi::SQLITE_OK);
    let mut buf = [9; 512];
    assert_eq!(file.read(&mut buf, 512), ffi::SQLITE_OK);
    assert_eq!(buf, [2; 512]);
    let mut buf = [9; 512];
    assert_eq!(file.read(&mut buf, 768), ffi::SQLITE_IOERR_SHORT_READ);
    assert_eq!((&buf[..256], &buf[256..]), (&[2; 256][..], &[0; 256][..]));
    assert_eq!(file.read(&mut buf, 1 << 40), ffi::SQLITE_IOERR_SHORT_READ);
    assert_eq!(buf, [0; 512]);
    assert_eq!(file.read(&mut buf, -1), ffi::SQLITE_IOERR_READ);
}

#[test]
fn a_main_database_has_no_shared_memory_and_is_closed_once() {
    let vfs = registered();
    let mut file = OpenFile::open(vfs, Some(c"/db1"), MAIN_DB);
    let methods = file.methods().unwrap();
    assert_eq!(methods.iVersion, 1);
    let mut size = -1;
    // SAFETY: an open file.
    let rc = unsafe { methods.xFileSize.unwrap()(file.pointer(), &raw mut size) };
    assert_eq!((rc, size), (ffi::SQLITE_OK, 1024));
    // SAFETY: an open file, closed here.
    let rc = unsafe { methods.xClose.unwrap()(file.pointer()) };
    assert_eq!(rc, ffi::SQLITE_OK);
    assert!(file.methods().is_none());
}

#[test]
fn temporary_files_are_the_default_vfs_s() {
    let vfs = registered();
    let temporary = ffi::SQLITE_OPEN_TEMP_DB | ffi::SQLITE_OPEN_DELETEONCLOSE;
    OpenFile::open(vfs, None, temporary);
    OpenFile::open(vfs, Some(c"etilqs_1"), ffi::SQLITE_OPEN_SUBJOURNAL);
    let opened = OPENED.take();
    assert_eq!(opened[0], (None, temporary));
    assert_eq!(opened[1], (Some("etilqs_1".to_string()), ffi::SQLITE_OPEN_SUBJOURNAL));
}

#[test]
fn a_journal_is_a_file_of_its_own() {
    let vfs = registered();
    let mut journal = OpenFile::open(vfs, Some(c"db1-journal"), ffi::SQLITE_OPEN_MAIN_JOURNAL);
    assert_eq!(journal.rc, ffi::SQLITE_OK);
    let methods = journal.methods().unwrap();
    let mut write = |bytes: &[u8], offset: i64| {
        // SAFETY: an open file, and bytes of that length.
        unsafe {
            let (at, len) = (bytes.as_ptr().cast(), bytes.len() as c_int);
            methods.xWrite.unwrap()(journal.pointer(), at, len, offset)
        }
    };
    assert_eq!(write(&[7; 100], 512), ffi::SQLITE_OK);
    assert_eq!(write(&[8; 4], 510), ffi::SQLITE_OK);
    assert_eq!(write(&[9; 4], -1), ffi::SQLITE_IOERR_WRITE);
    assert!(OPENED.with_borrow(Vec::is_empty), "the default VFS has no part in it");
    let mut read = [1; 10];
    assert_eq!(journal.read(&mut read, 508), ffi::SQLITE_OK);
    assert_eq!(read, [0, 0, 8, 8, 8, 8, 7, 7, 7, 7]);
    assert_eq!(journal.read(&mut read, 610), ffi::SQLITE_IOERR_SHORT_READ);
    assert_eq!(read, [7, 7, 0, 0, 0, 0, 0, 0, 0, 0]);
    // SAFETY: an open file.
    unsafe {
        let mut size = 0;
        assert_eq!(methods.xTruncate.unwrap()(journal.pointer(), 511), ffi::SQLITE_OK);
        assert_eq!(methods.xFileSize.unwrap()(journal.pointer(), &raw mut size), ffi::SQLITE_OK);
        assert_eq!(size, 511);
        assert_eq!(methods.xClose.unwrap()(journal.pointer()), ffi::SQLITE_OK);
    }
    assert!(journal.methods().is_none());
}

#[test]
fn the_vfs_name_is_told() {
    let vfs = registered();
    let mut file = OpenFile::open(vfs, Some(c"db1"), MAIN_DB);
    let mut name: *mut c_char = ptr::null_mut();
    let rc = file.control(ffi::SQLITE_FCNTL_VFSNAME, (&raw mut name).cast());
    assert_eq!(rc, ffi::SQLITE_OK);
    // SAFETY: the text just written.
    assert_eq!(unsafe { CStr::from_ptr(name) }, VFS_NAME);
    assert_eq!(file.control(12_345, ptr::null_mut()), ffi::SQLITE_NOTFOUND);
    assert_eq!(file.control(visit::VISIT, ptr::null_mut()), ffi::SQLITE_NOTFOUND);
}

#[test]
fn pragmas_answer_and_refuse_with_a_text() {
    let vfs = registered();
    let mut file = OpenFile::open(vfs, Some(c"db1"), MAIN_DB);
    let row = |text: &str| (ffi::SQLITE_OK, Some(text.to_string()));
    assert_eq!(file.pragma(c"litevfs_max_reqs_per_query", None), row("0"));
    assert_eq!(
        file.pragma(c"LiteVFS_Max_Reqs_Per_Query", Some(c"7")),
        (ffi::SQLITE_NOTFOUND, None)
    );
    assert_eq!(file.pragma(c"litevfs_max_reqs_per_query", None), row("7"));
    assert_eq!(file.pragma(c"cache_size", Some(c"7")), (ffi::SQLITE_NOTFOUND, None));
    let (rc, text) = file.pragma(c"litevfs_max_prefetch_pages", Some(c"129"));
    assert_eq!(rc, ffi::SQLITE_ERROR);
    assert!(text.unwrap().contains("from 0 to 128"));
    let (rc, text) = file.pragma(c"litevfs_no_such_thing", None);
    assert_eq!(rc, ffi::SQLITE_ERROR);
    assert!(text.unwrap().contains("litevfs_acquire_lease"));
}

#[test]
fn a_write_lock_without_the_lease_says_read_only_and_why() {
    let vfs = registered();
    let mut file = OpenFile::open(vfs, Some(c"db1"), MAIN_DB);
    assert_eq!(file.lock(ffi::SQLITE_LOCK_SHARED), ffi::SQLITE_OK);
    assert_eq!(file.lock(ffi::SQLITE_LOCK_RESERVED), ffi::SQLITE_READONLY);
    let (_, text) = file.pragma(c"litevfs_last_error", None);
    assert!(text.unwrap().contains("PRAGMA litevfs_acquire_lease"));
    assert_eq!(file.pragma(c"litevfs_last_error", Some(c"")), (ffi::SQLITE_NOTFOUND, None));
    let (_, text) = file.pragma(c"litevfs_last_error", None);
    assert_eq!(text.as_deref(), Some(""), "it was forgotten");
    assert_eq!(file.pragma(c"litevfs_acquire_lease", None), (ffi::SQLITE_NOTFOUND, None));
    assert_eq!(file.lock(ffi::SQLITE_LOCK_RESERVED), ffi::SQLITE_OK);
    assert_eq!(file.control(ffi::SQLITE_FCNTL_SYNC, ptr::null_mut()), ffi::SQLITE_OK);
}

#[test]
fn a_database_opened_for_reading_is_not_written() {
    let vfs = registered();
    let flags = ffi::SQLITE_OPEN_MAIN_DB | ffi::SQLITE_OPEN_READONLY;
    let mut file = OpenFile::open(vfs, Some(c"db1"), flags);
    assert_eq!((file.rc, file.out_flags), (ffi::SQLITE_OK, flags));
    assert_eq!(file.lock(ffi::SQLITE_LOCK_SHARED), ffi::SQLITE_OK);
    assert_eq!(file.pragma(c"litevfs_acquire_lease", None).0, ffi::SQLITE_READONLY);
    assert_eq!(file.lock(ffi::SQLITE_LOCK_RESERVED), ffi::SQLITE_READONLY);
    let (_, text) = file.pragma(c"litevfs_last_error", None);
    assert!(text.unwrap().contains("mode=ro"));
}

#[test]
fn paths_that_do_not_fit_are_refused_not_cut() {
    let vfs = registered();
    // SAFETY: a registered VFS.
    let x_full_pathname = unsafe { (*vfs).xFullPathname.unwrap() };
    // As long as the name, its end, and "-journal" behind it.
    const ROOM: c_int = 12;
    let mut out = [c_char::MAX; ROOM as usize];
    // SAFETY: a string, and a buffer of that length.
    let rc = unsafe { x_full_pathname(vfs, c"db1".as_ptr(), ROOM, out.as_mut_ptr()) };
    assert_eq!((rc, out[3]), (ffi::SQLITE_OK, 0));
    // SAFETY: as above.
    let rc = unsafe { x_full_pathname(vfs, c"/db2".as_ptr(), ROOM, out.as_mut_ptr()) };
    assert_eq!((rc, out[2], out[3]), (ffi::SQLITE_OK, c_char::try_from(b'2').unwrap(), 0));
    // SAFETY: as above.
    let rc = unsafe { x_full_pathname(vfs, c"db12".as_ptr(), ROOM, out.as_mut_ptr()) };
    assert_eq!(rc, ffi::SQLITE_CANTOPEN);
}

#[test]
fn the_time_has_milliseconds() {
    let vfs = registered();
    let (mut ms, mut days) = (0, 0.0);
    // SAFETY: a registered VFS and places for the answers.
    unsafe {
        (*vfs).xCurrentTimeInt64.unwrap()(vfs, &raw mut ms);
        (*vfs).xCurrentTime.unwrap()(vfs, &raw mut days);
    }
    let unix_ms = ms - 210_866_760_000_000;
    assert!(unix_ms > 1_700_000_000_000);
    assert!((days * 86_400_000.0 - ms as f64).abs() < 60_000.0);
}
