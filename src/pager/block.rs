//! One block of a page file's index: what is known of the pages of a group.
//!
//! ```text
//! crc u64 | version u64 | 255 x (since u64 | checksum u64)        big-endian, 4,096 bytes
//! ```
//!
//! A record whose checksum is 0 says that the page is not cached. The CRC also covers the file's
//! generation and the number of the group, so that a block is never taken for another one.

use crate::ltx::Crc64;
use crate::types::{Checksum, Pgno, Txid};
use alloc::boxed::Box;

/// Pages whose records fit in a block.
pub const PAGES_PER_GROUP: u32 = 255;
/// Bytes of a block.
pub const BLOCK_LEN: usize = 4096;

const CRC_LEN: usize = 8;
const RECORD_LEN: usize = 16;

/// What is known of a cached page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// The page did not change since this transaction.
    pub since: Txid,
    /// Of the page.
    pub checksum: Checksum,
}

/// One bit for each page of a group.
#[derive(Clone, Copy, Default)]
pub struct Marks([u64; 4]);

impl Marks {
    /// Whether the page has the mark.
    pub fn has(&self, at: usize) -> bool {
        self.0.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    /// Gives the page the mark, or takes it away.
    pub fn set(&mut self, at: usize, mark: bool) {
        if let Some(word) = self.0.get_mut(at / 64) {
            *word = *word & !(1 << (at % 64)) | u64::from(mark) << (at % 64);
        }
    }
}

/// A block in memory.
pub struct Block {
    /// The group whose pages it knows.
    pub group: u32,
    bytes: [u8; BLOCK_LEN],
    /// Whether it differs from what is in the file.
    pub is_dirty: bool,
    /// Pages that this process wrote, or held against their checksum.
    pub verified: Marks,
    /// Pages read since the last look for pages to evict.
    pub used: Marks,
}

/// The group of a page, and its place there.
pub const fn place_of(pgno: Pgno) -> (u32, usize) {
    let index = pgno.get().saturating_sub(1);
    (index / PAGES_PER_GROUP, (index % PAGES_PER_GROUP) as usize)
}

/// The page at a place of a group.
pub fn pgno_at(group: u32, at: usize) -> Option<Pgno> {
    let before = group.checked_mul(PAGES_PER_GROUP)?;
    Pgno::new(before.checked_add(u32::try_from(at).ok()?)?.checked_add(1)?)
}

impl Block {
    /// A block without pages.
    pub fn empty(group: u32) -> Box<Block> {
        Box::new(Block {
            group,
            bytes: [0; BLOCK_LEN],
            is_dirty: false,
            verified: Marks::default(),
            used: Marks::default(),
        })
    }

    /// Forgets all pages.
    pub fn clear(&mut self) {
        self.bytes.fill(0);
    }

    /// The record at a place; `None` when the page is not cached.
    pub fn record(&self, at: usize) -> Option<Record> {
        let (records, _) = self.bytes.as_chunks::<RECORD_LEN>();
        let bytes = u128::from_be_bytes(*records.get(at.checked_add(1)?)?);
        let checksum = Checksum(bytes as u64);
        checksum.is_set().then_some(Record { since: Txid((bytes >> 64) as u64), checksum })
    }

    /// Sets the record at a place.
    pub fn set(&mut self, at: usize, record: Option<Record>) {
        let word = record.map_or(0, |Record { since, checksum }| {
            u128::from(since.0) << 64 | u128::from(checksum.0)
        });
        let (records, _) = self.bytes.as_chunks_mut::<RECORD_LEN>();
        if let Some(bytes) = records.get_mut(at.saturating_add(1)) {
            *bytes = word.to_be_bytes();
            self.is_dirty = true;
        }
    }

    /// The places of cached pages.
    pub fn places(&self) -> impl Iterator<Item = usize> {
        (0..PAGES_PER_GROUP as usize).filter(|&at| self.record(at).is_some())
    }

    /// What to read the block's bytes into.
    pub fn bytes_mut(&mut self) -> &mut [u8; BLOCK_LEN] {
        &mut self.bytes
    }

    /// The version of bytes that were read; `None` when they are no block of this group and generation.
    pub fn version(&self, generation: u64) -> Option<u64> {
        let (words, _) = self.bytes.as_chunks::<8>();
        let [crc, version] = words.first_chunk()?.map(u64::from_be_bytes);
        (crc == self.crc(generation)).then_some(version)
    }

    /// The bytes to write.
    pub fn sealed(&mut self, generation: u64, version: u64) -> &[u8] {
        let (words, _) = self.bytes.as_chunks_mut::<8>();
        if let Some(word) = words.get_mut(1) {
            *word = version.to_be_bytes();
        }
        let crc = self.crc(generation);
        if let Some(word) = self.bytes.first_chunk_mut() {
            *word = crc.to_be_bytes();
        }
        &self.bytes
    }

    fn crc(&self, generation: u64) -> u64 {
        let mut crc = Crc64::new();
        crc.update(&generation.to_be_bytes());
        crc.update(&self.group.to_be_bytes());
        crc.update(self.bytes.get(CRC_LEN..).unwrap_or_default());
        crc.finish()
    }
}
