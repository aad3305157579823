//! The newest view of a database: where it is, asked anew where what is known is too old, and what must be known of
//! page 1 there.

use super::database::Database;
use super::view::{ConfirmedView, Place, View, is_too_old};
use crate::error::{ErrorKind, Result};
use crate::page1;
use crate::pager::header;
use alloc::format;

/// How often a view is looked for that is fresh enough.
const MAX_TRIES_TO_BE_FRESH: u32 = 2;

impl Database {
    /// The newest position, polled when what is known is too old, and what must be known of page 1; with
    /// the time at which the server confirmed it. That is at most `max_staleness_ms` ago, 0 for any time.
    pub fn newest_view(&self, max_staleness_ms: u64) -> Result<ConfirmedView> {
        if self.past().is_some() {
            // The only view there is, which can't get old.
            return self.view_at_cache();
        }
        let mut tries_left = MAX_TRIES_TO_BE_FRESH;
        loop {
            tries_left = tries_left.saturating_sub(1);
            self.poll_if_due(max_staleness_ms)?;
            // A position may be gone from the server when we ask for its first page. The second time
            // round it is the newest; a third failure is not about positions.
            let view = match self.view_at_cache() {
                Err(error) if error.kind() == ErrorKind::PosMismatch => {
                    self.poll_now()?;
                    self.view_at_cache()?
                }
                view => view?,
            };
            // A slow answer, or a process that was frozen since it asked, can make the newest too old.
            if !is_too_old(view.1, max_staleness_ms) {
                return Ok(view);
            }
            if tries_left == 0 {
                let why = "the server takes longer than that to answer";
                return Err(self.too_old(view.1, max_staleness_ms, why));
            }
        }
    }

    fn view_at_cache(&self) -> Result<ConfirmedView> {
        let place = self.state().place();
        Ok((self.view_at(place)?, place.confirmed))
    }

    /// What must be known of a place to read there.
    pub fn view_at(&self, place: Place) -> Result<View> {
        let Place { pos, epoch, handovers, rewrites, breaks, .. } = place;
        let view = View { pos, epoch, handovers, rewrites, breaks, ..View::EMPTY };
        if pos.is_empty() {
            return Ok(view);
        }
        let page1 = self.page1(pos)?;
        if page1::is_encrypted(&page1) {
            let (page_size, commit) = (header::page_size(&page1), self.size_beside(pos)?);
            return Ok(View { page_size, commit, is_encrypted: true, ..view });
        }
        let header = header::decode(&page1).map_err(|error| {
            let host = self.backend().host();
            self.error(error.kind(), &format!("{host}: {error}; the database is damaged there"))
        })?;
        let commit = match header.size {
            Some(commit) => commit,
            None => self.size_beside(pos)?,
        };
        Ok(View { page_size: Some(header.page_size), commit, ..view })
    }
}
