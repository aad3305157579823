//! Which pages to ask for together with one that is missing.
//!
//! A look-up of one row needs single pages along a tree, and every page beside them is waste. A scan
//! needs the pages that follow, and every request too many costs a round trip. So the window starts
//! at the page itself, doubles while misses run on from each other, and grows slowly in a query that
//! misses again and again elsewhere.

use crate::types::{PageSize, Pgno};
use alloc::vec::Vec;

/// Scattered misses of one query after which the window doubles.
const SCATTERED_MISSES_PER_DOUBLING: u32 = 4;

/// What one query has missed so far.
#[derive(Debug, Default)]
pub struct Prefetch {
    misses: u32,
    window_pages: u32,
    /// The page after the last one asked for.
    run_end: u32,
}

impl Prefetch {
    /// Forgets the last query.
    pub fn start_query(&mut self) {
        *self = Prefetch::default();
    }

    /// The pages to fetch for a miss of `pgno`: itself first, then those that follow, without the lock
    /// page and what `has` says is there already. At most `1 + max_extra` of a database of `commit`
    /// pages.
    pub fn pages(
        &mut self,
        pgno: Pgno,
        commit: u32,
        page_size: PageSize,
        max_extra: u32,
        has: impl Fn(Pgno) -> bool,
    ) -> Vec<Pgno> {
        let in_run = self.run_end > 1
            && (self.run_end..=self.run_end.saturating_add(1)).contains(&pgno.get());
        self.misses = self.misses.saturating_add(1);
        let scattered = 1_u32
            .checked_shl((self.misses.saturating_sub(1)) / SCATTERED_MISSES_PER_DOUBLING)
            .unwrap_or(u32::MAX);
        let run = if in_run { self.window_pages.saturating_mul(2) } else { 1 };
        self.window_pages = run.max(scattered).min(max_extra.saturating_add(1));
        let end = pgno.get().saturating_add(self.window_pages).min(commit.saturating_add(1));
        self.run_end = end.max(pgno.get().saturating_add(1));
        let lock_pgno = page_size.lock_pgno();
        let following = (pgno.get().saturating_add(1)..end).filter_map(Pgno::new);
        let wanted = following.filter(|&next| next != lock_pgno && !has(next));
        core::iter::once(pgno).chain(wanted).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(prefetch: &mut Prefetch, pgno: u32, max_extra: u32) -> Vec<u32> {
        let size = PageSize::new(4096).unwrap();
        let pages = prefetch.pages(Pgno::new(pgno).unwrap(), 1000, size, max_extra, |_| false);
        pages.into_iter().map(Pgno::get).collect()
    }

    #[test]
    fn a_look_up_fetches_single_pages() {
        let mut prefetch = Prefetch::default();
        for pgno in [1, 500, 77] {
            assert_eq!(asked(&mut prefetch, pgno, 32), [pgno]);
        }
    }

    #[test]
    fn a_scan_doubles_its_window_up_to_the_limit() {
        let mut prefetch = Prefetch::default();
        assert_eq!(asked(&mut prefetch, 10, 5), [10]);
        assert_eq!(asked(&mut prefetch, 11, 5), [11, 12]);
        assert_eq!(asked(&mut prefetch, 13, 5), [13, 14, 15, 16]);
        assert_eq!(asked(&mut prefetch, 17, 5), [17, 18, 19, 20, 21, 22]);
        assert_eq!(asked(&mut prefetch, 999, 5), [999, 1000]);
    }

    #[test]
    fn many_scattered_misses_widen_the_window() {
        let mut prefetch = Prefetch::default();
        let lens: Vec<usize> = (1..=12).map(|i| asked(&mut prefetch, i * 50, 32).len()).collect();
        assert_eq!(lens, [1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4]);
        prefetch.start_query();
        assert_eq!(asked(&mut prefetch, 50, 32), [50]);
    }

    #[test]
    fn zero_means_no_prefetch() {
        let mut prefetch = Prefetch::default();
        for pgno in 1..20 {
            assert_eq!(asked(&mut prefetch, pgno, 0), [pgno]);
        }
    }

    #[test]
    fn cached_pages_and_the_lock_page_are_left_out() {
        let mut prefetch = Prefetch { misses: 20, window_pages: 8, run_end: 262_143 };
        let size = PageSize::new(4096).unwrap();
        let pgno = Pgno::new(262_143).unwrap();
        let pages = prefetch.pages(pgno, 300_000, size, 4, |pgno| pgno.get() == 262_146);
        let pages: Vec<u32> = pages.into_iter().map(Pgno::get).collect();
        assert_eq!(pages, [262_143, 262_144, 262_147]);
    }
}
