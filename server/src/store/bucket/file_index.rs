//! What one stored file says about itself, in few bytes: its header's facts, and where its pages are.
//!
//! Frames follow each other without gaps from the end of the header on, so their lengths tell where
//! each begins: four bytes a page, and four more for its number unless the file has every page. A
//! database of 10 GB in pages of 4 KiB takes 11 MB.

use std::mem::size_of;
use std::ops::Range;

use litevfs::ltx::{HEADER_LEN, Header, PageIndex};
use litevfs::types::{Checksum, PageSize, Pgno, Pos, Txid};

use super::marks::{self, Marks};

/// Every so many pages it is remembered where a frame begins.
const STRIDE: usize = 64;

/// A stored file, without its pages.
#[derive(Debug)]
pub struct FileIndex {
    /// Bytes of a page.
    pub page_size: PageSize,
    /// Pages of the database after it.
    pub commit: u32,
    /// Its first transaction.
    pub min_txid: Txid,
    /// Its last transaction.
    pub max_txid: Txid,
    /// When its last transaction was committed, in ms since the Unix epoch, by the clock of the server
    /// that made it: see [`super::ltx_file::LtxFile::commit_time`].
    pub timestamp_ms: u64,
    /// What its header says beside that.
    pub marks: Marks,
    pgnos: Pgnos,
    /// Bytes of each frame.
    lens: Vec<u32>,
    /// Where every [`STRIDE`]th frame begins.
    starts: Vec<u64>,
}

/// The pages of a file, ascending.
#[derive(Debug)]
enum Pgnos {
    /// All from 1 on, but for the lock page.
    All { lock: u32 },
    /// These.
    List(Vec<u32>),
}

impl FileIndex {
    /// The facts of a file from its decoded header, its trailer's post-apply checksum and its page
    /// index. The error says why the file cannot be trusted.
    pub fn new(
        header: &Header,
        trailer: Checksum,
        index: &PageIndex,
    ) -> Result<FileIndex, &'static str> {
        let entries = index.entries();
        let marks = marks::marks(header, trailer, entries.iter().map(|entry| entry.pgno))?;
        // LZ4 adds less than half a percent to what it cannot compress, headers a few dozen bytes.
        let max_len = header.page_size.bytes().saturating_mul(2);
        let mut lens = Vec::with_capacity(entries.len());
        for entry in entries {
            let len = u32::try_from(entry.len).ok().filter(|&len| len <= max_len);
            lens.push(len.ok_or("a page frame is longer than a page can become")?);
        }
        let starts = entries.iter().step_by(STRIDE).map(|entry| entry.offset).collect();
        let all = Pgnos::All { lock: header.page_size.lock_pgno().get() };
        let has_all = entries.iter().enumerate().all(|(n, entry)| all.nth(n) == Some(entry.pgno));
        let list = || entries.iter().map(|entry| entry.pgno.get()).collect();
        Ok(FileIndex {
            page_size: header.page_size,
            commit: header.commit,
            min_txid: header.min_txid,
            max_txid: header.max_txid,
            timestamp_ms: header.timestamp_ms,
            marks,
            pgnos: if has_all { all } else { Pgnos::List(list()) },
            lens,
            starts,
        })
    }

    /// The position of the database after it.
    pub const fn pos(&self) -> Pos {
        Pos {
            txid: self.max_txid,
            post_apply_checksum: self.marks.post_apply_checksum,
            commit_id: self.marks.commit_id,
        }
    }

    /// The database checksum after it.
    pub const fn post_apply_checksum(&self) -> Checksum {
        self.marks.post_apply_checksum
    }

    /// How many pages it has.
    pub const fn len(&self) -> usize {
        self.lens.len()
    }

    /// Whether it has every page of the database, so that nothing of what was before shows through.
    pub fn is_whole(&self) -> bool {
        let lock = u32::from(self.page_size.lock_pgno().get() <= self.commit);
        let all = self.commit.saturating_sub(lock) as usize;
        self.commit > 0 && matches!(self.pgnos, Pgnos::All { .. }) && self.len() == all
    }

    /// Bytes of memory it takes, about.
    pub fn memory(&self) -> usize {
        let pgnos = match &self.pgnos {
            Pgnos::All { .. } => 0,
            Pgnos::List(list) => list.capacity().saturating_mul(size_of::<u32>()),
        };
        let lens = self.lens.capacity().saturating_mul(size_of::<u32>());
        let starts = self.starts.capacity().saturating_mul(size_of::<u64>());
        [pgnos, lens, starts, size_of::<FileIndex>()].into_iter().fold(0, usize::saturating_add)
    }

    /// The pages, ascending.
    pub fn pgnos(&self) -> impl Iterator<Item = Pgno> {
        (0..self.len()).filter_map(|place| self.pgnos.nth(place))
    }

    /// The place of a page in the file, from 0.
    pub fn find(&self, pgno: Pgno) -> Option<usize> {
        let place = match &self.pgnos {
            Pgnos::List(list) => return list.binary_search(&pgno.get()).ok(),
            Pgnos::All { lock } if pgno.get() == *lock => return None,
            Pgnos::All { lock } => {
                pgno.get().saturating_sub(if pgno.get() > *lock { 2 } else { 1 })
            }
        };
        Some(place as usize).filter(|&place| place < self.len())
    }

    /// Where the frame at a place lies in the file, in bytes.
    pub fn range(&self, place: usize) -> Option<Range<u64>> {
        let len = u64::from(*self.lens.get(place)?);
        let stride = place.checked_div(STRIDE)?;
        let from = stride.saturating_mul(STRIDE);
        let between = self.lens.get(from..place)?.iter().map(|&len| u64::from(len));
        let start = between.fold(*self.starts.get(stride)?, u64::saturating_add);
        Some(start..start.saturating_add(len))
    }

    /// Where the pages end, in bytes.
    pub fn end_of_pages(&self) -> u64 {
        let last = self.len().checked_sub(1).and_then(|place| self.range(place));
        last.map_or(HEADER_LEN as u64, |range| range.end)
    }
}

impl Pgnos {
    fn nth(&self, place: usize) -> Option<Pgno> {
        match self {
            Pgnos::List(list) => list.get(place).copied().and_then(Pgno::new),
            Pgnos::All { lock } => {
                let pgno = u32::try_from(place).ok()?.checked_add(1)?;
                Pgno::new(if pgno >= *lock { pgno.checked_add(1)? } else { pgno })
            }
        }
    }
}

/// Whether a file says that its database was dropped.
pub fn is_tombstone(index: &FileIndex) -> bool {
    index.commit == 0 && index.len() == 0
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;
    use litevfs::ltx::{Encoder, Format};

    fn header(commit: u32, pgnos: &[u32]) -> Header {
        let header = Header {
            commit,
            min_txid: Txid(2),
            max_txid: Txid(2),
            timestamp_ms: 5,
            ..Header::new(PageSize::new(512).unwrap())
        };
        let marks = Marks {
            pre_apply_checksum: Checksum(Checksum::FLAG | 1),
            post_apply_checksum: Checksum(Checksum::FLAG | 2),
            commit_id: litevfs::types::CommitId(3),
            client_timestamp_ms: 4,
            span: 0,
            group: None,
            is_break: false,
        };
        marks::stored_header(&header, &marks, pgnos.iter().filter_map(|&pgno| Pgno::new(pgno)))
    }

    fn encoded(pgnos: &[u32]) -> (Header, PageIndex) {
        let header = header(10_000, pgnos);
        let mut encoder = Encoder::new(Vec::new(), Format::V3Frame, header).unwrap();
        for &pgno in pgnos {
            let page: Vec<u8> = (0..512_u32).map(|n| (n * pgno % 251) as u8).collect();
            encoder.encode_page(Pgno::new(pgno).unwrap(), &page).unwrap();
        }
        (header, encoder.finish(Checksum::NONE).unwrap().index)
    }

    #[test]
    fn every_frame_is_where_the_page_index_says() {
        for pgnos in [(1..=300).collect::<Vec<u32>>(), (1..500).step_by(3).collect(), vec![7]] {
            let (header, index) = encoded(&pgnos);
            let file = FileIndex::new(&header, Checksum::NONE, &index).unwrap();
            assert_eq!(file.pgnos().map(Pgno::get).collect::<Vec<_>>(), pgnos);
            for (place, entry) in index.entries().iter().enumerate() {
                assert_eq!(file.find(entry.pgno), Some(place));
                assert_eq!(file.range(place), Some(entry.offset..entry.offset + entry.len));
            }
            assert_eq!(file.find(Pgno::new(9_999).unwrap()), None);
            assert_eq!(file.find(Pgno::new(2).unwrap()).is_some(), pgnos.contains(&2));
        }
    }

    #[test]
    fn all_pages_leave_the_lock_page_out() {
        let all = Pgnos::All { lock: 3 };
        let pgnos: Vec<u32> = (0..4).filter_map(|n| all.nth(n)).map(Pgno::get).collect();
        assert_eq!(pgnos, [1, 2, 4, 5]);
    }

    #[test]
    fn an_index_of_other_pages_is_refused() {
        let (_, index) = encoded(&[1, 2, 3]);
        assert!(FileIndex::new(&header(10_000, &[1, 2, 4]), Checksum::NONE, &index).is_err());
    }
}
