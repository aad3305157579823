//! The databases, in an object store: one immutable LTX file a commit, merged later; everything else
//! is rebuilt from the files.
//!
//! [`Store`] stands on top, and hands on what it is asked to the room that does it. The rooms do not know it:
//! they are handed a [`Shelf`]. Several servers may share a store. From top to bottom, each on those below:
//!
//! | room | what |
//! | --- | --- |
//! | `rounds` | compaction in the background: which database when |
//! | `write` | ways to write: commits, imports, restores, drops, groups; and leases, who may |
//! | `compact` | merges files, and removes what was kept for long enough |
//! | `history` | databases as this server knows them: opened, read at a position, their past |
//! | `objects` | the object store: a directory or a bucket |
//! | `bucket` | what a store means: names, files, heads, and the rules |

mod bucket;
pub mod compact;
#[cfg(any(test, fuzzing))]
#[allow(clippy::unwrap_used)]
#[path = "../../../tests/fuzz/server/memory.rs"]
pub mod fuzzing;
mod history;
mod objects;
mod rounds;
#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, clippy::panic)]
mod tests;
mod write;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use litevfs::ltx::Crc64;
use litevfs::types::{ClusterName, DbName, Pos};

pub use bucket::error::{Error, Nearest, is_full};
pub use history::database::{Database, Summary};
pub use history::frames::Frames;
pub use history::opening::MAX_BYTES as MAX_OPENING_BYTES;
pub use history::points::{At, RestorePoint};
pub use history::read::Changes;
pub use history::snapshot::Snapshot;
pub use objects::local;
pub use objects::location::{self, Settings};
pub use objects::reads::Objects;
pub use write::group::together::Reading;
pub use write::group::{GroupError, GroupId, GroupTx, MAX_MEMBERS, Outcome, Positions};

use crate::key::DbKey;
use crate::metrics::Metrics;
use crate::spool::Spool;
use bucket::layout;
use history::opening::Openings;
use history::shelf::Shelf;
use objects::proof;

/// All databases of one object store.
#[derive(Debug)]
pub struct Store {
    shelf: Arc<Shelf>,
    openings: Openings,
    /// Names the store.
    id: String,
}

impl Store {
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
        let shelf = Arc::new(Shelf::new(objects, settings, metrics)?);
        Ok(Arc::new(Store { shelf, openings: Openings::new()?, id }))
    }

    /// The position of a database, what changed since another one, and of that the pages that a client
    /// wants when it opens it, in up to so many bytes of frames; page 1 in any case.
    pub async fn open_for(
        &self,
        database: &Arc<Database>,
        since: Pos,
        max_bytes: usize,
    ) -> Result<(Pos, Changes, Vec<Bytes>), Error> {
        self.openings.open_for(database, since, max_bytes).await
    }

    /// What people call the object store.
    pub fn name(&self) -> &str {
        self.shelf.objects.name()
    }

    /// Whether the object store answers, and is still the same: a volume may have been unmounted.
    pub async fn check(&self) -> Result<(), Error> {
        let id = self.shelf.objects.get(&layout::id()).await?.unwrap_or_default();
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
}

/// What is asked of the store, and which is done in the rooms, mostly in a file that is called like it.
impl Store {
    /// Whether other servers may serve the same databases.
    pub fn is_shared(&self) -> bool {
        self.shelf.is_shared()
    }

    /// The folder for temp files.
    pub fn scratch(&self) -> &Path {
        self.shelf.scratch()
    }

    /// A database as this server knows it; `None` when it has no files.
    pub async fn database(&self, key: &DbKey) -> Result<Option<Arc<Database>>, Error> {
        self.shelf.database(key).await
    }

    /// A database with what other servers committed up to now, or moments ago.
    pub async fn fresh(&self, key: &DbKey) -> Result<Option<Arc<Database>>, Error> {
        self.shelf.fresh(key).await
    }

    /// The positions of those databases of a cluster that are there, which are of one state, and what
    /// changed in each since a position.
    pub async fn read_together(
        &self,
        cluster: &ClusterName,
        asked: &BTreeMap<DbName, Pos>,
    ) -> Result<Vec<Reading>, Error> {
        self.shelf.read_together(cluster, asked).await
    }

    /// The databases of a cluster and their positions, which are of one state. A damaged one is left
    /// out, and logged.
    pub async fn databases(&self, cluster: &ClusterName) -> Result<Vec<(DbName, Pos)>, Error> {
        self.shelf.databases(cluster).await
    }

    /// Commits an LTX v1 file under a lease, or under none; returns the position of the database, with
    /// it durable.
    ///
    /// The same file again is told from a conflict and changes nothing. Whether the client may write
    /// is asked first and again just before the file is made. Between that and the end no lease is
    /// granted by this server.
    pub async fn commit(
        &self,
        key: &DbKey,
        upload: Spool,
        lease_id: Option<&str>,
    ) -> Result<Pos, Error> {
        self.shelf.commit(key, upload, lease_id).await
    }

    /// Makes the content of an earlier position the current one, as a new transaction; returns the
    /// position after it, which is the current one when nothing differs.
    pub async fn restore(&self, key: &DbKey, at: At, lease_id: Option<&str>) -> Result<Pos, Error> {
        self.shelf.restore(key, at, lease_id).await
    }

    /// Commits a SQLite file as the next transaction of a database, which may be new.
    pub async fn import(
        &self,
        key: &DbKey,
        file: Spool,
        lease_id: Option<&str>,
    ) -> Result<Pos, Error> {
        self.shelf.import(key, file, lease_id).await
    }

    /// Drops a database. Also a damaged database can be dropped.
    ///
    /// Whether the client may is asked early, and again at the moment when it is done: a lease may have
    /// been granted while a commit was waited for. From then to the end no lease is granted, and what is
    /// being merged meanwhile is given up.
    pub async fn drop_database(&self, key: &DbKey, lease_id: Option<&str>) -> Result<(), Error> {
        self.shelf.drop_database(key, lease_id).await
    }

    /// The clusters, sorted: those that have databases, and those made by name.
    pub async fn clusters(&self) -> Result<Vec<ClusterName>, Error> {
        self.shelf.clusters().await
    }

    /// Makes a cluster; whether it is new.
    pub async fn create_cluster(&self, cluster: &ClusterName) -> Result<bool, Error> {
        self.shelf.create_cluster(cluster).await
    }

    /// Drops a cluster without databases.
    pub async fn drop_cluster(&self, cluster: &ClusterName) -> Result<(), Error> {
        self.shelf.drop_cluster(cluster).await
    }

    /// Commits transactions in different databases of a cluster together.
    ///
    /// The same group again is answered as before. An error that is the client's to mend says that
    /// nothing of it was applied, or ever will be under that id.
    pub async fn commit_group(
        &self,
        cluster: &ClusterName,
        id: &GroupId,
        txs: Vec<GroupTx>,
    ) -> Result<Positions, GroupError> {
        self.shelf.commit_group(cluster, id, txs).await
    }

    /// What became of a group; `None` when this server knows nothing of it.
    pub async fn group_outcome(
        &self,
        cluster: &ClusterName,
        id: &GroupId,
    ) -> Result<Option<Outcome>, Error> {
        self.shelf.group_outcome(cluster, id).await
    }

    /// Decides against a group, unless it is decided, also before anything is known of it.
    pub async fn abort_group(&self, cluster: &ClusterName, id: &GroupId) -> Result<Outcome, Error> {
        self.shelf.abort_group(cluster, id).await
    }

    /// Whether a client with that lease, or none, may write: asked early, to save it the trouble.
    pub async fn may_write(&self, key: &DbKey, id: Option<&str>) -> Result<(), Error> {
        self.shelf.may_write(key, id).await
    }

    /// Grants a lease unless one is live; returns its id and how long it lasts. What was committed
    /// before is known when this returns.
    pub async fn acquire_lease(
        &self,
        key: &DbKey,
        duration: Duration,
    ) -> Result<(String, Duration), Error> {
        self.shelf.acquire_lease(key, duration).await
    }

    /// The same for a client that, if it is refused, asks again under the same name: those that wait
    /// are served in the order they came.
    pub async fn acquire_lease_in_turn(
        &self,
        key: &DbKey,
        duration: Duration,
        waiter: &str,
    ) -> Result<(String, Duration), Error> {
        self.shelf.acquire_lease_in_turn(key, duration, waiter).await
    }

    /// How many clients wait for a lease, as far as this server knows.
    pub fn lease_waiters(&self, key: &DbKey) -> usize {
        self.shelf.lease_waiters(key)
    }

    /// Prolongs a live lease; returns how long it lasts from now.
    pub async fn refresh_lease(
        &self,
        key: &DbKey,
        id: &str,
        duration: Duration,
    ) -> Result<Duration, Error> {
        self.shelf.refresh_lease(key, id, duration).await
    }

    /// Prolongs the lease that a commit was just made under, by as long as it was last asked for, and
    /// returns how long that is; `None` where that takes more than this server's memory.
    pub async fn prolong_used_lease(&self, key: &DbKey, id: &str) -> Option<Duration> {
        self.shelf.prolong_used_lease(key, id).await
    }

    /// Gives a lease back. An unknown id is fine: the caller has what it wants.
    pub async fn release_lease(&self, key: &DbKey, id: &str) -> Result<(), Error> {
        self.shelf.release_lease(key, id).await
    }

    /// How long the lease on a database lasts, as far as this server knows without asking.
    pub fn lease_left(&self, key: &DbKey) -> Option<Duration> {
        self.shelf.lease_left(key)
    }

    /// Compacts in the background from now on.
    pub fn start_compaction(&self) {
        self.shelf.start_compaction();
    }

    /// Sets the gauges of open databases and of leases that this server granted. What is in use just
    /// now is passed over rather than waited for, if only for one look.
    pub fn gauge(&self) {
        self.shelf.gauge();
    }
}
