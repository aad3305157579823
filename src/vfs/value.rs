//! What a function or a column of ours gives to SQL.

use super::sqlite::ConnectionFunctions;
use alloc::string::String;
use core::ffi::c_int;
use libsqlite3_sys as ffi;
use libsqlite3_sys::sqlite3_context;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// NULL.
    Null,
    /// INTEGER.
    Integer(i64),
    /// TEXT.
    Text(String),
    /// An error in place of a value.
    Error(String),
}

impl Value {
    /// A count; one that SQL has no number for is the largest.
    pub fn count(count: u64) -> Value {
        Value::Integer(i64::try_from(count).unwrap_or(i64::MAX))
    }

    /// A value that may be missing.
    pub fn or_null<T>(value: Option<T>, make: impl FnOnce(T) -> Value) -> Value {
        value.map_or(Value::Null, make)
    }

    /// Gives it to SQLite.
    ///
    /// # Safety
    ///
    /// `context` must be that of the function or column that is being evaluated.
    pub unsafe fn give(self, sqlite: &ConnectionFunctions, context: *mut sqlite3_context) {
        let len = |text: &str| c_int::try_from(text.len()).unwrap_or(c_int::MAX);
        // SAFETY: the caller's promise; SQLite copies texts before it returns.
        unsafe {
            match self {
                Value::Null => (sqlite.result_null)(context),
                Value::Integer(value) => (sqlite.result_int64)(context, value),
                Value::Text(text) => {
                    let copied = ffi::SQLITE_TRANSIENT();
                    (sqlite.result_text)(context, text.as_ptr().cast(), len(&text), copied);
                }
                Value::Error(text) => {
                    (sqlite.result_error)(context, text.as_ptr().cast(), len(&text));
                }
            }
        }
    }
}
