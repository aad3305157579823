//! The index of a page file: what is known of each page, in blocks of the file, of which some are in memory.
//!
//! ```text
//! group 0                                     group 1
//! block (4,096 bytes) | page 1 ... page 255 | block | page 256 ... page 510 | ...
//! ```
//!
//! So what a cache takes in memory does not grow with the database, but for a few bytes a group, nor does
//! the time to open it.
//!
//! A block counts when its version is the one that the log (`index_log.rs`) says. Each batch of changes
//! raises it for the groups that it touches, says so in the log, together with the position, and writes
//! the blocks after that. So what a process that was killed had not finished costs some pages, and a block
//! that a power cut kept from the disk, or brought there before the log, does not count.

use super::block::{BLOCK_LEN, Block, PAGES_PER_GROUP, Record, place_of};
use super::groups::{Group, Groups};
use super::index_log::{GroupEntry, IndexLog, Said, fresh};
use crate::sys;
use crate::types::{PageSize, Pgno, Pos};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Blocks in memory, half a megabyte of them. They stand for 128 MB of 4 KB pages.
const MAX_BLOCKS: usize = if cfg!(any(test, fuzzing)) { 3 } else { 128 };
/// The log begins anew when it is longer by so much, and by a quarter, than what it needs.
const LOG_SLACK: usize = 256;

/// See the module.
pub struct PageIndex {
    file: sys::File,
    /// `None` when nobody will read it: then blocks are written only to make room for others.
    log: Option<IndexLog>,
    page_size: Option<PageSize>,
    generation: u64,
    /// As the log says.
    pos: Pos,
    groups: Groups,
    touched: Vec<u32>,
    len_pages: usize,
    /// By group, modulo their number.
    blocks: Vec<Option<Box<Block>>>,
    /// Whether this process began the file, so that there are no blocks but those it wrote.
    is_begun_here: bool,
    has_failed: bool,
}

impl PageIndex {
    /// Takes over the index of an earlier process. Without `keep` no later one will find what is there.
    pub fn open(file: sys::File, log: sys::File, identity: u64, keep: bool) -> PageIndex {
        let (log, said) = IndexLog::open(log, identity);
        let mut index = PageIndex {
            file,
            log: keep.then_some(log),
            page_size: None,
            generation: 0,
            pos: Pos::EMPTY,
            groups: Groups::default(),
            touched: Vec::new(),
            len_pages: 0,
            blocks: Vec::new(),
            is_begun_here: false,
            has_failed: false,
        };
        index.blocks.resize_with(MAX_BLOCKS, || None);
        if let Some(said) = said {
            index.adopt(&said);
        }
        index
    }

    fn adopt(&mut self, said: &Said) {
        self.page_size = Some(said.page_size);
        self.generation = said.generation;
        self.pos = said.pos;
        // A log can't name more groups than the file has room for.
        let len = self.file.len_bytes().unwrap_or(0);
        for entry in &said.groups {
            if self.offset_of(entry.group, 0) <= len
                && let Some(group) = self.groups.make(entry.group)
            {
                (group.version, group.pages) = (entry.version, entry.pages);
            }
        }
        self.len_pages = self.used().iter().map(|group| group.pages as usize).sum();
    }

    /// Forgets everything; further pages are of that size.
    pub fn start(&mut self, page_size: PageSize) {
        self.groups.clear();
        self.touched.clear();
        self.blocks.fill_with(|| None);
        self.len_pages = 0;
        self.page_size = Some(page_size);
        self.generation = fresh(self.generation);
        self.has_failed |= self.file.set_len(0).is_err();
        self.is_begun_here = true;
        if let Some(log) = &mut self.log {
            let (generation, pos, groups) = (self.generation, self.pos, Vec::new());
            if !log.rewrite(&Said { page_size, generation, pos, groups }) {
                self.log = None;
            }
        }
    }

    /// The file, also for the pages.
    pub fn file(&self) -> &sys::File {
        &self.file
    }

    /// The position that the pages were good at when the log last said something.
    pub fn pos(&self) -> Pos {
        self.pos
    }

    /// The size of the pages, once one is known.
    pub fn page_size(&self) -> Option<PageSize> {
        self.page_size
    }

    /// Pages held.
    pub fn len_pages(&self) -> usize {
        self.len_pages
    }

    /// The first group from that one on of which pages are held.
    pub fn next_with_pages(&self, first: u32) -> Option<u32> {
        let mut first = first;
        loop {
            let (number, group) = self.groups.next(first)?;
            if group.pages > 0 {
                return Some(number);
            }
            first = number.checked_add(1)?;
        }
    }

    /// What the log says of the groups that were used.
    fn used(&self) -> Vec<GroupEntry> {
        let (mut used, mut first) = (Vec::new(), 0_u32);
        while let Some((number, group)) = self.groups.next(first) {
            used.push(entry_of(number, group));
            first = number.saturating_add(1);
        }
        used
    }

    /// Whether the file did not take something.
    pub fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// Says that the file did not take something.
    pub fn note_failure(&mut self) {
        self.has_failed = true;
    }

    /// Where the page at a place of a group lies.
    pub fn offset_of(&self, group: u32, at: usize) -> u64 {
        let page_len = u64::from(self.page_size.map_or(0, PageSize::bytes));
        let group_len = page_len.saturating_mul(u64::from(PAGES_PER_GROUP));
        let blocks = u64::from(group).saturating_add(1).saturating_mul(BLOCK_LEN as u64);
        let pages = group_len.saturating_mul(group.into());
        blocks.saturating_add(pages).saturating_add(page_len.saturating_mul(at as u64))
    }

    fn offset_of_block(&self, group: u32) -> u64 {
        self.offset_of(group, 0).saturating_sub(BLOCK_LEN as u64)
    }

    /// The block of a group, which takes the place of another one in memory.
    pub fn block(&mut self, group: u32) -> Option<&mut Block> {
        let slot = group as usize % MAX_BLOCKS;
        let is_there = self.blocks.get(slot)?.as_ref().is_some_and(|block| block.group == group);
        if !is_there {
            let block = self.load(group);
            let other = self.blocks.get_mut(slot)?.replace(block);
            if let Some(mut other) = other {
                self.write_block(&mut other);
            }
        }
        self.blocks.get_mut(slot)?.as_deref_mut()
    }

    /// The block of a group as it is in the file, or an empty one when that does not count.
    #[inline(never)]
    fn load(&mut self, number: u32) -> Box<Block> {
        let mut block = Block::empty(number);
        // What was never written need not be read, and a system that reads ahead makes much of a hole.
        let was_set = |group: &Group| group.version > 0;
        if self.is_begun_here && !self.groups.get(number).is_some_and(was_set) {
            return block;
        }
        let is_read = self.file.read_at(block.bytes_mut(), self.offset_of_block(number)).is_ok();
        let version = is_read.then(|| block.version(self.generation)).flatten();
        let is_known = self.groups.get(number).is_some();
        if version.is_none() {
            block.clear();
        }
        // Asked first: a number from outside, of which nothing is there, must not make room for itself.
        if !is_known && version.is_none() {
            return block;
        }
        let Some(group) = self.groups.make(number) else {
            return block;
        };
        if version != Some(group.version) {
            block.clear();
            // What is in the file must not count later either.
            group.version = group.version.max(version.unwrap_or(0)).saturating_add(1);
        }
        let pages = u32::try_from(block.places().count()).unwrap_or(0);
        let before = core::mem::replace(&mut group.pages, pages);
        self.len_pages = self.len_pages.saturating_sub(before as usize);
        self.len_pages = self.len_pages.saturating_add(pages as usize);
        block
    }

    fn write_block(&mut self, block: &mut Block) {
        if !core::mem::take(&mut block.is_dirty) {
            return;
        }
        let Some(group) = self.groups.get_mut(block.group) else {
            return;
        };
        group.is_raised = false;
        let version = group.version;
        let offset = self.offset_of_block(block.group);
        let is_written = self.file.write_at(block.sealed(self.generation, version), offset).is_ok();
        self.has_failed |= !is_written;
    }

    /// Changes what is known of a page.
    pub fn set(&mut self, pgno: Pgno, record: Option<Record>) {
        let (number, at) = place_of(pgno);
        let Some(block) = self.block(number) else {
            return;
        };
        let was_there = block.record(at).is_some();
        block.set(at, record);
        block.verified.set(at, record.is_some());
        block.used.set(at, record.is_some());
        let Some(group) = self.groups.make(number) else {
            return;
        };
        if !core::mem::replace(&mut group.is_raised, true) {
            group.version = group.version.saturating_add(1);
        }
        let is_touched = core::mem::replace(&mut group.is_touched, true);
        match (was_there, record.is_some()) {
            (false, true) => {
                group.pages = group.pages.saturating_add(1);
                self.len_pages = self.len_pages.saturating_add(1);
            }
            (true, false) => {
                group.pages = group.pages.saturating_sub(1);
                self.len_pages = self.len_pages.saturating_sub(1);
            }
            _ => {}
        }
        if !is_touched {
            self.touched.push(number);
        }
    }

    /// Has the log say what was not said yet.
    pub fn write_log(&mut self, pos: Pos) {
        let is_news = pos != self.pos || !self.touched.is_empty();
        self.pos = pos;
        let touched = core::mem::take(&mut self.touched);
        for &number in &touched {
            if let Some(group) = self.groups.get_mut(number) {
                group.is_touched = false;
            }
        }
        let (true, Some(page_size)) = (is_news, self.page_size) else {
            return;
        };
        let Some(mut log) = self.log.take() else {
            return;
        };
        let room = self.groups.len().saturating_add(self.groups.len() / 4);
        let is_written = if log.len() > room.saturating_add(LOG_SLACK) || log.len() == 0 {
            let (generation, groups) = (self.generation, self.used());
            log.rewrite(&Said { page_size, generation, pos, groups })
        } else {
            let known = |number: u32| Some(entry_of(number, self.groups.get(number)?));
            let groups: Vec<_> = touched.into_iter().filter_map(known).collect();
            log.append(&groups, pos)
        };
        // Where it is not, what is there is still true; what comes is not recorded any more.
        if is_written {
            self.log = Some(log);
        }
    }

    /// Puts on the disk what the blocks in memory know, after the log was told.
    pub fn write_blocks(&mut self) {
        if self.log.is_none() {
            return;
        }
        let mut blocks = core::mem::take(&mut self.blocks);
        for block in blocks.iter_mut().flatten() {
            self.write_block(block);
        }
        self.blocks = blocks;
    }
}

fn entry_of(group: u32, known: &Group) -> GroupEntry {
    GroupEntry { group, pages: known.pages, version: known.version }
}
