//! What SQLite writes, kept with the open transaction.
//!
//! SQLite writes whole pages of the size that the database has. Only where VACUUM or the backup API
//! make the pages smaller, what lies around the lock page is written in the new size. It is all kept
//! in pages of the old size; `diff.rs` cuts it into new ones.

use super::connection::{Connection, Phase};
use super::transaction::Transaction;
use super::view::View;
use crate::error::{ErrorKind, Result};
use crate::page1;
use crate::pager::{DirtyPages, header};
use crate::types::{PageSize, Pgno};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

impl Connection {
    /// Writes into the database file of the open transaction.
    pub fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let page_size = self.page_size_for_write(bytes.len())?;
        if let Phase::Writing(Transaction { view: View { is_encrypted: true, .. }, .. }) =
            self.phase
            && (bytes.len() != page_size.len_bytes()
                || page_size.page_at(offset).is_none_or(|(_, within)| within != 0))
        {
            let text =
                "the page size of an encrypted database can't be changed; copy it into a new one";
            return Err(self.database.error(ErrorKind::Unsupported, text));
        }
        if let Phase::Writing(Transaction { dirty: None, .. }) = self.phase {
            // In exclusive locking mode no lock is asked for any more when the lease may be gone.
            self.database.live_lease(self.id).map_err(|error| self.judge_overtaken(error))?;
        }
        let bytes = self.as_stored(offset, bytes);
        let (mut at, mut rest) = (offset, &*bytes);
        while !rest.is_empty() {
            let Some((pgno, within)) = page_size.page_at(at) else {
                let text = "a write past the largest database there can be";
                return Err(self.database.error(ErrorKind::Internal, text));
            };
            let len = page_size.len_bytes().saturating_sub(within).min(rest.len());
            let (part, after) = rest.split_at_checked(len).unwrap_or((rest, &[]));
            self.write_part(page_size, pgno, within, part)?;
            (at, rest) = (at.saturating_add(len as u64), after);
        }
        if let Phase::Writing(transaction) = &mut self.phase {
            transaction.size_bytes = transaction.size_bytes.max(at);
            transaction.note_write();
        }
        Ok(())
    }

    /// What SQLite wrote, with the schema cookie as it is stored.
    fn as_stored<'a>(&self, offset: u64, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let shift = self.shown.shift();
        let mut bytes = Cow::Borrowed(bytes);
        let is_encrypted = offset == 0 && page1::is_encrypted(&bytes);
        if shift != 0 && !is_encrypted && header::has_cookie(offset, bytes.len()) {
            header::shift_cookie(bytes.to_mut(), offset, shift.wrapping_neg());
        }
        bytes
    }

    /// The size of the pages to keep a write of `len` bytes in.
    fn page_size_for_write(&self, len: usize) -> Result<PageSize> {
        let Phase::Writing(transaction) = &self.phase else {
            let text = "a write without a reserved lock";
            return Err(self.database.error(ErrorKind::Internal, text));
        };
        let first = || u32::try_from(len).ok().and_then(PageSize::new);
        transaction.page_size().or_else(first).ok_or_else(|| {
            let text = format!("a first write of {len} bytes, which is no page size");
            self.database.error(ErrorKind::Internal, &text)
        })
    }

    fn write_part(
        &mut self,
        page_size: PageSize,
        pgno: Pgno,
        within: usize,
        part: &[u8],
    ) -> Result<()> {
        let page;
        let whole = if part.len() == page_size.len_bytes() {
            part
        } else {
            page = self.page_with(page_size, pgno, within, part)?;
            &page
        };
        if let Phase::Writing(transaction) = &mut self.phase {
            let new = || Box::new(DirtyPages::new(page_size));
            let dirty = transaction.dirty.get_or_insert_with(new);
            dirty.write(pgno, whole).map_err(|error| self.database.named(error))?;
        }
        Ok(())
    }

    /// A page as the open transaction has it, but for a part.
    fn page_with(
        &mut self,
        page_size: PageSize,
        pgno: Pgno,
        within: usize,
        part: &[u8],
    ) -> Result<Vec<u8>> {
        let mut page = vec![0; page_size.len_bytes()];
        if let Phase::Writing(Transaction { view, .. }) = self.phase {
            self.read_page(view, page_size, pgno, &mut page)?;
        }
        let target = page.get_mut(within..within.saturating_add(part.len()));
        target.unwrap_or_default().copy_from_slice(part);
        Ok(page)
    }

    /// Cuts the file of the open transaction.
    pub fn truncate(&mut self, size_bytes: u64) -> Result<()> {
        let Phase::Writing(transaction) = &mut self.phase else {
            let text = "a truncation without a reserved lock";
            return Err(self.database.error(ErrorKind::Internal, text));
        };
        let page_len = transaction.page_size().map_or(1, PageSize::bytes);
        let pages = u32::try_from(size_bytes.div_ceil(u64::from(page_len))).unwrap_or(u32::MAX);
        if let Some(dirty) = &mut transaction.dirty {
            dirty.truncate(pages);
        }
        transaction.size_bytes = size_bytes;
        transaction.note_write();
        Ok(())
    }
}
