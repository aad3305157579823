//! Page 1 as a VFS must know it: what SQLite is shown of it otherwise than it is stored, and how that is
//! undone on what SQLite writes. The fields are those of [`crate::page1`].

use crate::error::{Error, ErrorKind, Result};
use crate::page1::{self, FORMAT_VERSIONS, Fault, Page1, SCHEMA_COOKIE};
use crate::types::PageSize;
use core::ops::Range;

/// Where the fields begin that SQLite compares to find its cached pages stale, and how many bytes.
pub const VERSION_OFFSET: u64 = 24;
/// See [`VERSION_OFFSET`].
pub const VERSION_LEN: usize = 16;

const CHANGE_COUNTER: Range<usize> = 24..28;
const SIZE: Range<usize> = 28..32;
const VALID_FOR: Range<usize> = 92..96;
const ROLLBACK_VERSION: u8 = 1;
const WAL_VERSION: u8 = 2;

/// Reads the header of page 1 as it came from the server or from SQLite.
pub fn decode(page1: &[u8]) -> Result<Page1> {
    Page1::decode(page1).map_err(|fault| error(&fault))
}

/// Refuses a page 1 with which SQLite could not open the database again.
pub fn check(page1: &[u8]) -> Result<()> {
    page1::check(page1).map_err(|fault| error(&fault))
}

/// The size of the pages: as page 1 says, or, where it is encrypted, as it has. `None` when it is no
/// whole page.
pub fn page_size(page1: &[u8]) -> Option<PageSize> {
    let len = u32::try_from(page1.len()).ok().and_then(PageSize::new);
    if page1::is_encrypted(page1) {
        return len;
    }
    len.filter(|&len| Page1::decode(page1).is_ok_and(|page1| page1.page_size == len))
}

fn error(fault: &Fault) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        alloc::format!(
            "page 1 {fault}, so it is no page that SQLite could open a database with; \
             a codec must encrypt all of page 1 (no plaintext header), and from the first transaction of a \
             database on"
        ),
    )
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
    for place in [CHANGE_COUNTER, VALID_FOR] {
        if let Some(field) = page1.get_mut(place) {
            field.copy_from_slice(&change_counter.to_be_bytes());
        }
    }
}

/// Makes page 1 say the size, as far as `bytes` of it, from `offset` on, hold the fields. Where the program
/// that wrote last did not keep it, SQLite would take it from a file that the VFS has to answer for anyway.
pub fn show_size(bytes: &mut [u8], offset: u64, change_counter: u32, size: u32) {
    for (place, value) in [(SIZE, size), (VALID_FOR, change_counter)] {
        if let Some(field) = part(bytes, offset, &place) {
            field.copy_from_slice(&value.to_be_bytes());
        }
    }
}

/// Adds to the schema cookie, where `bytes` of page 1, from `offset` on, hold it.
pub fn shift_cookie(bytes: &mut [u8], offset: u64, by: u32) {
    if let Some(field) = part(bytes, offset, &SCHEMA_COOKIE)
        && let Ok(cookie) = <[u8; 4]>::try_from(&*field)
    {
        field.copy_from_slice(&u32::from_be_bytes(cookie).wrapping_add(by).to_be_bytes());
    }
}

/// Whether that many bytes from `offset` of the file on hold the schema cookie.
pub fn has_cookie(offset: u64, len: usize) -> bool {
    within(offset, len, &SCHEMA_COOKIE).is_some()
}

fn part<'a>(bytes: &'a mut [u8], offset: u64, place: &Range<usize>) -> Option<&'a mut [u8]> {
    let place = within(offset, bytes.len(), place)?;
    bytes.get_mut(place)
}

fn within(offset: u64, len: usize, place: &Range<usize>) -> Option<Range<usize>> {
    let offset = usize::try_from(offset).ok()?;
    let (start, end) = (place.start.checked_sub(offset)?, place.end.checked_sub(offset)?);
    (end <= len).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;

    fn page1(counter: u32, commit: u32) -> Vec<u8> {
        let mut page = vec![0; 512];
        page[..16].copy_from_slice(page1::MAGIC);
        page[16..24].copy_from_slice(&[2, 0, 2, 2, 0, 64, 32, 32]);
        page[100] = 13;
        page1::set_counter_and_size(&mut page, counter, commit);
        page
    }

    #[test]
    fn what_is_no_header_is_refused() {
        assert_eq!(decode(&page1(7, 3)).unwrap().size, Some(3));
        assert!(check(&page1(7, 3)).is_ok());
        let mut encrypted = page1(7, 3);
        encrypted[44..48].fill(0xab);
        for bad in [&encrypted[..], &[0; 512][..], b"SQLite format 3\0"] {
            let error = check(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert!(error.message().contains("codec"), "{error}");
        }
    }

    #[test]
    fn wal_bytes_are_hidden_and_restored() {
        let wal = page1(1, 1);
        let mut shown = wal.clone();
        show_as_rollback(&mut shown);
        assert!(is_wal(&wal) && !is_wal(&shown));
        keep_as_wal(&mut shown);
        assert_eq!(shown, wal);
    }

    #[test]
    fn a_new_counter_keeps_the_size_valid() {
        let mut page = page1(7, 3);
        set_change_counter(&mut page, 8);
        let header = decode(&page).unwrap();
        assert_eq!((header.size, header.change_counter), (Some(3), 8));
    }

    #[test]
    fn a_size_is_shown_wherever_the_fields_are_read() {
        let mut stored = page1(7, 3);
        stored[28..32].fill(0);
        let mut whole = stored.clone();
        show_size(&mut whole, 0, 7, 5);
        assert_eq!(decode(&whole).unwrap().size, Some(5));
        let mut version = stored[24..40].to_vec();
        show_size(&mut version, VERSION_OFFSET, 7, 5);
        assert_eq!(version, whole[24..40]);
        let mut elsewhere = stored[512..].to_vec();
        show_size(&mut elsewhere, 512, 7, 5);
    }

    #[test]
    fn a_cookie_that_was_shifted_comes_back() {
        let stored = page1(7, 3);
        let mut shown = stored.clone();
        shift_cookie(&mut shown, 0, 9);
        assert_eq!(decode(&shown).unwrap().schema_cookie, 9);
        shift_cookie(&mut shown, 0, 9_u32.wrapping_neg());
        assert_eq!(shown, stored);
        assert!(has_cookie(0, 100) && has_cookie(40, 4));
        assert!(!has_cookie(24, 16) && !has_cookie(41, 100) && !has_cookie(512, 512));
    }
}
