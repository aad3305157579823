//! What the server is told of a lease that it granted, and what it tells in return: prolonged, refused, given back.

use super::database::Database;
use super::lease::Lease;
use crate::backend::{Backend, Pushed};
use crate::error::{ErrorKind, Result};
use crate::sys::{self, log::log};
use crate::types::DbName;

/// Tells the server that a lease is not needed any more.
pub(super) fn release(backend: &dyn Backend, name: &DbName, id: &str) {
    if let Err(error) = backend.release_lease(name, id) {
        log!(Warn, "the lease was not given back, it will expire: {error}");
    }
}

impl Lease {
    /// Tells the server that it is not needed any more. Not without a turn, see [`Database::lease_turn`].
    pub(super) fn give_back(self, backend: &dyn Backend, name: &DbName) {
        for id in [self.id, self.abandoned].into_iter().flatten() {
            release(backend, name, &id);
        }
    }
}

impl Database {
    /// Gives back a lease under which a push may still be on its way, so that the server refuses that.
    /// The connection goes on wanting a lease. `false` when the server could not be told: then it is
    /// told before the next one is acquired.
    pub fn give_up_lease(&self, id: &str) -> bool {
        {
            let mut state = self.state();
            if let Some(lease) = &mut state.lease.current {
                lease.id.take_if(|current| current == id);
            }
        }
        let fenced = self.backend().release_lease(self.name(), id).is_ok();
        if let (Some(lease), false) = (&mut self.state().lease.current, fenced) {
            lease.abandoned = Some(id.into());
        }
        fenced
    }

    /// Forgets a lease that the server does not honour any more.
    pub fn lose_lease(&self) {
        if let Some(lease) = &mut self.state().lease.current {
            lease.id = None;
        }
    }

    /// Asks the server to honour a lease for another while from now on.
    pub fn prolong(&self, id: &str) -> Result<()> {
        let duration_ms = self.state().settings.lease_duration_ms;
        let sent = sys::Tick::now();
        let outcome = self.backend().refresh_lease(self.name(), id, duration_ms);
        self.note_refresh(id, sent, duration_ms, &outcome);
        outcome.map(|_| ())
    }

    /// Takes in the answer to a request to prolong a lease.
    pub(super) fn note_refresh(
        &self,
        id: &str,
        sent: sys::Tick,
        duration_ms: u64,
        outcome: &Result<u32>,
    ) {
        let mut state = self.state();
        match (outcome, state.lease.by_id(id)) {
            (Ok(waiters), Some(lease)) => {
                (lease.granted, lease.duration_ms) = (sent, duration_ms);
                lease.waiters = *waiters;
            }
            (Err(error), Some(lease)) => {
                log!(Info, "{}: the lease was not prolonged: {error}", self.name());
                // A server that is away may come back in time; one that refuses has decided.
                if error.kind() != ErrorKind::Away {
                    lease.id = None;
                }
            }
            (_, None) => {}
        }
    }

    /// Takes in what the server told of the lease under which a transaction was just applied.
    pub fn note_push(&self, id: &str, sent: sys::Tick, Pushed { waiters, lease_ms }: Pushed) {
        let mut state = self.state();
        let Some(lease) = state.lease.by_id(id) else { return };
        lease.waiters = waiters;
        if let Some(duration_ms) = lease_ms {
            (lease.granted, lease.duration_ms) = (sent, duration_ms);
        }
    }
}
