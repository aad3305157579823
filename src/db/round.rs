//! Commits of several databases of one connection: held back one by one as SQLite announces them, then
//! decided together.
//!
//! With a super-journal its deletion is the decision, without one the first `COMMIT_PHASETWO`
//! (`vfs/`). What is held back is a finished LTX file; the dirty pages stay with their connections,
//! which look at the outcome when SQLite comes back to them.

use super::database::Database;
use super::made::Made;
use super::push::Push;
use super::push_group::GroupPush;
use crate::error::{Error, ErrorKind, Result};
use crate::pager::DirtyPages;
use crate::sys;
use crate::types::Pgno;
use alloc::borrow::Cow;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A transaction that is held back.
pub struct Staged {
    /// The database.
    pub database: Arc<Database>,
    /// The connection that commits.
    pub connection: u64,
    /// The transaction.
    pub made: Made,
}

impl Staged {
    /// Adds what was committed to the cache, if that is still at its position.
    pub fn keep_pages(&self, dirty: &DirtyPages) {
        let made = &self.made;
        let mut state = self.database.state();
        if state.cache.pos() != made.pos || dirty.page_size() != made.page_size {
            return;
        }
        for &(pgno, checksum) in made.changed.iter().filter(|(pgno, _)| *pgno != Pgno::ONE) {
            if let Ok(Some(page)) = dirty.page(pgno) {
                state.cache.insert_known(pgno, made.pos.txid, &page, checksum);
            }
        }
        state.cache.flush();
    }
}

/// What was announced for one COMMIT.
#[derive(Default)]
pub struct Round(sys::Mutex<State>);

#[derive(Default)]
struct State {
    staged: Vec<Arc<Staged>>,
    outcome: Option<Result<()>>,
}

impl Round {
    /// Whether nothing is decided.
    pub fn is_open(&self) -> bool {
        self.outcome().is_none()
    }

    /// What was decided: `Ok` for a commit.
    pub fn outcome(&self) -> Option<Result<()>> {
        self.0.lock().outcome.clone()
    }

    /// Holds a transaction back. Fails when it can't be committed together with the others.
    pub fn add(&self, staged: Arc<Staged>) -> Result<()> {
        let mut state = self.0.lock();
        if let Some(other) = state.staged.first()
            && !Arc::ptr_eq(other.database.origin(), staged.database.origin())
        {
            let text = "databases of different servers, clusters, tokens or cache directories can't be \
                        committed in one transaction; write to those of one a transaction";
            return Err(staged.database.error(ErrorKind::Unsupported, text));
        }
        state.staged.push(staged);
        Ok(())
    }

    /// Decides against, if nothing is decided: SQLite rolls back.
    pub fn abandon(&self) {
        let mut state = self.0.lock();
        let text = "the transaction was rolled back";
        state.outcome.get_or_insert_with(|| Err(Error::new(ErrorKind::Internal, text)));
    }

    /// Decides against if nothing is decided and this transaction is held back: its part is missing.
    pub fn abandon_with(&self, staged: &Arc<Staged>) {
        let is_in = self.0.lock().staged.iter().any(|other| Arc::ptr_eq(other, staged));
        if is_in {
            self.abandon();
        }
    }

    /// Takes a transaction out that turned out to be none.
    pub fn withdraw(&self, staged: &Arc<Staged>) {
        self.0.lock().staged.retain(|other| !Arc::ptr_eq(other, staged));
    }

    /// Decides, if nothing is decided: pushes, and moves the databases to where they are then. An error
    /// means that nothing is committed, unless its text says that this is not known.
    pub fn decide(&self) -> Result<()> {
        // SQLite's calls on a connection come one at a time, so nobody else decides meanwhile.
        let staged = {
            let state = self.0.lock();
            if let Some(outcome) = &state.outcome {
                return outcome.clone();
            }
            state.staged.clone()
        };
        let sent = sys::Tick::now();
        let outcome = match &*staged {
            [] => Ok(()),
            [alone] => {
                let Staged { database, connection, made } = &**alone;
                Push { database, connection: *connection, made }.run()
            }
            several => GroupPush { txs: several }.run(),
        };
        if outcome.is_ok() {
            publish(&staged, sent);
        }
        self.0.lock().outcome = Some(outcome.clone());
        outcome
    }
}

/// The transactions, acknowledged after `sent`, become what this process reads, all at once. Of the pages only the
/// first is put into the cache here; the connections that hold the others add them.
fn publish(staged: &[Arc<Staged>], sent: sys::Tick) {
    let Some(first) = staged.first() else { return };
    let origin = first.database.origin();
    let mut together = origin.together();
    for staged in staged {
        let made = &staged.made;
        let page1 = |pgno| (pgno == Pgno::ONE).then(|| Cow::Borrowed(&*made.page1));
        staged.database.state().publish(made, sent, page1);
    }
    let polls: Vec<u64> = staged.iter().map(|staged| staged.database.state().poll).collect();
    if polls.windows(2).any(|pair| matches!(pair, [a, b] if a != b)) {
        // What is known of them is of different polls. Of one state they are from now on.
        *together = together.saturating_add(1);
        for staged in staged {
            let mut state = staged.database.state();
            if state.cache.pos() == staged.made.pos {
                state.poll = *together;
            }
        }
    }
}
