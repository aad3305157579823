//! What this server knows of all databases, and what it needs to learn more: the rooms above are handed it.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use litevfs::types::ClusterName;
use parking_lot::Mutex;

use super::bucket::decision::GroupId;
use super::bucket::error::Error;
use super::bucket::head::Head;
use super::bucket::incarnation::Incarnation;
use super::bucket::moment::Moment;
use super::clock::Clock;
use super::database::Database;
use super::indexes::Indexes;
use super::objects::location::Settings;
use super::objects::reads::Objects;
use super::open::{Opened, Vacancy};
use super::queue::Queue;
use super::slots::{Slot, Slots};
use crate::key::DbKey;
use crate::lease::Leases;
use crate::metrics::Metrics;
use crate::random;
use crate::waiters::Waiters;

/// How often a database is opened again because a file is gone that was there a moment before.
const REOPENS: usize = 4;
/// What another server committed longer ago than this is known to whoever asks for the position.
pub(super) const FRESH: Duration = Duration::from_millis(250);

/// What is known of all databases of one object store.
#[derive(Debug)]
pub struct Shelf {
    pub(super) objects: Objects,
    pub(super) indexes: Arc<Indexes>,
    /// Names this server among those that share the store.
    pub(super) server: String,
    /// Leases of a store that is this server's alone.
    pub(super) leases: Leases,
    pub(super) waiters: Waiters,
    pub(super) slots: Slots,
    /// The groups that are being committed here.
    pub(super) groups: Mutex<HashSet<(ClusterName, GroupId)>>,
    /// Incarnations whose last file is to go, and since when they are known to be dead.
    pub(super) buried: Mutex<HashMap<Incarnation, Moment>>,
    /// Whether this server's clock may be trusted to remove files by their age.
    pub(super) clock: Clock,
    /// What is to be compacted.
    pub(super) queue: Queue,
    pub(super) metrics: Metrics,
}

impl Shelf {
    /// An empty one.
    pub(super) fn new(
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
    pub fn is_shared(&self) -> bool {
        self.objects.is_shared()
    }

    /// The folder for temp files.
    pub fn scratch(&self) -> &Path {
        self.objects.scratch()
    }

    /// A database as this server knows it; `None` when it has no files.
    pub async fn database(&self, key: &DbKey) -> Result<Option<Arc<Database>>, Error> {
        let slot = self.slot(key);
        self.open(key, &slot).await
    }

    /// A database as it was when it was looked at, no longer ago than that.
    pub(super) async fn looked_at(
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
    pub(super) async fn open(
        &self,
        key: &DbKey,
        slot: &Slot,
    ) -> Result<Option<Arc<Database>>, Error> {
        Ok(self.found(key, slot).await?.ok())
    }

    /// The database of a name; without one its head, and whether that is to move on first.
    pub(super) async fn found(
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
    pub(super) fn slot(&self, key: &DbKey) -> Arc<Slot> {
        self.slots.get(key)
    }

    /// Tells that a database was committed to, and of how many files its position is made now.
    pub(super) fn committed(&self, key: &DbKey, plan_len: usize) {
        self.slots.has_grown();
        self.queue.committed(key, plan_len);
    }
}
