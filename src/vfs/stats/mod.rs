//! The virtual table `litevfs_stats`: a row for each database of ours that the connection has open.
//!
//! It is eponymous: there without `CREATE VIRTUAL TABLE`. A row rather than a name and a value a line,
//! because what people want of it are ratios, sums over databases and differences between two moments, and
//! those are expressions over columns. Its rows are of one moment, the beginning of the scan. To SQLite the
//! table is one of `main`, so reading it begins a read transaction there, which may poll; `PRAGMA
//! litevfs_status` asks nothing of anybody.

mod columns;

use super::main_database::MainDatabase;
use super::registration::Registration;
use super::shield::shielded;
use super::sqlite::ConnectionFunctions;
use super::value::Value;
use super::visit::{Found, visit};
use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::ffi::CString;
use alloc::vec::Vec;
use columns::{COLUMNS, Row};
use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr;
use libsqlite3_sys as ffi;
use libsqlite3_sys::{
    sqlite3, sqlite3_context, sqlite3_index_info, sqlite3_int64, sqlite3_module, sqlite3_value,
    sqlite3_vtab, sqlite3_vtab_cursor,
};

/// What it is called in SQL.
pub const NAME: &CStr = c"litevfs_stats";

/// The table of one connection.
#[repr(C)]
struct Table {
    base: sqlite3_vtab,
    db: *mut sqlite3,
    sqlite: &'static ConnectionFunctions,
}

/// A scan.
#[repr(C)]
struct Cursor {
    base: sqlite3_vtab_cursor,
    rows: Vec<Row>,
    at: usize,
}

/// The methods. Without `xCreate` there is no `CREATE VIRTUAL TABLE` of it; without `xUpdate` it is
/// read-only.
pub static MODULE: sqlite3_module = sqlite3_module {
    iVersion: 0,
    xCreate: None,
    xConnect: Some(x_connect),
    xBestIndex: Some(x_best_index),
    xDisconnect: Some(x_disconnect),
    xDestroy: None,
    xOpen: Some(x_open),
    xClose: Some(x_close),
    xFilter: Some(x_filter),
    xNext: Some(x_next),
    xEof: Some(x_eof),
    xColumn: Some(x_column),
    xRowid: Some(x_rowid),
    xUpdate: None,
    xBegin: None,
    xSync: None,
    xCommit: None,
    xRollback: None,
    xFindFunction: None,
    xRename: None,
    xSavepoint: None,
    xRelease: None,
    xRollbackTo: None,
    xShadowName: None,
    xIntegrity: None,
};

unsafe extern "C" fn x_connect(
    db: *mut sqlite3,
    p_aux: *mut c_void,
    _: c_int,
    _: *const *const c_char,
    pp_vtab: *mut *mut sqlite3_vtab,
    _: *mut *mut c_char,
) -> c_int {
    // SAFETY: the module was made with a registration, which is never freed.
    let registration: &'static Registration = unsafe { &*p_aux.cast() };
    shielded(ffi::SQLITE_INTERNAL, || {
        let sqlite = &registration.sqlite.connections;
        let columns: Vec<&str> = COLUMNS.iter().map(|(column, _)| *column).collect();
        let Ok(schema) = CString::new(alloc::format!("CREATE TABLE x({})", columns.join(", ")))
        else {
            return ffi::SQLITE_INTERNAL;
        };
        // SAFETY: SQLite calls this with a connection that is making a table.
        let rc = unsafe { (sqlite.declare_vtab)(db, schema.as_ptr()) };
        if rc == ffi::SQLITE_OK {
            let table = Box::new(Table { base: sqlite3_vtab::default(), db, sqlite });
            // SAFETY: SQLite's place for the table.
            unsafe { pp_vtab.write(Box::into_raw(table).cast()) };
        }
        rc
    })
}

/// Every scan reads all rows.
unsafe extern "C" fn x_best_index(_: *mut sqlite3_vtab, p_info: *mut sqlite3_index_info) -> c_int {
    // SAFETY: SQLite's place for the plan; all versions have this member.
    unsafe { (*p_info).estimatedCost = 10.0 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn x_disconnect(p_vtab: *mut sqlite3_vtab) -> c_int {
    // SAFETY: from `Box::into_raw` in `x_connect`; SQLite lets go of it once.
    drop(unsafe { Box::from_raw(p_vtab.cast::<Table>()) });
    ffi::SQLITE_OK
}

unsafe extern "C" fn x_open(
    _: *mut sqlite3_vtab,
    pp_cursor: *mut *mut sqlite3_vtab_cursor,
) -> c_int {
    let cursor = Box::new(Cursor { base: sqlite3_vtab_cursor::default(), rows: Vec::new(), at: 0 });
    // SAFETY: SQLite's place for the cursor.
    unsafe { pp_cursor.write(Box::into_raw(cursor).cast()) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn x_close(p_cursor: *mut sqlite3_vtab_cursor) -> c_int {
    // SAFETY: from `Box::into_raw` in `x_open`; SQLite closes it once.
    drop(unsafe { Box::from_raw(p_cursor.cast::<Cursor>()) });
    ffi::SQLITE_OK
}

unsafe extern "C" fn x_filter(
    p_cursor: *mut sqlite3_vtab_cursor,
    _: c_int,
    _: *const c_char,
    _: c_int,
    _: *mut *mut sqlite3_value,
) -> c_int {
    let cursor: *mut Cursor = p_cursor.cast();
    // SAFETY: an open cursor of ours; SQLite has filled in its table.
    let table = unsafe { &*(*p_cursor).pVtab.cast::<Table>() };
    shielded(ffi::SQLITE_INTERNAL, || {
        // SAFETY: the connection of the table, in a statement that reads it.
        match unsafe { rows(table.sqlite, table.db) } {
            Ok(rows) => {
                // SAFETY: as above, and nobody else uses the cursor.
                unsafe { ((*cursor).rows, (*cursor).at) = (rows, 0) };
                ffi::SQLITE_OK
            }
            Err(rc) => rc,
        }
    })
}

/// What every database of ours that the connection has open tells.
///
/// # Safety
///
/// `db` must be an open connection that this thread may use, and not be inside a method of a file.
unsafe fn rows(sqlite: &ConnectionFunctions, db: *mut sqlite3) -> Result<Vec<Row>, c_int> {
    let mut rows = Vec::new();
    // SAFETY: the caller's promise.
    for name in unsafe { schemas(sqlite, db)? } {
        let tell = |database: &MainDatabase| Row {
            schema: name.to_string_lossy().into_owned(),
            report: database.connection.report(),
            last_error: database.last_error.clone(),
        };
        // SAFETY: the caller's promise.
        if let Found::Ours(row) = unsafe { visit(sqlite, db, &name, tell) } {
            rows.push(row);
        }
    }
    Ok(rows)
}

/// The names of the connection's schemas.
///
/// # Safety
///
/// As [`rows`].
unsafe fn schemas(sqlite: &ConnectionFunctions, db: *mut sqlite3) -> Result<Vec<CString>, c_int> {
    let mut names = Vec::new();
    let mut stmt = ptr::null_mut();
    // SAFETY: the caller's promise; the statement is finalized before anybody else can see it.
    unsafe {
        let sql = c"PRAGMA database_list";
        let rc = (sqlite.prepare_v2)(db, sql.as_ptr(), -1, &raw mut stmt, ptr::null_mut());
        if rc != ffi::SQLITE_OK {
            return Err(rc);
        }
        while (sqlite.step)(stmt) == ffi::SQLITE_ROW {
            let name = (sqlite.column_text)(stmt, 1);
            if !name.is_null() {
                names.push(CStr::from_ptr(name.cast()).to_owned());
            }
        }
        match (sqlite.finalize)(stmt) {
            ffi::SQLITE_OK => Ok(names),
            rc => Err(rc),
        }
    }
}

unsafe extern "C" fn x_next(p_cursor: *mut sqlite3_vtab_cursor) -> c_int {
    // SAFETY: an open cursor of ours, which nobody else uses.
    let cursor = unsafe { &mut *p_cursor.cast::<Cursor>() };
    cursor.at = cursor.at.saturating_add(1);
    ffi::SQLITE_OK
}

unsafe extern "C" fn x_eof(p_cursor: *mut sqlite3_vtab_cursor) -> c_int {
    // SAFETY: an open cursor of ours.
    let cursor = unsafe { &*p_cursor.cast::<Cursor>() };
    c_int::from(cursor.at >= cursor.rows.len())
}

unsafe extern "C" fn x_column(
    p_cursor: *mut sqlite3_vtab_cursor,
    context: *mut sqlite3_context,
    column: c_int,
) -> c_int {
    // SAFETY: an open cursor of ours, with its table.
    let (cursor, table) =
        unsafe { (&*p_cursor.cast::<Cursor>(), &*(*p_cursor).pVtab.cast::<Table>()) };
    let value = shielded(Value::Null, || {
        let column = usize::try_from(column).ok().and_then(|column| COLUMNS.get(column));
        let row = cursor.rows.get(cursor.at);
        column.zip(row).map_or(Value::Null, |((_, of), row)| of(row))
    });
    // SAFETY: SQLite's context for the value.
    unsafe { value.give(table.sqlite, context) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn x_rowid(
    p_cursor: *mut sqlite3_vtab_cursor,
    p_rowid: *mut sqlite3_int64,
) -> c_int {
    // SAFETY: an open cursor of ours, and SQLite's place for the number.
    unsafe {
        let at = (*p_cursor.cast::<Cursor>()).at;
        p_rowid.write(sqlite3_int64::try_from(at).unwrap_or(sqlite3_int64::MAX));
    }
    ffi::SQLITE_OK
}
