//! Pages for a connection: from its transaction, the cache, or the backend.

use super::connection::{Connection, Phase};
use super::shown::SeenPage1;
use super::view::View;
use crate::error::Result;
use crate::page1::{self, Page1};
use crate::pager::header::{self, VERSION_LEN, VERSION_OFFSET};
use crate::sys::log::log;
use crate::types::{PageSize, Pgno};
use alloc::vec;

fn flip(bytes: &mut [u8]) {
    bytes.iter_mut().for_each(|byte| *byte = !*byte);
}

impl Connection {
    /// Fills `bytes` from the database file. Answers how many bytes the file has there, at most
    /// `bytes.len()`; the rest is zero.
    pub fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> Result<usize> {
        let is_version = offset == VERSION_OFFSET && bytes.len() == VERSION_LEN;
        if is_version {
            self.start_transaction_under_lock()?;
        }
        let (view, page_size, size_bytes) = match &self.phase {
            Phase::Writing(transaction) => {
                (transaction.view, transaction.page_size(), transaction.size_bytes)
            }
            Phase::Reading(view) => (*view, view.page_size, view.size_bytes()),
            // SQLite reads the header once when it opens a file, before it locks it.
            Phase::Unlocked => {
                let view = self.newest_view()?.0;
                (view, view.page_size, view.size_bytes())
            }
        };
        let Some(page_size) = page_size else {
            bytes.fill(0);
            self.shown.look(view, None);
            return Ok(0);
        };
        let available = usize::try_from(size_bytes.saturating_sub(offset)).unwrap_or(usize::MAX);
        let filled = bytes.len().min(available);
        let (wanted, past_end) = bytes.split_at_mut(filled);
        past_end.fill(0);
        self.read_pages(view, page_size, offset, wanted)?;
        if offset <= VERSION_OFFSET {
            self.show_page1(view, page_size, offset, bytes)?;
        }
        Ok(filled)
    }

    /// SQLite reads the version fields when a transaction begins and its cached pages may be stale.
    /// Usually the lock before it did all there is to do. In exclusive locking mode after an error
    /// there is no such lock: then whatever a failed transaction left is dropped here, and the view
    /// moves.
    fn start_transaction_under_lock(&mut self) -> Result<()> {
        self.take_outcome();
        let Phase::Writing(transaction) = &mut self.phase else {
            return Ok(());
        };
        if !transaction.is_clean() {
            log!(Debug, "{}: an unfinished transaction is dropped", self.database.name());
        }
        transaction.discard();
        let (view, confirmed) = self.newest_view()?;
        self.check_not_cut_off(view)?;
        self.view_confirmed = confirmed;
        if let Phase::Writing(transaction) = &mut self.phase {
            transaction.view = view;
            transaction.size_bytes = view.size_bytes();
        }
        self.tell_group();
        self.start_query();
        Ok(())
    }

    /// What SQLite sees of page 1 that is not as it is stored.
    fn show_page1(
        &mut self,
        view: View,
        page_size: PageSize,
        offset: u64,
        bytes: &mut [u8],
    ) -> Result<()> {
        let is_version = offset == VERSION_OFFSET && bytes.len() == VERSION_LEN;
        let is_written = match &self.phase {
            Phase::Writing(transaction) => transaction.has_written(Pgno::ONE),
            Phase::Reading(_) | Phase::Unlocked => false,
        };
        if view.is_encrypted || offset == 0 && page1::is_encrypted(bytes) {
            // Nothing can be shown otherwise but what SQLite compares as it is. What it reads when it opens
            // the file it does not keep.
            if view.is_encrypted
                && !is_written
                && self.is_locked()
                && self.shown.look(view, None)
                && is_version
            {
                flip(bytes);
            }
            return Ok(());
        }
        if !is_written {
            let page1 = match self.shown.page1_at(view) {
                Some(page1) => page1,
                None => self.look_at_page1(view, page_size, offset, bytes)?,
            };
            let must_drop = self.shown.look(view, Some(page1));
            let Page1 { size, change_counter, .. } = page1.header;
            if size.is_none() {
                header::show_size(bytes, offset, change_counter, view.commit);
            }
            if is_version && must_drop {
                // The counter may be what it was: a restored database counts anew. Something that was
                // never there makes SQLite drop its cached pages and read page 1.
                flip(bytes);
            }
        }
        if !is_version {
            header::show_as_rollback(bytes);
        }
        header::shift_cookie(bytes, offset, self.shown.shift());
        Ok(())
    }

    /// Page 1 as it is stored, of which `bytes` were read from `offset` on.
    fn look_at_page1(
        &mut self,
        view: View,
        page_size: PageSize,
        offset: u64,
        bytes: &[u8],
    ) -> Result<SeenPage1> {
        if offset == 0
            && let Some(page1) = bytes.get(..page_size.len_bytes())
        {
            return SeenPage1::new(page1);
        }
        let mut page1 = vec![0; page_size.len_bytes()];
        self.read_page(view, page_size, Pgno::ONE, &mut page1)?;
        SeenPage1::new(&page1)
    }

    /// Fills `bytes` from pages that are there.
    fn read_pages(
        &mut self,
        view: View,
        page_size: PageSize,
        offset: u64,
        bytes: &mut [u8],
    ) -> Result<()> {
        let mut filled = 0;
        while filled < bytes.len() {
            let at = offset.saturating_add(filled as u64);
            let rest = bytes.get_mut(filled..).unwrap_or_default();
            let Some((pgno, within)) = page_size.page_at(at) else {
                rest.fill(0);
                break;
            };
            let len = page_size.len_bytes().saturating_sub(within).min(rest.len());
            let target = rest.get_mut(..len).unwrap_or_default();
            if len == page_size.len_bytes() {
                self.read_page(view, page_size, pgno, target)?;
            } else {
                let mut page = vec![0; page_size.len_bytes()];
                self.read_page(view, page_size, pgno, &mut page)?;
                let part = page.get(within..within.saturating_add(len)).unwrap_or_default();
                target.copy_from_slice(part);
            }
            filled = filled.saturating_add(len);
        }
        Ok(())
    }

    /// Fills `page`, as it is with what the open transaction wrote; a page past the end is zeros.
    pub(super) fn read_page(
        &mut self,
        view: View,
        page_size: PageSize,
        pgno: Pgno,
        page: &mut [u8],
    ) -> Result<()> {
        if let Phase::Writing(transaction) = &self.phase {
            if let Some(dirty) = &transaction.dirty
                && dirty.read_at(pgno, 0, page)?
            {
                return Ok(());
            }
            if pgno.get() > transaction.view.commit {
                // Past the committed end and not written: a hole.
                page.fill(0);
                return Ok(());
            }
        }
        if pgno == page_size.lock_pgno() {
            page.fill(0);
            return Ok(());
        }
        if self.database.state().read_cached(pgno, view, page) {
            self.database.counters().count_hit();
            return Ok(());
        }
        if self.old_pages.read(pgno, view, page) {
            self.database.counters().count_hit();
            return Ok(());
        }
        self.read_missing(view, page_size, pgno, page)
    }
}
