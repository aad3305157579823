//! The names that this server has to do with, and what it keeps in memory of their databases, within a
//! bound.
//!
//! All of it can be read again from the files. So databases that were not used for longest are closed when
//! those that are open take more than the bound; and names without an open database, of which clients may
//! ask for any number, are forgotten now and then. Both are looked for only when much has changed since the
//! last time, so that each use costs the same however many names there are.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::database::Database;
use super::granted::Granted;
use super::pins::Pins;
use super::standing::Doubt;
use crate::key::DbKey;
use crate::store::bucket::moment::Moment;

/// From so many names on, those without an open database are forgotten now and then.
const PRUNE_FROM: usize = 4096;
/// Databases are weighed when so many were opened or committed to since the last time, or a part of all
/// names if that is more.
const WEIGH_AFTER: usize = 64;
const WEIGH_SHARE: usize = 8;
/// Bytes that a name takes beside its database, about.
const NAME_BYTES: usize = 512;

/// The place of one database, whether it exists or not.
///
/// Its locks are taken in this order, and any may be left out: the gate (of several databases in the order of
/// their names), the lease, the open database, and of that [`Database::looked_at`]. The others, which are not
/// held across an await, come last.
#[derive(Debug, Default)]
pub(in crate::store) struct Slot {
    /// The first lock: held by the commit that is under way.
    pub(in crate::store) gate: tokio::sync::Mutex<()>,
    /// The third lock: the open database. Held while it is being opened, so that this is done once.
    pub(in crate::store) database: tokio::sync::Mutex<Option<Arc<Database>>>,
    /// A commit failed in a way that leaves open whether its file is still to appear.
    pub(in crate::store) unsettled: AtomicBool,
    /// A file after the last transaction that does not count, or not yet: see [`crate::store::write::group`].
    pub(in crate::store) doubt: Doubt,
    /// The files that are being read, whatever became of the database that they were found by.
    pub(in crate::store) pins: Pins,
    /// When what dropped databases of the name left was last swept up whole.
    pub(in crate::store) swept_at: Mutex<Option<Moment>>,
    /// The second lock: the lease that this server granted, on a store that others share.
    pub(in crate::store) lease: tokio::sync::Mutex<Option<Granted>>,
    /// Larger than that of every slot that was asked for earlier.
    used: AtomicU64,
}

impl Slot {
    pub(in crate::store) async fn forget(&self) {
        *self.database.lock().await = None;
    }

    /// Makes the next use look for what other servers committed.
    pub(in crate::store) async fn look_again(&self) {
        let database = self.database.lock().await.clone();
        if let Some(database) = database {
            *database.looked_at.lock().await = None;
        }
    }

    /// Whether the name must not be forgotten. A slot in use is kept, or two of one name could commit side
    /// by side.
    fn is_wanted(self: &Arc<Self>) -> bool {
        let granted = self.lease.try_lock().map_or(true, |lease| lease.is_some());
        let open = self.database.try_lock().map_or(true, |database| database.is_some());
        let unsettled = self.unsettled.load(Ordering::Acquire);
        // A database that somebody holds may pin files yet.
        let pinned = !self.pins.is_empty() || self.pins.is_shared();
        granted || open || unsettled || pinned || Arc::strong_count(self) > 1
    }
}

/// All slots.
#[derive(Debug)]
pub(in crate::store) struct Slots {
    table: Mutex<Table>,
    /// The most bytes of memory for open databases, about.
    max_bytes: usize,
    clock: AtomicU64,
    /// How many databases were opened or committed to since they were weighed.
    since: AtomicUsize,
}

#[derive(Debug, Default)]
struct Table {
    slots: HashMap<DbKey, Arc<Slot>>,
    prune_at: usize,
}

impl Slots {
    /// No slots yet; the databases in them are to take about so many bytes.
    pub(in crate::store) fn new(max_bytes: u64) -> Slots {
        let max_bytes = usize::try_from(max_bytes).unwrap_or(usize::MAX);
        let (clock, since) = (AtomicU64::new(0), AtomicUsize::new(0));
        Slots { table: Mutex::default(), max_bytes, clock, since }
    }

    /// The slot of a name.
    pub(in crate::store) fn get(&self, key: &DbKey) -> Arc<Slot> {
        let now = self.clock.fetch_add(1, Ordering::Relaxed);
        let mut table = self.table.lock();
        if !table.slots.contains_key(key) {
            table.prune();
        }
        let slot = table.slots.entry(key.clone()).or_default();
        slot.used.store(now, Ordering::Relaxed);
        Arc::clone(slot)
    }

    /// All slots there are.
    pub(in crate::store) fn all(&self) -> Vec<Arc<Slot>> {
        self.table.lock().slots.values().cloned().collect()
    }

    /// A database has grown: closes those that were not used for longest, when all together take too much.
    pub(in crate::store) fn has_grown(&self) {
        let since = self.since.fetch_add(1, Ordering::Relaxed);
        let names = self.table.lock().slots.len();
        if since >= WEIGH_AFTER.max(names / WEIGH_SHARE) {
            self.since.store(0, Ordering::Relaxed);
            self.weigh();
        }
    }

    fn weigh(&self) {
        let (mut known, mut idle) = (0_usize, Vec::new());
        for slot in self.all() {
            // What is being used just now is passed over, if only for this time.
            let Ok(database) = slot.database.try_lock() else {
                continue;
            };
            let Some(open) = database.as_ref() else {
                continue;
            };
            let bytes = open.memory().saturating_add(NAME_BYTES);
            known = known.saturating_add(bytes);
            let is_idle = Arc::strong_count(open) == 1;
            drop(database);
            if is_idle {
                idle.push((slot.used.load(Ordering::Relaxed), bytes, slot));
            }
        }
        if known <= self.max_bytes {
            return;
        }
        // Some more than need be, so that it takes a while to the next time.
        let wanted = self.max_bytes.saturating_sub(self.max_bytes / WEIGH_SHARE);
        idle.sort_unstable_by_key(|(used, ..)| *used);
        for (_, bytes, slot) in idle {
            if known <= wanted {
                return;
            }
            if let Ok(mut database) = slot.database.try_lock()
                && database.take_if(|database| Arc::strong_count(database) == 1).is_some()
            {
                known = known.saturating_sub(bytes);
            }
        }
    }
}

impl Table {
    fn prune(&mut self) {
        if self.slots.len() >= self.prune_at.max(PRUNE_FROM) {
            self.slots.retain(|_, slot| slot.is_wanted());
            self.prune_at = self.slots.len().saturating_mul(2);
        }
    }
}
