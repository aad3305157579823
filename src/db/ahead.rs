//! Pages that a query misses: asked for with those that it will want next, and read as they come.

use super::again::Again;
use super::connection::{Connection, Phase};
use super::incoming::Incoming;
use super::old_pages::OldPages;
use super::rest::Rest;
use super::view::View;
use crate::backend::PageList;
use crate::error::{Error, ErrorKind, Result};
use crate::pager::{Bounds, Plan};
use crate::sys::{Tick, log::log};
use crate::types::{PageSize, Pgno};
use alloc::format;
use alloc::vec::Vec;

/// Misses elsewhere after which an answer that is read as far as needed is given up.
const MAX_MISSES_ELSEWHERE: u32 = 8;
/// Bytes to ask for in bulk where the answer can't be left to be read as far as needed; and to read before
/// a page that is needed.
const MAX_WHOLE_BULK_BYTES: u64 = 2 << 20;

/// What a connection asked for beyond what its query has needed so far.
#[derive(Default)]
pub(super) struct Ahead {
    /// An answer that is read as far as needed.
    incoming: Option<Incoming>,
    /// Misses that it did not help with since it last did.
    misses_elsewhere: u32,
    /// Bytes that the query has fetched in bulk.
    bulk_bytes: u64,
    /// What it fetched again and again.
    again: Again,
    /// Whether the bound of the cache is lifted for it.
    has_lifted: bool,
}

/// How many pages the cache must have room for, for answers to be read beside the queries.
const MIN_ROOM_FOR_RESTS: u32 = 256;
/// The most answers whose rest is read beside the queries: one that comes on top ends the oldest.
const MAX_RESTS: usize = 3;

impl Connection {
    /// Fills `page` with one that is neither written, nor cached, nor remembered.
    pub(super) fn read_missing(
        &mut self,
        view: View,
        page_size: PageSize,
        pgno: Pgno,
        page: &mut [u8],
    ) -> Result<()> {
        // The dirty end of a growing database is not at the server.
        let commit = match &self.phase {
            Phase::Writing(transaction) => transaction.view.commit,
            _ => view.commit,
        };
        let view = View { commit, ..view };
        if self.read_on(view, pgno, page) || self.await_rest(view, pgno, page) {
            self.database.counters().count_hit();
            return Ok(());
        }
        self.count_request()?;
        self.watch_room(view, pgno);
        let plan = self.plan(view, page_size, pgno);
        self.fetch(view, plan, pgno, page).map_err(|error| match error.kind() {
            ErrorKind::PosMismatch if self.is_pinned => self.database.no_longer_held(view.pos),
            _ => error,
        })
    }

    /// Reads on in the answer that is still coming; `false` when the page is not on its way, or far.
    fn read_on(&mut self, view: View, pgno: Pgno, page: &mut [u8]) -> bool {
        let Some(mut incoming) = self.ahead.incoming.take() else { return false };
        let is_near =
            |pages: usize| pages.saturating_mul(page.len()) as u64 <= MAX_WHOLE_BULK_BYTES;
        let is_coming = incoming.is_of(view) && incoming.distance(pgno).is_some_and(is_near);
        if is_coming {
            match self.read_until(&mut incoming, pgno, page, true) {
                Ok(()) => {
                    self.ahead.misses_elsewhere = 0;
                    self.database.counters().count_prefetched(1);
                }
                Err(error) => {
                    log!(Info, "{error}; asking again");
                    incoming.close(&self.database);
                    return false;
                }
            }
        } else {
            self.ahead.misses_elsewhere = self.ahead.misses_elsewhere.saturating_add(1);
        }
        let is_of_use = incoming.is_of(view) && self.ahead.misses_elsewhere <= MAX_MISSES_ELSEWHERE;
        if is_of_use && !incoming.is_over() {
            self.ahead.incoming = Some(incoming);
        } else if incoming.is_over() {
            self.end(view, incoming, None, false);
        } else {
            incoming.close(&self.database);
        }
        is_coming
    }

    /// Waits for a page that is in the rest of an earlier answer; `false` when it is not.
    fn await_rest(&mut self, view: View, pgno: Pgno, page: &mut [u8]) -> bool {
        if self.rests.is_empty() {
            return false;
        }
        let prefetch = &mut self.prefetch;
        self.rests.retain(|rest| {
            if let Some((pages, took_ms)) = rest.outcome() {
                prefetch.note_answer(pages, took_ms);
                return false;
            }
            rest.is_of(view)
        });
        let _ = self.rests.iter().any(|rest| rest.wait_for(pgno));
        // It may also have come just now.
        self.database.state().read_cached(pgno, view, page)
    }

    /// Takes in what is left of an answer: at once, where that is there, else beside the queries.
    fn end(&mut self, view: View, incoming: Incoming, asked: Option<(usize, Tick)>, is_bulk: bool) {
        if !incoming.has_all() && !incoming.is_cached() && self.may_read_on() {
            // Of an older view: there is nowhere to put it but with the query.
            self.ahead.incoming = Some(incoming);
            return;
        }
        // In a small cache one answer's pages would push out another's before they are needed.
        if !incoming.has_all()
            && incoming.is_cached()
            && self.room_pages(view) >= MIN_ROOM_FOR_RESTS
        {
            let left = incoming.to_come().len_pages().saturating_mul(incoming.page().len());
            let about = asked.unwrap_or((0, Tick::now()));
            let rest = match Rest::read(&self.database, view, incoming, about) {
                Ok(rest) => rest,
                Err(Some(incoming)) => return self.read_whole(incoming, asked, is_bulk),
                Err(None) => return,
            };
            if is_bulk {
                self.ahead.bulk_bytes = self.ahead.bulk_bytes.saturating_add(left as u64);
            }
            if self.rests.len() >= MAX_RESTS {
                self.rests.remove(0);
            }
            self.rests.push(rest);
            return;
        }
        self.read_whole(incoming, asked, is_bulk);
    }

    /// Takes in what is left of an answer at once.
    fn read_whole(&mut self, mut incoming: Incoming, asked: Option<(usize, Tick)>, is_bulk: bool) {
        loop {
            match incoming.next(&self.database) {
                Ok(Some(pgno)) => {
                    self.database.counters().count_prefetched(1);
                    self.keep(&incoming, pgno, is_bulk);
                }
                Ok(None) => break,
                Err(error) => {
                    // What the query needs is there.
                    log!(Info, "{error}; going on without the rest");
                    break;
                }
            }
        }
        incoming.close(&self.database);
        if let Some((pages, asked)) = asked {
            self.prefetch.note_answer(pages, asked.age_ms());
        }
    }

    /// Counts a request of the running query, if it may make another one.
    fn count_request(&mut self) -> Result<()> {
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
    fn watch_room(&mut self, view: View, pgno: Pgno) {
        let room_pages = self.room_pages(view);
        self.ahead.again.is_watched |= room_pages < view.commit;
        if self.ahead.again.is_too_often(pgno, room_pages) && !self.ahead.has_lifted {
            log!(Info, "{}: more than {room_pages} pages at a time are needed", self.name());
            self.ahead.has_lifted = true;
            self.database.lift_cache_bound(true);
        }
        if let (true, Some(cache)) = (self.ahead.has_lifted, self.old_pages.cache()) {
            cache.set_limits(self.database.state().limits());
        }
    }

    /// How many pages of a view can be kept.
    fn room_pages(&mut self, view: View) -> u32 {
        let state = self.database.state();
        if state.cache.pos() == view.pos {
            return state.cache.max_pages();
        }
        drop(state);
        self.old_pages.open(&self.database, self.id, view).max_pages()
    }

    /// What to ask for.
    fn plan(&mut self, view: View, page_size: PageSize, pgno: Pgno) -> Plan {
        // Half of it, so that what is there already does not leave before it is needed.
        let room_pages = self.room_pages(view) / 2;
        let state = self.database.state();
        let bulk_bytes = if self.database.backend().has_bulk() {
            let left = state.settings.max_bulk_bytes.saturating_sub(self.ahead.bulk_bytes);
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
    fn may_read_on(&self) -> bool {
        self.ahead.incoming.is_none() && self.reads_one_query()
    }

    /// Asks for pages, of which `page` is filled with the one that is missing.
    fn fetch(&mut self, view: View, plan: Plan, pgno: Pgno, page: &mut [u8]) -> Result<()> {
        let (started, len_pages) = (Tick::now(), plan.pages.len_pages());
        let mut incoming = Incoming::ask(&self.database, view, plan.pages)?;
        self.read_until(&mut incoming, pgno, page, plan.is_bulk)?;
        self.database.counters().count_miss();
        if plan.is_endless && self.may_read_on() {
            self.ahead.misses_elsewhere = 0;
            self.ahead.incoming = Some(incoming);
            return Ok(());
        }
        self.end(view, incoming, Some((len_pages, started)), plan.is_bulk);
        Ok(())
    }

    /// Reads until a page has come, and fills `page` with it.
    fn read_until(
        &mut self,
        incoming: &mut Incoming,
        pgno: Pgno,
        page: &mut [u8],
        is_bulk: bool,
    ) -> Result<()> {
        while let Some(came) = incoming.next(&self.database)? {
            self.keep(incoming, came, is_bulk);
            if came == pgno {
                page.copy_from_slice(incoming.page());
                return Ok(());
            }
            self.database.counters().count_prefetched(1);
        }
        Err(self.database.bad_answer(&format!("page {pgno} is missing in the answer")))
    }

    /// Counts a page that came, and remembers it where the cache has no place for it.
    fn keep(&mut self, incoming: &Incoming, pgno: Pgno, is_bulk: bool) {
        let page = incoming.page();
        if is_bulk {
            self.ahead.bulk_bytes = self.ahead.bulk_bytes.saturating_add(page.len() as u64);
        }
        self.ahead.again.note_page(pgno);
        if !incoming.is_cached() {
            let view = incoming.view();
            let cache = self.old_pages.open(&self.database, self.id, view);
            cache.insert(pgno, view.pos.txid, page);
            cache.flush();
        }
    }

    /// Gives up what is still coming and what was kept for the query, which is over.
    pub(super) fn stop_reading_ahead(&mut self) {
        let Ahead { incoming, has_lifted, .. } = core::mem::take(&mut self.ahead);
        self.old_pages = OldPages::default();
        if let Some(incoming) = incoming {
            incoming.close(&self.database);
        }
        if has_lifted {
            self.database.lift_cache_bound(false);
        }
    }
}
