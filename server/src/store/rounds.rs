//! Compaction in the background: which database is looked at when.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::bucket::error::Error;
use super::bucket::moment::{Moment, now_ms};
use super::compact::claim::CompactionClaim;
use super::history::database::Database;
use super::history::open::Vacancy;
use super::history::queue::{REST, RETRY};
use super::history::shelf::Shelf;
use crate::key::DbKey;

/// How many databases are compacted at the same time.
const PARALLEL: usize = 2;
/// How often every database is looked at.
const ROUND: Duration = Duration::from_secs(3600);

impl Shelf {
    /// Compacts in the background from now on.
    pub(in crate::store) fn start_compaction(self: &Arc<Self>) {
        let store = Arc::clone(self);
        tokio::spawn(async move {
            loop {
                if let Err(error) = store.add_all().await {
                    tracing::warn!(%error, "the databases could not be listed for compaction");
                }
                tokio::time::sleep(ROUND).await;
            }
        });
        let store = Arc::clone(self);
        tokio::spawn(async move {
            let places = Arc::new(Semaphore::new(PARALLEL));
            loop {
                let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                    return;
                };
                let key = store.next_due().await;
                let store = Arc::clone(&store);
                tokio::spawn(async move {
                    store.compact(&key).await;
                    drop(place);
                });
            }
        });
    }

    async fn next_due(&self) -> DbKey {
        loop {
            match self.queue.take() {
                Ok(key) => return key,
                Err(None) => self.queue.wake.notified().await,
                Err(Some(at)) => {
                    let _ = tokio::time::timeout_at(at.into(), self.queue.wake.notified()).await;
                }
            }
        }
    }

    async fn add_all(&self) -> Result<(), Error> {
        for cluster in self.clusters().await? {
            for db in self.objects.databases(&cluster).await? {
                self.queue.add(&DbKey { cluster: cluster.clone(), db }, Duration::ZERO);
            }
        }
        self.sweep_decisions().await
    }

    async fn compact(&self, key: &DbKey) {
        match self.try_compact(key).await {
            Ok(None) => {}
            Ok(Some(next)) => self.queue.add(key, next.max(REST)),
            Err(Error::Replaced | Error::NotHeld(_)) => self.queue.add(key, RETRY),
            Err(error) => {
                tracing::warn!(database = %key, %error, "compaction failed");
                self.queue.add(key, RETRY);
            }
        }
    }

    /// Merges and removes what is due; returns when to look again.
    pub(super) async fn try_compact(&self, key: &DbKey) -> Result<Option<Duration>, Error> {
        let next = self.compact_living(key).await?;
        let swept = self.sweep_if_due(key).await?;
        Ok(next.into_iter().chain(swept).min())
    }

    /// Sweeps a name up that has had more than one database.
    async fn sweep_if_due(&self, key: &DbKey) -> Result<Option<Duration>, Error> {
        let slot = self.slot(key);
        let head = match self.found(key, &slot).await? {
            Ok(database) => database.head(),
            Err((head, Vacancy::Vacant)) => head,
            Err((head, Vacancy::Dropped)) => {
                let _gate = slot.gate.lock().await;
                match self.objects.end_incarnation(&head).await? {
                    Some(head) => head,
                    None => return Ok(Some(REST)),
                }
            }
        };
        let swept = slot.swept_at.lock().is_some_and(|at: Moment| at.age() < ROUND);
        if !head.is_later() || swept {
            return Ok(None);
        }
        let left = self.sweep(key).await?;
        *slot.swept_at.lock() = left.is_none().then(Moment::now);
        Ok(left.map(|left| left.saturating_add(Duration::from_secs(1))))
    }

    async fn compact_living(&self, key: &DbKey) -> Result<Option<Duration>, Error> {
        let Some(database) = self.fresh(key).await? else {
            return Ok(None);
        };
        let now = now_ms();
        let due = {
            let state = database.state.read();
            self.queue.schedule.next_merge(&state.files, now).is_some()
        };
        let due = due || self.is_removal_due(&database);
        let due = due || database.state.read().lacks_snapshot();
        if due {
            let Some(mut claim) = self.claim_compaction(key).await? else {
                return Ok(Some(RETRY));
            };
            let merged = self.compact_claimed(&database, &mut claim).await;
            // Also when nothing can be merged, because the disk is full or a file damaged.
            let removed = match merged {
                Err(Error::Replaced | Error::NotHeld(_)) => Ok(()),
                _ => self.remove_old(&database).await,
            };
            claim.end(self).await;
            merged.and(removed)?;
        }
        // What is being read may be due all the time, and what must not be removed for now.
        let waits = !database.pinned().is_empty() || self.is_removal_due(&database);
        let (_, floor_due) = database.old_floor();
        let state = database.state.read();
        let next = self.queue.schedule.next_look(&state.files, now_ms());
        let next = if waits { next.map(|next| next.max(RETRY)) } else { next };
        let dead = (!state.dead.is_empty()).then(|| floor_due.unwrap_or(RETRY));
        Ok(next.into_iter().chain(dead).min())
    }

    async fn compact_claimed(
        &self,
        database: &Database,
        claim: &mut CompactionClaim,
    ) -> Result<(), Error> {
        if self.objects.is_shared() {
            database.reload().await?;
        }
        claim.hold(self).await?;
        self.snapshot_after_reshape(database).await?;
        loop {
            let merge = {
                let state = database.state.read();
                self.queue.schedule.next_merge(&state.files, now_ms())
            };
            let Some(merge) = merge else {
                break;
            };
            claim.hold(self).await?;
            match self.merge(database, &merge).await? {
                Some(file) => self.take_in_merged(database, file).await?,
                None => database.reload().await?,
            }
        }
        claim.hold(self).await
    }
}
