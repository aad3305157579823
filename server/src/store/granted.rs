//! A lease that this server granted.

use std::time::Duration;

use tokio::time::Instant;

use super::objects::claim::Held;

/// A lease that this server granted, on a store that others share.
#[derive(Debug)]
pub(super) struct Granted {
    /// Its id.
    pub(super) id: String,
    /// The end of the client's lease.
    pub(super) until: Instant,
    /// For how long it was last granted.
    pub(super) duration: Duration,
    /// The end of the claim in the store; others honour it somewhat longer.
    pub(super) claimed_until: Instant,
    /// When to make sure again that the claim is still there: the client may have gone on, and given
    /// its lease back, through another server.
    pub(super) check_at: Instant,
    /// That claim.
    pub(super) held: Held,
}

impl Granted {
    /// How long it lasts; `None` when it is over.
    pub(super) fn left(&self, now: Instant) -> Option<Duration> {
        self.until.checked_duration_since(now).filter(|left| !left.is_zero())
    }
}
