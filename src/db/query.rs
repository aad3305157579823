//! What the running query may ask for: how often, how much, and whether an answer may be left unread.

use super::connection::{Connection, Phase};
use super::rest::Rest;
use super::view::View;
use crate::backend::PageList;
use crate::error::{Error, ErrorKind, Result};
use crate::pager::{Bounds, Plan};
use crate::sys::log::log;
use crate::types::{PageSize, Pgno};
use alloc::format;
use alloc::vec::Vec;

/// Bytes to ask for in bulk where the answer can't be left to be read as far as needed; and to read before
/// a page that is needed.
pub(super) const MAX_WHOLE_BULK_BYTES: u64 = 2 << 20;

impl Connection {
    /// Counts a request of the running query, if it may make another one.
    pub(super) fn count_request(&mut self) -> Result<()> {
        let limit = self.settings.max_reqs_per_query;
        let is_limited = limit != 0 && self.reads_one_query() && !self.is_unlimited;
        if is_limited && self.requests >= limit {
            return Err(self.too_many_requests(limit));
        }
        self.requests = self.requests.saturating_add(1);
        Ok(())
    }

    /// Whether the lock tells where a query begins and ends; a writer is not stopped half-way.
    fn reads_one_query(&self) -> bool {
        matches!(self.phase, Phase::Reading(_)) && !self.keeps_locks && !self.is_pinned
    }

    fn too_many_requests(&self, limit: u32) -> Error {
        let text = format!(
            "the query needs more than {limit} requests; raise PRAGMA litevfs_max_bulk_bytes or \
             litevfs_max_reqs_per_query (0 for no limit), or run PRAGMA litevfs_cache_db first"
        );
        self.database.error(ErrorKind::RequestLimit, &text)
    }

    /// Lifts the bound of the cache when a query fetches the same pages again and again.
    pub(super) fn watch_room(&mut self, view: View, pgno: Pgno) {
        let room_pages = self.room_pages(view);
        self.read_ahead.refetches.is_watched |= room_pages < view.commit;
        if self.read_ahead.refetches.is_too_often(pgno, room_pages) && !self.read_ahead.has_lifted {
            log!(Info, "{}: more than {room_pages} pages at a time are needed", self.name());
            self.read_ahead.has_lifted = true;
            self.database.lift_cache_bound(true);
        }
        if let (true, Some(cache)) = (self.read_ahead.has_lifted, self.old_pages.cache()) {
            cache.set_limits(self.database.state().limits());
        }
    }

    /// How many pages of a view can be kept.
    pub(super) fn room_pages(&mut self, view: View) -> u32 {
        let state = self.database.state();
        if state.cache.pos() == view.pos {
            return state.cache.max_pages();
        }
        drop(state);
        self.old_pages.open(&self.database, self.id, view).max_pages()
    }

    /// What to ask for.
    pub(super) fn plan(&mut self, view: View, page_size: PageSize, pgno: Pgno) -> Plan {
        // Half of it, so that what is there already does not leave before it is needed.
        let room_pages = self.room_pages(view) / 2;
        let state = self.database.state();
        let bulk_bytes = if self.database.backend().has_bulk() {
            let left = state.settings.max_bulk_bytes.saturating_sub(self.read_ahead.bulk_bytes);
            if self.may_read_on() { left } else { left.min(MAX_WHOLE_BULK_BYTES) }
        } else {
            0
        };
        let coming: Vec<PageList> = self.rests.iter().map(Rest::to_come).collect();
        let bulk_pages = bulk_bytes >> page_size.bytes().trailing_zeros();
        let bounds = Bounds {
            max_extra: self.settings.max_prefetch_pages,
            bulk_pages: u32::try_from(bulk_pages).unwrap_or(u32::MAX),
            room_pages,
            is_line_busy: coming.iter().any(|pages| pages.first().is_some()),
        };
        let comes = |pgno| coming.iter().any(|pages| pages.position(pgno).is_some());
        let has = |pgno| {
            state.has_cached(pgno, view) || self.old_pages.contains(pgno, view) || comes(pgno)
        };
        self.prefetch.plan(pgno, view.commit, page_size, bounds, has)
    }

    /// Whether an answer may be left to be read as far as needed: only one at a time, and only if it can
    /// be told when nobody needs the rest.
    pub(super) fn may_read_on(&self) -> bool {
        self.read_ahead.incoming.is_none() && self.reads_one_query()
    }
}
