//! Cached pages in memory, for a platform or a moment without a usable disk.

use super::block::Record;
use super::cache::CacheLimits;
use super::pages::Pages;
use crate::types::{PageSize, Pgno, Pos, Txid};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;

/// Bytes of pages kept where no lower limit is set, and how many times as many while all are asked for.
const MAX_BYTES: u32 = 8 << 20;
const LIFTED: u32 = 8;

struct MemoryPage {
    record: Record,
    /// Whether it was read since the last time the hand passed.
    used: bool,
    bytes: Box<[u8]>,
}

/// See the module.
#[derive(Default)]
pub struct MemoryPages {
    pages: BTreeMap<Pgno, MemoryPage>,
    /// Pages that there is room for.
    most: u32,
    max_pages: u32,
    /// Where to look next for a page to evict.
    hand: Option<Pgno>,
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
        self.pages.get(&pgno).map(|page| page.record)
    }

    fn read(&mut self, pgno: Pgno, view: Txid, page: &mut [u8]) -> bool {
        let stored = self.pages.get_mut(&pgno);
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
        self.pages.insert(pgno, MemoryPage { record, used: true, bytes: page.into() });
    }

    fn remove(&mut self, pgno: Pgno) {
        self.pages.remove(&pgno);
    }

    fn remove_from(&mut self, first: Pgno) {
        // One by one: splitting a map is 2 KB of code.
        while let Some(entry) = self.pages.last_entry().filter(|last| *last.key() >= first) {
            entry.remove();
        }
    }

    fn evict(&mut self, pages: u32) {
        let mut left = pages;
        // Twice round: the first time takes the marks away.
        for _ in 0..self.pages.len().saturating_mul(2) {
            let first = self.hand.unwrap_or(Pgno::ONE);
            let Some((&pgno, page)) = self.pages.range_mut(first..).next() else {
                self.hand = None;
                continue;
            };
            self.hand = Pgno::new(pgno.get().saturating_add(1));
            if pgno == Pgno::ONE || core::mem::take(&mut page.used) {
                continue;
            }
            self.pages.remove(&pgno);
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
