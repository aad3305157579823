//! Write leases on a store: in memory where the store is this server's alone, with a claim in the store
//! where others share it.
//!
//! Clients ask for short leases and prolong them several times a second. To write to the bucket each
//! time would be slow and dear. So the server that grants a lease claims the database for some seconds,
//! prolongs the lease in memory, and the claim only when it would end first. When the lease ends, given
//! back or not prolonged, the claim is given back; only a server that dies leaves it to run out.
//! A client may go on through another server with its lease: that one takes the claim over by its id.
//!
//! A lease keeps writers from wasting work, and a client that gave it back from seeing a commit appear
//! that it was told had failed. For that, what may still be under way elsewhere is shut out by taking the
//! next transaction for one that changes nothing. To know when, a claim says whether the lease was used
//! through several servers; and one that was not given back, because its server died or a commit under
//! it did not come to its end, shows that too. That two writers never both win is not the lease's
//! doing: see [`crate::store::bucket::layout`].

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant as Moment};

use tokio::time::Instant;

use super::fence::{KIND, RACES, RECHECK, raced};
use crate::key::DbKey;
use crate::lease::{LeaseError, MAX_DURATION, MIN_DURATION};
use crate::random;
use crate::store::bucket::error::Error;
use crate::store::bucket::layout;
use crate::store::history::granted::Granted;
use crate::store::history::shelf::Shelf;
use crate::store::history::slots::Slot;
use crate::store::objects::claim::{Claim, Held, LONGEST};

/// The shortest claim, however short the lease.
const CLAIM: Duration = Duration::from_secs(5);
const _: () = assert!(CLAIM.as_secs() <= LONGEST.as_secs());
const _: () = assert!(MAX_DURATION.as_secs() <= LONGEST.as_secs());
impl Shelf {
    /// Grants a lease unless one is live; returns its id and how long it lasts. What was committed
    /// before is known when this returns.
    pub(in crate::store) async fn acquire_lease(
        self: &Arc<Self>,
        key: &DbKey,
        duration: Duration,
    ) -> Result<(String, Duration), Error> {
        // No longer than it must be: it goes with every commit.
        let id = random::hex::<6>()?;
        let slot = self.slot(key);
        // A commit that was let in before must not appear under a lease that is not its own.
        let _gate = slot.gate.lock().await;
        let granted = if self.objects.is_shared() {
            let granted = self.acquire_shared(key, &slot, &id, duration, true).await;
            slot.look_again().await;
            granted
        } else {
            let granted = self.leases.acquire(key, id.clone(), duration, Moment::now());
            granted.map_err(Error::from)
        };
        match granted {
            Ok(granted) => {
                self.metrics.lease_granted();
                Ok((id, granted))
            }
            Err(error) => {
                self.metrics.lease_refused();
                Err(error)
            }
        }
    }

    /// The same for a client that, if it is refused, asks again under the same name: those that wait
    /// are served in the order they came.
    pub(in crate::store) async fn acquire_lease_in_turn(
        self: &Arc<Self>,
        key: &DbKey,
        duration: Duration,
        waiter: &str,
    ) -> Result<(String, Duration), Error> {
        let is_free = self.lease_left(key).is_none();
        if let Err(wait) = self.waiters.ask(key, waiter, is_free, Moment::now()) {
            self.metrics.lease_refused();
            return Err(LeaseError::Held(wait).into());
        }
        let granted = self.acquire_lease(key, duration).await?;
        self.waiters.leave(key, waiter);
        Ok(granted)
    }

    /// How many clients wait for a lease, as far as this server knows.
    pub(in crate::store) fn lease_waiters(&self, key: &DbKey) -> usize {
        self.waiters.count(key, Moment::now())
    }

    /// Prolongs a live lease; returns how long it lasts from now.
    pub(in crate::store) async fn refresh_lease(
        self: &Arc<Self>,
        key: &DbKey,
        id: &str,
        duration: Duration,
    ) -> Result<Duration, Error> {
        if !self.objects.is_shared() {
            return Ok(self.leases.refresh(key, id, duration, Moment::now())?);
        }
        let (slot, duration) = (self.slot(key), duration.clamp(MIN_DURATION, MAX_DURATION));
        let mut lease = slot.lease.lock().await;
        let now = Instant::now();
        let until = now.checked_add(duration).unwrap_or(now);
        let ours = lease.as_mut().filter(|lease| lease.id == id && lease.left(now).is_some());
        let watched = ours.is_some();
        let ours = ours.filter(|ours| until <= ours.claimed_until);
        let recent = ours.as_ref().is_some_and(|ours| now < ours.check_at);
        let over = if recent { None } else { self.claim_of(key).await? };
        if let Some(ours) = ours
            && (recent || over.as_ref().is_some_and(|over| over.value == ours.held.value))
        {
            if !recent {
                ours.check_at = now.checked_add(RECHECK).unwrap_or(now);
            }
            (ours.until, ours.duration) = (until, duration);
            return Ok(duration);
        }
        // Here, or through another server that the client went on through meanwhile.
        let over = over.filter(|held| held.value.id == id && held.left().is_some());
        let over = over.ok_or(LeaseError::Lost)?;
        match self.claim(key, id, duration, Some(&over)).await? {
            Some(granted) => {
                *lease = Some(granted);
                drop(lease);
                if !watched {
                    self.watch(key, &slot, id);
                }
                Ok(duration)
            }
            None => Err(LeaseError::Lost.into()),
        }
    }

    /// Prolongs the lease that a commit was just made under, by as long as it was last asked for, and
    /// returns how long that is; `None` where that takes more than this server's memory.
    pub(in crate::store) async fn prolong_used_lease(
        &self,
        key: &DbKey,
        id: &str,
    ) -> Option<Duration> {
        if !self.objects.is_shared() {
            return self.leases.prolong_used(key, id, Moment::now());
        }
        let slot = self.slot(key);
        let mut lease = slot.lease.lock().await;
        let now = Instant::now();
        let ours = lease
            .as_mut()
            .filter(|ours| ours.id == id && ours.left(now).is_some() && now < ours.check_at)?;
        let until = now.checked_add(ours.duration).filter(|until| *until <= ours.claimed_until)?;
        ours.until = until;
        Some(ours.duration)
    }

    /// Gives a lease back. An unknown id is fine: the caller has what it wants.
    pub(in crate::store) async fn release_lease(&self, key: &DbKey, id: &str) -> Result<(), Error> {
        let slot = self.slot(key);
        // A commit under it comes to its end first: after this, none appears.
        let _gate = slot.gate.lock().await;
        if !self.objects.is_shared() {
            self.leases.release(key, id);
            return Ok(());
        }
        self.release_gated(key, &slot, id).await
    }

    /// The same with the gate held, on a store that others share.
    pub(in crate::store) async fn release_gated(
        &self,
        key: &DbKey,
        slot: &Arc<Slot>,
        id: &str,
    ) -> Result<(), Error> {
        let mut lease = slot.lease.lock().await;
        lease.take_if(|lease| lease.id == id);
        for _ in 0..RACES {
            let Some(held) = self.claim_of(key).await?.filter(|held| held.value.id == id) else {
                return Ok(());
            };
            if self.may_be_under_way(slot, &held.value) {
                self.seal(key, slot).await?;
            }
            if self.objects.end_claim(&layout::claim(KIND, key), &held).await? {
                return Ok(());
            }
        }
        Err(raced())
    }

    /// Whether a commit under a claim may yet appear: another server may be at it, or have died at it,
    /// or this one may have left it open.
    fn may_be_under_way(&self, slot: &Slot, claim: &Claim) -> bool {
        let elsewhere = claim.moved || claim.server != self.server;
        (elsewhere && !claim.is_given_back()) || slot.unsettled.load(Ordering::Acquire)
    }

    /// How long the lease on a database lasts, as far as this server knows without asking.
    pub(in crate::store) fn lease_left(&self, key: &DbKey) -> Option<Duration> {
        if !self.objects.is_shared() {
            return self.leases.holder(key, Moment::now());
        }
        self.slot(key).lease.try_lock().ok()?.as_ref()?.left(Instant::now())
    }

    async fn acquire_shared(
        self: &Arc<Self>,
        key: &DbKey,
        slot: &Arc<Slot>,
        id: &str,
        duration: Duration,
        seals: bool,
    ) -> Result<Duration, Error> {
        let duration = duration.clamp(MIN_DURATION, MAX_DURATION);
        let mut lease = slot.lease.lock().await;
        let over = self.claim_of(key).await?;
        // What was granted here counts unless the client went on through another server.
        let claimed = over.as_ref().map(|held| &held.value);
        let ours = lease.as_ref().filter(|ours| claimed == Some(&ours.held.value));
        let left = match ours {
            Some(ours) => ours.left(Instant::now()),
            None => over.as_ref().and_then(Held::left),
        };
        if let Some(left) = left {
            return Err(LeaseError::Held(left).into());
        }
        *lease = None;
        // Before the claim changes hands: who then finds that it is not his any more may take what he
        // has not seen by then for failed.
        if seals && claimed.is_some_and(|claim| self.may_be_under_way(slot, claim)) {
            self.seal(key, slot).await?;
        }
        match self.claim(key, id, duration, over.as_ref()).await? {
            Some(granted) => {
                *lease = Some(granted);
                drop(lease);
                self.watch(key, slot, id);
                Ok(duration)
            }
            None => Err(LeaseError::Held(duration).into()),
        }
    }

    /// A lease under which this server drops a database. The gate is held.
    pub(in crate::store) async fn lease_for_drop(
        self: &Arc<Self>,
        key: &DbKey,
        slot: &Arc<Slot>,
    ) -> Result<String, Error> {
        let id = random::hex::<6>()?;
        // The tombstone shuts out what may be under way; and what is damaged can't be sealed.
        self.acquire_shared(key, slot, &id, MAX_DURATION, false).await?;
        Ok(id)
    }

    /// Claims a database for a lease; `None` when another server was faster.
    async fn claim(
        &self,
        key: &DbKey,
        id: &str,
        duration: Duration,
        over: Option<&Held>,
    ) -> Result<Option<Granted>, Error> {
        let now = Instant::now();
        let claimed = duration.max(CLAIM);
        let mut claim = Claim::new(&self.server, id, claimed)?;
        claim.moved = over
            .map(|held| &held.value)
            .is_some_and(|over| over.id == id && (over.moved || over.server != self.server));
        let held = self.objects.write_record(&layout::claim(KIND, key), &claim, over).await?;
        Ok(held.map(|held| Granted {
            id: id.to_owned(),
            until: now.checked_add(duration).unwrap_or(now),
            duration,
            claimed_until: now.checked_add(claimed).unwrap_or(now),
            check_at: now.checked_add(RECHECK).unwrap_or(now),
            held,
        }))
    }

    /// Gives the claim back when the lease ended without being given back.
    fn watch(self: &Arc<Self>, key: &DbKey, slot: &Arc<Slot>, id: &str) {
        let (store, slot) = (Arc::clone(self), Arc::clone(slot));
        let (key, id) = (key.clone(), id.to_owned());
        tokio::spawn(async move {
            loop {
                let until = match slot.lease.lock().await.as_ref() {
                    Some(lease) if lease.id == id => lease.until,
                    _ => return,
                };
                tokio::time::sleep_until(until).await;
                let _gate = slot.gate.lock().await;
                let mut lease = slot.lease.lock().await;
                let now = Instant::now();
                if let Some(ended) = lease.take_if(|l| l.id == id && l.left(now).is_none()) {
                    if store.may_be_under_way(&slot, &ended.held.value) {
                        // It must run out: whoever takes it then sees that it was not given back.
                        return;
                    }
                    let path = layout::claim(KIND, &key);
                    if let Err(error) = store.objects.end_claim(&path, &ended.held).await {
                        tracing::debug!(database = %key, %error, "a claim must run out");
                    }
                    return;
                }
            }
        });
    }
}
