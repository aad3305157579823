//! An open write transaction: what was written on top of a view, and how far its commit has come.

use super::made::Made;
use super::round::{Round, Staged};
use super::view::View;
use crate::error::{Error, Result};
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
    /// What was written last was taken for the end of a rollback, and forgotten.
    pub rolled_back: bool,
    /// What the next announcement means after a commit failed.
    pub after_failure: AfterFailure,
    /// The commit that was announced and is held back for those of other databases.
    pub staging: Option<Staging>,
    /// The commit of this database alone that was announced, and that SQLite has not finished.
    pub prepared: Option<Box<Made>>,
    /// Nothing was written since it was prepared.
    pub is_prepared_as_it_is: bool,
    /// What is written of an encrypted database was announced, as a commit or as the end of a rollback.
    pub is_announced: bool,
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

/// What SQLite's next announcement means. After a commit failed it is the end of the rollback, and
/// must not push, whatever the pages look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AfterFailure {
    /// No commit failed: it is what it looks like.
    Nothing,
    /// It is the end of the rollback.
    Discard,
    /// It is the end of the rollback, but SQLite keeps its lock and its cached pages, and the database
    /// is elsewhere by now. Only an error makes SQLite drop them, roll back once more, and look at the
    /// database anew.
    FailOnce(Error),
}

impl Transaction {
    /// Forgets what was written, and that a commit failed.
    pub fn discard(&mut self) {
        self.after_failure = AfterFailure::Nothing;
        self.staging = None;
        self.prepared = None;
        self.is_announced = false;
        self.dirty = None;
        self.size_bytes = self.view.size_bytes();
    }

    /// Whether nothing was written, or all of it was rolled back: a commit that is prepared is finished in the
    /// same call of SQLite's.
    pub fn is_clean(&self) -> bool {
        self.prepared.is_some() && self.is_prepared_as_it_is || self.is_as_before()
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
