//! How a database's pages were come by, counted for people. Reading adds to it without a lock.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters, from when the database was opened in this process.
#[derive(Debug, Default)]
pub struct PageCounters {
    hits: AtomicU64,
    misses: AtomicU64,
    fetched: AtomicU64,
    prefetched: AtomicU64,
}

/// What [`PageCounters`] counted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct PageCounts {
    /// Reads of a page that was there already.
    pub hits: u64,
    /// Reads of a page that had to be asked for.
    pub misses: u64,
    /// Pages that the server sent, for whatever reason.
    pub fetched: u64,
    /// Those of them that no read had asked for yet.
    pub prefetched: u64,
}

impl PageCounters {
    /// A read found its page.
    pub fn count_hit(&self) {
        self.hits.fetch_add(1, Relaxed);
    }

    /// A read had to ask for its page.
    pub fn count_miss(&self) {
        self.misses.fetch_add(1, Relaxed);
    }

    /// Pages came that no read had asked for yet.
    pub fn count_prefetched(&self, pages: usize) {
        self.prefetched.fetch_add(pages as u64, Relaxed);
    }

    /// The server sent pages.
    pub fn count_fetched(&self, pages: usize) {
        self.fetched.fetch_add(pages as u64, Relaxed);
    }

    /// The counts so far.
    pub fn counts(&self) -> PageCounts {
        PageCounts {
            hits: self.hits.load(Relaxed),
            misses: self.misses.load(Relaxed),
            fetched: self.fetched.load(Relaxed),
            prefetched: self.prefetched.load(Relaxed),
        }
    }
}
