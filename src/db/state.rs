//! What the connections of a database share: its cache and where that is, and who may write.
//!
//! It is looked at under its lock ([`super::database::Database::state`]), for memory and file work only, never
//! during a request.

use super::lease::LeaseState;
use super::settings::SharedSettings;
use super::view::{Place, View};
use crate::pager::{Cache, CacheLimits, CachePlace};
use crate::sys;
use crate::types::{Checksum, Pgno, Pos};

/// See the module.
pub struct State {
    /// Pages at the newest known position.
    pub cache: Cache,
    /// See [`Place::epoch`].
    pub epoch: u64,
    /// See [`Place::handovers`].
    pub handovers: u64,
    /// See [`Place::rewrites`].
    pub rewrites: u64,
    /// See [`Place::breaks`].
    pub breaks: u64,
    /// The size in pages at a position whose page 1 does not say it.
    pub size_beside: Option<(Pos, u32)>,
    /// See [`Place::poll`].
    pub poll: u64,
    /// See [`Place::confirmed`].
    pub confirmed: Option<sys::Tick>,
    /// When a transaction last began, or the database was opened.
    pub used: sys::Tick,
    /// When a poll last failed because the server was away, until one succeeds.
    pub away_since_poll: Option<sys::Tick>,
    /// Whether a transaction of this process was applied is not known: what is cached may be without it.
    pub in_doubt: bool,
    /// The server is known to be elsewhere, or may be: poll before the next transaction.
    pub distrusted: bool,
    /// Who may write, and under which lease.
    pub lease: LeaseState,
    /// What pragmas set.
    pub settings: SharedSettings,
    /// How many queries have the bound of the cache lifted.
    pub lifted: u32,
}

impl State {
    /// What is there before anything was asked, or of a past at its position.
    pub fn new(place: Option<&CachePlace>, past: Option<Pos>, settings: SharedSettings) -> State {
        let mut cache = Cache::open(place, limits(settings, 0));
        if let Some(pos) = past {
            cache.reset(pos);
        }
        State {
            cache,
            epoch: 0,
            handovers: 0,
            rewrites: 0,
            breaks: 0,
            size_beside: None,
            poll: 0,
            confirmed: None,
            used: sys::Tick::now(),
            away_since_poll: None,
            in_doubt: false,
            distrusted: false,
            lease: LeaseState::default(),
            settings,
            lifted: 0,
        }
    }

    /// Where the database is, as far as is known.
    pub fn place(&self) -> Place {
        let State { epoch, handovers, rewrites, breaks, poll, confirmed, .. } = *self;
        Place { pos: self.cache.pos(), epoch, handovers, rewrites, breaks, poll, confirmed }
    }

    /// The bounds of the cache, as they are now.
    pub fn limits(&self) -> CacheLimits {
        limits(self.settings, self.lifted)
    }

    /// Has the cache keep to its bounds as they are now.
    pub fn set_limits(&mut self) {
        let limits = self.limits();
        self.cache.set_limits(limits);
    }

    /// Whether a page is cached for a reader of a view.
    pub fn has_cached(&self, pgno: Pgno, view: View) -> bool {
        self.epoch == view.epoch && self.cache.contains(pgno, view.pos.txid)
    }

    /// The checksum of a page for a reader of a view, if it is cached.
    pub fn cached_checksum(&self, pgno: Pgno, view: View) -> Option<Checksum> {
        let is_same_history = self.epoch == view.epoch;
        is_same_history.then(|| self.cache.checksum(pgno, view.pos.txid)).flatten()
    }

    /// Fills `page` for a reader of a view; `false` when the page is not cached.
    pub fn read_cached(&mut self, pgno: Pgno, view: View, page: &mut [u8]) -> bool {
        self.epoch == view.epoch && self.cache.read(pgno, view.pos.txid, page)
    }
}

fn limits(settings: SharedSettings, lifted: u32) -> CacheLimits {
    CacheLimits {
        max_pages: if lifted > 0 { CacheLimits::ALL_PAGES } else { settings.max_cached_pages },
        min_available_space: settings.min_available_space,
    }
}
