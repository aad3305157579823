//! What this server knows of all databases, and what it needs to learn more: the rooms above are handed it.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use litevfs::types::ClusterName;
use parking_lot::Mutex;

use super::database::Database;
use super::indexes::Indexes;
use super::open::{Opened, Vacancy};
use super::queue::Queue;
use super::slots::{Slot, Slots};
use crate::key::DbKey;
use crate::lease::Leases;
use crate::metrics::Metrics;
use crate::random;
use crate::store::bucket::decision::GroupId;
use crate::store::bucket::error::Error;
use crate::store::bucket::head::Head;
use crate::store::bucket::incarnation::Incarnation;
use crate::store::bucket::moment::Moment;
use crate::store::objects::clock::Clock;
use crate::store::objects::location::Settings;
use crate::store::objects::reads::Objects;
use crate::waiters::Waiters;

/// How often a database is opened again because a file is gone that was there a moment before.
const REOPENS: usize = 4;
/// What another server committed longer ago than this is known to whoever asks for the position.
pub(in crate::store) const FRESH: Duration = Duration::from_millis(250);

/// What is known of all databases of one object store.
#[derive(Debug)]
pub struct Shelf {
    pub(in crate::store) objects: Objects,
    pub(in crate::store) indexes: Arc<Indexes>,
    /// Names this server among those that share the store.
    pub(in crate::store) server: String,
    /// Leases of a store that is this server's alone.
    pub(in crate::store) leases: Leases,
    pub(in crate::store) waiters: Waiters,
    pub(in crate::store) slots: Slots,
    /// The groups that are being committed here.
    pub(in crate::store) groups: Mutex<HashSet<(ClusterName, GroupId)>>,
    /// Incarnations whose last file is to go, and since when they are known to be dead.
    pub(in crate::store) buried: Mutex<HashMap<Incarnation, Moment>>,
    /// Whether this server's clock may be trusted to remove files by their age.
    pub(in crate::store) clock: Clock,
    /// What is to be compacted.
    pub(in crate::store) queue: Queue,
    pub(in crate::store) metrics: Metrics,
}

impl Shelf {
    /// An empty one.
    pub(in crate::store) fn new(
        objects: Objects,
        settings: &Settings,
        metrics: Metrics,
    ) -> Result<Shelf, Error> {
        let indexes = Arc::new(Indexes::new(settings.index_memory, metrics.clone())?);
        let server = random::hex::<8>()?;
        Ok(Shelf {
            objects,
            indexes,
            server,
            leases: Leases::default(),
            waiters: Waiters::default(),
            slots: Slots::new(settings.database_memory),
            groups: Mutex::default(),
            buried: Mutex::default(),
            clock: Clock::new(),
            queue: Queue::new(settings.schedule.clone()),
            metrics,
        })
    }

    /// Whether other servers may serve the same databases.
    pub(in crate::store) fn is_shared(&self) -> bool {
        self.objects.is_shared()
    }

    /// The folder for temp files.
    pub(in crate::store) fn scratch(&self) -> &Path {
        self.objects.scratch()
    }

    /// A database as this server knows it; `None` when it has no files.
    pub(in crate::store) async fn database(
        &self,
        key: &DbKey,
    ) -> Result<Option<Arc<Database>>, Error> {
        let slot = self.slot(key);
        self.open(key, &slot).await
    }

    /// A database as it was when it was looked at, no longer ago than that.
    pub(in crate::store) async fn looked_at(
        &self,
        key: &DbKey,
        slot: &Slot,
        max_age: Duration,
    ) -> Result<Option<Arc<Database>>, Error> {
        let Some(database) = self.open(key, slot).await? else {
            return Ok(None);
        };
        match database.look(max_age).await {
            Ok(()) => Ok(Some(database)),
            Err(Error::Replaced) => self.open(key, slot).await,
            Err(error) => Err(error),
        }
    }

    /// A database as this server knows it.
    pub(in crate::store) async fn open(
        &self,
        key: &DbKey,
        slot: &Slot,
    ) -> Result<Option<Arc<Database>>, Error> {
        Ok(self.found(key, slot).await?.ok())
    }

    /// The database of a name; without one its head, and whether that is to move on first.
    pub(in crate::store) async fn found(
        &self,
        key: &DbKey,
        slot: &Slot,
    ) -> Result<Result<Arc<Database>, (Head, Vacancy)>, Error> {
        let mut place = slot.database.lock().await;
        if let Some(database) = place.as_ref().filter(|database| !database.is_replaced()) {
            return Ok(Ok(Arc::clone(database)));
        }
        *place = None;
        let open = || Database::open(&self.objects, &self.indexes, key, &slot.doubt, &slot.pins);
        let mut opened = open().await;
        for round in 0..REOPENS {
            // Files were merged and removed while they were looked at; or listed, which is not at once.
            let again = match &opened {
                Err(Error::Gone(_)) => true,
                Err(Error::Corrupt { .. }) => round == 0 && self.objects.is_shared(),
                _ => false,
            };
            if again {
                opened = open().await;
            }
        }
        let database = match opened? {
            Opened::Database(database) => database,
            Opened::Vacant(head) => return Ok(Err((head, Vacancy::Vacant))),
            Opened::Dropped(head) => return Ok(Err((head, Vacancy::Dropped))),
        };
        *place = Some(Arc::clone(&database));
        self.slots.has_grown();
        Ok(Ok(database))
    }

    /// The place of a name.
    pub(in crate::store) fn slot(&self, key: &DbKey) -> Arc<Slot> {
        self.slots.get(key)
    }

    /// Tells that a database was committed to, and of how many files its position is made now.
    pub(in crate::store) fn committed(&self, key: &DbKey, plan_len: usize) {
        self.slots.has_grown();
        self.queue.committed(key, plan_len);
    }
}
