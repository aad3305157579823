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

use super::parameters::TAG_MARK;
use crate::db::{Group, Groups, Round};
use crate::error::Result;
use crate::sys;
use alloc::ffi::CString;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::ffi::CStr;

/// Why a transaction is refused that other VFSs' databases take part in.
pub const NOT_ATOMIC: &str = "a transaction over litevfs databases and others can't be committed atomically; \
                              write to the one kind or the other a transaction, or, for several litevfs \
                              databases, have one of them or :memory: as the main database";

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

    /// SQLite makes one.
    pub fn create(&self, name: &CStr) {
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
    pub fn list(&self, name: &CStr, journals: &[u8], groups: &Groups) -> bool {
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

    /// SQLite reads one, or its decision failed: what was announced with it is rolled back.
    pub fn start_rollback(&self, name: &CStr) {
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
