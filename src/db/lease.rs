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

use super::database::{Database, State};
use crate::error::{ErrorKind, Result};
use crate::sys::{self, log::log};
use alloc::format;
use alloc::string::String;
use alloc::sync::{Arc, Weak};

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
    /// The name of a lease that may be live at the server, and under which a push may still be on its
    /// way: it is given back before another one is acquired.
    abandoned: Option<String>,
    /// When the request that the server granted was sent.
    granted: sys::Tick,
}

/// What a connection is told of the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseStanding {
    /// No connection of this process wants it.
    None,
    /// The connection has it, for so long unless it is prolonged.
    Held {
        /// Milliseconds.
        left_ms: u64,
    },
    /// The connection had it; its next write acquires it again.
    Lost,
    /// Another connection of this process wants it.
    Elsewhere,
}

impl Lease {
    /// Whether the server still honours it, as far as we know.
    pub fn is_live(&self) -> bool {
        self.id.is_some() && self.granted.age_ms() < LEASE_DURATION_MS
    }
}

impl State {
    /// What a connection is told of the lease.
    pub fn lease_standing(&self, connection: u64) -> LeaseStanding {
        match &self.lease {
            None => LeaseStanding::None,
            Some(lease) if lease.holder != connection => LeaseStanding::Elsewhere,
            Some(lease) if !lease.is_live() => LeaseStanding::Lost,
            Some(lease) => {
                let left_ms = LEASE_DURATION_MS.saturating_sub(lease.granted.age_ms());
                LeaseStanding::Held { left_ms }
            }
        }
    }

    /// The connection's lease.
    fn lease_of(&mut self, connection: u64) -> Option<&mut Lease> {
        self.lease.as_mut().filter(|lease| lease.holder == connection)
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
        self.acquire_anew(connection).map(|_| ())
    }

    /// Gives the lease back, if the connection has it.
    pub fn release_lease(&self, connection: u64) {
        let mut state = self.state();
        let lease = state.lease.take_if(|lease| lease.holder == connection);
        drop(state);
        for id in lease.into_iter().flat_map(|lease| [lease.id, lease.abandoned]).flatten() {
            if let Err(error) = self.backend().release_lease(self.name(), &id) {
                log!(Warn, "the lease was not given back, it will expire: {error}");
            }
        }
    }

    /// The id of the connection's lease, acquired again if it was lost. Fails at once when the
    /// connection never acquired it.
    pub fn live_lease(self: &Arc<Database>, connection: u64) -> Result<String> {
        let late = {
            let mut state = self.state();
            let Some(lease) = state.lease_of(connection) else {
                drop(state);
                let text = "no write lease; run PRAGMA litevfs_acquire_lease before writing";
                return Err(self.error(ErrorKind::NoLease, text));
            };
            match &lease.id {
                Some(id) if lease.is_live() => return Ok(id.clone()),
                id => id.clone(),
            }
        };
        // By our clocks it ran out; if the server prolongs it nevertheless, nobody wrote meanwhile.
        if let Some(id) = late
            && self.prolong(&id).is_ok()
        {
            return Ok(id);
        }
        log!(Info, "{}: the write lease ran out, acquiring it again", self.name());
        self.acquire_anew(connection)
    }

    /// Gives back a lease under which a push may still be on its way, so that the server refuses that.
    /// The connection goes on wanting a lease. `false` when the server could not be told: then it is
    /// told before the next one is acquired.
    pub fn give_up_lease(&self, id: &str) -> bool {
        {
            let mut state = self.state();
            if let Some(lease) = &mut state.lease {
                lease.id.take_if(|current| current == id);
            }
        }
        let fenced = self.backend().release_lease(self.name(), id).is_ok();
        if let (Some(lease), false) = (&mut self.state().lease, fenced) {
            lease.abandoned = Some(id.into());
        }
        fenced
    }

    /// Forgets a lease that the server does not honour any more.
    pub fn lose_lease(&self) {
        if let Some(lease) = &mut self.state().lease {
            lease.id = None;
        }
    }

    fn acquire_anew(self: &Arc<Database>, connection: u64) -> Result<String> {
        let abandoned = self.state().lease_of(connection).and_then(|lease| lease.abandoned.take());
        if let Some(id) = abandoned {
            let _ = self.backend().release_lease(self.name(), &id);
        }
        let sent = sys::Tick::now();
        let id = self.backend().acquire_lease(self.name(), LEASE_DURATION_MS).map_err(|error| {
            self.error(error.kind(), &format!("the write lease is not to be had: {error}"))
        })?;
        let lease =
            Lease { holder: connection, id: Some(id.clone()), abandoned: None, granted: sent };
        self.state().lease = Some(lease);
        self.start_keeper();
        self.poll_now().inspect_err(|_| self.release_lease(connection))?;
        Ok(id)
    }

    /// Asks the server to honour a lease for another while from now on.
    pub fn prolong(&self, id: &str) -> Result<()> {
        let sent = sys::Tick::now();
        let outcome = self.backend().refresh_lease(self.name(), id, LEASE_DURATION_MS);
        self.note_refresh(id, sent, &outcome);
        outcome
    }

    /// Takes in the answer to a request to prolong a lease.
    fn note_refresh(&self, id: &str, sent: sys::Tick, outcome: &Result<()>) {
        let mut state = self.state();
        let lease = state.lease.as_mut().filter(|lease| lease.id.as_deref() == Some(id));
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
    }

    /// Starts the background thread, unless it runs.
    fn start_keeper(self: &Arc<Database>) {
        let mut state = self.state();
        if !state.keeper_runs {
            state.keeper_runs = true;
            let database = Arc::downgrade(self);
            sys::spawn_every(REFRESH_INTERVAL_MS, move || keep_lease(&database));
        }
    }
}

/// One step of the background thread: the pause before the next, `None` when there is no lease.
fn keep_lease(database: &Weak<Database>) -> Option<u64> {
    let (origin, name, id) = {
        let database = database.upgrade()?;
        let mut state = database.state();
        let Some(lease) = &state.lease else {
            state.keeper_runs = false;
            return None;
        };
        let id = lease.id.clone();
        drop(state);
        (Arc::clone(database.origin()), database.name().clone(), id)
    };
    let Some(id) = id else { return Some(REFRESH_INTERVAL_MS) };
    // Without holding on to the database: its last connection closes it, not this thread.
    let sent = sys::Tick::now();
    let outcome = origin.backend().refresh_lease(&name, &id, LEASE_DURATION_MS);
    database.upgrade()?.note_refresh(&id, sent, &outcome);
    Some(REFRESH_INTERVAL_MS)
}
