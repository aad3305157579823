//! Which pages to ask for together with one that is missing.
//!
//! A look-up of one row needs single pages along a tree, and every page beside them is waste. A scan
//! needs the pages that follow, or those before when it goes backwards, and every request too many
//! costs a round trip. So the window starts small and doubles while misses run on from each other; a
//! long run gets past the configured number of pages, because by then it is no guess any more. In a
//! query that misses again and again elsewhere the window grows slowly.

use crate::backend::MAX_PAGES_PER_REQUEST;
use crate::types::{PageSize, Pgno};
use alloc::vec::Vec;

/// Smaller pages than this are fetched in groups of so many bytes, if prefetching is allowed at all.
const MIN_WINDOW_BYTES: u32 = 4096;
/// Scattered misses of one query after which the window doubles.
const SCATTERED_MISSES_PER_DOUBLING: u32 = 4;
/// Doublings of the configured window that scattered misses may get.
const MAX_SCATTERED_DOUBLINGS: u32 = 2;
/// Requests of a run before it may get past the configured window.
const LONG_RUN_REQUESTS: u32 = 6;
/// Doublings of the configured window that a long run may get, one with each further request.
const MAX_LONG_RUN_DOUBLINGS: u32 = 4;
/// The most bytes of one request.
const MAX_WINDOW_BYTES: u32 = 8 << 20;
/// Runs followed at a time: the leaves of a table, and the inner pages between them or an index.
const MAX_RUNS: usize = 2;

/// Misses that run on from each other.
#[derive(Debug, Default, Clone, Copy)]
struct Run {
    /// The first page asked for last.
    first: u32,
    /// The page after the last one asked for.
    end: u32,
    window_pages: u32,
    requests: u32,
}

impl Run {
    /// Whether a miss is next to what was asked for last, with a page between them at the most.
    fn goes_on_at(&self, pgno: Pgno) -> bool {
        let pgno = pgno.get();
        let ahead = (self.end..=self.end.saturating_add(1)).contains(&pgno);
        let behind = (self.first.saturating_sub(2)..self.first).contains(&pgno);
        self.requests > 0 && (ahead || behind)
    }
}

/// What one query has missed so far.
#[derive(Debug, Default)]
pub struct Prefetch {
    misses: u32,
    /// Most recent last.
    runs: [Run; MAX_RUNS],
}

/// The most pages to ask for in one request, of a database with such pages.
pub const fn max_pages_per_request(page_size: PageSize) -> u32 {
    let by_bytes = MAX_WINDOW_BYTES >> page_size.bytes().trailing_zeros();
    if by_bytes < MAX_PAGES_PER_REQUEST { by_bytes } else { MAX_PAGES_PER_REQUEST }
}

impl Prefetch {
    /// Forgets the last query.
    pub fn start_query(&mut self) {
        *self = Prefetch::default();
    }

    /// The pages to fetch for a miss of `pgno`: itself first, then its neighbours, without the lock
    /// page and what `has` says is there already, in a database of `commit` pages. `max_extra` is the
    /// configured number of pages beside the missing one.
    pub fn pages(
        &mut self,
        pgno: Pgno,
        commit: u32,
        page_size: PageSize,
        max_extra: u32,
        has: impl Fn(Pgno) -> bool,
    ) -> Vec<Pgno> {
        let window_pages = self.next_window(pgno, page_size, max_extra);
        let here = pgno.get();
        // Whoever has the page after this one, but not the one before, comes from behind.
        let is_cached = |pgno: u32| Pgno::new(pgno).is_none_or(&has);
        let backwards = is_cached(here.saturating_add(1)) && !is_cached(here.saturating_sub(1));
        let (first, end) = if backwards {
            (here.saturating_sub(window_pages).saturating_add(1).max(1), here.saturating_add(1))
        } else {
            (here, here.saturating_add(window_pages).min(commit.saturating_add(1)))
        };
        if let Some(run) = self.runs.last_mut() {
            (run.first, run.end) = (first, end.max(here.saturating_add(1)));
        }
        let lock_pgno = page_size.lock_pgno();
        let neighbours = (first..end).filter_map(Pgno::new);
        let wanted = neighbours.filter(|&next| next != pgno && next != lock_pgno && !has(next));
        core::iter::once(pgno).chain(wanted).collect()
    }

    /// Counts a miss, makes its run the most recent one, and answers with the pages to ask for.
    fn next_window(&mut self, pgno: Pgno, page_size: PageSize, max_extra: u32) -> u32 {
        match self.runs.iter().position(|run| run.goes_on_at(pgno)) {
            Some(at) => self.runs.get_mut(at..).unwrap_or_default().rotate_left(1),
            None => {
                self.runs.rotate_left(1);
                if let Some(last) = self.runs.last_mut() {
                    *last = Run::default();
                }
            }
        }
        let scattered_doublings = self.misses / SCATTERED_MISSES_PER_DOUBLING;
        self.misses = self.misses.saturating_add(1);
        let Some(run) = self.runs.last_mut() else { return 1 };
        let long_doublings = run.requests.saturating_sub(LONG_RUN_REQUESTS);
        run.requests = run.requests.saturating_add(1);
        if max_extra == 0 {
            return 1;
        }
        let configured = max_extra.saturating_add(1);
        let least = (MIN_WINDOW_BYTES >> page_size.bytes().trailing_zeros()).clamp(1, configured);
        let run_window = run.window_pages.saturating_mul(2);
        let run_window =
            run_window.min(doubled(configured, long_doublings, MAX_LONG_RUN_DOUBLINGS));
        let scattered = doubled(least, scattered_doublings, u32::MAX);
        let scattered = scattered.min(doubled(configured, MAX_SCATTERED_DOUBLINGS, u32::MAX));
        run.window_pages = run_window.max(scattered).min(max_pages_per_request(page_size));
        run.window_pages
    }
}

fn doubled(value: u32, times: u32, max_times: u32) -> u32 {
    value.saturating_mul(1_u32.checked_shl(times.min(max_times)).unwrap_or(u32::MAX))
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
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
        for pgno in 1..200 {
            assert_eq!(asked(&mut prefetch, pgno, 0), [pgno]);
        }
    }

    #[test]
    fn a_long_run_gets_past_the_configured_window() {
        let mut prefetch = Prefetch::default();
        let size = PageSize::new(4096).unwrap();
        let mut next = 2;
        let mut requests = 0;
        while next <= 23_000 {
            let pgno = Pgno::new(next).unwrap();
            let len = prefetch.pages(pgno, 23_000, size, 32, |_| false).len();
            assert!(len <= 512);
            next += len as u32;
            requests += 1;
        }
        assert!(requests < 64, "{requests}");
    }

    #[test]
    fn a_run_survives_a_miss_elsewhere() {
        let mut prefetch = Prefetch::default();
        for (pgno, len) in [(10, 1), (11, 2), (500, 1), (13, 4), (700, 2), (17, 8)] {
            assert_eq!(asked(&mut prefetch, pgno, 32).len(), len, "page {pgno}");
        }
    }

    #[test]
    fn a_scan_backwards_fetches_what_comes_before() {
        let mut prefetch = Prefetch::default();
        let size = PageSize::new(4096).unwrap();
        let mut cached = [false; 1002];
        let mut requests = 0;
        for pgno in (1..=1000).rev() {
            if cached[pgno] {
                continue;
            }
            let pgno = Pgno::new(pgno as u32).unwrap();
            let pages = prefetch.pages(pgno, 1000, size, 32, |pgno| cached[pgno.get() as usize]);
            for page in pages {
                assert!(!core::mem::replace(&mut cached[page.get() as usize], true));
            }
            requests += 1;
        }
        assert!(requests < 20, "{requests}");
    }

    #[test]
    fn small_pages_come_in_groups() {
        let mut prefetch = Prefetch::default();
        let size = PageSize::new(512).unwrap();
        let pages = prefetch.pages(Pgno::new(50).unwrap(), 1000, size, 32, |_| false);
        assert_eq!(pages.len(), 8);
        let mut prefetch = Prefetch::default();
        let pages = prefetch.pages(Pgno::new(50).unwrap(), 1000, size, 2, |_| false);
        assert_eq!(pages.len(), 3);
    }

    #[test]
    fn cached_pages_and_the_lock_page_are_left_out() {
        let run = Run { first: 262_140, end: 262_143, window_pages: 2, requests: 3 };
        let mut prefetch = Prefetch { misses: 0, runs: [Run::default(), run] };
        let size = PageSize::new(4096).unwrap();
        let pgno = Pgno::new(262_143).unwrap();
        let pages = prefetch.pages(pgno, 300_000, size, 4, |pgno| pgno.get() == 262_146);
        let pages: Vec<u32> = pages.into_iter().map(Pgno::get).collect();
        assert_eq!(pages, [262_143, 262_144]);
    }
}
