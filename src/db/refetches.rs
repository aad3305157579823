//! Pages that one query fetches again and again, because the cache is too small to keep them until then.
//!
//! A check of a database reads an index in the order of its table: each page of the index is wanted
//! hundreds of times, with others in between. A cache that holds half of them helps with half of the reads,
//! and the others are a request each. So who fetched a quarter as many pages again as the cache holds has the
//! bound lifted until the query is over.

use crate::types::Pgno;
use alloc::vec::Vec;

/// Pages to fetch again before that is too many, however small the cache is.
const MIN_TOO_MANY: u32 = 64;
/// The last page that is watched: what is known of those up to there takes 4 MiB.
const MAX_WATCHED: u32 = 1 << 25;

/// What a query fetched of a database for which the cache is too small.
#[derive(Default)]
pub(super) struct Refetches {
    /// A bit for each page.
    fetched: Vec<u64>,
    count: u32,
    /// Whether the cache is too small for the database.
    pub is_watched: bool,
}

impl Refetches {
    /// A page came.
    pub fn note_page(&mut self, pgno: Pgno) {
        let pgno = pgno.get();
        if !self.is_watched || pgno > MAX_WATCHED {
            return;
        }
        let at = (pgno / u64::BITS) as usize;
        if at >= self.fetched.len() {
            self.fetched.resize(at.saturating_add(1), 0);
        }
        if let Some(word) = self.fetched.get_mut(at) {
            *word |= 1_u64 << (pgno % u64::BITS);
        }
    }

    /// A page is missing that a cache for `room_pages` did not keep; whether that was too often.
    pub fn is_too_often(&mut self, pgno: Pgno, room_pages: u32) -> bool {
        let pgno = pgno.get();
        let word = self.fetched.get((pgno / u64::BITS) as usize).copied().unwrap_or(0);
        if word >> (pgno % u64::BITS) & 1 != 0 {
            self.count = self.count.saturating_add(1);
        }
        self.count > (room_pages / 4).max(MIN_TOO_MANY)
    }
}
