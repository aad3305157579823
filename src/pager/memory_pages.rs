//! Cached pages in memory, for a platform or a moment without a usable disk.

use super::block::Record;
use super::limits::CacheLimits;
use super::pages::Pages;
use crate::types::{PageSize, Pgno, Pos, Txid};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Bytes of pages kept where no lower limit is set, and how many times as many while all are asked for.
const MAX_BYTES: u32 = 8 << 20;
const LIFTED: u32 = 8;

struct MemoryPage {
    pgno: Pgno,
    record: Record,
    /// Whether it was read since the last time the hand passed.
    used: bool,
    bytes: Box<[u8]>,
}

/// See the module.
#[derive(Default)]
pub struct MemoryPages {
    /// Where in `pages` each is: a map of numbers, as dirty pages have one, because each type of map is 6 KB
    /// of code.
    slots: BTreeMap<Pgno, u32>,
    pages: Vec<MemoryPage>,
    /// Pages that there is room for.
    most: u32,
    max_pages: u32,
    /// Where to look next for a page to evict.
    hand: Option<Pgno>,
}

impl MemoryPages {
    fn page(&mut self, pgno: Pgno) -> Option<&mut MemoryPage> {
        let slot = *self.slots.get(&pgno)?;
        self.pages.get_mut(slot as usize)
    }
}

impl Pages for MemoryPages {
    fn start(&mut self, page_size: PageSize) {
        let most = MAX_BYTES >> page_size.bytes().trailing_zeros();
        *self = MemoryPages { most, max_pages: self.max_pages, ..MemoryPages::default() };
    }

    fn set_max(&mut self, max_pages: u32) {
        self.max_pages = max_pages;
    }

    fn max_pages(&self) -> u32 {
        match self.max_pages {
            0 => self.most,
            CacheLimits::ALL_PAGES => self.most.saturating_mul(LIFTED),
            max_pages => max_pages.min(self.most),
        }
    }

    fn len_pages(&self) -> usize {
        self.pages.len()
    }

    fn record(&mut self, pgno: Pgno) -> Option<Record> {
        self.page(pgno).map(|page| page.record)
    }

    fn read(&mut self, pgno: Pgno, view: Txid, page: &mut [u8]) -> bool {
        let stored = self.page(pgno);
        let Some(stored) = stored.filter(|stored| stored.record.since <= view) else {
            return false;
        };
        stored.used = true;
        let fits = stored.bytes.len() == page.len();
        if fits {
            page.copy_from_slice(&stored.bytes);
        }
        fits
    }

    fn put(&mut self, pgno: Pgno, record: Record, page: &[u8]) {
        let page = MemoryPage { pgno, record, used: true, bytes: page.into() };
        match self.page(pgno) {
            Some(place) => *place = page,
            None => {
                self.slots.insert(pgno, self.pages.len() as u32);
                self.pages.push(page);
            }
        }
    }

    fn remove(&mut self, pgno: Pgno) {
        let Some(slot) = self.slots.remove(&pgno) else { return };
        // The last one takes its place.
        if let Some(last) = self.pages.pop()
            && let Some(place) = self.pages.get_mut(slot as usize)
        {
            self.slots.insert(last.pgno, slot);
            *place = last;
        }
    }

    fn remove_from(&mut self, first: Pgno) {
        while let Some((&last, _)) = self.slots.last_key_value().filter(|(last, _)| **last >= first)
        {
            self.remove(last);
        }
    }

    fn evict(&mut self, pages: u32) {
        let mut left = pages;
        // Twice round: the first time takes the marks away.
        for _ in 0..self.pages.len().saturating_mul(2) {
            let first = self.hand.unwrap_or(Pgno::ONE);
            let Some((&pgno, _)) = self.slots.range(first..).next() else {
                self.hand = None;
                continue;
            };
            self.hand = Pgno::new(pgno.get().saturating_add(1));
            let was_used = |page: &mut MemoryPage| core::mem::take(&mut page.used);
            if pgno == Pgno::ONE || self.page(pgno).is_some_and(was_used) {
                continue;
            }
            self.remove(pgno);
            left = left.saturating_sub(1);
            if left == 0 {
                break;
            }
        }
    }

    fn flush(&mut self, _: Pos) -> bool {
        true
    }
}
