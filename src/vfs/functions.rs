//! `litevfs_txid()`, `litevfs_pos()` and `litevfs_lag_ms()`, and how they and `litevfs_stats` get to every
//! connection of the process.
//!
//! To the one that loads the extension they are added then, to later ones by SQLite, which calls an
//! automatic extension for each. That one is `entry/`'s, because only there is known how SQLite's
//! functions reach us. A connection that can't have them opens nevertheless.
//!
//! A function in SQL is told a context and nothing else, and only the SQLite that it is of can be asked
//! about that. So each SQLite of the process gets a function of its own (`x_function`), which knows it by its
//! number.

use super::registration::{Registration, VFS_NAME};
use super::shield::shielded;
use super::sqlite::{AutoExtension, ConnectionFunctions, SqlFunction, Sqlite};
use super::value::Value;
use super::visit::{Found, visit};
use super::{stats, tables};
use crate::db::Sighting;
use crate::sys::log::log;
use alloc::format;
use alloc::string::ToString;
use core::ffi::{CStr, c_int};
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};
use libsqlite3_sys as ffi;
use libsqlite3_sys::{sqlite3, sqlite3_context, sqlite3_value};

/// What a function tells of what the connection sees.
type Tell = fn(Sighting) -> Value;

static FUNCTIONS: [(&CStr, Tell); 3] = [
    (c"litevfs_txid", |sighting| Value::count(sighting.pos.txid.0)),
    (c"litevfs_pos", |sighting| Value::Text(sighting.pos.to_string())),
    (c"litevfs_lag_ms", |sighting| Value::or_null(sighting.lag_ms, Value::count)),
];

/// The SQLites that one copy of the library has functions for: programs have two or three at the most.
const MAX_SQLITES: usize = 8;

/// What the functions of each call.
static REGISTRATIONS: [AtomicPtr<Registration>; MAX_SQLITES] =
    [const { AtomicPtr::new(ptr::null_mut()) }; MAX_SQLITES];

/// The function of each.
static X_FUNCTIONS: [SqlFunction; MAX_SQLITES] = [
    x_function::<0>,
    x_function::<1>,
    x_function::<2>,
    x_function::<3>,
    x_function::<4>,
    x_function::<5>,
    x_function::<6>,
    x_function::<7>,
];

/// Has SQLite call `extension` for each connection that will be opened. Doing it again is fine.
pub fn add_to_every_connection(sqlite: &Sqlite, extension: AutoExtension) {
    // SAFETY: a function that stays, because the library is never unloaded.
    let rc = unsafe { (sqlite.connections.auto_extension)(Some(extension)) };
    if rc != ffi::SQLITE_OK {
        log!(Warn, "later connections go without litevfs_stats and functions: code {rc}");
    }
}

/// Adds functions and virtual table to a connection. Where that is not possible it goes without.
///
/// # Safety
///
/// `db` must be an open connection of this SQLite that this thread may use.
pub unsafe fn add_to_connection(sqlite: &Sqlite, db: *mut sqlite3) {
    let connections = &sqlite.connections;
    // SAFETY: this SQLite.
    let Some(registration) = (unsafe { registration_of(sqlite) }) else { return };
    let ours = ptr::from_ref(registration).cast_mut();
    // SAFETY: the caller's promise; module and registration are never freed.
    unsafe {
        let module = &raw const stats::MODULE;
        (connections.create_module_v2)(db, stats::NAME.as_ptr(), module, ours.cast(), None);
    }
    let Some(x_function) = function_of(ours) else {
        log!(
            Warn,
            "more than {MAX_SQLITES} SQLites in one process: this one goes without functions"
        );
        return;
    };
    for (name, tell) in &FUNCTIONS {
        // One function for any number of arguments: every connection of the process pays for each.
        // SAFETY: the caller's promise; the function is of the type SQLite calls.
        unsafe {
            (connections.create_function_v2)(
                db,
                name.as_ptr(),
                -1,
                ffi::SQLITE_UTF8,
                ptr::from_ref(tell).cast_mut().cast(),
                Some(x_function),
                None,
                None,
                None,
            );
        }
    }
}

/// What stands behind the VFS of this SQLite, if this copy of the library has registered it. Another
/// copy's databases are not to be looked into.
///
/// # Safety
///
/// `sqlite` must be SQLite's functions.
unsafe fn registration_of(sqlite: &Sqlite) -> Option<&'static Registration> {
    // SAFETY: the caller's promise; a registered VFS, which stays.
    let vfs = unsafe { (sqlite.vfs_find)(VFS_NAME.as_ptr()).as_ref() }?;
    let is_ours = vfs.xOpen.is_some_and(|x_open| ptr::fn_addr_eq(x_open, tables::X_OPEN));
    // SAFETY: of our VFS `pAppData` is a registration that is never freed.
    is_ours.then(|| unsafe { &*vfs.pAppData.cast::<Registration>() })
}

/// The function in SQL for the SQLite of a registration; `None` when there are too many.
fn function_of(ours: *mut Registration) -> Option<SqlFunction> {
    let is_ours = |place: &AtomicPtr<Registration>| {
        let taken =
            place.compare_exchange(ptr::null_mut(), ours, Ordering::AcqRel, Ordering::Acquire);
        taken.is_ok() || taken == Err(ours)
    };
    let number = REGISTRATIONS.iter().position(is_ours)?;
    X_FUNCTIONS.get(number).copied()
}

/// What one SQLite calls for each of [`FUNCTIONS`].
unsafe extern "C" fn x_function<const NUMBER: usize>(
    context: *mut sqlite3_context,
    argc: c_int,
    argv: *mut *mut sqlite3_value,
) {
    // SAFETY: passed on as SQLite gave it.
    unsafe { answer(NUMBER, context, argc, argv) }
}

/// Gives what a function finds of the schema that its argument names, `main` without one.
///
/// # Safety
///
/// The arguments must be those that the SQLite of that number called a function with.
unsafe fn answer(
    number: usize,
    context: *mut sqlite3_context,
    argc: c_int,
    argv: *mut *mut sqlite3_value,
) {
    let registration = REGISTRATIONS.get(number).map(|place| place.load(Ordering::Acquire));
    // SAFETY: null, or a registration that is never freed.
    let Some(registration) = registration.and_then(|ours| unsafe { ours.as_ref() }) else { return };
    let sqlite = &registration.sqlite.connections;
    // SAFETY: the function was made with a member of `FUNCTIONS`.
    let tell = unsafe { *(sqlite.user_data)(context).cast::<Tell>() };
    let find = || {
        if argc > 1 {
            return Value::Error(
                "litevfs functions take one argument at the most: a schema".into(),
            );
        }
        let schema = if argc == 1 {
            // SAFETY: the caller's promise: there is an argument. Its text stays until the function has
            // answered, or is null for a NULL.
            let text = unsafe { (sqlite.value_text)(argv.read()) };
            if text.is_null() {
                return Value::Null;
            }
            // SAFETY: SQLite's texts end with a zero byte.
            unsafe { CStr::from_ptr(text.cast()) }
        } else {
            c"main"
        };
        // SAFETY: a function runs in a statement of its connection, between two calls of files.
        unsafe { look(sqlite, context, schema, tell) }
    };
    let value = shielded(Value::Error("a bug in litevfs".into()), find);
    // SAFETY: the caller's promise.
    unsafe { value.give(sqlite, context) };
}

/// # Safety
///
/// `context` must be that of a function that is being evaluated.
unsafe fn look(
    sqlite: &ConnectionFunctions,
    context: *mut sqlite3_context,
    schema: &CStr,
    tell: Tell,
) -> Value {
    // SAFETY: the caller's promise.
    let found = unsafe {
        let db = (sqlite.context_db_handle)(context);
        visit(sqlite, db, schema, |database| database.connection.sighting())
    };
    match found {
        Found::Ours(sighting) => Value::or_null(sighting, tell),
        Found::Other => Value::Null,
        Found::Nothing => Value::Error(format!("unknown database {}", schema.to_string_lossy())),
    }
}
