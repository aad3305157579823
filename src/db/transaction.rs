//! An open write transaction: what was written on top of a view, and how far its commit has come.

use super::announcement::AfterFailure;
use super::made::Made;
use super::round::{Round, Staged};
use super::view::View;
use crate::error::Result;
use crate::page1;
use crate::pager::DirtyPages;
use crate::types::{PageSize, Pgno};
use alloc::boxed::Box;
use alloc::sync::Arc;

/// An open write transaction. In exclusive locking mode one follows the other without a new lock.
pub(super) struct Transaction {
    /// The committed state below the dirty pages.
    pub view: View,
    /// Pages written since `view`, `None` before the first.
    pub dirty: Option<Box<DirtyPages>>,
    /// Size of the database file with the dirty pages. No number of pages, while SQLite changes their
    /// size.
    pub size_bytes: u64,
    /// Transactions committed under this lock.
    pub commits: u32,
    /// Whether one has ended under this lock, committed or rolled back. If another one follows, SQLite keeps
    /// its locks, which it does not tell of attached databases.
    pub has_ended: bool,
    /// What SQLite announced last, and has not finished.
    pub unfinished: Unfinished,
    /// What the next announcement means after a commit failed.
    pub after_failure: AfterFailure,
}

/// What SQLite announced, until it finishes that, announces something else, or begins anew.
#[derive(Default)]
pub(super) enum Unfinished {
    /// Nothing, or something that needs no finish.
    #[default]
    Nothing,
    /// A commit, held back for those of other databases.
    HeldBack(Staging),
    /// A commit of this database alone, ready to be pushed.
    Prepared {
        /// What to push.
        made: Box<Made>,
        /// Nothing was written since.
        is_current: bool,
    },
    /// A commit or the end of a rollback, of an encrypted database.
    Unsettled,
    /// The end of a rollback, and what was written is forgotten.
    Rollback,
}

/// A transaction that is held back, and what it is decided with. Dropped while that is not decided, it
/// is not committed any more.
pub(super) struct Staging {
    pub round: Arc<Round>,
    pub staged: Arc<Staged>,
}

impl Drop for Staging {
    fn drop(&mut self) {
        self.round.abandon_with(&self.staged);
    }
}

impl Transaction {
    /// One that begins with a view.
    pub fn new(view: View) -> Transaction {
        Transaction {
            view,
            dirty: None,
            size_bytes: view.size_bytes(),
            commits: 0,
            has_ended: false,
            unfinished: Unfinished::Nothing,
            after_failure: AfterFailure::Nothing,
        }
    }

    /// Forgets what was written and announced, and that a commit failed.
    pub fn discard(&mut self) {
        self.after_failure = AfterFailure::Nothing;
        self.unfinished = Unfinished::Nothing;
        self.dirty = None;
        self.size_bytes = self.view.size_bytes();
    }

    /// It ended with a rollback, or with nothing that counts.
    pub fn end(&mut self) {
        self.discard();
        self.has_ended = true;
    }

    /// Takes out what is held back.
    pub fn take_held_back(&mut self) -> Option<Staging> {
        if !matches!(self.unfinished, Unfinished::HeldBack(_)) {
            return None;
        }
        match core::mem::take(&mut self.unfinished) {
            Unfinished::HeldBack(staging) => Some(staging),
            _ => None,
        }
    }

    /// Takes in that something is written.
    pub fn note_write(&mut self) {
        if let Unfinished::Prepared { is_current, .. } = &mut self.unfinished {
            *is_current = false;
        }
    }

    /// Whether nothing was written, or all of it was rolled back: a commit that is prepared is finished in the
    /// same call of SQLite's.
    pub fn is_clean(&self) -> bool {
        matches!(self.unfinished, Unfinished::Prepared { is_current: true, .. })
            || self.is_as_before()
    }

    /// Whether nothing was written.
    pub fn is_as_before(&self) -> bool {
        self.dirty.as_ref().is_none_or(|dirty| dirty.is_empty())
            && self.size_bytes == self.view.size_bytes()
    }

    /// The size of the dirty pages: the database's before the transaction, or for a new one that of the
    /// first page written.
    pub fn page_size(&self) -> Option<PageSize> {
        self.view.page_size.or(self.dirty.as_ref().map(|dirty| dirty.page_size()))
    }

    /// Whether a codec encrypts what is written.
    pub fn is_encrypted(&self) -> Result<bool> {
        if self.view.commit > 0 {
            return Ok(self.view.is_encrypted);
        }
        let Some(dirty) = &self.dirty else { return Ok(false) };
        Ok(dirty.page(Pgno::ONE)?.is_some_and(|page1| page1::is_encrypted(&page1)))
    }

    /// Whether a page was written since the view.
    pub fn has_written(&self, pgno: Pgno) -> bool {
        self.dirty.as_ref().is_some_and(|dirty| dirty.contains(pgno))
    }
}
