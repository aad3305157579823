//! The background thread that prolongs a lease while it is wanted, and gives one back that connections
//! took by themselves and use no more.
//!
//! Nothing depends on it: deadlines are checked where a lease is used, and what is not given back the
//! server lets expire. It holds on to no database during a request: the last connection closes it, not
//! this thread.

use super::database::Database;
use super::lease::{Lease, TURN_WAIT_MS};
use crate::sys;
use alloc::string::String;
use alloc::sync::{Arc, Weak};

/// How long an unused lease is kept for a next transaction.
const LINGER_MS: u64 = 150;
/// How often it is looked whether one is used.
const LOOK_INTERVAL_MS: u64 = 50;
/// The longest pause: by then a lease may have become another one.
const MAX_PAUSE_MS: u64 = 333;

/// What the thread has to do.
enum Step {
    /// Nothing, ever: there is no lease.
    Stop,
    Nothing,
    Prolong {
        id: String,
        duration_ms: u64,
    },
    GiveBack,
}

impl Database {
    /// Starts the thread, unless it runs. Where none is to be had, the next use of the lease tries again.
    pub(super) fn start_keeper(self: &Arc<Database>) {
        let mut state = self.state();
        if !state.lease.keeper_runs {
            let database = Arc::downgrade(self);
            let pause_ms = state.lease.current.as_ref().map_or(LOOK_INTERVAL_MS, pause_ms);
            state.lease.keeper_runs = sys::spawn_every(pause_ms, move || keep_lease(&database));
        }
    }

    fn next_step(&self) -> Step {
        let mut state = self.state();
        let duration_ms = state.settings.lease_duration_ms;
        let is_used = state.lease.writer.is_some();
        let Some(lease) = &state.lease.current else {
            state.lease.keeper_runs = false;
            return Step::Stop;
        };
        if !is_used && is_left(lease) {
            return Step::GiveBack;
        }
        match &lease.id {
            Some(id) if lease.granted.age_ms() >= refresh_interval_ms(lease) => {
                Step::Prolong { id: id.clone(), duration_ms }
            }
            _ => Step::Nothing,
        }
    }

    /// Takes out a lease that nobody uses.
    fn take_left_lease(&self) -> Option<Lease> {
        let mut state = self.state();
        let is_used = state.lease.writer.is_some();
        state.lease.current.take_if(|lease| !is_used && is_left(lease))
    }
}

/// Whether a lease was taken for a transaction that has ended a while ago, or never began.
fn is_left(lease: &Lease) -> bool {
    lease.is_auto() && lease.unused_ms() >= LINGER_MS
}

/// Half of it: of a server that takes one request a second a third would take all, and none was left for the commit.
fn refresh_interval_ms(lease: &Lease) -> u64 {
    lease.duration_ms / 2
}

fn pause_ms(lease: &Lease) -> u64 {
    let max_ms = if lease.is_auto() { LOOK_INTERVAL_MS } else { MAX_PAUSE_MS };
    refresh_interval_ms(lease).min(max_ms)
}

/// One step: the pause before the next, `None` when there is no lease.
fn keep_lease(database: &Weak<Database>) -> Option<u64> {
    let (step, origin, name) = {
        let database = database.upgrade()?;
        (database.next_step(), Arc::clone(database.origin()), database.name().clone())
    };
    match step {
        Step::Stop => return None,
        Step::Nothing => {}
        Step::Prolong { id, duration_ms } => {
            let sent = sys::Tick::now();
            let outcome = origin.backend().refresh_lease(&name, &id, duration_ms);
            database.upgrade()?.note_refresh(&id, sent, duration_ms, &outcome);
        }
        Step::GiveBack => {
            // Whoever wants the lease meanwhile waits for the answer, and asks the server then.
            let turn = Arc::clone(&database.upgrade()?.lease_turn);
            let _turn = turn.lock_within(TURN_WAIT_MS);
            let lease = database.upgrade()?.take_left_lease();
            if let Some(lease) = lease {
                lease.give_back(origin.backend(), &name);
            }
        }
    }
    let database = database.upgrade()?;
    let pause_ms = database.state().lease.current.as_ref().map_or(LOOK_INTERVAL_MS, pause_ms);
    Some(pause_ms)
}
