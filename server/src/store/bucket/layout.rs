//! Where things lie in the object store.
//!
//! | path in a directory, Google or Azure | path in S3 | what |
//! | --- | --- | --- |
//! | `<cluster>/<db>/ltx/<level>/<min>-<max>.ltx` | `<cluster>/<db>/<level, 4 hex>/...` | an LTX file |
//! | `<cluster>/<db>/<16 hex>/ltx/<level>/...` | `<cluster>/<db>/<16 hex>/<level>/...` | one of a name's later incarnation |
//! | `.litevfs-cloud/id` | the same | 16 hex digits that name this store |
//! | `.litevfs-cloud/clean.json` | | the mark of a clean stop: [`crate::store::objects::marker`] |
//! | `.litevfs-cloud/clock.json` | the same | written to learn what time it is for the store |
//! | `.litevfs-cloud/staging/<random>` | the same | large LTX files on their way to their place |
//! | `.litevfs-cloud/proof/<random>` | the same | what the start-up tests the store with |
//! | `.litevfs-cloud/claims/<kind>/<cluster>/<db>` | the same | who writes or compacts |
//! | `.litevfs-cloud/heads/<cluster>/<db>/head.json` | the same | which incarnation lives: [`super::head`] |
//! | `.litevfs-cloud/clusters/<cluster>` | the same | a cluster that was made by name |
//! | `.litevfs-cloud/groups/<cluster>/<16 hex>.json` | the same | how a group was decided |
//!
//! Names of clusters and databases do not start with a dot, so nothing of ours can lie under a
//! database's prefix, nor a database under ours.
//!
//! Level 0 has the files as they were committed, 1 to 3 have them merged, 9 has snapshots: Litestream's
//! layout. **What decides a commit is the creation of the level-0 file `<min>-<min>.ltx`**: of any
//! number of writers one makes it. Of an upload that spans several transactions a second file,
//! `<min>-<max>.ltx`, is made right after, so that Litestream sees no gap; the first says how far it
//! spans, so that whoever finds it alone can make the second. Of a group of transactions in several
//! databases the level-0 files are marked: they count once the group was decided for, by one more file
//! that the mark leads to. See [`crate::store::write::group`].

use litevfs::ltx;
use litevfs::types::{ClusterName, Txid};
use object_store::path::Path;

use super::incarnation::{Incarnation, IncarnationId};
use super::ltx_file::LtxFile;
use super::marks::Tag;
use crate::key::DbKey;

/// The folder for everything that is not a database.
pub const PRIVATE: &str = ".litevfs-cloud";
/// What the object that names the store is called in there.
pub const ID: &str = "id";

/// How Litestream lays out a replica, which depends on the kind of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `ltx/<decimal level>`: directories, Google, Azure.
    Folders,
    /// `<level as 4 hex digits>`: S3.
    S3,
}

impl Shape {
    /// The smallest folder with all files of an incarnation: of a first one on S3 it has those of later
    /// ones, too.
    pub fn files(self, db: &Incarnation) -> Path {
        match self {
            Shape::Folders => folder(db).join("ltx"),
            Shape::S3 => folder(db),
        }
    }

    /// The folder with a level's files.
    pub fn level(self, db: &Incarnation, level: u8) -> Path {
        match self {
            Shape::Folders => self.files(db).join(level.to_string()),
            Shape::S3 => self.files(db).join(format!("{level:04x}")),
        }
    }

    /// A file.
    pub fn file(self, db: &Incarnation, file: &LtxFile) -> Path {
        self.named(db, file.level, file.min_txid, file.max_txid)
    }

    /// The file of a level with those transactions.
    pub fn named(self, db: &Incarnation, level: u8, min_txid: Txid, max_txid: Txid) -> Path {
        self.level(db, level).join(ltx::file_name(min_txid, max_txid))
    }

    /// What a path under [`database`] says of an LTX file; `None` when it is none's.
    pub fn parse(self, path: &Path) -> Option<Named> {
        let parts = path.parts().collect::<Vec<_>>();
        let parts = parts.iter().skip(2).map(AsRef::as_ref).collect::<Vec<&str>>();
        let (id, level, name) = match (self, parts.as_slice()) {
            (Shape::Folders, [id, "ltx", level, name]) | (Shape::S3, [id, level, name]) => {
                (Some(id.parse().ok()?), *level, *name)
            }
            (Shape::Folders, ["ltx", level, name]) | (Shape::S3, [level, name]) => {
                (None, *level, *name)
            }
            _ => return None,
        };
        let level = match self {
            Shape::Folders => level.parse().ok()?,
            Shape::S3 if level.len() == 4 => u8::from_str_radix(level, 16).ok()?,
            Shape::S3 => return None,
        };
        let (min_txid, max_txid) = ltx::parse_file_name(name)?;
        Some(Named { id, level, min_txid, max_txid })
    }
}

/// What the path of an LTX file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// Its incarnation of the database.
    pub id: Option<IncarnationId>,
    /// Its level.
    pub level: u8,
    /// Its first transaction.
    pub min_txid: Txid,
    /// Its last transaction.
    pub max_txid: Txid,
}

/// The folder of an incarnation: what stock Litestream calls a replica's path.
pub fn folder(db: &Incarnation) -> Path {
    let name = database(&db.key);
    db.id.map_or(name.clone(), |id| name.join(id.to_string()))
}

/// The object that says which incarnation of a name lives.
pub fn head(key: &DbKey) -> Path {
    Path::from_iter([PRIVATE, "heads", key.cluster.as_str(), key.db.as_str(), "head.json"])
}

/// The object that names the store.
pub fn id() -> Path {
    Path::from_iter([PRIVATE, ID])
}

/// The object that is written to learn what time it is for the store.
pub fn touched() -> Path {
    Path::from_iter([PRIVATE, "clock.json"])
}

/// The folder for files on their way.
pub fn staging() -> Path {
    Path::from_iter([PRIVATE, "staging"])
}

/// The folder for objects that prove what the store can do.
pub fn proof() -> Path {
    Path::from_iter([PRIVATE, "proof"])
}

/// The object that says who holds a claim on a database.
pub fn claim(kind: &str, key: &DbKey) -> Path {
    Path::from_iter([PRIVATE, "claims", kind, key.cluster.as_str(), key.db.as_str()])
}

/// The folder with what groups came to, a folder for each cluster.
pub fn all_groups() -> Path {
    Path::from_iter([PRIVATE, "groups"])
}

/// The folder with what groups of a cluster came to.
pub fn groups(cluster: &ClusterName) -> Path {
    all_groups().join(cluster.as_str())
}

/// The object that decides a group.
pub fn decision(cluster: &ClusterName, tag: Tag) -> Path {
    groups(cluster).join(format!("{tag}.json"))
}

/// The folder with the clusters that were made by name.
pub fn clusters() -> Path {
    Path::from_iter([PRIVATE, "clusters"])
}

/// The folder with a cluster's databases.
pub fn cluster(cluster: &ClusterName) -> Path {
    Path::from_iter([cluster.as_str()])
}

/// The folder with the files of all incarnations of a name.
pub fn database(key: &DbKey) -> Path {
    Path::from_iter([key.cluster.as_str(), key.db.as_str()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> DbKey {
        DbKey { cluster: "A-b_c.d".parse().unwrap(), db: "x..-_9".parse().unwrap() }
    }

    #[test]
    fn paths_are_litestreams_and_keep_every_allowed_character() {
        let first = Incarnation::first(key());
        let id: IncarnationId = "00c0ffee00c0ffee".parse().unwrap();
        let later = Incarnation { id: Some(id), ..first.clone() };
        let named = |shape: Shape, db| shape.named(db, 9, Txid(1), Txid(255));
        for (shape, db, path) in [
            (Shape::Folders, &first, "A-b_c.d/x..-_9/ltx/9/0000000000000001-00000000000000ff.ltx"),
            (Shape::S3, &first, "A-b_c.d/x..-_9/0009/0000000000000001-00000000000000ff.ltx"),
            (
                Shape::Folders,
                &later,
                "A-b_c.d/x..-_9/00c0ffee00c0ffee/ltx/9/0000000000000001-00000000000000ff.ltx",
            ),
            (
                Shape::S3,
                &later,
                "A-b_c.d/x..-_9/00c0ffee00c0ffee/0009/0000000000000001-00000000000000ff.ltx",
            ),
        ] {
            assert_eq!(named(shape, db).as_ref(), path);
            let parsed = Named { id: db.id, level: 9, min_txid: Txid(1), max_txid: Txid(255) };
            assert_eq!(shape.parse(&named(shape, db)), Some(parsed));
            for other in ["A/b/ltx/x/1.ltx", "A/b/0009/x", "A/b/C0FFEE0000C0FFEE/0009/x.ltx", "A/b"]
            {
                assert_eq!(shape.parse(&Path::from(other)), None, "{other}");
            }
        }
        assert_eq!(super::id().as_ref(), ".litevfs-cloud/id");
    }
}
