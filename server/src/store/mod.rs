//! The databases, in an object store: one immutable LTX file a commit, merged later; everything else
//! is rebuilt from the files.
//!
//! [`Store`] finds databases by name and opens each at its first use. [`Database`] answers reads.
//! Several servers may share a store. From top to bottom:
//!
//! | module | what |
//! | --- | --- |
//! | `commit`, `base`, `convert`, `same`, `page1`, `import`, `control` | ways to write: all end in one conditional create |
//! | `group` | commits in several databases, all or none |
//! | `drop`, `sweep` | how databases end, and what is left of them |
//! | `leases` | who may write |
//! | `compact` | merges files in the background, and removes what was kept for long enough |
//! | `snapshot`, `points` | whole databases, and the past |
//! | `opening`, `learned`, `frames` | what an opening client needs; many pages as they are stored |
//! | `head`, `incarnation` | which life of a name is the living one |
//! | `rules`, `clock`, `moment`, `dates`, `mutant` | what may be created, removed and acknowledged; and what rests on time |
//! | `slots`, `database`, `state`, `open`, `look`, `pins` | what is known of the databases, and how it is learnt |
//! | `view`, `rewrite`, `indexes`, `file_index`, `files` | a position: which files, which pages in them |
//! | `objects`, `create`, `direct`, `record`, `claim`, `blocks`, `proof`, `layout` | the object store |
//! | `location`, `local`, `marker`, `unsynced` | which store: a directory or a bucket; what of a directory is durable |

mod base;
mod bucket;
mod clock;
mod commit;
pub mod compact;
mod control;
mod convert;
mod database;
mod drop;
mod floors;
mod frames;
#[cfg(any(test, fuzzing))]
#[allow(clippy::unwrap_used)]
#[path = "../../../tests/fuzz/server/memory.rs"]
pub mod fuzzing;
mod gauges;
mod group;
mod import;
mod indexes;
mod kind;
mod learned;
mod leases;
mod look;
mod objects;
mod open;
mod opening;
mod pins;
mod points;
mod rewrite;
mod same;
mod slots;
mod snapshot;
mod state;
mod sweep;
#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, clippy::panic)]
mod tests;
mod view;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use litevfs::ltx::Crc64;
use litevfs::types::ClusterName;
use parking_lot::Mutex;

pub use bucket::error::{Error, Nearest, is_full};
pub use database::{Changes, Database, Summary};
pub use frames::Frames;
pub use group::together::Reading;
pub use group::{GroupError, GroupId, GroupTx, MAX_MEMBERS, Outcome, Positions};
pub use objects::local;
pub use objects::location::{self, Settings};
pub use objects::reads::Objects;
pub use opening::MAX_BYTES as MAX_OPENING_BYTES;
pub use points::{At, RestorePoint};
pub use snapshot::Snapshot;

use crate::key::DbKey;
use crate::lease::Leases;
use crate::metrics::Metrics;
use crate::random;
use crate::waiters::Waiters;
use bucket::head::Head;
use bucket::incarnation::Incarnation;
use bucket::layout;
use bucket::moment::Moment;
use indexes::Indexes;
use objects::proof;
use open::Opened;
use slots::{Slot, Slots};

/// How many databases are opened at the same time for one listing.
const PARALLEL: usize = 8;
/// How often a database is opened again because a file is gone that was there a moment before.
const REOPENS: usize = 4;
/// What another server committed longer ago than this is known to whoever asks for the position.
const FRESH: Duration = Duration::from_millis(250);

/// All databases of one object store.
#[derive(Debug)]
pub struct Store {
    objects: Objects,
    indexes: Arc<Indexes>,
    openings: opening::Openings,
    /// Names the store.
    id: String,
    /// Names this server among those that share the store.
    server: String,
    /// Leases of a store that is this server's alone.
    leases: Leases,
    waiters: Waiters,
    slots: Slots,
    /// The groups that are being committed here.
    groups: Mutex<HashSet<(ClusterName, GroupId)>>,
    /// Incarnations whose last file is to go, and since when they are known to be dead.
    buried: Mutex<HashMap<Incarnation, Moment>>,
    /// Whether this server's clock may be trusted to remove files by their age.
    clock: clock::Clock,
    /// What is to be compacted.
    queue: compact::Queue,
    metrics: Metrics,
}

/// Why a name has no database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Vacancy {
    /// The incarnation that its head names has none yet.
    Vacant,
    /// It was dropped, and the head did not move on.
    Dropped,
}

impl Store {
    /// Whether other servers may serve the same databases.
    pub fn is_shared(&self) -> bool {
        self.objects.is_shared()
    }

    /// Opens an object store, and proves that it keeps the promise commits depend on: that a file
    /// is made only if there is none.
    pub async fn open_store(
        objects: Objects,
        settings: &Settings,
        metrics: Metrics,
    ) -> Result<Arc<Store>, Error> {
        let id = proof::prove(&objects).await?;
        Store::proven(objects, settings, metrics, id)
    }

    /// The same for a store that was proven, and its id.
    fn proven(
        objects: Objects,
        settings: &Settings,
        metrics: Metrics,
        id: String,
    ) -> Result<Arc<Store>, Error> {
        let indexes = Arc::new(Indexes::new(settings.index_memory, metrics.clone())?);
        let server = random::hex::<8>()?;
        Ok(Arc::new(Store {
            objects,
            indexes,
            openings: opening::Openings::new()?,
            id,
            server,
            leases: Leases::default(),
            waiters: Waiters::default(),
            slots: Slots::new(settings.database_memory),
            groups: Mutex::default(),
            buried: Mutex::default(),
            clock: clock::Clock::new(),
            queue: compact::Queue::new(settings.schedule.clone()),
            metrics,
        }))
    }

    /// The folder for temp files.
    pub fn scratch(&self) -> &Path {
        self.objects.scratch()
    }

    /// What people call the object store.
    pub fn name(&self) -> &str {
        self.objects.name()
    }

    /// Whether the object store answers, and is still the same: a volume may have been unmounted.
    pub async fn check(&self) -> Result<(), Error> {
        let id = self.objects.get(&layout::id()).await?.unwrap_or_default();
        if id == self.id.as_bytes() {
            return Ok(());
        }
        Err(Error::corrupt(layout::id(), "it is not the one that this server started with"))
    }

    /// The id of a cluster: the same for as long as the store exists, different in each store.
    pub fn cluster_id(&self, cluster: &ClusterName) -> String {
        let mut hash = Crc64::new();
        hash.update(self.id.as_bytes());
        hash.update(cluster.as_str().as_bytes());
        format!("LFSC{:016X}", hash.finish())
    }

    /// A database as this server knows it; `None` when it has no files.
    pub async fn database(&self, key: &DbKey) -> Result<Option<Arc<Database>>, Error> {
        let slot = self.slot(key);
        self.open(key, &slot).await
    }

    /// A database with what other servers committed up to now, or moments ago.
    pub async fn fresh(&self, key: &DbKey) -> Result<Option<Arc<Database>>, Error> {
        self.fresh_within(key, FRESH).await
    }

    /// A database with what other servers committed up to so long ago.
    async fn fresh_within(
        &self,
        key: &DbKey,
        max_age: Duration,
    ) -> Result<Option<Arc<Database>>, Error> {
        let slot = self.slot(key);
        let found = self.looked_at(key, &slot, max_age).await?;
        if self.resolve_if_idle(key, &slot).await {
            return self.looked_at(key, &slot, max_age).await;
        }
        Ok(found)
    }

    async fn looked_at(
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

    async fn open(&self, key: &DbKey, slot: &Slot) -> Result<Option<Arc<Database>>, Error> {
        Ok(self.found(key, slot).await?.ok())
    }

    /// The database of a name; without one its head, and whether that is to move on first.
    async fn found(
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

    fn slot(&self, key: &DbKey) -> Arc<Slot> {
        self.slots.get(key)
    }
}
