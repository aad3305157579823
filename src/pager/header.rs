//! The database header on page 1, as far as a VFS must know it ("Database File Format", section 1.3).
//!
//! | offset | bytes | field |
//! | --- | --- | --- |
//! | 16 | 2 | page size; 1 stands for 65,536 |
//! | 18, 19 | 1, 1 | write and read version: 1 rollback journal, 2 WAL |
//! | 24 | 4 | change counter |
//! | 28 | 4 | database size in pages, valid when the next field equals the change counter |
//! | 92 | 4 | the change counter for which the size is valid |

use crate::error::{Error, ErrorKind, Result};
use crate::types::PageSize;

/// Length of the header.
pub const HEADER_LEN: usize = 100;
/// Where the fields begin that SQLite compares to find its cached pages stale, and how many bytes.
pub const VERSION_OFFSET: u64 = 24;
/// See [`VERSION_OFFSET`].
pub const VERSION_LEN: usize = 16;

const MAGIC: &[u8; 16] = b"SQLite format 3\0";
const FORMAT_VERSIONS: core::ops::Range<usize> = 18..20;
const ROLLBACK_VERSION: u8 = 1;
const WAL_VERSION: u8 = 2;

/// The header's fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Page size.
    pub page_size: PageSize,
    /// Database size in pages; `None` when the program that wrote last did not keep it.
    pub commit: Option<u32>,
    /// Counts the transactions, so that clients find their cached pages stale.
    pub change_counter: u32,
}

impl Header {
    /// Reads the header of page 1.
    pub fn decode(page1: &[u8]) -> Result<Header> {
        let not_a_database = || Error::new(ErrorKind::Corrupt, "page 1 is not a SQLite header");
        let header = page1.get(..HEADER_LEN).ok_or_else(not_a_database)?;
        if !header.starts_with(MAGIC) {
            return Err(not_a_database());
        }
        let page_size = match u16_at(header, 16) {
            1 => 65_536,
            bytes => u32::from(bytes),
        };
        let page_size = PageSize::new(page_size).ok_or_else(not_a_database)?;
        let (change_counter, commit) = (u32_at(header, 24), u32_at(header, 28));
        let valid = commit != 0 && change_counter == u32_at(header, 92);
        Ok(Header { page_size, commit: valid.then_some(commit), change_counter })
    }
}

/// Whether page 1 says that the database is in WAL mode.
pub fn is_wal(page1: &[u8]) -> bool {
    page1.get(FORMAT_VERSIONS).is_some_and(|versions| versions.contains(&WAL_VERSION))
}

/// Makes page 1 of a WAL database look like one with a rollback journal, which SQLite can write
/// without shared memory.
pub fn show_as_rollback(page1: &mut [u8]) {
    set_versions(page1, WAL_VERSION, ROLLBACK_VERSION);
}

/// Undoes [`show_as_rollback`] on a page that SQLite wrote.
pub fn keep_as_wal(page1: &mut [u8]) {
    set_versions(page1, ROLLBACK_VERSION, WAL_VERSION);
}

fn set_versions(page1: &mut [u8], from: u8, to: u8) {
    for version in page1.get_mut(FORMAT_VERSIONS).unwrap_or_default() {
        if *version == from {
            *version = to;
        }
    }
}

/// Gives page 1 another change counter, and keeps the size valid.
pub fn set_change_counter(page1: &mut [u8], change_counter: u32) {
    for offset in [24_usize, 92] {
        if let Some(field) = page1.get_mut(offset..offset.saturating_add(4)) {
            field.copy_from_slice(&change_counter.to_be_bytes());
        }
    }
}

fn u16_at(bytes: &[u8], offset: usize) -> u16 {
    let field = bytes.get(offset..).and_then(|bytes| bytes.first_chunk());
    field.copied().map_or(0, u16::from_be_bytes)
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    let field = bytes.get(offset..).and_then(|bytes| bytes.first_chunk());
    field.copied().map_or(0, u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;

    fn page1(page_size: u16, counter: u32, commit: u32, valid_for: u32) -> Vec<u8> {
        let mut page = vec![0; 512];
        page[..16].copy_from_slice(MAGIC);
        page[16..18].copy_from_slice(&page_size.to_be_bytes());
        page[18..20].copy_from_slice(&[2, 2]);
        page[24..28].copy_from_slice(&counter.to_be_bytes());
        page[28..32].copy_from_slice(&commit.to_be_bytes());
        page[92..96].copy_from_slice(&valid_for.to_be_bytes());
        page
    }

    #[test]
    fn fields_are_read() {
        let header = Header::decode(&page1(1, 7, 3, 7)).unwrap();
        assert_eq!(header.page_size.bytes(), 65_536);
        assert_eq!((header.commit, header.change_counter), (Some(3), 7));
        assert_eq!(Header::decode(&page1(512, 7, 3, 6)).unwrap().commit, None);
        for bad in [&page1(100, 1, 1, 1)[..], &[0; 512][..], b"SQLite format 3\0"] {
            assert_eq!(Header::decode(bad).unwrap_err().kind(), ErrorKind::Corrupt);
        }
    }

    #[test]
    fn wal_bytes_are_hidden_and_restored() {
        let wal = page1(512, 1, 1, 1);
        let mut shown = wal.clone();
        show_as_rollback(&mut shown);
        assert!(is_wal(&wal) && !is_wal(&shown));
        keep_as_wal(&mut shown);
        assert_eq!(shown, wal);
    }

    #[test]
    fn a_new_counter_keeps_the_size_valid() {
        let mut page = page1(512, 7, 3, 7);
        set_change_counter(&mut page, 8);
        let header = Header::decode(&page).unwrap();
        assert_eq!((header.commit, header.change_counter), (Some(3), 8));
    }
}
