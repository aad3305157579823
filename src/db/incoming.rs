//! Pages that were asked for and come one after the other, each into the cache as it comes.

use super::database::Database;
use super::view::View;
use crate::backend::{PageList, PageStream};
use crate::error::Result;
use crate::types::{PageSize, Pgno};
use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

/// Pages between two writes to the cache's index.
const FLUSH_INTERVAL: u32 = 255;

/// An answer that is on its way. To be closed: what is left of it then is given up.
pub struct Incoming {
    view: View,
    stream: Box<dyn PageStream>,
    /// The page that came last.
    page: Vec<u8>,
    /// Whether that is in the cache.
    is_cached: bool,
    unflushed: u32,
}

impl Incoming {
    /// Asks for pages at a view.
    pub fn ask(database: &Database, view: View, pages: PageList) -> Result<Incoming> {
        let asked = database.backend().stream(database.name(), view.pos, view.page_size, pages);
        let stream = asked.map_err(|error| database.note_mismatch(error))?;
        Ok(Incoming { view, stream, page: Vec::new(), is_cached: false, unflushed: 0 })
    }

    /// Whether these are pages of a view.
    pub fn is_of(&self, view: View) -> bool {
        (self.view.pos, self.view.epoch) == (view.pos, view.epoch)
    }

    /// The view that they are of.
    pub fn view(&self) -> View {
        self.view
    }

    /// How many pages will come before this one; `None` when it does not.
    pub fn distance(&self, pgno: Pgno) -> Option<usize> {
        self.stream.to_come().position(pgno)
    }

    /// Whether all came.
    pub fn is_over(&self) -> bool {
        self.stream.to_come().first().is_none()
    }

    /// Waits for the next page and keeps it in the cache, where the view is still the newest; `None`
    /// after the last.
    pub fn next(&mut self, database: &Database) -> Result<Option<Pgno>> {
        let came = self.receive().map_err(|error| database.note_mismatch(error))?;
        if let Some(pgno) = came {
            self.take_in(database, pgno)?;
        }
        Ok(came)
    }

    /// Waits for the next page, for [`Incoming::take_in`].
    pub fn receive(&mut self) -> Result<Option<Pgno>> {
        self.stream.next(&mut self.page)
    }

    /// Keeps the page that was just received in the cache, where the view is still the newest.
    pub fn take_in(&mut self, database: &Database, pgno: Pgno) -> Result<()> {
        database.counters().count_fetched(1);
        let len = self.view.page_size.map_or(0, PageSize::len_bytes);
        if self.page.len() != len {
            let why = format!("page {pgno} has {} bytes, not {len}", self.page.len());
            return Err(database.bad_answer(&why));
        }
        let mut state = database.state();
        let cache = &mut state.cache;
        self.is_cached = cache.pos() == self.view.pos && cache.page_size() == self.view.page_size;
        if self.is_cached {
            cache.insert(pgno, self.view.pos.txid, &self.page);
            self.unflushed = self.unflushed.saturating_add(1);
            if self.unflushed >= FLUSH_INTERVAL || self.is_over() {
                cache.flush();
                self.unflushed = 0;
            }
        }
        Ok(())
    }

    /// The pages that are still to come.
    pub fn to_come(&self) -> &PageList {
        self.stream.to_come()
    }

    /// Whether the rest is there: to take it in waits for nobody.
    pub fn has_all(&self) -> bool {
        self.stream.has_all()
    }

    /// The page that came last.
    pub fn page(&self) -> &[u8] {
        &self.page
    }

    /// Whether that is in the cache, or was left out by it.
    pub fn is_cached(&self) -> bool {
        self.is_cached
    }

    /// Gives up the rest.
    pub fn close(self, database: &Database) {
        if self.unflushed > 0 {
            database.state().cache.flush();
        }
    }
}
