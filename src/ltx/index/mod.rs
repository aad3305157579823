//! The page index of a v3 file: where each page's frame is, so that one page can be read alone.
//!
//! Lies between the page block and the trailer. For each page, in ascending order:
//!
//! | bytes | field |
//! | --- | --- |
//! | LEB128 | pgno |
//! | LEB128 | offset of its frame from the start of the file, bytes |
//! | LEB128 | length of the frame with its header, bytes |
//!
//! and then once:
//!
//! | bytes | field |
//! | --- | --- |
//! | 1 | zero |
//! | 8 | bytes of all the above, zero included; big-endian |
//!
//! Frames follow each other without gaps from the end of the header on, in the order of the index,
//! so a file has one correct index, and any other is refused.

mod check;

use alloc::vec::Vec;

pub(super) use self::check::IndexCheck;

use super::error::Error;
use super::header::{HEADER_LEN, TRAILER_LEN};
use super::page_frame::FrameHeader;
use super::varint::{put_varint, take_varint};
use crate::types::Pgno;

const SIZE_LEN: usize = 8;
const FIRST_OFFSET: u64 = HEADER_LEN as u64;
/// Bytes of the index and after it that are there in every v3 file.
const MIN_TAIL_LEN: u64 = (1 + SIZE_LEN + TRAILER_LEN) as u64;

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
    /// How many bytes of the file's end [`PageIndex::decode`] needs; any 24 or more of them tell.
    pub fn tail_len(tail: &[u8]) -> Result<u64, Error> {
        let (rest, _trailer) = tail.split_last_chunk::<TRAILER_LEN>().ok_or(Error::Truncated)?;
        let (_, size) = rest.split_last_chunk::<SIZE_LEN>().ok_or(Error::Truncated)?;
        let after = (SIZE_LEN + TRAILER_LEN) as u64;
        let len = u64::from_be_bytes(*size).checked_add(after).ok_or(Error::BadIndex)?;
        if len < MIN_TAIL_LEN { Err(Error::BadIndex) } else { Ok(len) }
    }

    /// Reads the index from the last bytes of a file of `file_len` bytes, without its pages.
    /// [`Error::IndexOutOfReach`] when `tail` is shorter than [`PageIndex::tail_len`].
    pub fn decode(tail: &[u8], file_len: u64) -> Result<PageIndex, Error> {
        let tail_len = PageIndex::tail_len(tail)?;
        let block_end = file_len.checked_sub(tail_len).ok_or(Error::BadIndex)?;
        let tail_len = usize::try_from(tail_len).map_err(|_| Error::IndexOutOfReach)?;
        let start = tail.len().checked_sub(tail_len).ok_or(Error::IndexOutOfReach)?;
        let end = tail.len().saturating_sub(SIZE_LEN + TRAILER_LEN);
        let mut rest = tail.get(start..end).ok_or(Error::BadIndex)?;

        let mut entries = Vec::new();
        let mut offset = FIRST_OFFSET;
        let mut last_pgno = 0;
        while let Some(pgno) = take_pgno(&mut rest)? {
            let entry = IndexEntry { pgno, offset: take(&mut rest)?, len: take(&mut rest)? };
            if pgno.get() <= last_pgno || entry.offset != offset || entry.len == 0 {
                return Err(Error::BadIndex);
            }
            last_pgno = pgno.get();
            offset = offset.checked_add(entry.len).ok_or(Error::BadIndex)?;
            entries.push(entry);
        }
        let pages_end = offset.checked_add(FrameHeader::END.bytes().len() as u64);
        if !rest.is_empty() || pages_end != Some(block_end) {
            return Err(Error::BadIndex);
        }
        Ok(PageIndex { entries })
    }

    /// The entries, in ascending order of page number.
    pub fn entries(&self) -> &[IndexEntry] {
        &self.entries
    }

    /// The entry of one page.
    pub fn get(&self, pgno: Pgno) -> Option<IndexEntry> {
        let at = self.entries.binary_search_by_key(&pgno, |entry| entry.pgno).ok()?;
        self.entries.get(at).copied()
    }

    pub(super) fn push(&mut self, entry: IndexEntry) {
        self.entries.push(entry);
    }

    /// The index as it lies in the file.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for entry in &self.entries {
            put_entry(&mut bytes, entry);
        }
        bytes.push(0);
        let size = bytes.len() as u64;
        bytes.extend_from_slice(&size.to_be_bytes());
        bytes
    }
}

fn put_entry(bytes: &mut Vec<u8>, entry: &IndexEntry) {
    put_varint(bytes, u64::from(entry.pgno.get()));
    put_varint(bytes, entry.offset);
    put_varint(bytes, entry.len);
}

fn take(rest: &mut &[u8]) -> Result<u64, Error> {
    take_varint(rest).ok_or(Error::BadIndex)
}

/// The page number of the next entry; `None` for the zero that ends the index.
fn take_pgno(rest: &mut &[u8]) -> Result<Option<Pgno>, Error> {
    let pgno = u32::try_from(take(rest)?).map_err(|_| Error::BadIndex)?;
    Ok(Pgno::new(pgno))
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;
    use alloc::vec;

    /// An index with numbers of every length.
    pub(super) fn index() -> PageIndex {
        let mut index = PageIndex::default();
        let mut offset = FIRST_OFFSET;
        for (pgno, len) in [(1, 300), (2, 7), (200, 70_000), (u32::MAX, 40)] {
            index.push(IndexEntry { pgno: Pgno::new(pgno).unwrap(), offset, len });
            offset += len;
        }
        index
    }

    /// The index with a trailer, and the length of the file that ends so.
    fn tail() -> (Vec<u8>, u64) {
        let mut tail = index().encode();
        tail.extend_from_slice(&[0xee; TRAILER_LEN]);
        let pages: u64 = index().entries().iter().map(|entry| entry.len).sum();
        let file_len = FIRST_OFFSET + pages + 6 + tail.len() as u64;
        (tail, file_len)
    }

    #[test]
    fn an_index_decodes_from_the_tail_of_its_file() {
        let (tail, file_len) = tail();
        assert_eq!(PageIndex::decode(&tail, file_len), Ok(index()));
        let longer = [vec![0x55; 100], tail.clone()].concat();
        assert_eq!(PageIndex::decode(&longer, file_len), Ok(index()));
        let shorter = &tail[1..];
        assert_eq!(PageIndex::decode(shorter, file_len), Err(Error::IndexOutOfReach));
        assert_eq!(PageIndex::tail_len(&tail[tail.len() - 24..]), Ok(tail.len() as u64));
    }

    #[test]
    fn an_index_that_does_not_fit_its_file_is_refused() {
        let (tail, file_len) = tail();
        for wrong in [0, 100, file_len - 1, file_len + 1, u64::MAX] {
            assert_eq!(PageIndex::decode(&tail, wrong), Err(Error::BadIndex), "{wrong} bytes");
        }
        for at in 0..tail.len() - TRAILER_LEN {
            let mut damaged = tail.clone();
            damaged[at] ^= 0x01;
            assert_ne!(PageIndex::decode(&damaged, file_len), Ok(index()), "byte {at}");
        }
        for len in 0..24 {
            assert_eq!(PageIndex::tail_len(&tail[..len]), Err(Error::Truncated));
        }
    }

    #[test]
    fn a_page_is_found_by_its_number() {
        let entry = index().get(Pgno::new(200).unwrap()).unwrap();
        assert_eq!((entry.offset, entry.len), (407, 70_000));
        assert_eq!(index().get(Pgno::new(3).unwrap()), None);
    }
}
