//! What was held back is decided about: one transaction is pushed as ever, several as a group.

use super::publish::publish_together;
use super::push::Push;
use super::push_group::GroupPush;
use super::round::{Round, Staged};
use crate::error::Result;
use crate::sys;

impl Round {
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
            publish_together(&staged, sent);
        }
        self.0.lock().outcome = Some(outcome.clone());
        outcome
    }
}
