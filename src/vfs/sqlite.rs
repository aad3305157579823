//! The functions of SQLite that we call, whichever way they reach us.
//!
//! A loadable extension is handed a table of them, a program linked with SQLite has them as symbols;
//! `entry/` fills this struct from the one or the other.

use core::ffi::{c_char, c_int, c_void};
use core::ptr;
use libsqlite3_sys::sqlite3_vfs;

/// SQLite, as far as we need it.
#[derive(Clone, Copy)]
pub struct Sqlite {
    /// `sqlite3_malloc`.
    pub malloc: unsafe extern "C" fn(c_int) -> *mut c_void,
    /// `sqlite3_vfs_find`.
    pub vfs_find: unsafe extern "C" fn(*const c_char) -> *mut sqlite3_vfs,
    /// `sqlite3_vfs_register`.
    pub vfs_register: unsafe extern "C" fn(*mut sqlite3_vfs, c_int) -> c_int,
}

impl Sqlite {
    /// A copy of a text that SQLite will free; null when there is no memory.
    pub fn text(&self, text: &str) -> *mut c_char {
        let len = text.len();
        let Ok(bytes) = c_int::try_from(len.saturating_add(1)) else {
            return ptr::null_mut();
        };
        // SAFETY: the function pointer is `sqlite3_malloc`, which takes any size.
        let copy: *mut u8 = unsafe { (self.malloc)(bytes) }.cast();
        if !copy.is_null() {
            // SAFETY: `copy` has room for `len` bytes and one more, and is not ours to overlap.
            unsafe {
                ptr::copy_nonoverlapping(text.as_ptr(), copy, len);
                copy.add(len).write(0);
            }
        }
        copy.cast()
    }
}
