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

use crate::error::ErrorKind;
use crate::sys;
use alloc::string::String;
use alloc::vec::Vec;

/// For how long a connection waits while another one asks the server for the lease or gives it back.
/// Who goes on without his turn is refused the lease at worst.
pub(super) const TURN_WAIT_MS: u64 = 1_000;

/// Whose the lease is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    /// The connection's that acquired it.
    Connection(u64),
    /// That of all connections with auto lease.
    Auto,
}

/// A claim to the lease.
#[derive(Debug)]
pub struct Lease {
    pub(super) holder: Holder,
    /// The server's name for it; `None` when it was lost.
    pub(super) id: Option<String>,
    /// The name of a lease that may be live at the server, and under which a push may still be on its
    /// way: it is given back before another one is acquired.
    pub(super) abandoned: Option<String>,
    /// When the request that the server granted was sent.
    pub(super) granted: sys::Tick,
    /// For how long it was granted.
    pub(super) duration_ms: u64,
    /// When a connection last asked for it or ended a transaction under it.
    pub(super) used: sys::Tick,
    /// How many other clients wait for it, as far as the server told.
    pub(super) waiters: u32,
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

/// Who may write a database, and under which lease.
#[derive(Debug, Default)]
pub struct LeaseState {
    /// The lease and its holder.
    pub current: Option<Lease>,
    /// The connection that holds the reserved lock.
    pub writer: Option<u64>,
    /// The connections that take the lease by themselves.
    pub auto: Vec<u64>,
    /// Whether the thread that prolongs leases runs.
    pub keeper_runs: bool,
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

    /// For how long nobody has used it.
    pub(super) fn unused_ms(&self) -> u64 {
        self.used.age_ms()
    }
}

impl LeaseState {
    /// What a connection is told of the lease.
    pub fn standing(&self, connection: u64) -> LeaseStanding {
        let holder = self.holder_for(connection).ok();
        match &self.current {
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
    pub(super) fn holder_for(
        &self,
        connection: u64,
    ) -> core::result::Result<Holder, (ErrorKind, &'static str)> {
        let auto = self.auto.contains(&connection);
        match self.current.as_ref().map(|lease| lease.holder) {
            Some(Holder::Connection(holder)) if holder == connection => {
                Ok(Holder::Connection(connection))
            }
            Some(Holder::Connection(_)) if auto => Err((ErrorKind::LeaseHeld, HELD_HERE)),
            _ if auto => Ok(Holder::Auto),
            _ => Err((ErrorKind::NoLease, NO_LEASE)),
        }
    }

    /// The id of the lease if the connection may write under it and it is live.
    pub(super) fn live_id(&mut self, connection: u64) -> Option<String> {
        let holder = self.holder_for(connection).ok()?;
        let lease =
            self.current.as_mut().filter(|lease| lease.holder == holder && lease.is_live())?;
        lease.used = sys::Tick::now();
        lease.id.clone()
    }

    /// The lease of that id, if it is the current one.
    pub(super) fn by_id(&mut self, id: &str) -> Option<&mut Lease> {
        self.current.as_mut().filter(|lease| lease.id.as_deref() == Some(id))
    }

    /// Takes the lease out if it is the connection's to give back.
    pub(super) fn take_of(&mut self, connection: u64) -> Option<Lease> {
        let shares = self.auto.contains(&connection) && self.writer.is_none();
        self.current.take_if(|lease| match lease.holder {
            Holder::Connection(holder) => holder == connection,
            Holder::Auto => shares,
        })
    }
}

const NO_LEASE: &str = "no write lease; run PRAGMA litevfs_auto_lease=on, \
                        or PRAGMA litevfs_acquire_lease before writing";
pub(super) const HELD_HERE: &str = "another connection of this process holds the write lease; \
                         have it run PRAGMA litevfs_release_lease";
