//! `PRAGMA litevfs_cache_db`: every page of the database into the cache.

use super::connection::{Connection, Phase};
use super::incoming::Incoming;
use super::view::View;
use crate::backend::{MAX_RANGES_PER_REQUEST, PageList};
use crate::error::{ErrorKind, Result};
use crate::pager::max_pages_per_request;
use crate::sys::log::log;
use crate::types::{PageSize, Pgno};
use alloc::format;

/// Pages between two lines in the log on how far it is.
const PROGRESS_INTERVAL: usize = 1_024;

impl Connection {
    /// Fetches every page of the database that is not cached. Answers how many pages it has.
    pub fn cache_all(&mut self) -> Result<u32> {
        let view = match &self.phase {
            Phase::Writing(transaction) => transaction.view,
            Phase::Reading(view) => *view,
            Phase::Unlocked => self.newest_view()?.0,
        };
        let Some(page_size) = view.page_size else {
            return Ok(0);
        };
        let max = self.shared_settings().max_cached_pages;
        if max != 0 && max < view.commit {
            let text = format!(
                "the database has {} pages and the cache takes {max}; \
                 raise PRAGMA litevfs_max_cached_pages (0 for no limit)",
                view.commit
            );
            return Err(self.database.error(ErrorKind::Pragma, &text));
        }
        let missing = self.missing_pages(view, page_size, 1).count();
        let most = match self.database.backend().has_bulk() {
            true => usize::MAX,
            false => max_pages_per_request(page_size) as usize,
        };
        let mut fetched = 0_usize;
        let mut next = 1;
        loop {
            let pages = list(self.missing_pages(view, page_size, next), most);
            let Some(last) = pages.last() else { break };
            next = last.get().saturating_add(1);
            let mut incoming = Incoming::ask(&self.database, view, pages)?;
            while incoming.next(&self.database)?.is_some() {
                fetched = fetched.saturating_add(1);
                if fetched.is_multiple_of(PROGRESS_INTERVAL) || fetched == missing {
                    log!(Info, "{}: {fetched} of {missing} pages fetched", self.name());
                }
            }
            incoming.close(&self.database);
        }
        let left_out = self.missing_pages(view, page_size, 1).count();
        if left_out > 0 {
            let text = format!(
                "{left_out} of {} pages are not cached: there is no room on the disk, or the \
                 database moved on meanwhile",
                view.commit
            );
            return Err(self.database.error(ErrorKind::Local, &text));
        }
        Ok(view.commit)
    }

    /// The pages of a view from `first` on that are not cached.
    fn missing_pages(
        &self,
        view: View,
        page_size: PageSize,
        first: u32,
    ) -> impl Iterator<Item = Pgno> {
        let state = self.database.state();
        let all = (first..=view.commit).filter_map(Pgno::new);
        all.filter(move |&pgno| pgno != page_size.lock_pgno() && !state.has_cached(pgno, view))
    }
}

/// As many of the pages as one request may ask for.
fn list(mut pgnos: impl Iterator<Item = Pgno>, max_pages: usize) -> PageList {
    let mut pages = PageList::default();
    while pages.len_pages() < max_pages {
        let Some(pgno) = pgnos.next() else { break };
        if pages.len_ranges() >= MAX_RANGES_PER_REQUEST && !pages.is_followed_by(pgno) {
            break;
        }
        pages.push(pgno);
    }
    pages
}
