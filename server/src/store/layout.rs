//! Where things lie in the object store.
//!
//! | path | what |
//! | --- | --- |
//! | `<cluster>/<db>/ltx/0/<min>-<max>.ltx` | one committed LTX file, as Litestream lays a replica out |
//! | `.litevfs-cloud/id` | 16 hex digits that name this store |
//! | `.litevfs-cloud/staging/<random>` | large LTX files on their way to their place |
//!
//! Names of clusters and databases do not start with a dot, so nothing of ours can lie under a
//! database's prefix, nor a database under ours.

use litevfs::ltx;
use litevfs::types::{ClusterName, Txid};
use object_store::path::Path;

use crate::key::DbKey;

/// The folder for everything that is not a database.
pub const PRIVATE: &str = ".litevfs-cloud";

/// The longest database name in bytes: a directory's, on every usual file system.
pub const MAX_DB_NAME: usize = 255;

/// The object that names the store.
pub fn id() -> Path {
    Path::from_iter([PRIVATE, "id"])
}

/// The folder for files on their way.
pub fn staging() -> Path {
    Path::from_iter([PRIVATE, "staging"])
}

/// The folder with a cluster's databases.
pub fn cluster(cluster: &ClusterName) -> Path {
    Path::from_iter([cluster.as_str()])
}

/// The folder with a database's files as they were committed.
pub fn level0(key: &DbKey) -> Path {
    Path::from_iter([key.cluster.as_str(), key.db.as_str(), "ltx", "0"])
}

/// The file of those transactions.
pub fn ltx_file(key: &DbKey, min_txid: Txid, max_txid: Txid) -> Path {
    let name = ltx::file_name(min_txid, max_txid);
    Path::from_iter([key.cluster.as_str(), key.db.as_str(), "ltx", "0", name.as_str()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_litestreams_and_keep_every_allowed_character() {
        let key = DbKey { cluster: "A-b_c.d".parse().unwrap(), db: "x..-_9".parse().unwrap() };
        assert_eq!(
            ltx_file(&key, Txid(1), Txid(255)).as_ref(),
            "A-b_c.d/x..-_9/ltx/0/0000000000000001-00000000000000ff.ltx"
        );
        assert_eq!(level0(&key).as_ref(), "A-b_c.d/x..-_9/ltx/0");
        assert_eq!(id().as_ref(), ".litevfs-cloud/id");
    }
}
