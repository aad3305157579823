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

use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;
use litevfs::ltx::Crc64;
use litevfs::types::{ClusterName, Pos};

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

use crate::metrics::Metrics;
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

impl Deref for Store {
    type Target = Arc<Shelf>;

    fn deref(&self) -> &Arc<Shelf> {
        &self.shelf
    }
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
