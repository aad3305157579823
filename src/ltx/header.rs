//! The first 100 and the last 16 bytes of an LTX file. All integers are big-endian.
//!
//! | offset | size | header field |
//! | --- | --- | --- |
//! | 0 | 4 | magic `LTX1` |
//! | 4 | 4 | flags: bit 0 LZ4 (v1 only), bit 1 no database checksums (v3 only) |
//! | 8 | 4 | page size, bytes |
//! | 12 | 4 | commit, pages |
//! | 16 | 8 | min TXID |
//! | 24 | 8 | max TXID |
//! | 32 | 8 | timestamp, ms since the Unix epoch |
//! | 40 | 8 | pre-apply checksum |
//! | 48 | 8 | WAL offset, bytes |
//! | 56 | 8 | WAL size, bytes |
//! | 64 | 8 | WAL salts |
//! | 72 | 8 | node id |
//! | 80 | 20 | zero |
//!
//! | offset | size | trailer field |
//! | --- | --- | --- |
//! | 0 | 8 | post-apply checksum |
//! | 8 | 8 | file checksum |

use super::error::Error;
use super::{Format, Version};
use crate::types::{Checksum, PageSize, Txid};

/// Bytes of a header.
pub const HEADER_LEN: usize = 100;
/// Bytes of a trailer.
pub const TRAILER_LEN: usize = 16;

/// What an LTX file says about itself before its pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Bytes of a page.
    pub page_size: PageSize,
    /// Pages of the database after applying; 0 when the file drops the database.
    pub commit: u32,
    /// First transaction in the file.
    pub min_txid: Txid,
    /// Last transaction in the file.
    pub max_txid: Txid,
    /// When the last transaction was committed, in ms since the Unix epoch.
    pub timestamp_ms: u64,
    /// Database checksum before applying; [`Checksum::NONE`] in a snapshot.
    pub pre_apply_checksum: Checksum,
    /// Where in the WAL the transaction came from, in bytes; 0 for a journal.
    pub wal_offset: u64,
    /// Bytes of the transaction in the WAL; 0 for a journal.
    pub wal_size: u64,
    /// The salts of that WAL.
    pub wal_salt: [u32; 2],
    /// The node that wrote the file; 0 when unset.
    pub node_id: u64,
    /// The file has no database checksums: pre-apply and post-apply are zero (v3 only).
    pub no_checksum: bool,
}
impl Header {
    /// Whether the file holds every page of the database.
    pub const fn is_snapshot(&self) -> bool {
        self.min_txid.0 == 1
    }

    /// Checks what a version demands of the fields.
    pub fn validate(&self, version: Version) -> Result<(), Error> {
        todo!()
    }

    /// The bytes of a valid header.
    pub fn encode(&self, format: Format) -> [u8; HEADER_LEN] {
        todo!()
    }

    /// Reads and validates a header, and tells whether the page block is one LZ4 frame (v1 only).
    pub fn decode(bytes: &[u8; HEADER_LEN], version: Version) -> Result<(Header, bool), Error> {
        todo!()
    }
}

/// What an LTX file ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trailer {
    /// Database checksum after applying; [`Checksum::NONE`] in a file without database checksums.
    pub post_apply_checksum: Checksum,
    /// Checksum of the file itself.
    pub file_checksum: Checksum,
}
