//! Commits of several databases of one connection: held back one by one as SQLite announces them, and what was
//! decided about all of them.
//!
//! With a super-journal its deletion is the decision, without one the first `COMMIT_PHASETWO`
//! (`vfs/`). What is held back is a finished LTX file; the dirty pages stay with their connections,
//! which look at the outcome when SQLite comes back to them.

use super::database::Database;
use super::made::Made;
use crate::error::{Error, ErrorKind, Result};
use crate::sys;
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

/// What was announced for one COMMIT.
#[derive(Default)]
pub struct Round(pub(super) sys::Mutex<RoundState>);

/// What is held back, and what was decided about it.
#[derive(Default)]
pub(super) struct RoundState {
    pub staged: Vec<Arc<Staged>>,
    pub outcome: Option<Result<()>>,
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
}
