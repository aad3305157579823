//! Where things lie in the object store, and where a database's checksum lies in a stored file.
//!
//! | path | what |
//! | --- | --- |
//! | `<cluster>/<db>/ltx/0/<min>-<max>.ltx` | one committed LTX file, as Litestream lays a replica out |
//! | `.litevfs-cloud/id` | 16 hex digits that name this store |
//! | `.litevfs-cloud/clusters/<cluster>` | marks a cluster that was made by name; empty |
//! | `.litevfs-cloud/staging/<random>` | large LTX files on their way to their place |
//!
//! Names of clusters and databases do not start with a dot, so nothing of ours can lie under a
//! database's prefix, nor a database under ours.
//!
//! A stored file is LTX v3 with block compression. Three of its fields differ from the upload's:
//!
//! | field | upload | stored file |
//! | --- | --- | --- |
//! | header flag bit 1, no database checksums | clear | set |
//! | pre-apply and post-apply checksum | the database's | zero, as the flag demands |
//! | node id | the client's, or zero | the post-apply checksum |
//!
//! The reason is Litestream: to restore, it merges the files into one without database checksums, yet
//! ends that with the last file's trailer, and then refuses a post-apply checksum found there. The
//! node id is the one header field that nothing reads; its top bit, which every checksum has, tells
//! ours from a node's small number. The pre-apply checksum is the post-apply checksum of the file
//! before. The file checksum covers it all, as in any LTX file.

use litevfs::ltx::{self, Header};
use litevfs::types::{Checksum, ClusterName, Txid};
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

/// The folder with a marker for each cluster that was made by name.
pub fn clusters() -> Path {
    Path::from_iter([PRIVATE, "clusters"])
}

/// The file that marks a cluster that was made by name.
pub fn cluster_marker(cluster: &ClusterName) -> Path {
    Path::from_iter([PRIVATE, "clusters", cluster.as_str()])
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

/// The header of the file that stores an upload with that header and post-apply checksum.
pub const fn stored_header(upload: &Header, post_apply_checksum: Checksum) -> Header {
    Header {
        pre_apply_checksum: Checksum::NONE,
        node_id: post_apply_checksum.0,
        no_checksum: true,
        ..*upload
    }
}

/// The post-apply checksum of a stored file, from its header and from its trailer's field of that
/// name; `None` when it is in neither, because another program wrote the file.
pub fn post_apply_checksum(header: &Header, trailer: Checksum) -> Option<Checksum> {
    let found = if header.no_checksum && trailer == Checksum::NONE {
        Checksum(header.node_id)
    } else {
        trailer
    };
    found.is_set().then_some(found)
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
