//! Whether a client may write, by the lease that it has or has not: asked before a commit is made.

use std::time::{Duration, Instant as Moment};

use tokio::time::Instant;

use crate::key::DbKey;
use crate::lease::LeaseError;
use crate::store::bucket::error::Error;
use crate::store::bucket::layout;
use crate::store::history::shelf::Shelf;
use crate::store::history::slots::Slot;
use crate::store::objects::claim::Held;

/// How long a claim is taken for there without a look at it.
pub(in crate::store) const RECHECK: Duration = Duration::from_secs(1);
/// How often a claim is written anew because another server wrote it in between.
pub(in crate::store) const RACES: usize = 8;
/// What claims for leases are called.
pub(in crate::store) const KIND: &str = "lease";

impl Shelf {
    /// Whether a client with that lease, or none, may write: asked early, to save it the trouble.
    pub(in crate::store) async fn may_write(
        &self,
        key: &DbKey,
        id: Option<&str>,
    ) -> Result<(), Error> {
        let slot = self.slot(key);
        self.check_lease(key, &slot, id).await
    }

    /// Whether a commit that carries `id`, or none, may go through.
    pub(in crate::store) async fn check_lease(
        &self,
        key: &DbKey,
        slot: &Slot,
        id: Option<&str>,
    ) -> Result<(), Error> {
        if !self.objects.is_shared() {
            return Ok(self.leases.check(key, id, Moment::now())?);
        }
        let now = Instant::now();
        let mut lease = slot.lease.lock().await;
        let ours = lease.as_mut().filter(|ours| {
            id == Some(ours.id.as_str()) && ours.left(now).is_some() && now < ours.claimed_until
        });
        let recent = ours.as_ref().is_some_and(|ours| now < ours.check_at);
        if recent {
            return Ok(());
        }
        let held = self.claim_of(key).await?;
        if let Some(ours) = ours
            && held.as_ref().is_some_and(|held| held.value == ours.held.value)
        {
            ours.check_at = now.checked_add(RECHECK).unwrap_or(now);
            return Ok(());
        }
        drop(lease);
        match (held.and_then(|held| Some((held.left()?, held.value))), id) {
            (None, None) => Ok(()),
            (Some((_, claim)), Some(id)) if claim.id == id => Ok(()),
            (_, Some(_)) => Err(LeaseError::Lost.into()),
            (Some((left, _)), None) => Err(LeaseError::Held(left).into()),
        }
    }

    /// Lets it be known, before a commit under a lease that another server granted, that this server
    /// is at it.
    pub(in crate::store) async fn mark_moved(
        &self,
        key: &DbKey,
        slot: &Slot,
        id: &str,
    ) -> Result<(), Error> {
        if !self.objects.is_shared()
            || slot.lease.lock().await.as_ref().is_some_and(|ours| ours.id == id)
        {
            return Ok(());
        }
        for _ in 0..RACES {
            let held = self.claim_of(key).await?;
            let held = held.filter(|held| held.value.id == id && held.left().is_some());
            let held = held.ok_or(LeaseError::Lost)?;
            if held.value.moved || held.value.server == self.server {
                return Ok(());
            }
            let (path, moved) = (layout::claim(KIND, key), held.value.moved()?);
            if self.objects.write_record(&path, &moved, Some(&held)).await?.is_some() {
                return Ok(());
            }
        }
        Err(raced())
    }

    /// The claim for a lease on a database, if there is one.
    pub(in crate::store) async fn claim_of(&self, key: &DbKey) -> Result<Option<Held>, Error> {
        self.objects.read_record(&layout::claim(KIND, key)).await
    }
}

/// Other servers were faster all the time.
pub(in crate::store) fn raced() -> Error {
    let what = "other servers write this lease's claim all the time: send a client to one server";
    Error::Io(std::io::Error::other(what))
}
