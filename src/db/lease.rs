//! The remote right to write.
//!
//! ```text
//!          acquire           expired or refused
//!   none ----------> live ---------------------> lost
//!    ^                |  <---------------------   |
//!    |                |      acquired again       |
//!    +----------------+---------------------------+
//!                        release
//! ```
//!
//! A connection that acquired the lease wants it until it gives it back or is closed. A background
//! thread prolongs it; where that did not run in time, the lease is lost and acquired again before
//! the next write. That is safe, because a transaction begun under the old one is pushed only if the
//! database did not move meanwhile. The server has the last word on every push.

use super::database::Database;
use crate::error::{ErrorKind, Result};
use crate::sys::{self, log::log};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

/// For how long a lease is asked for.
const LEASE_DURATION_MS: u64 = 1_000;
/// It is prolonged this often.
const REFRESH_INTERVAL_MS: u64 = LEASE_DURATION_MS / 3;

/// A connection's claim to the lease.
#[derive(Debug)]
pub struct Lease {
    /// The connection that acquired it.
    holder: u64,
    /// The server's name for it; `None` when it was lost.
    id: Option<String>,
    /// When the request that the server granted was sent.
    granted: sys::Tick,
}

impl Lease {
    /// Whether the server still honours it, as far as we know.
    pub fn is_live(&self) -> bool {
        self.id.is_some() && self.granted.age_ms() < LEASE_DURATION_MS
    }
}

impl Database {
    /// Takes the lease for a connection and moves to the newest position. Having it already is fine.
    pub fn acquire_lease(self: &Arc<Database>, connection: u64) -> Result<()> {
        if let Some(lease) = &self.state().lease {
            if lease.holder != connection {
                let text = "another connection of this process holds the write lease; \
                            have it run PRAGMA litevfs_release_lease";
                return Err(self.error(ErrorKind::LeaseHeld, text));
            }
            if lease.is_live() {
                return Ok(());
            }
        }
        self.acquire_anew(connection)
    }

    /// Gives the lease back, if the connection has it.
    pub fn release_lease(&self, connection: u64) {
        let mut state = self.state();
        let lease = state.lease.take_if(|lease| lease.holder == connection);
        drop(state);
        if let Some(id) = lease.and_then(|lease| lease.id)
            && let Err(error) = self.backend().release_lease(self.name(), &id)
        {
            log!(Warn, "the lease was not given back, it will expire: {error}");
        }
    }

    /// The id of the connection's lease, acquired again if it was lost. Fails at once when the
    /// connection never acquired it.
    pub fn live_lease(self: &Arc<Database>, connection: u64) -> Result<String> {
        {
            let state = self.state();
            let lease = state.lease.as_ref().filter(|lease| lease.holder == connection);
            let lease = lease.ok_or_else(|| {
                let text = "no write lease; run PRAGMA litevfs_acquire_lease before writing";
                self.error(ErrorKind::NoLease, text)
            })?;
            if let (Some(id), true) = (&lease.id, lease.is_live()) {
                return Ok(id.clone());
            }
        }
        log!(Info, "{}: the write lease ran out, acquiring it again", self.name());
        self.acquire_anew(connection)?;
        let state = self.state();
        let id = state.lease.as_ref().and_then(|lease| lease.id.clone());
        id.ok_or_else(|| self.error(ErrorKind::LeaseHeld, "the write lease was lost; try again"))
    }

    /// Forgets that the lease is live, when the server says so or a push may still be on its way.
    pub fn lose_lease(&self) {
        if let Some(lease) = &mut self.state().lease {
            lease.id = None;
        }
    }

    fn acquire_anew(self: &Arc<Database>, connection: u64) -> Result<()> {
        let sent = sys::Tick::now();
        let id = self.backend().acquire_lease(self.name(), LEASE_DURATION_MS).map_err(|error| {
            self.error(error.kind(), &format!("the write lease is not to be had: {error}"))
        })?;
        {
            let mut state = self.state();
            state.lease = Some(Lease { holder: connection, id: Some(id), granted: sent });
            if !state.keeper_runs {
                state.keeper_runs = true;
                let database = Arc::downgrade(self);
                sys::spawn_every(REFRESH_INTERVAL_MS, move || {
                    database.upgrade().and_then(|database| database.prolong_lease())
                });
            }
        }
        self.poll_now().inspect_err(|_| self.release_lease(connection))
    }

    /// One step of the background thread: the pause before the next, `None` when there is no lease.
    fn prolong_lease(&self) -> Option<u64> {
        let id = {
            let mut state = self.state();
            match &state.lease {
                Some(lease) => lease.id.clone(),
                None => {
                    state.keeper_runs = false;
                    return None;
                }
            }
        };
        let Some(id) = id else {
            return Some(REFRESH_INTERVAL_MS);
        };
        let sent = sys::Tick::now();
        let outcome = self.backend().refresh_lease(self.name(), &id, LEASE_DURATION_MS);
        let mut state = self.state();
        let lease = state.lease.as_mut().filter(|lease| lease.id.as_ref() == Some(&id));
        match (outcome, lease) {
            (Ok(()), Some(lease)) => lease.granted = sent,
            (Err(error), Some(lease)) => {
                log!(Info, "{}: the lease was not prolonged: {error}", self.name());
                // A server that is away may come back in time; one that refuses has decided.
                if error.kind() != ErrorKind::Away {
                    lease.id = None;
                }
            }
            (_, None) => {}
        }
        Some(REFRESH_INTERVAL_MS)
    }
}
