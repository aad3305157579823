//! The page index of a v3 file.

use alloc::vec::Vec;

use super::error::Error;
use crate::types::Pgno;

/// Where one page is in a v3 file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexEntry {
    /// The page.
    pub pgno: Pgno,
    /// Where its frame begins, in bytes from the start of the file.
    pub offset: u64,
    /// Bytes of the frame, its header included.
    pub len: u64,
}

/// Where every page is in a v3 file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageIndex {
    entries: Vec<IndexEntry>,
}

impl PageIndex {
    /// How many bytes at the end of the file [`PageIndex::decode`] needs, told from the last 24 or
    /// more.
    pub fn tail_len(tail: &[u8]) -> Result<u64, Error> {
        todo!()
    }

    /// Reads the index from the last bytes of a file of `file_len` bytes, without its pages.
    pub fn decode(tail: &[u8], file_len: u64) -> Result<PageIndex, Error> {
        todo!()
    }

    /// The entries, in ascending order of page number.
    pub fn entries(&self) -> &[IndexEntry] {
        &self.entries
    }

    /// The entry of one page.
    pub fn get(&self, pgno: Pgno) -> Option<IndexEntry> {
        todo!()
    }
}
