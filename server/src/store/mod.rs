//! The databases, in an object store: one immutable LTX file a commit, everything else rebuilt from
//! the files.
//!
//! [`Store`] finds databases by name and opens each at its first use. [`Database`] answers reads.
//! [`Store::commit`], [`Store::import`] and [`Store::restore`] write. Below them: `convert` (v1 upload to
//! v3 file), `page1` (what its page 1 must say), `import` (SQLite file to v3 file), `open` (files to
//! memory), `history` and `index` (that memory), `objects` (the object store), `layout`
//! (paths), and `local` (a directory as the store).

mod clusters;
mod commit;
mod control;
mod convert;
mod database;
mod error;
mod history;
mod import;
mod index;
mod layout;
pub mod local;
mod objects;
mod open;
mod page1;
mod read;
mod restore;
mod snapshot;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use litevfs::ltx::Crc64;
use litevfs::types::{ClusterName, DbName, Pos};
use parking_lot::Mutex;

pub use control::Summary;
pub use database::{Changes, Database};
pub use error::{Error, is_full};
pub use restore::{At, RestorePoint};
pub use snapshot::Snapshot;

use crate::key::DbKey;
use crate::random;
use objects::{Created, Objects};

/// How many databases are opened at the same time for one listing.
const PARALLEL: usize = 8;
/// Below this many names the unused ones are not looked for.
const PRUNE_FROM: usize = 1024;

/// All databases of one object store.
#[derive(Debug)]
pub struct Store {
    objects: Objects,
    id: String,
    slots: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    slots: HashMap<DbKey, Arc<Slot>>,
    prune_at: usize,
}

/// The place of one database, whether it exists or not.
#[derive(Debug, Default)]
struct Slot {
    /// Held by the commit that is under way.
    gate: Arc<tokio::sync::Mutex<()>>,
    /// The open database. Held while it is being opened, so that this is done once.
    database: tokio::sync::Mutex<Option<Arc<Database>>>,
}

impl Slot {
    async fn forget(&self) {
        *self.database.lock().await = None;
    }
}

/// Keeps commits to one database out while it lives.
#[derive(Debug)]
pub struct Held {
    _gate: tokio::sync::OwnedMutexGuard<()>,
}

impl Store {
    /// Opens an object store, and proves that it keeps the promise commits depend on: that a file
    /// is made only if there is none.
    pub async fn open_store(objects: Objects) -> Result<Store, Error> {
        let fresh = random::hex::<8>()?;
        if !objects.exists(&layout::id()).await? {
            objects.create_small(&layout::id(), fresh.clone()).await?;
        }
        match objects.create_small(&layout::id(), fresh).await {
            Ok(Created::Exists) => {}
            Ok(Created::New) => {
                return Err(Error::Io(std::io::Error::other(
                    "the object store replaces files it was told not to replace: commits would be \
                     lost",
                )));
            }
            // Then it takes no commits, and what is there can be read.
            Err(Error::Objects(error)) if is_full(&error) => {
                tracing::warn!("the disk is full: commits fail until there is room on it");
            }
            Err(error) => return Err(error),
        }
        let id = objects.get(&layout::id()).await?;
        let id = String::from_utf8_lossy(&id).into_owned();
        Ok(Store { objects, id, slots: Mutex::default() })
    }

    /// The folder for temp files.
    pub fn scratch(&self) -> &Path {
        self.objects.scratch()
    }

    /// The id of a cluster: the same for as long as the store exists, different in each store.
    pub fn cluster_id(&self, cluster: &ClusterName) -> String {
        let mut hash = Crc64::new();
        hash.update(self.id.as_bytes());
        hash.update(cluster.as_str().as_bytes());
        format!("LFSC{:016X}", hash.finish())
    }

    /// A database; `None` when it has no files.
    pub async fn database(&self, key: &DbKey) -> Result<Option<Arc<Database>>, Error> {
        let slot = self.slot(key)?;
        self.open(key, &slot).await
    }

    /// The databases of a cluster and their positions. A damaged one is left out, and logged.
    pub async fn databases(&self, cluster: &ClusterName) -> Result<Vec<(DbName, Pos)>, Error> {
        let names = self.objects.databases(cluster).await?;
        let found = stream::iter(names).map(async |db| {
            let key = DbKey { cluster: cluster.clone(), db };
            match self.database(&key).await {
                Ok(database) => Ok(database.map(|database| (key.db, database.pos()))),
                Err(error @ Error::Corrupt { .. }) => {
                    tracing::error!(database = %key, %error, "left out of the list");
                    Ok(None)
                }
                Err(error) => Err(error),
            }
        });
        found.buffered(PARALLEL).try_filter_map(async |found| Ok(found)).try_collect().await
    }

    /// Waits for the commit under way, if any, and keeps the next one out.
    pub async fn hold(&self, key: &DbKey) -> Result<Held, Error> {
        let gate = Arc::clone(&self.slot(key)?.gate);
        Ok(Held { _gate: gate.lock_owned().await })
    }

    async fn open(&self, key: &DbKey, slot: &Slot) -> Result<Option<Arc<Database>>, Error> {
        let mut opened = slot.database.lock().await;
        if opened.is_none() {
            *opened = Database::open(&self.objects, key).await?.map(Arc::new);
        }
        Ok(opened.clone())
    }

    fn slot(&self, key: &DbKey) -> Result<Arc<Slot>, Error> {
        if key.db.as_str().len() > layout::MAX_DB_NAME {
            return Err(Error::BadName("this server takes database names up to 255 characters"));
        }
        let mut slots = self.slots.lock();
        if let Some(slot) = slots.slots.get(key) {
            return Ok(Arc::clone(slot));
        }
        slots.prune();
        Ok(Arc::clone(slots.slots.entry(key.clone()).or_default()))
    }
}

impl Slots {
    /// Forgets names that no database has, whenever the table has doubled: clients may ask for any
    /// name. A slot in use is kept, or two of one name could commit side by side.
    fn prune(&mut self) {
        if self.slots.len() >= self.prune_at.max(PRUNE_FROM) {
            self.slots.retain(|_, slot| {
                let in_use = Arc::strong_count(slot) > 1 || Arc::strong_count(&slot.gate) > 1;
                in_use || slot.database.try_lock().map_or(true, |database| database.is_some())
            });
            self.prune_at = self.slots.len().saturating_mul(2);
        }
    }
}
