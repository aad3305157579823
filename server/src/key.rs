//! Which database: its cluster and its name.

use std::fmt;

use litevfs::types::{ClusterName, DbName};

/// One database of the server. Both names are valid by construction, so that a key can become a
/// path without a further look.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DbKey {
    /// The cluster.
    pub cluster: ClusterName,
    /// The database in it.
    pub db: DbName,
}

impl fmt::Display for DbKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.cluster, self.db)
    }
}
