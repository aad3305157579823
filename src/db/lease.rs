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
//! A lease has one of two kinds of holder. A connection that acquired it wants it until it gives it
//! back or is closed. The connections with auto lease hold one together: whichever writes takes it, and
//! when nobody has written for a moment, or somebody else waits, it is given back (`keeper.rs`).
//!
//! A commit prolongs it where the server says so, and a background thread when there was none for a
//! while; where that did not run in time, the lease is lost and acquired again before the next write.
//! That is safe, because a transaction begun under the old one is pushed only if the database did not
//! move meanwhile. The server has the last word on every push.

use super::database::{Database, State};
use crate::backend::{Backend, Granted, Pushed};
use crate::error::{ErrorKind, Result};
use crate::sys::{self, log::log};
use crate::types::DbName;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

/// For how long a connection waits while another one asks the server for the lease or gives it back.
/// Who goes on without his turn is refused the lease at worst.
pub(super) const TURN_WAIT_MS: u64 = 1_000;

/// Time for all that getting it takes: as long as a server may be away, and an answer.
const ACQUIRE_MS: u64 = 8_000;

/// Whose the lease is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    /// The connection's that acquired it.
    Connection(u64),
    /// That of all connections with auto lease.
    Auto,
}

/// A claim to the lease.
#[derive(Debug)]
pub struct Lease {
    holder: Holder,
    /// The server's name for it; `None` when it was lost.
    pub(super) id: Option<String>,
    /// The name of a lease that may be live at the server, and under which a push may still be on its
    /// way: it is given back before another one is acquired.
    abandoned: Option<String>,
    /// When the request that the server granted was sent.
    pub(super) granted: sys::Tick,
    /// For how long it was granted.
    pub(super) duration_ms: u64,
    /// When a connection last asked for it or ended a transaction under it.
    used: sys::Tick,
    /// How many other clients wait for it, as far as the server told.
    waiters: u32,
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
        self.id.is_some() && self.granted.age_ms() < self.duration_ms
    }

    /// Whether it is given back when it is not used.
    pub(super) fn is_auto(&self) -> bool {
        self.holder == Holder::Auto
    }

    /// Tells the server that it is not needed any more. Not without a turn, see [`Database::lease_turn`].
    pub(super) fn give_back(self, backend: &dyn Backend, name: &DbName) {
        for id in [self.id, self.abandoned].into_iter().flatten() {
            release(backend, name, &id);
        }
    }

    /// For how long nobody has used it.
    pub(super) fn unused_ms(&self) -> u64 {
        self.used.age_ms()
    }
}

/// Tells the server that a lease is not needed any more.
fn release(backend: &dyn Backend, name: &DbName, id: &str) {
    if let Err(error) = backend.release_lease(name, id) {
        log!(Warn, "the lease was not given back, it will expire: {error}");
    }
}

impl State {
    /// What a connection is told of the lease.
    pub fn lease_standing(&self, connection: u64) -> LeaseStanding {
        let holder = self.holder_for(connection).ok();
        match &self.lease {
            None => LeaseStanding::None,
            Some(lease) if Some(lease.holder) != holder => LeaseStanding::Elsewhere,
            Some(lease) if !lease.is_live() => LeaseStanding::Lost,
            Some(lease) => {
                let left_ms = lease.duration_ms.saturating_sub(lease.granted.age_ms());
                LeaseStanding::Held { left_ms }
            }
        }
    }

    /// As which holder a connection may write; why not, otherwise.
    fn holder_for(
        &self,
        connection: u64,
    ) -> core::result::Result<Holder, (ErrorKind, &'static str)> {
        let auto = self.auto_lease.contains(&connection);
        match self.lease.as_ref().map(|lease| lease.holder) {
            Some(Holder::Connection(holder)) if holder == connection => {
                Ok(Holder::Connection(connection))
            }
            Some(Holder::Connection(_)) if auto => Err((ErrorKind::LeaseHeld, HELD_HERE)),
            _ if auto => Ok(Holder::Auto),
            _ => Err((ErrorKind::NoLease, NO_LEASE)),
        }
    }

    /// The id of the lease if the connection may write under it and it is live.
    pub(super) fn live_lease_id(&mut self, connection: u64) -> Option<String> {
        let holder = self.holder_for(connection).ok()?;
        let lease =
            self.lease.as_mut().filter(|lease| lease.holder == holder && lease.is_live())?;
        lease.used = sys::Tick::now();
        lease.id.clone()
    }

    /// Takes the lease out if it is the connection's to give back.
    fn take_lease_of(&mut self, connection: u64) -> Option<Lease> {
        let shares = self.auto_lease.contains(&connection) && self.writer.is_none();
        self.lease.take_if(|lease| match lease.holder {
            Holder::Connection(holder) => holder == connection,
            Holder::Auto => shares,
        })
    }
}

const NO_LEASE: &str = "no write lease; run PRAGMA litevfs_auto_lease=on, \
                        or PRAGMA litevfs_acquire_lease before writing";
const HELD_HERE: &str = "another connection of this process holds the write lease; \
                         have it run PRAGMA litevfs_release_lease";

impl Database {
    /// Takes the lease for a connection and moves to the newest position. Having it already is fine.
    pub fn acquire_lease(self: &Arc<Database>, connection: u64) -> Result<()> {
        let _turn = self.lease_turn.lock_within(TURN_WAIT_MS);
        {
            let mut state = self.state();
            let writer = state.writer.filter(|writer| *writer != connection);
            match &mut state.lease {
                Some(Lease { holder: Holder::Connection(holder), .. }) if *holder != connection => {
                    drop(state);
                    return Err(self.error(ErrorKind::LeaseHeld, HELD_HERE));
                }
                Some(Lease { holder: Holder::Auto, .. }) if writer.is_some() => {
                    drop(state);
                    let text = "another connection of this process is writing; try again";
                    return Err(self.error(ErrorKind::LeaseHeld, text));
                }
                Some(lease) if lease.is_live() => {
                    lease.holder = Holder::Connection(connection);
                    return Ok(());
                }
                _ => {}
            }
        }
        self.acquire_anew(Holder::Connection(connection)).map(|_| ())
    }

    /// Gives the lease back, if the connection has it and no other one is writing under it.
    pub fn release_lease(&self, connection: u64) {
        let _turn = self.lease_turn.lock_within(TURN_WAIT_MS);
        let lease = self.state().take_lease_of(connection);
        if let Some(lease) = lease {
            lease.give_back(self.backend(), self.name());
        }
    }

    /// Has a connection take the lease by itself whenever it writes, or not any more.
    pub fn set_auto_lease(&self, connection: u64, on: bool) {
        if on {
            self.state().auto_lease.push(connection);
            return;
        }
        let _turn = self.lease_turn.lock_within(TURN_WAIT_MS);
        let mut state = self.state();
        state.auto_lease.retain(|&other| other != connection);
        let is_unused = state.auto_lease.is_empty() && state.writer.is_none();
        let lease = state.lease.take_if(|lease| is_unused && lease.is_auto());
        drop(state);
        if let Some(lease) = lease {
            lease.give_back(self.backend(), self.name());
        }
    }

    /// The connection's write transaction is over. A lease that others wait for is given back at once.
    pub fn end_write(&self, connection: u64) {
        let mut state = self.state();
        if state.writer.take_if(|writer| *writer == connection).is_none() {
            return;
        }
        let Some(lease) = state.lease.as_mut().filter(|lease| lease.is_auto()) else {
            return;
        };
        lease.used = sys::Tick::now();
        let is_wanted = lease.waiters > 0;
        drop(state);
        if is_wanted {
            self.release_lease(connection);
        }
    }

    /// The id of the lease that the connection may write under, acquired if need be. Fails at once when
    /// the connection never acquired one and does not do so by itself, and after one request when
    /// another client has it.
    pub fn live_lease(self: &Arc<Database>, connection: u64) -> Result<String> {
        let live = self.state().live_lease_id(connection);
        if let Some(id) = live {
            self.start_keeper();
            return Ok(id);
        }
        // Another connection may just be acquiring it, or giving it back.
        let _turn = self.lease_turn.lock_within(TURN_WAIT_MS);
        let (holder, late) = {
            let mut state = self.state();
            if let Some(id) = state.live_lease_id(connection) {
                return Ok(id);
            }
            let holder =
                state.holder_for(connection).map_err(|(kind, text)| self.error(kind, text));
            (holder?, state.lease.as_ref().and_then(|lease| lease.id.clone()))
        };
        let _all = sys::Within::new(ACQUIRE_MS);
        // By our clocks it ran out; if the server prolongs it nevertheless, nobody wrote meanwhile.
        if let Some(id) = late {
            if self.prolong(&id).is_ok() {
                return Ok(id);
            }
            log!(Info, "{}: the write lease ran out, acquiring it again", self.name());
        }
        self.acquire_anew(holder)
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

    /// Asks the server for a lease. It is this connection's turn.
    fn acquire_anew(self: &Arc<Database>, holder: Holder) -> Result<String> {
        let _all = sys::Within::new(ACQUIRE_MS);
        let (abandoned, duration_ms) = {
            let mut state = self.state();
            let lease = state.lease.as_mut();
            (lease.and_then(|lease| lease.abandoned.take()), state.settings.lease_duration_ms)
        };
        if let Some(id) = abandoned {
            let _ = self.backend().release_lease(self.name(), &id);
        }
        // Who acquires it by hand may never ask again: nobody must wait for him.
        let waiter = (holder == Holder::Auto).then(|| self.origin().waiter());
        let sent = sys::Tick::now();
        let acquired = self.backend().acquire_lease(self.name(), duration_ms, waiter.as_deref());
        let Granted { id, pos } = acquired.map_err(|error| {
            self.state().lease.take_if(|lease| lease.is_auto() && !lease.is_live());
            self.error(error.kind(), &format!("the write lease is not to be had: {error}"))
        })?;
        // Nobody may rely on the lease before the position is the newest one.
        let is_newest = pos.is_some_and(|pos| self.state().confirm(pos, sent));
        if !is_newest && let Err(error) = self.poll_now() {
            release(self.backend(), self.name(), &id);
            let mut state = self.state();
            state.lease.take_if(|lease| lease.is_auto() || lease.holder == holder);
            return Err(error);
        }
        self.state().lease = Some(Lease {
            holder,
            id: Some(id.clone()),
            abandoned: None,
            granted: sent,
            duration_ms,
            used: sys::Tick::now(),
            waiters: 0,
        });
        self.start_keeper();
        Ok(id)
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
        let lease = state.lease.as_mut().filter(|lease| lease.id.as_deref() == Some(id));
        match (outcome, lease) {
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
        let lease = state.lease.as_mut().filter(|lease| lease.id.as_deref() == Some(id));
        let Some(lease) = lease else { return };
        lease.waiters = waiters;
        if let Some(duration_ms) = lease_ms {
            (lease.granted, lease.duration_ms) = (sent, duration_ms);
        }
    }
}
