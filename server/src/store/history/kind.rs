//! Whether a codec encrypted a database, which stays so from its first transaction to its last.
//!
//! Page 1 tells, and is read once for each open database; mostly it was read anyway for its checksum.

use litevfs::page1::is_encrypted;
use litevfs::types::Pgno;

use super::database::Database;
use super::view::View;
use crate::store::bucket::error::Error;

impl Database {
    /// Takes note of what page 1 is.
    pub(in crate::store) fn note_page1(&self, page1: &[u8]) {
        self.state.write().encrypted = Some(is_encrypted(page1));
    }

    /// Whether it is encrypted.
    pub(in crate::store) async fn is_encrypted(&self) -> Result<bool, Error> {
        let known = self.state.read().encrypted;
        if let Some(known) = known {
            return Ok(known);
        }
        let view = self.view(None).await?;
        let page1 = self.page1(&view).await?;
        self.note_page1(&page1);
        Ok(is_encrypted(&page1))
    }

    /// Page 1 of a view.
    pub(in crate::store) async fn page1(&self, view: &View) -> Result<Vec<u8>, Error> {
        let pages = self.pages_of(view, &[Pgno::ONE]).await?;
        pages.into_iter().next().ok_or(Error::NoPage(Pgno::ONE))
    }
}
