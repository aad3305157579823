//! What a connection and its database can tell of themselves, for people. Nothing is asked of the
//! server for it.

use super::connection::{Connection, Phase};
use super::counters::PageCounts;
use super::lease::LeaseStanding;
use super::state::State;
use super::view::View;
use crate::backend::traffic::TrafficCounts;
use crate::pager::header;
use crate::sys::Tick;
use crate::types::{DbName, PageSize, Pgno, Pos};
use alloc::string::{String, ToString};
use alloc::vec;

/// Where a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sighting {
    /// The position of its transaction, otherwise the newest that is known.
    pub pos: Pos,
    /// How long ago that was last known to be the newest at the server, in ms; `None` when it was left
    /// by an earlier process and not confirmed since. It may be too large, never too small.
    pub lag_ms: Option<u64>,
}

/// All there is to tell.
#[derive(Debug, Clone)]
pub struct Report {
    /// The database.
    pub database: DbName,
    /// Base URL of the server.
    pub server: String,
    /// The cluster, unless the token decides it.
    pub cluster: Option<String>,
    /// `read-write`, `read-only`, or `past`.
    pub mode: &'static str,
    /// Where the connection is; `None` when nothing is known of the database yet.
    pub sighting: Option<Sighting>,
    /// Page size and size in pages there; `None` when there is no page, or page 1 is not cached.
    pub size: Option<(PageSize, u32)>,
    /// Why the connection can't write; `None` when it can.
    pub read_only: Option<&'static str>,
    /// The write lease.
    pub lease: LeaseStanding,
    /// How long ago a poll or a commit confirmed the newest known position, in ms.
    pub poll_age_ms: Option<u64>,
    /// Pages in the cache.
    pub cached_pages: usize,
    /// Their bytes.
    pub cached_bytes: u64,
    /// Where pages came from.
    pub pages: PageCounts,
    /// Requests about the database.
    pub traffic: TrafficCounts,
    /// All requests to the server.
    pub server_traffic: TrafficCounts,
}

impl Connection {
    /// Where the connection is; `None` when nothing is known of the database yet.
    pub fn sighting(&self) -> Option<Sighting> {
        let state = self.database.state();
        let newest_age_ms = state.confirmed.map(Tick::age_ms);
        let view = match &self.phase {
            Phase::Writing(transaction) => transaction.view,
            Phase::Reading(view) => *view,
            Phase::Unlocked => {
                let pos = state.cache.pos();
                let is_known = newest_age_ms.is_some() || !pos.is_empty();
                return is_known.then_some(Sighting { pos, lag_ms: newest_age_ms });
            }
        };
        let lag_ms = match view.pos == state.cache.pos() && view.epoch == state.epoch {
            true => newest_age_ms,
            false => self.view_confirmed.map(Tick::age_ms),
        };
        Some(Sighting { pos: view.pos, lag_ms })
    }

    /// All there is to tell.
    pub fn report(&self) -> Report {
        let database = &self.database;
        let origin = database.origin();
        let config = origin.config();
        let sighting = self.sighting();
        let mut state = database.state();
        let size = match &self.phase {
            Phase::Writing(transaction) => {
                let pages = |size: PageSize| {
                    let pages =
                        transaction.size_bytes.checked_div(size.bytes().into()).unwrap_or(0);
                    (size, u32::try_from(pages).unwrap_or(u32::MAX))
                };
                transaction.page_size().map(pages)
            }
            Phase::Reading(View { page_size, commit, .. }) => page_size.map(|size| (size, *commit)),
            Phase::Unlocked => state.cached_size(),
        };
        let cached_pages = state.cache.len_pages();
        let page_len = state.cache.page_size().map_or(0, PageSize::bytes);
        Report {
            database: database.name().clone(),
            server: config.base_url.to_string(),
            cluster: config.cluster.as_ref().map(ToString::to_string),
            mode: match (database.past(), self.read_only) {
                (Some(_), _) => "past",
                (None, Some(_)) => "read-only",
                (None, None) => "read-write",
            },
            sighting,
            size,
            read_only: self.read_only,
            lease: state.lease.standing(self.id),
            poll_age_ms: state.confirmed.map(Tick::age_ms),
            cached_pages,
            cached_bytes: (cached_pages as u64).saturating_mul(u64::from(page_len)),
            pages: database.counters().counts(),
            traffic: database.traffic().counts(),
            server_traffic: database.backend().traffic(None).counts(),
        }
    }
}

impl State {
    /// Page size and size in pages, if page 1 is cached.
    fn cached_size(&mut self) -> Option<(PageSize, u32)> {
        let page_size = self.cache.page_size()?;
        let mut page1 = vec![0; page_size.len_bytes()];
        let newest = self.cache.pos();
        if !self.cache.read(Pgno::ONE, newest.txid, &mut page1) {
            return None;
        }
        let beside = self.size_beside.filter(|(pos, _)| *pos == newest).map(|(_, size)| size);
        let said = header::decode(&page1).ok().and_then(|page1| page1.size);
        Some((page_size, said.or(beside)?))
    }
}
