//! What must be known of a page file before it is used: a log, of which any beginning is a true statement.
//!
//! ```text
//! header   magic u64 | identity u64 | generation u64 | page size u64 | round u64 | crc u64
//! entry    n u64 | n x (group u32 | pages u32 | version u64) | txid u64 | checksum u64 | commit u64 | crc u64
//! ```
//!
//! Big-endian. An entry says at which position the file is, and how many cached pages those groups have
//! that it names. A block of the index counts when it has the version said here, or a higher one: each
//! page that leaves because it changed raises it. So a block that a power cut kept from the disk takes its
//! group with it, and never shows a page that changed.
//!
//! The first entry names every group. An entry's CRC also covers the round, which is another one when the
//! log begins anew, so that what was there before is not taken for an entry. Reading stops at the first
//! entry that does not hold.

use crate::ltx::Crc64;
use crate::sys;
use crate::types::{Checksum, CommitId, PageSize, Pos, Txid};
use alloc::vec;
use alloc::vec::Vec;

const MAGIC: u64 = u64::from_be_bytes(*b"LITEVFS3");
const HEADER_LEN: usize = 48;
const GROUP_LEN: usize = 16;
const CRC_LEN: usize = 8;
/// Stands for the round in the header's own CRC.
const HEADER_ROUND: u64 = 0;
/// The longest log to read.
const MAX_LOG_LEN: u64 = 64 << 20;

/// What is said of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupEntry {
    /// Its number.
    pub group: u32,
    /// Its cached pages.
    pub pages: u32,
    /// The least version that its block must have.
    pub version: u64,
}

/// What a log says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Of the pages.
    pub page_size: PageSize,
    /// What the blocks were written with.
    pub generation: u64,
    /// The position.
    pub pos: Pos,
    /// In the order in which it was said.
    pub groups: Vec<GroupEntry>,
}

/// The log, open for appending.
pub struct IndexLog {
    file: sys::File,
    identity: u64,
    round: u64,
    end: u64,
    len: usize,
}

impl IndexLog {
    /// Reads the log of a cache that is known by `identity`; it says nothing when it is new, foreign or
    /// unreadable.
    pub fn open(file: sys::File, identity: u64) -> (IndexLog, Option<Said>) {
        let mut log = IndexLog { file, identity, round: 0, end: 0, len: 0 };
        let said = log.read();
        (log, said)
    }

    fn read(&mut self) -> Option<Said> {
        let len = self.file.len_bytes().ok().filter(|&len| len <= MAX_LOG_LEN)?;
        let mut bytes = vec![0; usize::try_from(len).ok()?];
        self.file.read_at(&mut bytes, 0).ok()?;
        let (header, mut rest) = bytes.split_at_checked(HEADER_LEN)?;
        let words: &[[u8; 8]; 6] = header.as_chunks().0.try_into().ok()?;
        let [magic, identity, generation, page_size, round, _] = words.map(u64::from_be_bytes);
        if magic != MAGIC || identity != self.identity || !holds(HEADER_ROUND, header) {
            return None;
        }
        let page_size = PageSize::new(u32::try_from(page_size).ok()?)?;
        let mut said = Said { page_size, generation, pos: Pos::EMPTY, groups: Vec::new() };
        while let Some((entry, next)) = split_entry(rest, round) {
            take(entry, &mut said)?;
            rest = next;
            self.len = self.len.saturating_add(1);
        }
        self.round = round;
        self.end = len.saturating_sub(rest.len() as u64);
        self.len = self.len.saturating_add(said.groups.len());
        Some(said)
    }

    /// Begins anew; `false` when the disk fails.
    pub fn rewrite(&mut self, said: &Said) -> bool {
        self.round = fresh(self.round);
        let page_size = u64::from(said.page_size.bytes());
        let mut bytes = Vec::new();
        for word in [MAGIC, self.identity, said.generation, page_size, self.round] {
            bytes.extend_from_slice(&word.to_be_bytes());
        }
        seal(HEADER_ROUND, 0, &mut bytes);
        (self.end, self.len) = (0, 0);
        self.file.set_len(0).is_ok() && self.write(bytes, &said.groups, said.pos)
    }

    /// Appends an entry; `false` when the disk fails.
    pub fn append(&mut self, groups: &[GroupEntry], pos: Pos) -> bool {
        self.write(Vec::new(), groups, pos)
    }

    fn write(&mut self, mut bytes: Vec<u8>, groups: &[GroupEntry], pos: Pos) -> bool {
        let begin = bytes.len();
        bytes.extend_from_slice(&(groups.len() as u64).to_be_bytes());
        for entry in groups {
            bytes.extend_from_slice(&entry.group.to_be_bytes());
            bytes.extend_from_slice(&entry.pages.to_be_bytes());
            bytes.extend_from_slice(&entry.version.to_be_bytes());
        }
        for word in [pos.txid.0, pos.post_apply_checksum.0, pos.commit_id.0] {
            bytes.extend_from_slice(&word.to_be_bytes());
        }
        seal(self.round, begin, &mut bytes);
        let is_written = self.file.write_at(&bytes, self.end).is_ok();
        self.end = self.end.saturating_add(bytes.len() as u64);
        self.len = self.len.saturating_add(groups.len()).saturating_add(1);
        is_written
    }

    /// How often a group was named, and entries.
    pub fn len(&self) -> usize {
        self.len
    }
}

/// A number that was not used before.
pub fn fresh(last: u64) -> u64 {
    sys::random_u64().unwrap_or(last.wrapping_add(1))
}

/// The first entry without its CRC, and what follows it.
fn split_entry(bytes: &[u8], round: u64) -> Option<(&[u8], &[u8])> {
    let groups = usize::try_from(u64::from_be_bytes(*bytes.first_chunk()?)).ok()?;
    let len = groups.checked_mul(GROUP_LEN)?.checked_add(5 * 8)?;
    let (entry, rest) = bytes.split_at_checked(len)?;
    let body = entry.get(..len.checked_sub(CRC_LEN)?)?;
    holds(round, entry).then_some((body, rest))
}

fn take(entry: &[u8], said: &mut Said) -> Option<()> {
    let (_, rest) = entry.split_first_chunk::<8>()?;
    let (groups, pos) = rest.split_last_chunk::<24>()?;
    let words: &[[u8; 8]; 3] = pos.as_chunks().0.try_into().ok()?;
    let [txid, checksum, commit] = words.map(u64::from_be_bytes);
    said.pos = Pos {
        txid: Txid(txid),
        post_apply_checksum: Checksum(checksum),
        commit_id: CommitId(commit),
    };
    said.groups.extend(groups.as_chunks().0.iter().map(|bytes| {
        let word = u128::from_be_bytes(*bytes);
        let (group, pages) = ((word >> 96) as u32, (word >> 64) as u32);
        GroupEntry { group, pages, version: word as u64 }
    }));
    Some(())
}

/// Whether the CRC at the end of `bytes` is that of what is before it.
fn holds(round: u64, bytes: &[u8]) -> bool {
    let parts = bytes.split_last_chunk();
    parts.is_some_and(|(body, crc)| crc_of(round, body) == u64::from_be_bytes(*crc))
}

/// Ends `bytes` with the CRC of what is there from `begin` on.
fn seal(round: u64, begin: usize, bytes: &mut Vec<u8>) {
    let crc = crc_of(round, bytes.get(begin..).unwrap_or_default());
    bytes.extend_from_slice(&crc.to_be_bytes());
}

fn crc_of(round: u64, bytes: &[u8]) -> u64 {
    let mut crc = Crc64::new();
    crc.update(&round.to_be_bytes());
    crc.update(bytes);
    crc.finish()
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;

    fn said(groups: u32, txid: u64) -> Said {
        let groups = (0..groups).map(|n| GroupEntry { group: n * 3, pages: n, version: 1 << n });
        Said {
            page_size: PageSize::new(4096).unwrap(),
            generation: 77,
            pos: pos(txid),
            groups: groups.collect(),
        }
    }

    fn pos(txid: u64) -> Pos {
        let post_apply_checksum = Checksum(Checksum::FLAG | txid);
        Pos { txid: Txid(txid), post_apply_checksum, commit_id: CommitId(!txid) }
    }

    fn open(path: &str) -> (IndexLog, Option<Said>) {
        IndexLog::open(sys::File::open(path).unwrap(), 9)
    }

    /// A log of an entry with two groups and one with another; its path, and what it says at each end.
    fn written(dir: &sys::PrivateDir) -> (alloc::string::String, Vec<(u64, Said)>) {
        let path = alloc::format!("{}/log", dir.path().unwrap());
        let (mut log, _) = open(&path);
        let first = said(2, 5);
        assert!(log.rewrite(&first));
        let mut ends = vec![(log.end, first)];
        let more = GroupEntry { group: 7, pages: 255, version: 3 };
        assert!(log.append(&[more], pos(6)));
        let mut second = said(2, 6);
        second.groups.push(more);
        ends.push((log.end, second));
        (path, ends)
    }

    #[test]
    fn a_log_reads_back() {
        let dir = sys::PrivateDir::create().unwrap();
        let (path, ends) = written(&dir);
        let (mut log, read) = open(&path);
        assert_eq!(read, Some(ends[1].1.clone()));
        assert!(log.append(&[], pos(7)));
        assert_eq!(open(&path).1.unwrap().pos, pos(7));
        assert_eq!(IndexLog::open(sys::File::open(&path).unwrap(), 8).1, None);
    }

    #[test]
    fn a_cut_or_damaged_log_is_a_beginning() {
        let dir = sys::PrivateDir::create().unwrap();
        let (path, ends) = written(&dir);
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            for damaged in [whole[..at].to_vec(), {
                let mut flipped = whole.clone();
                flipped[at] ^= 0x10;
                flipped
            }] {
                std::fs::write(&path, damaged).unwrap();
                let expected = ends.iter().rfind(|(end, _)| *end <= at as u64);
                let read = open(&path).1.filter(|said| !said.pos.is_empty());
                assert_eq!(read.as_ref(), expected.map(|(_, said)| said), "at {at}");
            }
        }
    }

    #[test]
    fn an_earlier_round_is_not_read_as_an_entry() {
        let dir = sys::PrivateDir::create().unwrap();
        let (path, _) = written(&dir);
        let old = std::fs::read(&path).unwrap();
        assert!(open(&path).0.rewrite(&said(2, 8)));
        let mut torn = std::fs::read(&path).unwrap();
        torn.extend_from_slice(&old[torn.len()..]);
        std::fs::write(&path, torn).unwrap();
        assert_eq!(open(&path).1, Some(said(2, 8)));
    }
}
