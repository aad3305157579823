//! Compaction: merges files in the background, so that few make up a position, and removes those that
//! were kept for long enough.
//!
//! Nothing waits for it and nothing depends on it but the number of files. Merged files are made like
//! commits, whole or not at all, and nothing is removed before the file is there that it was merged
//! into: a crash in the middle leaves files that are of use, or are made again. On a shared store one
//! server at a time compacts a database, by a claim; should two do it, they make the same files.

mod claim;
mod merge;
mod remove;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

use super::bucket::schedule::{self, Merge};
pub use super::bucket::schedule::{Level, Schedule};
use claim::CompactionClaim;

use super::bucket::error::Error;
use super::bucket::layout::SNAPSHOT_LEVEL;
use super::bucket::ltx_file::LtxFile;
use super::bucket::moment::{Moment, now_ms};
use super::bucket::rules;
use super::database::Database;
use super::{Store, Vacancy};
use crate::key::DbKey;

/// How many databases are compacted at the same time.
const PARALLEL: usize = 2;
/// How long a database that is committed to is left alone, at least.
const REST: Duration = Duration::from_millis(250);
/// The pause after a compaction failed, or another server is at it.
const RETRY: Duration = Duration::from_secs(10);
/// How often every database is looked at.
const ROUND: Duration = Duration::from_secs(3600);

/// Which databases are to be compacted when.
#[derive(Debug)]
pub(super) struct Queue {
    schedule: Schedule,
    due: Mutex<Due>,
    wake: Notify,
}

/// Databases by when they are due, each once.
#[derive(Debug, Default)]
struct Due {
    times: HashMap<DbKey, (Instant, u64)>,
    /// The numbers tell databases apart that are due at the same time.
    order: BTreeMap<(Instant, u64), DbKey>,
    next: u64,
}

impl Due {
    /// Has a database be due at a time, if not before; whether that changed anything.
    fn add(&mut self, key: &DbKey, at: Instant) -> bool {
        let known = self.times.get(key).copied();
        if known.is_some_and(|(known, _)| known <= at) {
            return false;
        }
        if let Some(known) = known {
            self.order.remove(&known);
        }
        let place = (at, self.next);
        self.next = self.next.wrapping_add(1);
        self.times.insert(key.clone(), place);
        self.order.insert(place, key.clone());
        true
    }

    /// Takes out the first that is due by then, or says when one will be.
    fn take(&mut self, now: Instant) -> Result<DbKey, Option<Instant>> {
        match self.order.first_entry() {
            Some(first) if first.key().0 <= now => {
                let key = first.remove();
                self.times.remove(&key);
                Ok(key)
            }
            first => Err(first.map(|first| first.key().0)),
        }
    }
}

impl Queue {
    pub(super) fn new(schedule: Schedule) -> Queue {
        Queue { schedule, due: Mutex::default(), wake: Notify::new() }
    }

    fn add(&self, key: &DbKey, after: Duration) {
        let Some(at) = Instant::now().checked_add(after) else {
            return;
        };
        if self.due.lock().add(key, at) {
            self.wake.notify_one();
        }
    }

    /// Takes out what is due, or says when something will be.
    fn take(&self) -> Result<DbKey, Option<Instant>> {
        self.due.lock().take(Instant::now())
    }
}

impl Store {
    /// Tells that a database was committed to, and of how many files its position is made now.
    pub(super) fn committed(&self, key: &DbKey, plan_len: usize) {
        self.slots.has_grown();
        let first = self.queue.schedule.levels.first().map_or(RETRY, |level| level.every);
        let soon = plan_len >= schedule::LONGEST_PLAN;
        self.queue.add(key, if soon { REST.min(first) } else { first });
    }

    /// Tells that a database was dropped, and that its files are to be removed.
    pub(super) fn swept_soon(&self, key: &DbKey) {
        self.queue.add(key, Duration::ZERO);
    }

    /// Tells that a database was dropped, and that some of its files are to be removed later.
    pub(super) fn swept_later(&self, key: &DbKey) {
        self.queue.add(key, rules::GRACE.saturating_add(Duration::from_secs(1)));
    }

    /// Compacts in the background from now on.
    pub fn start_compaction(self: &Arc<Self>) {
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

    /// Has a position begin with a snapshot after the page size changed, so that nobody has to merge
    /// files of two page sizes, which stock Litestream refuses to.
    pub(super) async fn begin_with_snapshot(&self, database: &Database) {
        if let Err(error) = self.snapshot_after_reshape(database).await {
            // It is made up for when the database is compacted; meanwhile it reads well.
            tracing::warn!(database = %database.db, %error, "no snapshot of the new page size yet");
            self.queue.add(&database.db.key, REST);
        }
    }

    async fn snapshot_after_reshape(&self, database: &Database) -> Result<(), Error> {
        if !database.state.read().lacks_snapshot() {
            return Ok(());
        }
        let view = database.view(None).await?;
        let Some(first) = view.reshaped_by() else {
            return Ok(());
        };
        let merge = Merge { inputs: vec![first], level: SNAPSHOT_LEVEL };
        match self.merge(database, &merge).await? {
            Some(file) => self.take_in_merged(database, file).await,
            None => database.reload().await,
        }
    }

    /// Takes in a merged file. Should its database have been dropped while it was made, it lies where
    /// nobody looks, and is swept up.
    async fn take_in_merged(&self, database: &Database, file: LtxFile) -> Result<(), Error> {
        let looked = database.look(Duration::ZERO).await;
        if database.is_replaced() {
            self.swept_later(&database.db.key);
            return Err(Error::Replaced);
        }
        looked?;
        database.state.write().add(file);
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;

    #[test]
    fn each_database_is_due_once_and_the_earliest_first() {
        let key = |db: &str| DbKey { cluster: "c".parse().unwrap(), db: db.parse().unwrap() };
        let (mut due, now, second) = (Due::default(), Instant::now(), Duration::from_secs(1));
        assert!(due.add(&key("a"), now + second * 2) && due.add(&key("b"), now + second));
        assert!(!due.add(&key("b"), now + second * 3), "it is due before");
        assert!(due.add(&key("a"), now) && due.add(&key("c"), now));
        assert_eq!(due.take(now), Ok(key("a")));
        assert_eq!(due.take(now), Ok(key("c")));
        assert_eq!(due.take(now), Err(Some(now + second)));
        assert_eq!(due.take(now + second), Ok(key("b")));
        assert_eq!(due.take(now + second * 9), Err(None));
        assert!(due.times.is_empty() && due.order.is_empty());
    }
}
