//! Who gets the lease, and when it is given back: on demand, or when a transaction ends that took it by itself.

use super::database::Database;
use super::lease::{HELD_HERE, Holder, Lease, TURN_WAIT_MS};
use super::prolong::release;
use crate::backend::Granted;
use crate::error::{ErrorKind, Result};
use crate::sys::{self, log::log};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;

/// Time for all that getting it takes: as long as a server may be away, and an answer.
const ACQUIRE_MS: u64 = 8_000;

impl Database {
    /// Takes the lease for a connection and moves to the newest position. Having it already is fine.
    pub fn acquire_lease(self: &Arc<Database>, connection: u64) -> Result<()> {
        let _turn = self.lease_turn.lock_within(TURN_WAIT_MS);
        {
            let mut state = self.state();
            let writer = state.lease.writer.filter(|writer| *writer != connection);
            match &mut state.lease.current {
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
        let lease = self.state().lease.take_of(connection);
        if let Some(lease) = lease {
            lease.give_back(self.backend(), self.name());
        }
    }

    /// Has a connection take the lease by itself whenever it writes, or not any more.
    pub fn set_auto_lease(&self, connection: u64, on: bool) {
        if on {
            self.state().lease.auto.push(connection);
            return;
        }
        let _turn = self.lease_turn.lock_within(TURN_WAIT_MS);
        let mut state = self.state();
        state.lease.auto.retain(|&other| other != connection);
        let is_unused = state.lease.auto.is_empty() && state.lease.writer.is_none();
        let lease = state.lease.current.take_if(|lease| is_unused && lease.is_auto());
        drop(state);
        if let Some(lease) = lease {
            lease.give_back(self.backend(), self.name());
        }
    }

    /// The connection's write transaction is over. A lease that others wait for is given back at once.
    pub fn end_write(&self, connection: u64) {
        let mut state = self.state();
        if state.lease.writer.take_if(|writer| *writer == connection).is_none() {
            return;
        }
        let Some(lease) = state.lease.current.as_mut().filter(|lease| lease.is_auto()) else {
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
        let live = self.state().lease.live_id(connection);
        if let Some(id) = live {
            self.start_keeper();
            return Ok(id);
        }
        // Another connection may just be acquiring it, or giving it back.
        let _turn = self.lease_turn.lock_within(TURN_WAIT_MS);
        let (holder, late) = {
            let mut state = self.state();
            if let Some(id) = state.lease.live_id(connection) {
                return Ok(id);
            }
            let holder =
                state.lease.holder_for(connection).map_err(|(kind, text)| self.error(kind, text));
            (holder?, state.lease.current.as_ref().and_then(|lease| lease.id.clone()))
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

    /// Asks the server for a lease. It is this connection's turn.
    fn acquire_anew(self: &Arc<Database>, holder: Holder) -> Result<String> {
        let _all = sys::Within::new(ACQUIRE_MS);
        let (abandoned, duration_ms) = {
            let mut state = self.state();
            let lease = state.lease.current.as_mut();
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
            self.state().lease.current.take_if(|lease| lease.is_auto() && !lease.is_live());
            self.error(error.kind(), &format!("the write lease is not to be had: {error}"))
        })?;
        // Nobody may rely on the lease before the position is the newest one.
        let is_newest = pos.is_some_and(|pos| self.state().confirm(pos, sent));
        if !is_newest && let Err(error) = self.poll_now() {
            release(self.backend(), self.name(), &id);
            let mut state = self.state();
            state.lease.current.take_if(|lease| lease.is_auto() || lease.holder == holder);
            return Err(error);
        }
        self.state().lease.current = Some(Lease {
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
}
