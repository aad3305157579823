//! A transaction as it is pushed, and what must be known of it afterwards.

use crate::types::{Checksum, PageSize, Pgno, Pos};
use alloc::vec::Vec;

/// A transaction as it will be pushed.
pub struct Made {
    /// Position it is based on.
    pub base: Pos,
    /// Position after it.
    pub pos: Pos,
    /// The database's page size.
    pub page_size: PageSize,
    /// Size of the database afterwards.
    pub commit: u32,
    /// The pages that differ, in order.
    pub changed: Vec<(Pgno, Checksum)>,
    /// The first page that the database does not have any more.
    pub removed_from: Option<Pgno>,
    /// Page 1 as it will be stored.
    pub page1: Vec<u8>,
    /// The LTX file.
    pub file: Vec<u8>,
    /// Whether SQLite wrote a page 1 that says WAL.
    pub shows_wal: bool,
    /// Whether a codec encrypted the pages.
    pub is_encrypted: bool,
}
