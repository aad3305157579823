//! The cache's index on disk: a log of records, of which any beginning is a true statement.
//!
//! ```text
//! header   magic u64 | identity u64 | generation u64 | page size u64 | crc u64
//! record   kind u32  | pgno u32     | slot u32 | 0   | txid u64 | checksum u64 | crc u64
//! ```
//!
//! | kind | says |
//! | --- | --- |
//! | put | the slot holds the page, unchanged since `txid`, with that checksum |
//! | drop | the page is not cached any more |
//! | pos | everything said so far is good at this position |
//!
//! Big-endian; a record's CRC also covers the generation, so that what an earlier generation left
//! behind the end is not taken for a record. Reading stops at the first record that does not hold. A
//! cut log therefore only knows less: drops are written before the position they belong to, puts of a
//! transaction carry its id and do not count before that position is reached. That a slot holds what
//! the index says is checked by the page's checksum when it is read.

use crate::ltx::Crc64;
use crate::sys;
use crate::types::{Checksum, PageSize, Pgno, Pos, Txid};
use alloc::vec;
use alloc::vec::Vec;

const MAGIC: u64 = u64::from_be_bytes(*b"LITEVFS1");
const HEADER_LEN: usize = 40;
const RECORD_LEN: usize = 40;
const CRC_LEN: usize = 8;
/// Stands for the generation in the header's own CRC.
const HEADER_GENERATION: u64 = 0;
/// The longest log to read: 10 million records.
const MAX_LOG_LEN: u64 = 400_000_000;

const PUT: u32 = 1;
const DROP: u32 = 2;
const POS: u32 = 3;

/// One statement about the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// See the module.
    Put {
        /// Page number.
        pgno: Pgno,
        /// Where its bytes are.
        slot: u32,
        /// The page did not change since this transaction.
        since: Txid,
        /// Of the page.
        checksum: Checksum,
    },
    /// See the module.
    Drop(Pgno),
    /// See the module.
    Pos(Pos),
}

/// The log, open for appending.
pub struct IndexLog {
    file: sys::File,
    identity: u64,
    generation: u64,
    end: u64,
    records: u64,
}

impl IndexLog {
    /// Reads the log of a cache that is known by `identity`. Answers with the page size and the
    /// records; none for a new, foreign or unreadable log.
    pub fn open(file: sys::File, identity: u64) -> (IndexLog, Option<PageSize>, Vec<Record>) {
        let mut log = IndexLog { file, identity, generation: 0, end: 0, records: 0 };
        match log.read() {
            Some((page_size, records)) => (log, Some(page_size), records),
            None => (log, None, Vec::new()),
        }
    }

    fn read(&mut self) -> Option<(PageSize, Vec<Record>)> {
        let len = self.file.len_bytes().ok().filter(|&len| len <= MAX_LOG_LEN)?;
        let mut bytes = vec![0; usize::try_from(len).ok()?];
        self.file.read_at(&mut bytes, 0).ok()?;
        let (header, rest) = bytes.split_at_checked(HEADER_LEN)?;
        let [magic, identity, generation, page_size, crc] = words(header)?;
        if magic != MAGIC || identity != self.identity || crc != crc_of(HEADER_GENERATION, header) {
            return None;
        }
        let page_size = PageSize::new(u32::try_from(page_size).ok()?)?;
        self.generation = generation;
        let records: Vec<Record> =
            rest.chunks_exact(RECORD_LEN).map_while(|bytes| decode(bytes, generation)).collect();
        self.records = records.len() as u64;
        self.end = HEADER_LEN as u64;
        self.end = self.end.saturating_add(self.records.saturating_mul(RECORD_LEN as u64));
        Some((page_size, records))
    }

    /// Begins anew with these records; `false` when the disk fails.
    pub fn rewrite(&mut self, page_size: PageSize, records: &[Record]) -> bool {
        let mut generation = [0; 8];
        let random = sys::random_bytes(&mut generation);
        self.generation = match random {
            true => u64::from_be_bytes(generation),
            false => self.generation.wrapping_add(1),
        };
        let mut header = Vec::with_capacity(HEADER_LEN);
        for word in [MAGIC, self.identity, self.generation, u64::from(page_size.bytes())] {
            header.extend_from_slice(&word.to_be_bytes());
        }
        let crc = crc_with(HEADER_GENERATION, &header);
        header.extend_from_slice(&crc.to_be_bytes());
        self.records = 0;
        self.end = HEADER_LEN as u64;
        self.file.set_len(0).is_ok()
            && self.file.write_at(&header, 0).is_ok()
            && self.append(records)
    }

    /// Appends records; `false` when the disk fails.
    pub fn append(&mut self, records: &[Record]) -> bool {
        let mut bytes = Vec::with_capacity(records.len().saturating_mul(RECORD_LEN));
        for record in records {
            encode(record, self.generation, &mut bytes);
        }
        let written = self.file.write_at(&bytes, self.end).is_ok();
        if written {
            self.end = self.end.saturating_add(bytes.len() as u64);
            self.records = self.records.saturating_add(records.len() as u64);
        }
        written
    }

    /// Records in the log.
    pub fn len_records(&self) -> u64 {
        self.records
    }
}

fn encode(record: &Record, generation: u64, out: &mut Vec<u8>) {
    let (kind, pgno, slot, txid, checksum) = match *record {
        Record::Put { pgno, slot, since, checksum } => (PUT, pgno.get(), slot, since, checksum),
        Record::Drop(pgno) => (DROP, pgno.get(), 0, Txid::ZERO, Checksum::NONE),
        Record::Pos(pos) => (POS, 0, 0, pos.txid, pos.post_apply_checksum),
    };
    let begin = out.len();
    for word in [kind, pgno, slot, 0] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    out.extend_from_slice(&txid.0.to_be_bytes());
    out.extend_from_slice(&checksum.0.to_be_bytes());
    let crc = crc_with(generation, out.get(begin..).unwrap_or_default());
    out.extend_from_slice(&crc.to_be_bytes());
}

fn decode(bytes: &[u8], generation: u64) -> Option<Record> {
    let [kind_pgno, slot_zero, txid, checksum, crc] = words(bytes)?;
    if crc != crc_of(generation, bytes) {
        return None;
    }
    let (kind, pgno) = ((kind_pgno >> 32) as u32, kind_pgno as u32);
    let (since, checksum) = (Txid(txid), Checksum(checksum));
    match kind {
        PUT => {
            let slot = (slot_zero >> 32) as u32;
            Some(Record::Put { pgno: Pgno::new(pgno)?, slot, since, checksum })
        }
        DROP => Some(Record::Drop(Pgno::new(pgno)?)),
        POS => Some(Record::Pos(Pos { txid: since, post_apply_checksum: checksum })),
        _ => None,
    }
}

fn words(bytes: &[u8]) -> Option<[u64; 5]> {
    let (words, rest) = bytes.as_chunks::<8>();
    let words: &[[u8; 8]; 5] = words.try_into().ok()?;
    rest.is_empty().then(|| words.map(u64::from_be_bytes))
}

/// The CRC that belongs at the end of `bytes`, which include one already.
fn crc_of(generation: u64, bytes: &[u8]) -> u64 {
    let covered = bytes.get(..bytes.len().saturating_sub(CRC_LEN)).unwrap_or_default();
    crc_with(generation, covered)
}

fn crc_with(generation: u64, covered: &[u8]) -> u64 {
    let mut crc = Crc64::new();
    crc.update(&generation.to_be_bytes());
    crc.update(covered);
    crc.finish()
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;

    fn page_size() -> PageSize {
        PageSize::new(4096).unwrap()
    }

    fn records() -> Vec<Record> {
        let pgno = |n| Pgno::new(n).unwrap();
        let pos = Pos { txid: Txid(3), post_apply_checksum: Checksum(Checksum::FLAG | 5) };
        let put = |n| Record::Put {
            pgno: pgno(n),
            slot: n * 2,
            since: Txid(2),
            checksum: Checksum(Checksum::FLAG | u64::from(n)),
        };
        vec![put(1), put(2), Record::Drop(pgno(1)), Record::Pos(pos)]
    }

    /// A log with four records in a named file, and that file's path.
    fn written(dir: &sys::PrivateDir) -> alloc::string::String {
        let path = alloc::format!("{}/log", dir.path().unwrap());
        let (mut log, ..) = IndexLog::open(sys::File::open(&path).unwrap(), 9);
        assert!(log.rewrite(page_size(), &records()[..2]) && log.append(&records()[2..]));
        path
    }

    #[test]
    fn a_log_reads_back() {
        let dir = sys::PrivateDir::create().unwrap();
        let path = written(&dir);
        let (log, size, read) = IndexLog::open(sys::File::open(&path).unwrap(), 9);
        assert_eq!((size, read), (Some(page_size()), records()));
        assert_eq!(log.len_records(), 4);
        let (_, size, read) = IndexLog::open(sys::File::open(&path).unwrap(), 8);
        assert_eq!((size, read.len()), (None, 0));
    }

    #[test]
    fn a_cut_or_damaged_log_is_a_beginning() {
        let dir = sys::PrivateDir::create().unwrap();
        let path = written(&dir);
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            for damaged in [whole[..at].to_vec(), {
                let mut flipped = whole.clone();
                flipped[at] ^= 0x10;
                flipped
            }] {
                std::fs::write(&path, damaged).unwrap();
                let (_, _, read) = IndexLog::open(sys::File::open(&path).unwrap(), 9);
                assert_eq!(read, records()[..read.len()]);
                assert!(read.len() <= at.saturating_sub(HEADER_LEN) / RECORD_LEN);
            }
        }
    }

    #[test]
    fn an_earlier_generation_is_not_read_as_a_record() {
        let dir = sys::PrivateDir::create().unwrap();
        let path = written(&dir);
        let old = std::fs::read(&path).unwrap();
        let (mut log, ..) = IndexLog::open(sys::File::open(&path).unwrap(), 9);
        assert!(log.rewrite(page_size(), &records()[..1]));
        let mut torn = std::fs::read(&path).unwrap();
        torn.extend_from_slice(&old[torn.len()..]);
        std::fs::write(&path, torn).unwrap();
        let (_, _, read) = IndexLog::open(sys::File::open(&path).unwrap(), 9);
        assert_eq!(read, records()[..1]);
    }
}
