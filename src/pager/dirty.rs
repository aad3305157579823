//! Pages that the open transaction wrote. They lie apart from the cache: nobody else sees them, and a
//! crash leaves nothing of them behind. Past a bound they go to a file without a name.

use crate::error::{Error, ErrorKind, Result};
use crate::sys::{self, log::log};
use crate::types::{PageSize, Pgno};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

/// Bytes of pages held in memory before further ones go to the file.
const MAX_MEMORY_BYTES: usize = 32 << 20;

enum Place {
    Memory(Box<[u8]>),
    /// Slot of the spill file.
    Spilled(u32),
}

/// The dirty pages of one transaction, all of one size.
pub struct DirtyPages {
    page_size: PageSize,
    max_memory_bytes: usize,
    memory_bytes: usize,
    pages: BTreeMap<Pgno, Place>,
    spill: Option<sys::File>,
    spill_slots: u32,
    can_spill: bool,
}

impl DirtyPages {
    /// No dirty pages yet.
    pub fn new(page_size: PageSize) -> DirtyPages {
        DirtyPages {
            page_size,
            max_memory_bytes: MAX_MEMORY_BYTES,
            memory_bytes: 0,
            pages: BTreeMap::new(),
            spill: None,
            spill_slots: 0,
            can_spill: true,
        }
    }

    /// The size of the pages.
    pub fn page_size(&self) -> PageSize {
        self.page_size
    }

    /// Whether no page is dirty.
    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// The dirty pages' numbers in order.
    pub fn pgnos(&self) -> impl Iterator<Item = Pgno> + '_ {
        self.pages.keys().copied()
    }

    /// Whether a page is dirty.
    pub fn contains(&self, pgno: Pgno) -> bool {
        self.pages.contains_key(&pgno)
    }

    /// The page as it was last written; `None` when it is not dirty.
    pub fn read(&self, pgno: Pgno) -> Result<Option<Vec<u8>>> {
        let mut page = vec![0; self.page_size.len_bytes()];
        Ok(self.read_at(pgno, 0, &mut page)?.then_some(page))
    }

    /// Fills `bytes` from a place within a page, as it was last written; `false` when the page is not
    /// dirty.
    pub fn read_at(&self, pgno: Pgno, within: usize, bytes: &mut [u8]) -> Result<bool> {
        let end = within.saturating_add(bytes.len());
        match self.pages.get(&pgno) {
            None => Ok(false),
            Some(Place::Memory(page)) => {
                let part = page.get(within..end).ok_or_else(|| {
                    Error::new(ErrorKind::Internal, "a read past the end of a page")
                })?;
                bytes.copy_from_slice(part);
                Ok(true)
            }
            Some(Place::Spilled(slot)) => {
                let spill = self.spill.as_ref().ok_or_else(|| {
                    Error::new(ErrorKind::Internal, "a spilled page without a spill file")
                })?;
                let offset = self.page_size.offset_of_slot(*slot).saturating_add(within as u64);
                spill.read_at(bytes, offset).map_err(|e| {
                    let text = format!("reading the transaction's temporary file: {e}");
                    Error::new(ErrorKind::Local, text)
                })?;
                Ok(true)
            }
        }
    }

    /// Keeps a page as it is now.
    pub fn write(&mut self, pgno: Pgno, page: &[u8]) {
        debug_assert_eq!(page.len(), self.page_size.len_bytes());
        match self.pages.get_mut(&pgno) {
            Some(Place::Memory(old)) => old.copy_from_slice(page),
            Some(Place::Spilled(slot)) => {
                let slot = *slot;
                if !self.spill_to(slot, page) {
                    self.keep_in_memory(pgno, page);
                }
            }
            None => {
                let full = self.memory_bytes.saturating_add(page.len()) > self.max_memory_bytes;
                let slot = self.spill_slots;
                if full && self.spill_to(slot, page) {
                    self.spill_slots = slot.saturating_add(1);
                    self.pages.insert(pgno, Place::Spilled(slot));
                } else {
                    self.keep_in_memory(pgno, page);
                }
            }
        }
    }

    /// Forgets the pages past the end of a database of `commit` pages.
    pub fn truncate(&mut self, commit: u32) {
        let Some(first_gone) = Pgno::new(commit.saturating_add(1)) else {
            return;
        };
        for place in self.pages.split_off(&first_gone).into_values() {
            if let Place::Memory(page) = place {
                self.memory_bytes = self.memory_bytes.saturating_sub(page.len());
            }
        }
    }

    /// Forgets every page and the spill file.
    pub fn clear(&mut self) {
        *self = DirtyPages { max_memory_bytes: self.max_memory_bytes, ..Self::new(self.page_size) };
    }

    fn keep_in_memory(&mut self, pgno: Pgno, page: &[u8]) {
        self.memory_bytes = self.memory_bytes.saturating_add(page.len());
        self.pages.insert(pgno, Place::Memory(page.into()));
    }

    /// Writes into the spill file. Where there is none to be had or it is full, memory must do.
    fn spill_to(&mut self, slot: u32, page: &[u8]) -> bool {
        if !self.can_spill {
            return false;
        }
        let offset = self.page_size.offset_of_slot(slot);
        if self.spill.is_none() {
            self.spill = sys::File::anonymous()
                .inspect_err(|e| log!(Warn, "no temporary file for a large transaction: {e}"))
                .ok();
        }
        let written = self.spill.as_ref().is_some_and(|spill| spill.write_at(page, offset).is_ok());
        self.can_spill = written;
        written
    }
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
        dirty
    }

    #[test]
    fn spilled_pages_read_back_as_last_written() {
        let mut dirty = small();
        for round in 0..3_u8 {
            for n in 1..=6 {
                dirty.write(pgno(n), &[n as u8 + round; 512]);
            }
        }
        assert_eq!(dirty.spill_slots, 4);
        for n in 1..=6 {
            assert_eq!(dirty.read(pgno(n)).unwrap().unwrap(), [n as u8 + 2; 512]);
        }
        assert_eq!(dirty.read(pgno(7)).unwrap(), None);
        assert_eq!(dirty.pgnos().map(Pgno::get).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn without_a_file_everything_stays_in_memory() {
        let mut dirty = small();
        dirty.can_spill = false;
        for n in 1..=6 {
            dirty.write(pgno(n), &[n as u8; 512]);
        }
        assert!(dirty.spill.is_none());
        assert_eq!(dirty.read(pgno(6)).unwrap().unwrap(), [6; 512]);
    }

    #[test]
    fn truncated_pages_are_gone() {
        let mut dirty = small();
        for n in 1..=6 {
            dirty.write(pgno(n), &[n as u8; 512]);
        }
        dirty.truncate(1);
        assert_eq!(dirty.memory_bytes, 512);
        assert_eq!(dirty.pgnos().count(), 1);
        dirty.truncate(0);
        assert!(dirty.is_empty());
        dirty.clear();
        assert_eq!(dirty.max_memory_bytes, 1024);
    }
}
