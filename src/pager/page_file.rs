//! Cached pages in a file, at places that follow from their numbers (`page_index.rs`).
//!
//! Pages that are not cached are holes of the file. That the bytes of a page are what the index says is
//! checked when a process first reads them. Neighbours are written together.

use super::block::{PAGES_PER_GROUP, Record, pgno_at, place_of};
use super::page_index::PageIndex;
use super::pages::Pages;
use crate::ltx::page_checksum;
use crate::sys::{self, log::log};
use crate::types::{PageSize, Pgno, Pos, Txid};
use alloc::vec::Vec;

/// Neighbours that are written together, in bytes.
const MAX_RUN_BYTES: usize = 128 << 10;

/// Pages that are not written yet, next to each other.
#[derive(Default)]
struct Run {
    offset: u64,
    bytes: Vec<u8>,
}

/// See the module.
pub struct PageFile {
    index: PageIndex,
    run: Run,
    /// 0 for any number. Otherwise what leaves gives its room back to the disk.
    max_pages: u32,
    /// The group in which to look next for a page to evict.
    hand: u32,
}

impl PageFile {
    /// Takes over the pages of an earlier process. Without `keep` no later one will find what is there.
    pub fn open(file: sys::File, log: sys::File, identity: u64, keep: bool) -> PageFile {
        let index = PageIndex::open(file, log, identity, keep);
        PageFile { index, run: Run::default(), max_pages: 0, hand: 0 }
    }

    /// The position that the pages were good at when they were last flushed.
    pub fn pos(&self) -> Pos {
        self.index.pos()
    }

    /// The size of the pages, once one is known.
    pub fn page_size(&self) -> Option<PageSize> {
        self.index.page_size()
    }

    fn write_run(&mut self) {
        if !self.run.bytes.is_empty() {
            if self.index.file().write_at(&self.run.bytes, self.run.offset).is_err() {
                self.index.note_failure();
            }
            self.run.bytes.clear();
        }
    }

    /// Fills `page` from where it lies, or will lie when it is written.
    fn read_bytes(&self, offset: u64, page: &mut [u8]) -> bool {
        let within = offset.checked_sub(self.run.offset).and_then(|at| usize::try_from(at).ok());
        let unwritten = within.and_then(|at| self.run.bytes.get(at..)?.get(..page.len()));
        match unwritten {
            Some(bytes) => {
                page.copy_from_slice(bytes);
                true
            }
            None => self.index.file().read_at(page, offset).is_ok(),
        }
    }

    /// Evicts up to `left` pages of a group that were not used since it was last asked. Answers how many
    /// are left to evict.
    fn evict_from(&mut self, group: u32, mut left: u32) -> u32 {
        for at in 0..PAGES_PER_GROUP as usize {
            let (Some(pgno), Some(block)) = (pgno_at(group, at), self.index.block(group)) else {
                break;
            };
            if left == 0 || block.record(at).is_none() || pgno == Pgno::ONE {
                continue;
            }
            if block.used.has(at) {
                block.used.set(at, false);
            } else {
                self.remove(pgno);
                left = left.saturating_sub(1);
            }
        }
        left
    }
}

impl Pages for PageFile {
    fn start(&mut self, page_size: PageSize) {
        self.run.bytes.clear();
        self.index.start(page_size);
    }

    fn set_max(&mut self, max_pages: u32) {
        self.max_pages = max_pages;
    }

    fn max_pages(&self) -> u32 {
        if self.max_pages == 0 { u32::MAX } else { self.max_pages }
    }

    fn len_pages(&self) -> usize {
        self.index.len_pages()
    }

    fn record(&mut self, pgno: Pgno) -> Option<Record> {
        let (group, at) = place_of(pgno);
        self.index.block(group)?.record(at)
    }

    fn read(&mut self, pgno: Pgno, view: Txid, page: &mut [u8]) -> bool {
        let (group, at) = place_of(pgno);
        let Some(block) = self.index.block(group) else {
            return false;
        };
        let Some(record) = block.record(at).filter(|record| record.since <= view) else {
            return false;
        };
        block.used.set(at, true);
        let is_verified = block.verified.has(at);
        let is_good = !self.index.has_failed()
            && self.read_bytes(self.index.offset_of(group, at), page)
            && (is_verified || page_checksum(pgno, page) == record.checksum);
        if !is_good {
            log!(Info, "page {pgno} does not hold in the cache, dropped");
            self.remove(pgno);
        } else if !is_verified && let Some(block) = self.index.block(group) {
            block.verified.set(at, true);
        }
        is_good
    }

    fn put(&mut self, pgno: Pgno, record: Record, page: &[u8]) {
        let (group, at) = place_of(pgno);
        let offset = self.index.offset_of(group, at);
        let end = self.run.offset.saturating_add(self.run.bytes.len() as u64);
        let is_full = self.run.bytes.len().saturating_add(page.len()) > MAX_RUN_BYTES;
        if offset != end || is_full {
            self.write_run();
            self.run.offset = offset;
        }
        self.run.bytes.extend_from_slice(page);
        self.index.set(pgno, Some(record));
    }

    fn remove(&mut self, pgno: Pgno) {
        if self.record(pgno).is_none() {
            return;
        }
        self.index.set(pgno, None);
        if let (true, Some(page_size)) = (self.max_pages > 0, self.index.page_size()) {
            self.write_run();
            let (group, at) = place_of(pgno);
            let offset = self.index.offset_of(group, at);
            if self.index.file().punch(offset, page_size.bytes().into()).is_err() {
                self.index.note_failure();
            }
        }
    }

    fn remove_from(&mut self, first: Pgno) {
        let (mut next, _) = place_of(first);
        while let Some(group) = self.index.next_with_pages(next) {
            next = group.saturating_add(1);
            let all = (0..PAGES_PER_GROUP as usize).filter_map(|at| pgno_at(group, at));
            for pgno in all.filter(|&pgno| pgno >= first) {
                self.remove(pgno);
            }
        }
    }

    fn evict(&mut self, pages: u32) {
        let (mut left, mut ends) = (pages, 0_u32);
        // Past the end more than twice: the first time round takes the marks away, from where the hand was on.
        while ends <= 2 {
            let Some(group) = self.index.next_with_pages(self.hand) else {
                (self.hand, ends) = (0, ends.saturating_add(1));
                continue;
            };
            left = self.evict_from(group, left);
            // A group is emptied before the next, so that pages leave in the order of a scan.
            self.hand = if left == 0 { group } else { group.saturating_add(1) };
            if left == 0 {
                break;
            }
        }
    }

    fn flush(&mut self, pos: Pos) -> bool {
        self.write_run();
        self.index.write_log(pos);
        self.index.write_blocks();
        !self.index.has_failed()
    }
}
