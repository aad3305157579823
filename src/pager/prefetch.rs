//! Which pages to ask for together with one that is missing.
//!
//! A look-up of one row needs single pages along a tree, and every page beside them is waste. A scan
//! needs the pages that follow, or those before when it goes backwards; look-ups all over a table need
//! most of it in the end. Either way every request too many costs a round trip. So the windows grow
//! with what was missed so far, up to the configured number of pages, and from there on in bulk:
//!
//! | misses | asked for |
//! | --- | --- |
//! | of a database that is small | all of it |
//! | that run on from each other | a page, 64 KiB, 2 MiB, then all that follows, read as far as needed |
//! | here and there, one soon after the other | a page, a page, and then six times as much each time |
//!
//! Windows of the last kind lie where such misses were, and grow no larger than the line brings in the
//! time that was waited for the earlier ones: so nobody waits for them much longer than without them. Where
//! the cache is too small for all between such misses, they stay single.

use crate::backend::{MAX_PAGES_PER_REQUEST, MAX_RANGES_PER_REQUEST, PageList};
use crate::sys::Tick;
use crate::types::{PageSize, Pgno};

/// Smaller pages than this are fetched in groups of so many bytes, if prefetching is allowed at all.
const MIN_WINDOW_BYTES: u32 = 4096;
/// The second request of a run, and the third where bulk is allowed.
const SECOND_WINDOW_BYTES: u32 = 64 << 10;
const THIRD_WINDOW_BYTES: u32 = 2 << 20;
/// A database of so many bytes is fetched as a whole.
const SMALL_DATABASE_BYTES: u64 = 256 << 10;
/// How much larger a window of scattered misses is than the one before, after so many single pages.
const SCATTERED_GROWTH: u32 = 6;
const SCATTERED_SINGLES: u32 = 2;
/// Where no bulk is allowed: how many times the configured window scattered misses may get, and a run
/// after so many requests, twice as much with each further one.
const MAX_SCATTERED_WINDOWS: u32 = 4;
const LONG_RUN_REQUESTS: u32 = 4;
const MAX_LONG_RUN_DOUBLINGS: u32 = 4;
/// The most bytes of one request that is no bulk.
const MAX_WINDOW_BYTES: u32 = 8 << 20;
/// A run goes on after a gap of such a share of its window.
const RUN_GAP_SHARE: u32 = 16;
/// Runs followed at a time: the leaves of a table, and the inner pages between them or an index.
const MAX_RUNS: usize = 2;
/// Misses longer ago than that have nothing to do with the next one.
const MAX_PAUSE_MS: u64 = 1_000;
/// A window of scattered misses may take as long as was waited before, within these bounds.
const MIN_SCATTERED_WAIT_MS: u64 = 100;
const MAX_SCATTERED_WAIT_MS: u64 = 500;
/// An answer with fewer pages tells how far the server is more than how fast the line; one that came faster,
/// that the line is fast enough.
const MIN_MEASURED_PAGES: u64 = 64;
const MIN_MEASURED_MS: u64 = 10;

/// What reading ahead may take.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Pages beside the missing one; with 0 nothing is read ahead.
    pub max_extra: u32,
    /// Pages that may be asked for in bulk; 0 for never.
    pub bulk_pages: u32,
    /// Pages that can be kept until they are needed.
    pub room_pages: u32,
    /// Whether the rest of an earlier answer is still coming: then it is not known yet what the line bears.
    pub is_line_busy: bool,
}

impl Bounds {
    /// The window that is no bulk.
    fn configured(&self) -> u32 {
        self.max_extra.saturating_add(1).min(self.room_pages.max(1))
    }
}

/// What to ask for.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    /// The pages, the missing one first.
    pub pages: PageList,
    /// Whether these are more than the configured number.
    pub is_bulk: bool,
    /// Whether they are to be read only as far as they are needed.
    pub is_endless: bool,
    /// Whether the miss ran on from what was asked for before.
    pub goes_on: bool,
}

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
    /// Whether a miss is next to what was asked for last, with a page between them, or a few after a large
    /// window: what lies between the pages of a table need not be its own.
    fn goes_on_at(&self, pgno: Pgno) -> bool {
        let pgno = pgno.get();
        let gap = self.window_pages / RUN_GAP_SHARE;
        let ahead = (self.end..=self.end.saturating_add(1).saturating_add(gap)).contains(&pgno);
        let behind = (self.first.saturating_sub(2)..self.first).contains(&pgno);
        self.requests > 0 && (ahead || behind)
    }
}

/// Misses here and there, one soon after the other, also over several queries.
#[derive(Debug, Default, Clone, Copy)]
struct Scatter {
    misses: u32,
    /// Where they were.
    lowest: u32,
    highest: u32,
    /// When the last one was.
    last: Option<Tick>,
    /// Time that was waited for all of them.
    waited_ms: u64,
    /// The last answer that tells of the line: pages, and how long they took.
    answer: Option<(u64, u64)>,
}

/// What was missed so far.
#[derive(Debug, Default)]
pub struct Prefetch {
    /// Of this query, the most recent last.
    runs: [Run; MAX_RUNS],
    scatter: Scatter,
}

/// A stretch of pages to ask for: from `first` up to and without `end`.
struct Stretch {
    first: u32,
    end: u32,
    is_bulk: bool,
    is_endless: bool,
    goes_on: bool,
}

/// The most pages to ask for in one request that is no bulk, of a database with such pages.
pub const fn max_pages_per_request(page_size: PageSize) -> u32 {
    let by_bytes = pages_of(MAX_WINDOW_BYTES, page_size);
    if by_bytes < MAX_PAGES_PER_REQUEST { by_bytes } else { MAX_PAGES_PER_REQUEST }
}

const fn pages_of(bytes: u32, page_size: PageSize) -> u32 {
    bytes >> page_size.bytes().trailing_zeros()
}

impl Prefetch {
    /// Forgets the runs of the last query.
    pub fn start_query(&mut self) {
        self.runs = Default::default();
    }

    /// Takes note of how long it took to get what was asked for last.
    pub fn note_answer(&mut self, pages: usize, took_ms: u64) {
        self.scatter.waited_ms = self.scatter.waited_ms.saturating_add(took_ms);
        let (pages, took_ms) = (pages as u64, took_ms.max(1));
        let is_faster = |(old_pages, old_ms): (u64, u64)| {
            pages.saturating_mul(old_ms) > old_pages.saturating_mul(took_ms)
        };
        if pages >= MIN_MEASURED_PAGES && took_ms < MIN_MEASURED_MS {
            self.scatter.answer = None;
        } else if pages >= MIN_MEASURED_PAGES || self.scatter.answer.is_some_and(is_faster) {
            self.scatter.answer = Some((pages, took_ms));
        }
    }

    /// What to fetch for a miss of `pgno`: itself first, then its neighbours, without the lock page and
    /// what `has` says is there already, in a database of `commit` pages.
    pub fn plan(
        &mut self,
        pgno: Pgno,
        commit: u32,
        page_size: PageSize,
        bounds: Bounds,
        has: impl Fn(Pgno) -> bool,
    ) -> Plan {
        let stretch = self.stretch(pgno, commit, page_size, bounds, &has);
        if let Some(run) = self.runs.last_mut() {
            (run.first, run.end) = (stretch.first, stretch.end);
        }
        let lock_pgno = page_size.lock_pgno();
        let mut pages = PageList::from_iter([pgno]);
        for next in (stretch.first..stretch.end).filter_map(Pgno::new) {
            if next != pgno && next != lock_pgno && !has(next) {
                if pages.len_ranges() == MAX_RANGES_PER_REQUEST && !pages.is_followed_by(next) {
                    break;
                }
                pages.push(next);
            }
        }
        let Stretch { is_bulk, is_endless, goes_on, .. } = stretch;
        Plan { pages, is_bulk, is_endless, goes_on }
    }

    fn stretch(
        &mut self,
        pgno: Pgno,
        commit: u32,
        page_size: PageSize,
        bounds: Bounds,
        has: impl Fn(Pgno) -> bool,
    ) -> Stretch {
        let here = pgno.get();
        let db_end = commit.saturating_add(1);
        let goes_on = self.follow_run(pgno);
        let scattered = if goes_on { 1 } else { self.scattered_window(pgno, page_size, bounds) };
        let (run_window, is_endless) = self.run_window(page_size, bounds);
        let configured = bounds.configured();
        let window = if bounds.max_extra == 0 { 1 } else { run_window.max(scattered) };
        if let Some(run) = self.runs.last_mut() {
            run.window_pages = window;
        }
        let is_bulk = window > configured && bounds.bulk_pages > configured;
        let is_small = page_size.bytes_of(commit) <= SMALL_DATABASE_BYTES;
        if is_small && bounds.max_extra > 0 && commit <= bounds.bulk_pages.min(bounds.room_pages) {
            return Stretch {
                first: 1,
                end: db_end,
                is_bulk: commit > configured,
                is_endless: false,
                goes_on,
            };
        }
        // Whoever has the page after this one, but not the one before, comes from behind.
        let is_cached = |pgno: u32| Pgno::new(pgno).is_none_or(&has);
        let is_backwards = is_cached(here.saturating_add(1)) && !is_cached(here.saturating_sub(1));
        if is_backwards && (goes_on || window <= configured) {
            let window = window.min(max_pages_per_request(page_size));
            let first = here.saturating_sub(window).saturating_add(1).max(1);
            let end = here.saturating_add(1);
            return Stretch { first, end, is_bulk, is_endless: false, goes_on };
        }
        let (low, high) = if is_bulk && !goes_on { self.scatter.span() } else { (here, u32::MAX) };
        let high = high.min(db_end).max(here.saturating_add(1));
        let first = here.min(high.saturating_sub(window).max(low)).max(1);
        let end = first.saturating_add(window).min(high);
        Stretch { first, end, is_bulk, is_endless, goes_on }
    }

    /// Makes the run that a miss belongs to the most recent one; whether it is one that goes on.
    fn follow_run(&mut self, pgno: Pgno) -> bool {
        let known = self.runs.iter().position(|run| run.goes_on_at(pgno));
        self.runs.get_mut(known.unwrap_or(0)..).unwrap_or_default().rotate_left(1);
        if let (None, Some(last)) = (known, self.runs.last_mut()) {
            *last = Run::default();
        }
        known.is_some()
    }

    /// The window of the most recent run, and whether it has no end.
    fn run_window(&mut self, page_size: PageSize, bounds: Bounds) -> (u32, bool) {
        let Some(run) = self.runs.last_mut() else { return (1, false) };
        let requests = run.requests;
        run.requests = requests.saturating_add(1);
        let configured = bounds.configured();
        let second = pages_of(SECOND_WINDOW_BYTES, page_size).max(2).min(configured);
        match requests {
            0 => return (1, false),
            1 => return (second.max(run.window_pages.saturating_mul(2).min(configured)), false),
            2 if bounds.bulk_pages > configured => {
                let third = pages_of(THIRD_WINDOW_BYTES, page_size).max(configured);
                let third = third.min(bounds.bulk_pages);
                return (third, third > bounds.room_pages);
            }
            _ if bounds.bulk_pages > configured => return (bounds.bulk_pages, true),
            _ => {}
        }
        let doublings = requests.saturating_sub(LONG_RUN_REQUESTS).min(MAX_LONG_RUN_DOUBLINGS);
        let most = configured.saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX));
        (most.min(max_pages_per_request(page_size)), false)
    }

    /// The window of a miss that does not run on from others.
    fn scattered_window(&mut self, pgno: Pgno, page_size: PageSize, bounds: Bounds) -> u32 {
        let misses = self.scatter.count(pgno.get());
        let configured = bounds.configured();
        let least = pages_of(MIN_WINDOW_BYTES, page_size).clamp(1, configured);
        let (low, high) = self.scatter.span();
        if bounds.is_line_busy || high.saturating_sub(low) / 2 > bounds.room_pages {
            // What came along would be in the way, or leave before it is wanted.
            return least;
        }
        let growth = (misses.checked_sub(SCATTERED_SINGLES))
            .map_or(1, |misses| SCATTERED_GROWTH.saturating_pow(misses.saturating_add(1)));
        let window = least.saturating_mul(growth);
        let most = if bounds.bulk_pages > configured {
            let most =
                bounds.bulk_pages.min(bounds.room_pages).min(self.scatter.affordable_pages());
            most.max(configured)
        } else {
            let most = configured.saturating_mul(MAX_SCATTERED_WINDOWS);
            most.min(max_pages_per_request(page_size))
        };
        window.min(most)
    }
}

impl Scatter {
    /// Counts a miss; answers how many there were before.
    fn count(&mut self, pgno: u32) -> u32 {
        if self.last.is_none_or(|last| last.age_ms() > MAX_PAUSE_MS) {
            *self = Scatter { lowest: pgno, highest: pgno, ..Scatter::default() };
        }
        self.last = Some(Tick::now());
        self.lowest = self.lowest.min(pgno);
        self.highest = self.highest.max(pgno);
        let misses = self.misses;
        self.misses = misses.saturating_add(1);
        misses
    }

    /// Where further misses are to be expected: up to and without the second.
    fn span(&self) -> (u32, u32) {
        let margin = self.highest.saturating_sub(self.lowest) / 16;
        let end = self.highest.saturating_add(margin).saturating_add(1);
        (self.lowest.saturating_sub(margin), end)
    }

    /// The pages that come in the time that may be waited for them.
    fn affordable_pages(&self) -> u32 {
        let Some((pages, took_ms)) = self.answer else { return u32::MAX };
        let wait_ms = self.waited_ms.clamp(MIN_SCATTERED_WAIT_MS, MAX_SCATTERED_WAIT_MS);
        let affordable = pages.saturating_mul(wait_ms).checked_div(took_ms).unwrap_or(u64::MAX);
        u32::try_from(affordable).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
#[path = "prefetch_tests.rs"]
mod tests;
