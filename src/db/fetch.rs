//! Pages of a database that are not cached, asked for one by one or by the list, and kept where they belong.

use super::database::Database;
use super::view::View;
use crate::backend::Page;
use crate::error::Result;
use crate::pager::header;
use crate::types::{PageSize, Pgno, Pos};
use alloc::format;
use alloc::vec::Vec;

impl Database {
    /// Page 1 at a position, as it is stored.
    pub fn page1(&self, pos: Pos) -> Result<Vec<u8>> {
        {
            let mut state = self.state();
            let len = state.cache.page_size().map_or(0, PageSize::len_bytes);
            let mut page = alloc::vec![0; len];
            // By its TXID alone the cache could have the page of another life.
            if state.cache.pos() == pos && state.cache.read(Pgno::ONE, pos.txid, &mut page) {
                return Ok(page);
            }
        }
        let fetched = self.backend().pages(self.name(), pos, &[Pgno::ONE]);
        let pages = fetched.map_err(|error| self.note_mismatch(error))?;
        let Some((_, page)) = pages.into_iter().next() else {
            return Err(self.bad_answer("page 1 is missing in the answer"));
        };
        self.counters().count_fetched(1);
        self.take_page1(pos, &page)?;
        Ok(page)
    }

    /// Checks a fetched page 1, and keeps it where it is of the cache's position.
    pub fn take_page1(&self, pos: Pos, page: &[u8]) -> Result<()> {
        let page_size = header::page_size(page)
            .ok_or_else(|| self.bad_answer("page 1 is not the first page of a SQLite database"))?;
        let mut state = self.state();
        if state.cache.pos() == pos {
            state.cache.set_page_size(page_size);
            state.cache.insert(Pgno::ONE, pos.txid, page);
            state.cache.flush();
        }
        Ok(())
    }

    /// Keeps what the database was opened with, where the cache is at that position.
    pub fn take_pages(&self, pos: Pos, pages: &[Page]) -> Result<()> {
        self.counters().count_fetched(pages.len());
        let mut rest = pages;
        if let Some(((Pgno::ONE, page1), others)) = pages.split_first() {
            self.take_page1(pos, page1)?;
            rest = others;
        }
        self.counters().count_prefetched(rest.len());
        let mut state = self.state();
        if state.cache.pos() == pos {
            for (pgno, page) in rest {
                state.cache.insert(*pgno, pos.txid, page);
            }
            state.cache.flush();
        }
        Ok(())
    }

    /// A page of a view, from the cache or fetched.
    pub fn page(&self, view: View, pgno: Pgno) -> Result<Vec<u8>> {
        let mut page = alloc::vec![0; view.page_size.map_or(0, PageSize::len_bytes)];
        if self.state().read_cached(pgno, view, &mut page) {
            return Ok(page);
        }
        let fetched = self.fetch(view, &[pgno])?.into_iter().next();
        fetched
            .map(|(_, page)| page)
            .ok_or_else(|| self.bad_answer(&format!("page {pgno} is missing in the answer")))
    }

    /// Fetches pages at a view, and keeps them in the cache where the view is the newest. At most
    /// [`crate::backend::MAX_PAGES_PER_REQUEST`].
    pub fn fetch(&self, view: View, pgnos: &[Pgno]) -> Result<Vec<Page>> {
        let fetched = self.backend().pages(self.name(), view.pos, pgnos);
        let pages = fetched.map_err(|error| self.note_mismatch(error))?;
        self.counters().count_fetched(pages.len());
        let len = view.page_size.map_or(0, PageSize::len_bytes);
        if let Some((pgno, page)) = pages.iter().find(|(_, page)| page.len() != len) {
            let why = format!("page {pgno} has {} bytes, not {len}", page.len());
            return Err(self.bad_answer(&why));
        }
        let mut state = self.state();
        if state.cache.pos() == view.pos && state.cache.page_size() == view.page_size {
            for (pgno, page) in &pages {
                state.cache.insert(*pgno, view.pos.txid, page);
            }
            state.cache.flush();
        }
        Ok(pages)
    }

    /// The size in pages at a position whose page 1 does not say it, because a program older than
    /// SQLite 3.7.0 wrote it.
    pub(super) fn size_beside(&self, pos: Pos) -> Result<u32> {
        if let Some((at, commit)) = self.state().size_beside
            && at == pos
        {
            return Ok(commit);
        }
        let asked = self.backend().size_pages(self.name(), pos);
        let commit = asked.map_err(|error| self.note_mismatch(error))?;
        if commit == 0 {
            return Err(self.bad_answer("a database with pages has the size 0"));
        }
        self.state().size_beside = Some((pos, commit));
        Ok(commit)
    }
}
