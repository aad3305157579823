//! One open database: its cache and what its connections share.

use super::counters::PageCounters;
use super::lease::Lease;
use super::origin::Origin;
use super::poll::is_too_old;
use super::settings::SharedSettings;
use crate::backend::traffic::Traffic;
use crate::backend::{Backend, Page};
use crate::error::{Error, ErrorKind, Result};
use crate::page1;
use crate::pager::header;
use crate::pager::{Cache, CacheLimits, CachePlace};
use crate::sys;
use crate::types::{Checksum, DbName, PageSize, Pgno, Pos};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A position that a reader is pinned to, with what it must know of the database there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// The position; empty for a database without transactions.
    pub pos: Pos,
    /// Page size; `None` while there is no page.
    pub page_size: Option<PageSize>,
    /// Database size in pages.
    pub commit: u32,
    /// The history the position is of, see [`State::epoch`].
    pub epoch: u64,
    /// See [`State::handovers`].
    pub handovers: u64,
    /// See [`State::rewrites`].
    pub rewrites: u64,
    /// See [`State::breaks`].
    pub breaks: u64,
    /// A codec encrypted the pages: page 1 says nothing.
    pub is_encrypted: bool,
}

/// A view, and when the server confirmed that it is the newest; `None`: never in this process.
pub type ConfirmedView = (View, Option<sys::Tick>);

/// Where a database is, and since when that is known.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The position.
    pub pos: Pos,
    /// See [`State::epoch`].
    pub epoch: u64,
    /// See [`State::handovers`].
    pub handovers: u64,
    /// See [`State::rewrites`].
    pub rewrites: u64,
    /// See [`State::breaks`].
    pub breaks: u64,
    /// See [`State::poll`].
    pub poll: u64,
    /// See [`State::confirmed`].
    pub confirmed: Option<sys::Tick>,
}

/// How often a view is looked for that is fresh enough.
const MAX_TRIES_TO_BE_FRESH: u32 = 2;

impl View {
    /// Of a database without transactions.
    pub const EMPTY: View = View {
        pos: Pos::EMPTY,
        page_size: None,
        commit: 0,
        epoch: 0,
        handovers: 0,
        rewrites: 0,
        breaks: 0,
        is_encrypted: false,
    };

    /// Bytes of the database file.
    pub fn size_bytes(&self) -> u64 {
        self.page_size.map_or(0, |page_size| page_size.bytes_of(self.commit))
    }
}

/// What the connections share.
pub struct State {
    /// Pages at the newest known position.
    pub cache: Cache,
    /// Counts how often the database turned out to have another history than before: deleted and made
    /// anew, or taken back. Transaction ids of two histories can't be compared.
    pub epoch: u64,
    /// Counts how often page 1 may have changed hands in another way than by commits on top of it:
    /// with every new epoch, and when nobody could tell which pages changed.
    pub handovers: u64,
    /// Counts how often every page may have changed, as after an import of a file; or after a commit to a
    /// few pages.
    pub rewrites: u64,
    /// Counts how often it was not known that commits alone led from one position to the next. A handover
    /// may be known for that; a break never is.
    pub breaks: u64,
    /// The size in pages at a position whose page 1 does not say it.
    pub size_beside: Option<(Pos, u32)>,
    /// The number of the poll that answered with the cache's position; commits of this process have
    /// led on from there, perhaps. 0 before the first. Positions with the same number are of one state.
    pub poll: u64,
    /// When the server last confirmed the cache's position. `None`: never in this process.
    pub confirmed: Option<sys::Tick>,
    /// When a transaction last began, or the database was opened.
    pub used: sys::Tick,
    /// When a poll last failed because the server was away, until one succeeds.
    pub away_since_poll: Option<sys::Tick>,
    /// Whether a transaction of this process was applied is not known: what is cached may be without it.
    pub in_doubt: bool,
    /// The server is known to be elsewhere, or may be: poll before the next transaction.
    pub distrusted: bool,
    /// The connection that holds the reserved lock.
    pub writer: Option<u64>,
    /// The lease and its holder.
    pub lease: Option<Lease>,
    /// The connections that take the lease by themselves.
    pub auto_lease: Vec<u64>,
    /// Whether the thread that prolongs leases runs.
    pub keeper_runs: bool,
    /// What pragmas set.
    pub settings: SharedSettings,
    /// How many queries have the bound of the cache lifted.
    pub lifted: u32,
}

/// See the module.
pub struct Database {
    origin: Arc<Origin>,
    name: DbName,
    state: sys::Mutex<State>,
    counters: PageCounters,
    traffic: Arc<Traffic>,
    /// Where its caches lie.
    pub(super) place: Option<CachePlace>,
    /// The position that it stays at, of a past. Then nothing below is about what is newest.
    past: Option<Pos>,
    /// To be held by whoever asks the server for the lease or gives it back, so that no connection is
    /// refused it because another one is just giving it back.
    pub lease_turn: Arc<sys::Mutex<()>>,
    /// Tells the process that opened it from its forked children.
    owner: u32,
    /// Keeps the temporary cache directory until the last database is closed.
    _private_dir: Option<Arc<sys::PrivateDir>>,
}

impl State {
    /// Where the database is, as far as is known.
    pub fn place(&self) -> Place {
        let State { epoch, handovers, rewrites, breaks, poll, confirmed, .. } = *self;
        Place { pos: self.cache.pos(), epoch, handovers, rewrites, breaks, poll, confirmed }
    }

    /// The bounds of the cache, as they are now.
    pub(super) fn limits(&self) -> CacheLimits {
        limits(self.settings, self.lifted)
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

impl Database {
    /// Opens the database, or its past at a position, with the cache at `place`.
    pub fn open(
        origin: Arc<Origin>,
        name: DbName,
        past: Option<Pos>,
        place: Option<CachePlace>,
        private_dir: Option<Arc<sys::PrivateDir>>,
    ) -> Database {
        let max_bulk_bytes = origin.config().max_bulk_bytes;
        let settings = SharedSettings { max_bulk_bytes, ..SharedSettings::default() };
        let mut cache = Cache::open(place.as_ref(), limits(settings, 0));
        if let Some(pos) = past {
            cache.reset(pos);
        }
        let state = State {
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
            writer: None,
            lease: None,
            auto_lease: Vec::new(),
            keeper_runs: false,
            settings,
            lifted: 0,
        };
        let (state, owner) = (sys::Mutex::new(state), sys::forks());
        let traffic = origin.backend().traffic(Some(&name));
        let counters = PageCounters::default();
        let lease_turn = Arc::default();
        Database {
            origin,
            name,
            past,
            state,
            counters,
            traffic,
            place,
            lease_turn,
            owner,
            _private_dir: private_dir,
        }
    }

    /// The name.
    pub fn name(&self) -> &DbName {
        &self.name
    }

    /// Where it comes from.
    pub fn origin(&self) -> &Arc<Origin> {
        &self.origin
    }

    /// The position of a past; `None` for the database as it is now.
    pub fn past(&self) -> Option<Pos> {
        self.past
    }

    /// Whether this process opened it. A forked child that closes what it inherited must not give back
    /// its parent's lease.
    pub fn is_ours(&self) -> bool {
        self.owner == sys::forks()
    }

    /// The way to the server.
    pub fn backend(&self) -> &dyn Backend {
        self.origin.backend()
    }

    /// What the connections share. To be held shortly, and never during a request.
    #[inline(never)]
    pub fn state(&self) -> sys::MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Where its pages came from.
    pub fn counters(&self) -> &PageCounters {
        &self.counters
    }

    /// The requests about it.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Counts a request that is about to be made again.
    pub fn count_retry(&self) {
        self.traffic.count_retry();
        self.backend().traffic(None).count_retry();
    }

    /// An error that begins with the database's name.
    pub fn error(&self, kind: ErrorKind, text: &str) -> Error {
        Error::new(kind, format!("{}: {text}", self.name))
    }

    /// An error of the server's or of this database, with the name in front.
    pub fn named(&self, error: Error) -> Error {
        if self.is_named_by(&error) {
            return error;
        }
        self.error(error.kind(), error.message())
    }

    /// Whether an error begins with the database's name.
    pub fn is_named_by(&self, error: &Error) -> bool {
        let rest = error.message().strip_prefix(self.name.as_str());
        rest.is_some_and(|rest| rest.starts_with(": "))
    }

    /// The error for an answer that makes no sense.
    pub fn bad_answer(&self, why: &str) -> Error {
        self.error(ErrorKind::BadAnswer, &format!("{}: {why}", self.backend().host()))
    }

    /// Changes the settings, and the cache with them.
    pub fn set_settings(&self, settings: SharedSettings) {
        let mut state = self.state();
        state.settings = settings;
        let limits = state.limits();
        state.cache.set_limits(limits);
    }

    /// The newest position, polled when what is known is too old, and what must be known of page 1; with
    /// the time at which the server confirmed it. That is at most `max_staleness_ms` ago, 0 for any time.
    pub fn newest_view(&self, max_staleness_ms: u64) -> Result<ConfirmedView> {
        if self.past.is_some() {
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

    /// Page 1 at a position, as it is stored.
    pub fn page1(&self, pos: Pos) -> Result<Vec<u8>> {
        {
            let mut state = self.state();
            let len = state.cache.page_size().map_or(0, PageSize::len_bytes);
            let mut page = alloc::vec![0; len];
            if state.cache.read(Pgno::ONE, pos.txid, &mut page) {
                return Ok(page);
            }
        }
        let fetched = self.backend().pages(&self.name, pos, &[Pgno::ONE]);
        let pages = fetched.map_err(|error| self.note_mismatch(error))?;
        let Some((_, page)) = pages.into_iter().next() else {
            return Err(self.bad_answer("page 1 is missing in the answer"));
        };
        self.counters.count_fetched(1);
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
        self.counters.count_fetched(pages.len());
        let mut rest = pages;
        if let Some(((Pgno::ONE, page1), others)) = pages.split_first() {
            self.take_page1(pos, page1)?;
            rest = others;
        }
        self.counters.count_prefetched(rest.len());
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
        let fetched = self.backend().pages(&self.name, view.pos, pgnos);
        let pages = fetched.map_err(|error| self.note_mismatch(error))?;
        self.counters.count_fetched(pages.len());
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

    /// When an error says that the server does not hold a position any more: has the next transaction
    /// poll first. A past has no other position to go to.
    pub fn note_mismatch(&self, error: Error) -> Error {
        if error.kind() != ErrorKind::PosMismatch {
            return error;
        }
        self.state().distrusted = true;
        match self.past {
            Some(pos) => self.no_longer_held(pos),
            None => error,
        }
    }

    /// The error for a position that a connection is bound to and that the server merged with others.
    pub fn no_longer_held(&self, pos: Pos) -> Error {
        let text = format!(
            "the server no longer holds the position {pos}, which this connection is bound to; \
             close it and open the database anew"
        );
        self.error(ErrorKind::Gone, &text)
    }
}

fn limits(settings: SharedSettings, lifted: u32) -> CacheLimits {
    CacheLimits {
        max_pages: if lifted > 0 { CacheLimits::ALL_PAGES } else { settings.max_cached_pages },
        min_available_space: settings.min_available_space,
    }
}
