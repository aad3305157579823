//! What a transaction makes of the database, in pages of the size that page 1 says.
//!
//! That is the size of the dirty pages, but after VACUUM or the backup API changed it. SQLite wrote the
//! new database over the old one then, in pages of the old size. Their bytes are cut anew here, and
//! every page counts as changed.

use super::database::Database;
use super::made::Made;
use super::view::View;
use crate::error::{Error, ErrorKind, Result};
use crate::pager::DirtyPages;
use crate::types::{PageSize, Pgno};
use alloc::borrow::Cow;
use alloc::vec;
use alloc::vec::Vec;

/// A page, where there is one.
type Part<'a> = Option<Cow<'a, [u8]>>;

/// A page of the base, where it may be asked for.
type Base = Option<Vec<u8>>;

/// Page 1 as it will be stored, as far as a dirty page holds it.
pub(super) struct NewPage1 {
    pub bytes: Vec<u8>,
    /// It is as it is in the base, but for the change counter.
    pub only_counts: bool,
}

/// What is to be pushed.
pub(super) struct Diff<'a> {
    database: &'a Database,
    pub base: View,
    /// Size of the pages afterwards.
    pub page_size: PageSize,
    /// Size of the database afterwards.
    pub commit: u32,
    /// Page 1 as it will be stored.
    pub page1: Vec<u8>,
    /// Page 1 is as it is in the base, but for the change counter.
    pub only_counts: bool,
    dirty: &'a DirtyPages,
}

impl<'a> Diff<'a> {
    /// What `dirty` makes of `base`. Of page 1 as it will be stored the header and as much as a dirty
    /// page holds is known.
    pub fn new(
        database: &'a Database,
        base: View,
        page_size: PageSize,
        commit: u32,
        dirty: &'a DirtyPages,
        NewPage1 { bytes: mut page1, only_counts }: NewPage1,
    ) -> Result<Diff<'a>> {
        let known = page1.len();
        page1.resize(page_size.len_bytes(), 0);
        let mut diff =
            Diff { database, base, page_size, commit, page1: Vec::new(), only_counts, dirty };
        if let Some(rest) = page1.get_mut(known..) {
            diff.read_at(known as u64, rest, &base_page(database, base))?;
        }
        diff.page1 = page1;
        Ok(diff)
    }

    /// The difference that a transaction was made of, to look at what was written once more.
    pub fn of_made(
        database: &'a Database,
        base: View,
        made: &Made,
        dirty: &'a DirtyPages,
    ) -> Diff<'a> {
        let (page_size, commit, page1) = (made.page_size, made.commit, made.page1.clone());
        Diff { database, base, page_size, commit, page1, only_counts: false, dirty }
    }

    /// Pages of the base that keep their place: none when their size changes.
    pub fn old_commit(&self) -> u32 {
        if self.base.page_size == Some(self.page_size) { self.base.commit } else { 0 }
    }

    /// A page as it will be stored. Pages that SQLite left out of a growing file are zeros.
    pub fn page(&self, pgno: Pgno) -> Result<Cow<'_, [u8]>> {
        let page = self.page_with(pgno, &base_page(self.database, self.base))?;
        page.ok_or_else(|| Error::new(ErrorKind::Internal, "a part of a page is nowhere"))
    }

    /// The same without a look at the base: `None` when the page holds what was not written.
    pub fn written_page(&self, pgno: Pgno) -> Part<'_> {
        self.page_with(pgno, &|_| Ok(None)).ok().flatten()
    }

    fn page_with(&self, pgno: Pgno, base: &dyn Fn(Pgno) -> Result<Base>) -> Result<Part<'_>> {
        if pgno == Pgno::ONE {
            return Ok(Some(Cow::Borrowed(&self.page1)));
        }
        let zeros = || vec![0; self.page_size.len_bytes()];
        if self.page_size == self.dirty.page_size() {
            return Ok(Some(self.dirty.page(pgno)?.unwrap_or_else(|| Cow::Owned(zeros()))));
        }
        let offset = self.page_size.bytes_of(pgno.get().saturating_sub(1));
        let mut page = zeros();
        Ok(self.read_at(offset, &mut page, base)?.then_some(Cow::Owned(page)))
    }

    /// The pages that may differ from the base: dirty ones, a page 1 that counts, and all that are new.
    pub fn candidates(&self) -> impl Iterator<Item = Pgno> + '_ {
        let last_old = self.old_commit().min(self.commit);
        let first = (self.only_counts && last_old > 0).then_some(Pgno::ONE);
        let old = self.dirty.pgnos().take_while(move |pgno| pgno.get() <= last_old);
        let old = first.into_iter().chain(old.filter(move |&pgno| Some(pgno) != first));
        let new = (self.old_commit().saturating_add(1)..=self.commit).filter_map(Pgno::new);
        let lock_pgno = self.page_size.lock_pgno();
        old.chain(new).filter(move |&pgno| pgno != lock_pgno)
    }

    /// The pages of the base that are past the end afterwards.
    pub fn removed(&self) -> impl Iterator<Item = Pgno> + '_ {
        let removed = self.commit.saturating_add(1)..=self.old_commit();
        let lock_pgno = self.page_size.lock_pgno();
        removed.filter_map(Pgno::new).filter(move |&pgno| pgno != lock_pgno)
    }

    /// Fills `bytes` from a place in the file as SQLite left it, which is zeros where nothing is; `false`
    /// when `base` does not have what was not written.
    fn read_at(
        &self,
        offset: u64,
        bytes: &mut [u8],
        base: &dyn Fn(Pgno) -> Result<Base>,
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

/// Asks for pages of the base.
fn base_page(database: &Database, base: View) -> impl Fn(Pgno) -> Result<Base> {
    move |pgno| database.page(base, pgno).map(Some)
}
