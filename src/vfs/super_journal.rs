//! Super-journals: what SQLite decides a transaction over several databases by, when the main one is
//! ours. It creates one, tells each database its name, and deletes it: that is the decision.
//!
//! ```text
//!   create, list the participants ---> delete: decide ---> gone
//!                    |                        |
//!                    v                        v
//!              opened to read: SQLite rolls back; it stays until the connection's next one
//! ```
//!
//! There is no file. While one is there, SQLite rolls back what was announced with its name; it looks for
//! it again for each of the databases, so it must stay until the last of them is rolled back.
//!
//! A database that another VFS holds can't take part: its part would be decided by a file of the other
//! VFS that is not there. If one of ours is committed after it, the list is refused, before anything is
//! written; otherwise ours refuses when it is announced, if it changed at all.

use super::journal;
use super::parameters::TAG_MARK;
use super::registration::Registration;
use super::shield::shielded;
use crate::db::{Group, Groups, Round};
use crate::error::Result;
use crate::sys::{self, log::log};
use alloc::ffi::CString;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::ffi::{CStr, c_int, c_void};
use core::ptr;
use core::slice;
use libsqlite3_sys as ffi;
use libsqlite3_sys::{sqlite3_file, sqlite3_int64, sqlite3_io_methods};

/// Every super-journal of the process.
#[derive(Default)]
pub struct SuperJournals(sys::Mutex<Vec<Entry>>);

struct Entry {
    name: CString,
    /// Whether a database of another VFS takes part.
    has_foreign: bool,
    /// Whose transaction it is; nobody's before the first announcement.
    group: Weak<Group>,
    /// What was announced with it.
    round: Option<Arc<Round>>,
    /// Its transaction is being rolled back.
    is_over: bool,
}

/// What a super-journal says about the commit that was announced with its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announced {
    /// Its deletion decides.
    Together,
    /// A database of another VFS takes part.
    Foreign,
}

impl SuperJournals {
    /// Whether SQLite should find one of that name.
    pub fn exists(&self, name: &CStr) -> bool {
        self.0.lock().iter().any(|entry| entry.name.as_c_str() == name)
    }

    fn create(&self, name: &CStr) {
        let mut entries = self.0.lock();
        entries.retain(|entry| !entry.is_over || entry.group.strong_count() > 0);
        entries.push(Entry {
            name: name.into(),
            has_foreign: false,
            group: Weak::new(),
            round: None,
            is_over: false,
        });
    }

    /// Takes in journal names, each with a zero at its end. `false` when they can't be committed together.
    fn list(&self, name: &CStr, journals: &[u8], groups: &Groups) -> bool {
        let mut entries = self.0.lock();
        let Some(entry) = entries.iter_mut().find(|entry| entry.name.as_c_str() == name) else {
            return true;
        };
        journals.split(|&byte| byte == 0).filter(|journal| !journal.is_empty()).all(|journal| {
            let journal = core::str::from_utf8(journal).unwrap_or_default();
            let full_name = journal.strip_suffix("-journal").unwrap_or(journal);
            let path = full_name.split(TAG_MARK).next().unwrap_or_default();
            let is_ours = groups.has(path.strip_prefix('/').unwrap_or(path));
            let may_be_there = !(is_ours && entry.has_foreign);
            entry.has_foreign |= !is_ours;
            may_be_there
        })
    }

    /// A database of a group is told the name.
    pub fn announce(&self, name: &CStr, group: Option<&Arc<Group>>) -> Announced {
        let mut entries = self.0.lock();
        let Some(group) = group else { return Announced::Foreign };
        // What an earlier transaction of the connection left is rolled back by now.
        let group = Arc::downgrade(group);
        entries.retain(|entry| entry.name.as_c_str() == name || !entry.group.ptr_eq(&group));
        match entries.iter_mut().find(|entry| entry.name.as_c_str() == name) {
            Some(entry) => {
                entry.group = group;
                entry.is_over |= entry.has_foreign;
                if entry.has_foreign { Announced::Foreign } else { Announced::Together }
            }
            None => Announced::Foreign,
        }
    }

    /// Has the deletion decide about what was held back.
    pub fn set_round(&self, name: &CStr, round: Arc<Round>) {
        let mut entries = self.0.lock();
        if let Some(entry) = entries.iter_mut().find(|entry| entry.name.as_c_str() == name) {
            entry.round = Some(round);
        }
    }

    /// The connection whose transaction one of that name decides; 0 for none.
    pub fn owner(&self, name: &CStr) -> usize {
        let entries = self.0.lock();
        let entry = entries.iter().find(|entry| entry.name.as_c_str() == name);
        entry.and_then(|entry| entry.group.upgrade()).map_or(0, |group| group.owner())
    }

    fn start_rollback(&self, name: &CStr) {
        let mut entries = self.0.lock();
        if let Some(entry) = entries.iter_mut().find(|entry| entry.name.as_c_str() == name) {
            entry.is_over = true;
        }
    }

    /// Decides, unless the transaction is being rolled back. An error makes SQLite do that.
    pub fn delete(&self, name: &CStr) -> Result<()> {
        let round = {
            let mut entries = self.0.lock();
            match entries.iter().find(|entry| entry.name.as_c_str() == name) {
                None | Some(Entry { is_over: true, .. }) => return Ok(()),
                Some(Entry { round: Some(round), .. }) => Arc::clone(round),
                Some(Entry { round: None, .. }) => {
                    entries.retain(|entry| entry.name.as_c_str() != name);
                    return Ok(());
                }
            }
        };
        let outcome = round.decide();
        match outcome {
            Ok(()) => self.0.lock().retain(|entry| entry.name.as_c_str() != name),
            Err(_) => self.start_rollback(name),
        }
        outcome
    }
}

/// What lies behind SQLite's pointer to an open super-journal.
#[repr(C)]
pub struct SuperJournalFile {
    base: sqlite3_file,
    registration: &'static Registration,
    /// From `CString::into_raw`; ours until `x_close`.
    name: *mut core::ffi::c_char,
}

/// Opens a super-journal: SQLite does so to make one, and to read one while it rolls back.
///
/// # Safety
///
/// `p_file` must have room for a [`SuperJournalFile`].
pub unsafe fn open(
    registration: &'static Registration,
    name: &CStr,
    p_file: *mut sqlite3_file,
    flags: c_int,
) -> c_int {
    shielded(ffi::SQLITE_INTERNAL, || {
        match flags & ffi::SQLITE_OPEN_CREATE {
            0 => registration.super_journals.start_rollback(name),
            _ => registration.super_journals.create(name),
        }
        let base = sqlite3_file { pMethods: &raw const METHODS };
        let name = CString::from(name).into_raw();
        let file = SuperJournalFile { base, registration, name };
        // SAFETY: the caller's promise; the memory holds nothing that must be dropped.
        unsafe { p_file.cast::<SuperJournalFile>().write(file) };
        ffi::SQLITE_OK
    })
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    xClose: Some(x_close),
    xRead: Some(x_read),
    xWrite: Some(x_write),
    xTruncate: Some(x_truncate),
    xFileSize: Some(x_file_size),
    // Those that do not look at the file.
    ..journal::METHODS
};

unsafe extern "C" fn x_close(p_file: *mut sqlite3_file) -> c_int {
    let file: *mut SuperJournalFile = p_file.cast();
    // SAFETY: SQLite closes a file once, and does not call us with it again; `open` made the name.
    unsafe {
        (*file).base.pMethods = ptr::null();
        drop(CString::from_raw((*file).name));
    }
    ffi::SQLITE_OK
}

/// Nothing: that it is there is all that counts.
unsafe extern "C" fn x_read(
    _: *mut sqlite3_file,
    p_buf: *mut c_void,
    i_amt: c_int,
    _: sqlite3_int64,
) -> c_int {
    let Ok(len) = usize::try_from(i_amt) else {
        return ffi::SQLITE_IOERR_READ;
    };
    // SAFETY: SQLite's buffer has `i_amt` bytes.
    unsafe { ptr::write_bytes(p_buf.cast::<u8>(), 0, len) };
    if len == 0 { ffi::SQLITE_OK } else { ffi::SQLITE_IOERR_SHORT_READ }
}

unsafe extern "C" fn x_write(
    p_file: *mut sqlite3_file,
    p_buf: *const c_void,
    i_amt: c_int,
    _: sqlite3_int64,
) -> c_int {
    let Ok(len) = usize::try_from(i_amt) else {
        return ffi::SQLITE_IOERR_WRITE;
    };
    // SAFETY: an open file of ours; SQLite's buffer has `i_amt` bytes that it does not change meanwhile.
    let (registration, name, journals) = unsafe {
        let file: *mut SuperJournalFile = p_file.cast();
        let journals = slice::from_raw_parts(p_buf.cast::<u8>(), len);
        ((*file).registration, CStr::from_ptr((*file).name), journals)
    };
    shielded(ffi::SQLITE_INTERNAL, || {
        if registration.super_journals.list(name, journals, &registration.groups) {
            return ffi::SQLITE_OK;
        }
        log!(Error, "COMMIT: {}", super::NOT_ATOMIC);
        ffi::SQLITE_IOERR_WRITE
    })
}

unsafe extern "C" fn x_truncate(_: *mut sqlite3_file, _: sqlite3_int64) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn x_file_size(_: *mut sqlite3_file, p_size: *mut sqlite3_int64) -> c_int {
    // SAFETY: SQLite's place for the answer.
    unsafe { p_size.write(0) };
    ffi::SQLITE_OK
}
