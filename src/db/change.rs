//! What a transaction makes of the database, in pages of the size that page 1 says.
//!
//! That is the size of the dirty pages, but after VACUUM or the backup API changed it. SQLite wrote the
//! new database over the old one then, in pages of the old size. Their bytes are cut anew here, and
//! every page counts as changed.

use super::database::{Database, View};
use crate::error::{Error, ErrorKind, Result};
use crate::pager::DirtyPages;
use crate::types::{PageSize, Pgno};
use alloc::vec;
use alloc::vec::Vec;

/// A page, where there is one.
type Part = Option<Vec<u8>>;

/// What is to be pushed.
pub(super) struct Change<'a> {
    database: &'a Database,
    pub base: View,
    /// Size of the pages afterwards.
    pub page_size: PageSize,
    /// Size of the database afterwards.
    pub commit: u32,
    /// Page 1 as it will be stored.
    pub page1: Vec<u8>,
    dirty: &'a DirtyPages,
}

impl<'a> Change<'a> {
    /// What `dirty` makes of `base`. Of `page1` as it will be stored the header and as much as a dirty
    /// page holds is known.
    pub fn new(
        database: &'a Database,
        base: View,
        page_size: PageSize,
        commit: u32,
        dirty: &'a DirtyPages,
        mut page1: Vec<u8>,
    ) -> Result<Change<'a>> {
        let known = page1.len();
        page1.resize(page_size.len_bytes(), 0);
        let mut change = Change { database, base, page_size, commit, page1: Vec::new(), dirty };
        if let Some(rest) = page1.get_mut(known..) {
            change.read_at(known as u64, rest, |pgno| database.page(base, pgno).map(Some))?;
        }
        change.page1 = page1;
        Ok(change)
    }

    /// Pages of the base that keep their place: none when their size changes.
    pub fn old_commit(&self) -> u32 {
        if self.base.page_size == Some(self.page_size) { self.base.commit } else { 0 }
    }

    /// A page as it will be stored. Pages that SQLite left out of a growing file are zeros.
    pub fn page(&self, pgno: Pgno) -> Result<Vec<u8>> {
        let base = |pgno| self.database.page(self.base, pgno).map(Some);
        let page = self.page_with(pgno, base)?;
        page.ok_or_else(|| Error::new(ErrorKind::Internal, "a part of a page is nowhere"))
    }

    /// The same without a look at the base: `None` when the page holds what was not written.
    pub fn written_page(&self, pgno: Pgno) -> Option<Vec<u8>> {
        self.page_with(pgno, |_| Ok(None)).ok().flatten()
    }

    fn page_with(&self, pgno: Pgno, base: impl Fn(Pgno) -> Result<Part>) -> Result<Part> {
        if pgno == Pgno::ONE {
            return Ok(Some(self.page1.clone()));
        }
        let mut page = vec![0; self.page_size.len_bytes()];
        if self.page_size == self.dirty.page_size() {
            self.dirty.read_at(pgno, 0, &mut page)?;
            return Ok(Some(page));
        }
        let offset = self.page_size.bytes_of(pgno.get().saturating_sub(1));
        Ok(self.read_at(offset, &mut page, base)?.then_some(page))
    }

    /// The pages that may differ from the base: dirty ones, and all that are new.
    pub fn candidates(&self) -> impl Iterator<Item = Pgno> + '_ {
        let last_old = self.old_commit().min(self.commit);
        let old = self.dirty.pgnos().take_while(move |pgno| pgno.get() <= last_old);
        let new = (self.old_commit().saturating_add(1)..=self.commit).filter_map(Pgno::new);
        let lock_pgno = self.page_size.lock_pgno();
        old.chain(new).filter(move |&pgno| pgno != lock_pgno)
    }

    /// Fills `bytes` from a place in the file as SQLite left it, which is zeros where nothing is; `false`
    /// when `base` does not have what was not written.
    fn read_at(
        &self,
        offset: u64,
        bytes: &mut [u8],
        base: impl Fn(Pgno) -> Result<Part>,
    ) -> Result<bool> {
        let page_size = self.dirty.page_size();
        let (mut at, mut rest) = (offset, bytes);
        while !rest.is_empty() {
            let Some((pgno, within)) = page_size.page_at(at) else {
                break;
            };
            let len = page_size.len_bytes().saturating_sub(within).min(rest.len());
            let (part, after) = rest.split_at_mut(len);
            let is_committed = pgno.get() <= self.base.commit && pgno != page_size.lock_pgno();
            if !self.dirty.read_at(pgno, within, part)? && is_committed {
                let Some(page) = base(pgno)? else {
                    return Ok(false);
                };
                if let Some(old) = page.get(within..within.saturating_add(len)) {
                    part.copy_from_slice(old);
                }
            }
            (at, rest) = (at.saturating_add(len as u64), after);
        }
        Ok(true)
    }
}
