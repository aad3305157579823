//! CRC-64/ISO.

use crate::types::{Checksum, Pgno};

/// A running CRC-64/ISO.
#[derive(Debug, Clone)]
pub struct Crc64(u64);

impl Crc64 {
    /// The CRC of nothing yet.
    pub const fn new() -> Crc64 {
        Crc64(u64::MAX)
    }

    /// Takes in more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        todo!()
    }

    /// The CRC of all bytes so far.
    pub const fn finish(&self) -> u64 {
        !self.0
    }
}

/// The checksum of one page.
pub fn page_checksum(pgno: Pgno, data: &[u8]) -> Checksum {
    todo!()
}
