//! The functions of SQLite that we call, whichever way they reach us.
//!
//! A loadable extension is handed a table of them, a program linked with SQLite has them as symbols;
//! `entry/` fills this struct from the one or the other.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr;
use libsqlite3_sys::{
    sqlite3, sqlite3_api_routines, sqlite3_context, sqlite3_module, sqlite3_stmt, sqlite3_value,
    sqlite3_vfs,
};

/// A function in SQL, as SQLite calls it.
pub type SqlFunction = unsafe extern "C" fn(*mut sqlite3_context, c_int, *mut *mut sqlite3_value);
/// What SQLite calls with a value that it is done with.
pub type Destructor = unsafe extern "C" fn(*mut c_void);
/// What SQLite calls with every new connection, a place for an error text, and its table of functions.
pub type AutoExtension =
    unsafe extern "C" fn(*mut sqlite3, *mut *mut c_char, *const sqlite3_api_routines) -> c_int;

/// The first version that keeps an extension loaded that asks for it. An older one takes that for a failure,
/// and unmaps the library with the VFS that it has registered.
pub const MIN_VERSION: c_int = 3_014_000;

/// A SQLite. A process may have several, each with functions, an allocator and connections of its own: what
/// one of them gave must get to no other. So nothing of a SQLite is in a static, but in its [`Registration`],
/// which all that it calls us with leads to.
///
/// [`Registration`]: super::registration::Registration
#[derive(Clone, Copy)]
pub struct Sqlite {
    /// As a number: 3,040,001 is 3.40.1.
    pub version: c_int,
    /// `sqlite3_malloc`.
    pub malloc: Malloc,
    /// `sqlite3_vfs_find`.
    pub vfs_find: unsafe extern "C" fn(*const c_char) -> *mut sqlite3_vfs,
    /// `sqlite3_vfs_register`.
    pub vfs_register: unsafe extern "C" fn(*mut sqlite3_vfs, c_int) -> c_int,
    /// What there is to do with connections.
    pub connections: ConnectionFunctions,
}

/// `SQLITE_STMTSTATUS_RUN`, and the first version that counts that.
const STMTSTATUS_RUN: c_int = 6;
pub const MIN_VERSION_WITH_RUNS: c_int = 3_020_000;

/// SQLite's functions about connections, their statements and what SQL can call.
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct ConnectionFunctions {
    pub uri_parameter: unsafe extern "C" fn(*const c_char, *const c_char) -> *const c_char,
    pub uri_boolean: unsafe extern "C" fn(*const c_char, *const c_char, c_int) -> c_int,
    pub file_control:
        unsafe extern "C" fn(*mut sqlite3, *const c_char, c_int, *mut c_void) -> c_int,
    pub prepare_v2: unsafe extern "C" fn(
        *mut sqlite3,
        *const c_char,
        c_int,
        *mut *mut sqlite3_stmt,
        *mut *const c_char,
    ) -> c_int,
    pub step: unsafe extern "C" fn(*mut sqlite3_stmt) -> c_int,
    pub column_count: unsafe extern "C" fn(*mut sqlite3_stmt) -> c_int,
    pub column_text: unsafe extern "C" fn(*mut sqlite3_stmt, c_int) -> *const u8,
    /// SQLite 3.41 and later.
    pub is_interrupted: Option<unsafe extern "C" fn(*mut sqlite3) -> c_int>,
    pub finalize: unsafe extern "C" fn(*mut sqlite3_stmt) -> c_int,
    pub next_stmt: unsafe extern "C" fn(*mut sqlite3, *mut sqlite3_stmt) -> *mut sqlite3_stmt,
    pub sql: unsafe extern "C" fn(*mut sqlite3_stmt) -> *const c_char,
    pub stmt_busy: unsafe extern "C" fn(*mut sqlite3_stmt) -> c_int,
    pub stmt_readonly: unsafe extern "C" fn(*mut sqlite3_stmt) -> c_int,
    pub stmt_status: unsafe extern "C" fn(*mut sqlite3_stmt, c_int, c_int) -> c_int,
    pub get_autocommit: unsafe extern "C" fn(*mut sqlite3) -> c_int,
    pub auto_extension: unsafe extern "C" fn(Option<AutoExtension>) -> c_int,
    pub create_function_v2: unsafe extern "C" fn(
        *mut sqlite3,
        *const c_char,
        c_int,
        c_int,
        *mut c_void,
        Option<SqlFunction>,
        Option<SqlFunction>,
        Option<unsafe extern "C" fn(*mut sqlite3_context)>,
        Option<Destructor>,
    ) -> c_int,
    pub create_module_v2: unsafe extern "C" fn(
        *mut sqlite3,
        *const c_char,
        *const sqlite3_module,
        *mut c_void,
        Option<Destructor>,
    ) -> c_int,
    pub declare_vtab: unsafe extern "C" fn(*mut sqlite3, *const c_char) -> c_int,
    pub user_data: unsafe extern "C" fn(*mut sqlite3_context) -> *mut c_void,
    pub context_db_handle: unsafe extern "C" fn(*mut sqlite3_context) -> *mut sqlite3,
    pub value_text: unsafe extern "C" fn(*mut sqlite3_value) -> *const u8,
    pub result_text:
        unsafe extern "C" fn(*mut sqlite3_context, *const c_char, c_int, Option<Destructor>),
    pub result_int64: unsafe extern "C" fn(*mut sqlite3_context, i64),
    pub result_null: unsafe extern "C" fn(*mut sqlite3_context),
    pub result_error: unsafe extern "C" fn(*mut sqlite3_context, *const c_char, c_int),
}

impl ConnectionFunctions {
    /// Whether a statement is running on a connection that may write, as far as SQLite knows: a
    /// `BEGIN IMMEDIATE` does, a `BEGIN` or a `SELECT` does not.
    ///
    /// # Safety
    ///
    /// `db` must be an open connection, and this thread inside a call of SQLite's on it.
    pub unsafe fn runs_a_write(&self, db: *mut sqlite3) -> bool {
        // SAFETY: the caller's promise, and statements of the connection.
        unsafe { self.running(db, &mut |stmt| (self.stmt_readonly)(stmt) == 0) > 0 }
    }

    /// Whether statements are running on a connection, and each may write or has rows to give. `ROLLBACK TO`,
    /// COMMIT and their like, which to SQLite do not write, have none.
    ///
    /// # Safety
    ///
    /// As [`ConnectionFunctions::runs_a_write`].
    pub unsafe fn runs_plainly(&self, db: *mut sqlite3) -> bool {
        // SAFETY: as above.
        unsafe {
            let is_plain =
                &mut |stmt| (self.stmt_readonly)(stmt) == 0 || (self.column_count)(stmt) > 0;
            let plain = self.running(db, is_plain);
            plain > 0 && plain == self.running(db, &mut |_| true)
        }
    }

    /// Whether a statement is running on a connection.
    ///
    /// # Safety
    ///
    /// As [`ConnectionFunctions::runs_a_write`].
    pub unsafe fn runs_any(&self, db: *mut sqlite3) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.running(db, &mut |_| true) > 0 }
    }

    /// What SQLite says of a text, and the statement that it is, if it is one.
    ///
    /// # Safety
    ///
    /// As [`ConnectionFunctions::runs_a_write`]. The statement is the caller's to finalize.
    pub unsafe fn prepare(&self, db: *mut sqlite3, sql: &CStr) -> (c_int, *mut sqlite3_stmt) {
        let mut stmt = ptr::null_mut();
        // SAFETY: the caller's promise; a string with an end, and a place for the answer.
        let rc = unsafe { (self.prepare_v2)(db, sql.as_ptr(), -1, &raw mut stmt, ptr::null_mut()) };
        (rc, stmt)
    }

    /// Whether SQLite is reading the schema of a connection: it does not keep the text of a statement then.
    /// `probe` must be one that no authorizer is asked about. It is not run.
    ///
    /// # Safety
    ///
    /// As [`ConnectionFunctions::runs_a_write`].
    pub unsafe fn reads_schema(&self, db: *mut sqlite3, probe: &CStr) -> bool {
        // SAFETY: the caller's promise, and a statement of the connection.
        unsafe {
            let (_, stmt) = self.prepare(db, probe);
            let reads = !stmt.is_null() && (self.sql)(stmt).is_null();
            (self.finalize)(stmt);
            reads
        }
    }

    /// How many of the statements that are running on a connection are of a kind.
    ///
    /// # Safety
    ///
    /// As [`ConnectionFunctions::runs_a_write`].
    unsafe fn running(
        &self,
        db: *mut sqlite3,
        is_so: &mut dyn FnMut(*mut sqlite3_stmt) -> bool,
    ) -> usize {
        let mut stmt = ptr::null_mut();
        let mut count = 0_usize;
        loop {
            // SAFETY: the caller's promise: the connection is locked by this thread, so no statement
            // of it comes or goes meanwhile.
            unsafe {
                stmt = (self.next_stmt)(db, stmt);
                if stmt.is_null() {
                    return count;
                }
                if (self.stmt_busy)(stmt) != 0 && is_so(stmt) {
                    count = count.saturating_add(1);
                }
            }
        }
    }

    /// Whether a statement is running on a connection that `mark` was set on in the same run. With `mark` it
    /// is set on those that run now. The mark is in the count of the statement's runs, which is set back to 0;
    /// neither an address nor that count alone tells a statement from the one before it.
    ///
    /// # Safety
    ///
    /// As [`ConnectionFunctions::runs_a_write`], on a SQLite that counts runs.
    pub unsafe fn runs_marked(&self, db: *mut sqlite3, mark: bool) -> bool {
        // SAFETY: the caller's promise, and statements of the connection.
        unsafe {
            let is_marked =
                &mut |stmt| (self.stmt_status)(stmt, STMTSTATUS_RUN, c_int::from(mark)) == 0;
            self.running(db, is_marked) > 0
        }
    }

    /// A parameter of the URI that a database was opened with.
    ///
    /// # Safety
    ///
    /// `z_name` must be the name of a main database as SQLite gave it to `xOpen` or `xFullPathname`,
    /// and live as long as the value is used.
    pub unsafe fn uri_parameter<'a>(
        &self,
        z_name: *const c_char,
        parameter: &CStr,
    ) -> Option<&'a CStr> {
        // SAFETY: the caller's promise; the value lives as long as the name.
        unsafe {
            let value = (self.uri_parameter)(z_name, parameter.as_ptr());
            (!value.is_null()).then(|| CStr::from_ptr(value))
        }
    }

    /// The same for a parameter that SQLite itself reads as yes or no.
    ///
    /// # Safety
    ///
    /// As [`ConnectionFunctions::uri_parameter`].
    pub unsafe fn uri_boolean(&self, z_name: *const c_char, parameter: &CStr) -> bool {
        // SAFETY: the caller's promise.
        unsafe { (self.uri_boolean)(z_name, parameter.as_ptr(), 0) != 0 }
    }
}

/// `sqlite3_malloc`.
pub type Malloc = unsafe extern "C" fn(c_int) -> *mut c_void;

impl Sqlite {
    /// A copy of a text that SQLite will free; null when there is no memory.
    pub fn text(&self, text: &str) -> *mut c_char {
        copy_text(self.malloc, text)
    }
}

/// A copy of a text in memory of the SQLite whose `malloc` it is; null when there is none.
pub fn copy_text(malloc: Malloc, text: &str) -> *mut c_char {
    let len = text.len();
    let Ok(bytes) = c_int::try_from(len.saturating_add(1)) else {
        return ptr::null_mut();
    };
    // SAFETY: the function pointer is `sqlite3_malloc`, which takes any size.
    let copy: *mut u8 = unsafe { malloc(bytes) }.cast();
    if !copy.is_null() {
        // SAFETY: `copy` has room for `len` bytes and one more, and is not ours to overlap.
        unsafe {
            ptr::copy_nonoverlapping(text.as_ptr(), copy, len);
            copy.add(len).write(0);
        }
    }
    copy.cast()
}
