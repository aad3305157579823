//! Pages that a query misses: asked for with those that it will want next, and read as they come.

use super::connection::{Connection, Phase};
use super::incoming::Incoming;
use super::query::MAX_WHOLE_BULK_BYTES;
use super::rest::Rest;
use super::view::View;
use crate::error::{ErrorKind, Result};
use crate::pager::Plan;
use crate::sys::{Tick, log::log};
use crate::types::{PageSize, Pgno};
use alloc::format;

/// Misses elsewhere after which an answer that is read as far as needed is given up.
const MAX_MISSES_ELSEWHERE: u32 = 8;

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
        let Some(mut incoming) = self.read_ahead.incoming.take() else { return false };
        let is_near =
            |pages: usize| pages.saturating_mul(page.len()) as u64 <= MAX_WHOLE_BULK_BYTES;
        let is_coming = incoming.is_of(view) && incoming.distance(pgno).is_some_and(is_near);
        if is_coming {
            match self.read_until(&mut incoming, pgno, page, true) {
                Ok(()) => {
                    self.read_ahead.misses_elsewhere = 0;
                    self.database.counters().count_prefetched(1);
                }
                Err(error) => {
                    log!(Info, "{error}; asking again");
                    incoming.close(&self.database);
                    return false;
                }
            }
        } else {
            self.read_ahead.misses_elsewhere = self.read_ahead.misses_elsewhere.saturating_add(1);
        }
        let is_of_use =
            incoming.is_of(view) && self.read_ahead.misses_elsewhere <= MAX_MISSES_ELSEWHERE;
        if is_of_use && !incoming.is_over() {
            self.read_ahead.incoming = Some(incoming);
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
            self.read_ahead.incoming = Some(incoming);
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
                self.read_ahead.bulk_bytes = self.read_ahead.bulk_bytes.saturating_add(left as u64);
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

    /// Asks for pages, of which `page` is filled with the one that is missing.
    fn fetch(&mut self, view: View, plan: Plan, pgno: Pgno, page: &mut [u8]) -> Result<()> {
        let (started, len_pages) = (Tick::now(), plan.pages.len_pages());
        let mut incoming = Incoming::ask(&self.database, view, plan.pages)?;
        self.read_until(&mut incoming, pgno, page, plan.is_bulk)?;
        self.database.counters().count_miss();
        if plan.is_endless && self.may_read_on() {
            self.read_ahead.misses_elsewhere = 0;
            self.read_ahead.incoming = Some(incoming);
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
            self.read_ahead.bulk_bytes =
                self.read_ahead.bulk_bytes.saturating_add(page.len() as u64);
        }
        self.read_ahead.refetches.note_page(pgno);
        if !incoming.is_cached() {
            let view = incoming.view();
            let cache = self.old_pages.open(&self.database, self.id, view);
            cache.insert(pgno, view.pos.txid, page);
            cache.flush();
        }
    }
}
