//! A lease that this server granted.

use std::time::Duration;

use tokio::time::Instant;

use crate::store::objects::claim::Held;

/// A lease that this server granted, on a store that others share.
#[derive(Debug)]
pub(in crate::store) struct Granted {
    /// Its id.
    pub(in crate::store) id: String,
    /// The end of the client's lease.
    pub(in crate::store) until: Instant,
    /// For how long it was last granted.
    pub(in crate::store) duration: Duration,
    /// The end of the claim in the store; others honour it somewhat longer.
    pub(in crate::store) claimed_until: Instant,
    /// When to make sure again that the claim is still there: the client may have gone on, and given
    /// its lease back, through another server.
    pub(in crate::store) check_at: Instant,
    /// That claim.
    pub(in crate::store) held: Held,
}

impl Granted {
    /// How long it lasts; `None` when it is over.
    pub(in crate::store) fn left(&self, now: Instant) -> Option<Duration> {
        self.until.checked_duration_since(now).filter(|left| !left.is_zero())
    }
}
