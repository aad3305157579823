//! One LTX file of a database as a listing tells it.

use litevfs::ltx::Crc64;
use litevfs::types::Txid;

/// The level of snapshots.
pub const SNAPSHOT_LEVEL: u8 = 9;

/// One stored LTX file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LtxFile {
    /// 0 as committed, 1 to 3 merged, 9 a snapshot.
    pub level: u8,
    /// Its first transaction.
    pub min_txid: Txid,
    /// Its last transaction.
    pub max_txid: Txid,
    /// Its length in bytes.
    pub len: u64,
    /// Tells it from another file that had its name before.
    pub version: u64,
    /// When it was stored, in ms since the Unix epoch, by the store's clock.
    pub written_ms: u64,
}

impl LtxFile {
    /// What tells it from every other file of its database, whoever's clock said when it was stored.
    pub const fn identity(&self) -> (u8, Txid, Txid, u64) {
        (self.level, self.min_txid, self.max_txid, self.version)
    }
}

/// A number that stands for an entity tag.
pub fn version(e_tag: Option<&str>) -> u64 {
    let mut hash = Crc64::new();
    hash.update(e_tag.unwrap_or_default().trim_matches('"').as_bytes());
    hash.finish()
}
