//! Pages that the open transaction wrote. They lie apart from the cache: nobody else sees them, and a
//! crash leaves nothing of them behind.
//!
//! Each has a slot, in the order in which pages were first written. The last slots are in memory, in one
//! piece, so that all of them go to a file without a name in one write when there are too many.
//!
//! A page is where its slot says, and a slot counts as being in the file after a write that succeeded. Where
//! one fails or is short, the page is in memory, in a slot of its own if need be, up to a bound; past it the
//! write of the page fails and changes nothing.

use super::private_file::{MAX_IN_MEMORY_BYTES, no_room, write_file};
use crate::error::{Error, ErrorKind, Result};
use crate::sys::{self, log::log};
use crate::types::{PageSize, Pgno};
use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// Bytes of pages held in memory before they go to the file.
const MAX_MEMORY_BYTES: usize = 256 << 10;
/// What it is, for messages.
const WHAT: &str = "the pages of a transaction";

/// The dirty pages of one transaction, all of one size.
pub struct DirtyPages {
    page_size: PageSize,
    max_memory_bytes: usize,
    /// The same where no disk takes them.
    max_unspilled_bytes: usize,
    /// The disk is asked when there would be more than this in memory.
    spill_above: usize,
    /// The slot of each page. Slots that no page has any more are not used again.
    slots: BTreeMap<Pgno, u32>,
    /// The slots from `spilled` on.
    memory: Vec<u8>,
    /// How many slots are in the file.
    spilled: u32,
    /// The file and its folder.
    spill: Option<(sys::File, String)>,
    /// Why the disk did not take something.
    failure: Option<String>,
}

impl DirtyPages {
    /// No dirty pages yet.
    pub fn new(page_size: PageSize) -> DirtyPages {
        DirtyPages {
            page_size,
            max_memory_bytes: MAX_MEMORY_BYTES,
            max_unspilled_bytes: MAX_IN_MEMORY_BYTES,
            spill_above: MAX_MEMORY_BYTES,
            slots: BTreeMap::new(),
            memory: Vec::new(),
            spilled: 0,
            spill: None,
            failure: None,
        }
    }

    /// The size of the pages.
    pub fn page_size(&self) -> PageSize {
        self.page_size
    }

    /// Whether no page is dirty.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether a page is dirty.
    pub fn contains(&self, pgno: Pgno) -> bool {
        self.slots.contains_key(&pgno)
    }

    /// The dirty pages' numbers in order.
    pub fn pgnos(&self) -> impl Iterator<Item = Pgno> + '_ {
        self.slots.keys().copied()
    }

    /// The page as it was last written; `None` when it is not dirty.
    pub fn page(&self, pgno: Pgno) -> Result<Option<Cow<'_, [u8]>>> {
        let Some(&slot) = self.slots.get(&pgno) else {
            return Ok(None);
        };
        if slot >= self.spilled {
            let page = self.memory.get(self.range(slot)).ok_or_else(misplaced)?;
            return Ok(Some(Cow::Borrowed(page)));
        }
        let mut page = vec![0; self.page_size.len_bytes()];
        self.read_spilled(slot, 0, &mut page)?;
        Ok(Some(Cow::Owned(page)))
    }

    /// Fills `bytes` from a place within a page, as it was last written; `false` when the page is not
    /// dirty.
    pub fn read_at(&self, pgno: Pgno, within: usize, bytes: &mut [u8]) -> Result<bool> {
        let Some(&slot) = self.slots.get(&pgno) else {
            return Ok(false);
        };
        if slot < self.spilled {
            self.read_spilled(slot, within, bytes)?;
            return Ok(true);
        }
        let page = self.memory.get(self.range(slot));
        let part = page.and_then(|page| page.get(within..within.saturating_add(bytes.len())));
        bytes.copy_from_slice(part.ok_or_else(misplaced)?);
        Ok(true)
    }

    /// Keeps a page as it is now. An error changes nothing.
    pub fn write(&mut self, pgno: Pgno, page: &[u8]) -> Result<()> {
        debug_assert_eq!(page.len(), self.page_size.len_bytes());
        if let Some(&slot) = self.slots.get(&pgno)
            && slot >= self.spilled
        {
            let range = self.range(slot);
            self.memory.get_mut(range).ok_or_else(misplaced)?.copy_from_slice(page);
            return Ok(());
        }
        // A write into the page's slot of the file may fail after it changed a part of it, so there must be
        // room for the page in memory by then.
        self.make_room(page.len())?;
        match self.slots.get(&pgno).copied() {
            Some(slot) if slot < self.spilled && self.overwrite(slot, page) => {}
            _ => {
                let slot = self.next_slot();
                self.memory.extend_from_slice(page);
                self.slots.insert(pgno, slot);
            }
        }
        Ok(())
    }

    /// Forgets the pages past the end of a database of `commit` pages.
    pub fn truncate(&mut self, commit: u32) {
        // One by one: splitting a map is 2 KB of code.
        while let Some((&last, _)) =
            self.slots.last_key_value().filter(|(last, _)| last.get() > commit)
        {
            self.slots.remove(&last);
        }
    }

    /// Makes room for so many bytes in memory.
    fn make_room(&mut self, len: usize) -> Result<()> {
        let needed = self.memory.len().saturating_add(len);
        if needed > self.spill_above || needed > self.max_unspilled_bytes {
            self.spill();
        }
        if self.memory.len().saturating_add(len) > self.max_unspilled_bytes {
            return Err(no_room(WHAT, self.failure.as_deref()));
        }
        self.memory.try_reserve(len).map_err(|_| {
            let text = format!("{WHAT}: out of memory; commit smaller transactions");
            Error::new(ErrorKind::Full, text)
        })
    }

    /// Writes what is in memory into the file. Where there is none to be had or it is full, that stays in
    /// memory, and the disk is asked again when there is twice as much.
    fn spill(&mut self) {
        let start = self.page_size.offset_of_slot(self.spilled);
        match write_file(&mut self.spill, start, &self.memory) {
            Ok(()) => {
                self.spilled = self.next_slot();
                self.memory.clear();
                self.memory.shrink_to(self.max_memory_bytes);
                self.spill_above = self.max_memory_bytes;
            }
            Err(failure) => {
                if self.failure.is_none() {
                    log!(Warn, "{WHAT} stay in memory: {failure}");
                }
                self.failure = Some(failure);
                self.spill_above = self.memory.len().saturating_mul(2);
            }
        }
    }

    /// Writes a page into its slot of the file; `false` when it is not there, or not whole.
    fn overwrite(&mut self, slot: u32, page: &[u8]) -> bool {
        // A disk that fails is not asked for every page.
        let is_usable = self.spill_above == self.max_memory_bytes;
        let offset = self.page_size.offset_of_slot(slot);
        is_usable && write_file(&mut self.spill, offset, page).is_ok()
    }

    /// The slot that comes after those in memory.
    fn next_slot(&self) -> u32 {
        let in_memory = self.memory.len().checked_div(self.page_size.len_bytes()).unwrap_or(0);
        self.spilled.saturating_add(u32::try_from(in_memory).unwrap_or(u32::MAX))
    }

    /// Where a slot is in memory.
    fn range(&self, slot: u32) -> core::ops::Range<usize> {
        let page_len = self.page_size.len_bytes();
        let index = slot.saturating_sub(self.spilled) as usize;
        let begin = index.saturating_mul(page_len);
        begin..begin.saturating_add(page_len)
    }

    fn read_spilled(&self, slot: u32, within: usize, bytes: &mut [u8]) -> Result<()> {
        let (file, folder) = self.spill.as_ref().ok_or_else(misplaced)?;
        let offset = self.page_size.offset_of_slot(slot).saturating_add(within as u64);
        file.read_at(bytes, offset).map_err(|e| {
            let text = format!("{WHAT}: reading their temporary file in {folder}: {e}");
            Error::new(ErrorKind::Local, text)
        })
    }
}

fn misplaced() -> Error {
    Error::new(ErrorKind::Internal, "a dirty page is not where it was put")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pgno(n: u32) -> Pgno {
        Pgno::new(n).unwrap()
    }

    /// Room for two pages in memory.
    fn small() -> DirtyPages {
        let mut dirty = DirtyPages::new(PageSize::new(512).unwrap());
        dirty.max_memory_bytes = 1024;
        dirty.spill_above = 1024;
        dirty
    }

    /// The same where no disk takes anything from now on.
    fn fail(dirty: &mut DirtyPages) {
        dirty.spill_above = usize::MAX;
    }

    /// Every page from 1 to `last`, and no other one, holds `n ^ mask`, read either way.
    fn assert_holds(dirty: &DirtyPages, last: u32, mask: u8) {
        for n in 1..=last {
            let page = [n as u8 ^ mask; 512];
            assert_eq!(dirty.page(pgno(n)).unwrap().unwrap(), page.as_slice(), "page {n}");
            let mut part = [0; 100];
            assert!(dirty.read_at(pgno(n), 412, &mut part).unwrap());
            assert_eq!(part, page[..100], "page {n}");
        }
        assert_eq!(dirty.page(pgno(99)).unwrap(), None);
        assert!(!dirty.read_at(pgno(99), 0, &mut [0; 4]).unwrap());
        assert_eq!(
            dirty.pgnos().map(Pgno::get).collect::<Vec<_>>(),
            (1..=last).collect::<Vec<_>>()
        );
    }

    #[test]
    fn pages_read_back_as_last_written_wherever_they_are() {
        let mut dirty = small();
        for round in 0..3_u8 {
            for n in 1..=7 {
                dirty.write(pgno(n), &[n as u8 ^ round; 512]).unwrap();
            }
            assert_holds(&dirty, 7, round);
        }
        assert_eq!((dirty.spilled, dirty.memory.len()), (6, 512));
    }

    #[test]
    fn without_a_file_everything_stays_in_memory() {
        let mut dirty = small();
        fail(&mut dirty);
        for n in 1..=6 {
            dirty.write(pgno(n), &[n as u8; 512]).unwrap();
        }
        assert!(dirty.spill.is_none());
        assert_holds(&dirty, 6, 0);
    }

    #[test]
    fn a_file_that_takes_no_more_is_read_on() {
        let mut dirty = small();
        for n in 1..=6 {
            dirty.write(pgno(n), &[n as u8; 512]).unwrap();
        }
        fail(&mut dirty);
        assert_holds(&dirty, 6, 0);
        for n in 1..=9 {
            dirty.write(pgno(n), &[n as u8 ^ 1; 512]).unwrap();
        }
        assert_holds(&dirty, 9, 1);
        assert_eq!(dirty.spilled, 4);
    }

    #[test]
    fn truncated_pages_are_gone() {
        let mut dirty = small();
        for n in 1..=6 {
            dirty.write(pgno(n), &[n as u8; 512]).unwrap();
        }
        dirty.truncate(1);
        assert_holds(&dirty, 1, 0);
        dirty.write(pgno(2), &[2; 512]).unwrap();
        assert_holds(&dirty, 2, 0);
        dirty.truncate(0);
        assert!(dirty.is_empty());
    }
}
