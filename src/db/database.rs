//! The databases of one server, cluster and token, as far as they are open in this process: who is among them, and
//! what one of them is made of. Its verbs stand in the files above.

use super::counters::PageCounters;
use super::settings::SharedSettings;
use super::state::State;
use crate::backend::Backend;
use crate::backend::traffic::Traffic;
use crate::config::Config;
use crate::error::{Error, ErrorKind};
use crate::pager::CachePlace;
use crate::sys;
use crate::types::{DbName, Pos};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

/// Where databases come from, and which of them are open. Lives as long as one of them.
pub struct Origin {
    config: Config,
    backend: Box<dyn Backend>,
    /// Tells this program from others that wait for a lease.
    waiter: u64,
    pub(super) open: sys::Mutex<Open>,
    /// The number of the last poll.
    read_barrier: sys::Mutex<u64>,
}

/// What of it is open in this process.
#[derive(Default)]
pub(super) struct Open {
    pub databases: Vec<Weak<Database>>,
    pub private_dir: Weak<sys::PrivateDir>,
    pub connections: u64,
    pub owner: u32,
}

/// One of them.
pub struct Database {
    origin: Arc<Origin>,
    name: DbName,
    state: sys::Mutex<State>,
    counters: PageCounters,
    traffic: Arc<Traffic>,
    /// Where its caches lie.
    pub(super) cache_place: Option<CachePlace>,
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

impl Origin {
    /// The databases of a configuration, whose server `backend` reaches.
    pub fn new(config: Config, backend: Box<dyn Backend>) -> Arc<Origin> {
        let waiter = sys::random_u64().unwrap_or(0);
        let open = sys::Mutex::new(Open::default());
        Arc::new(Origin { config, backend, waiter, open, read_barrier: sys::Mutex::new(0) })
    }

    /// What decides which databases these are.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The number of the last poll, and with it leave to move the positions of several databases at
    /// once, or to look at them. To be taken before any database's state, and held shortly.
    pub fn read_barrier(&self) -> sys::MutexGuard<'_, u64> {
        self.read_barrier.lock()
    }

    /// The way to the server.
    pub fn backend(&self) -> &dyn Backend {
        &*self.backend
    }

    /// As whom this process waits for leases. A forked child is another one.
    pub fn waiter(&self) -> String {
        format!("{:016x}-{}", self.waiter, sys::process_id())
    }

    /// Every open database, without those of the past: they do not move.
    pub fn databases(&self) -> Vec<Arc<Database>> {
        let open = self.open.lock();
        let databases = open.databases.iter().filter_map(Weak::upgrade);
        databases.filter(|database| database.past().is_none()).collect()
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
        let state = State::new(place.as_ref(), past, settings);
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
            cache_place: place,
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
        state.set_limits();
    }

    /// Lifts the bound of the cache for a query, or has it hold again.
    pub fn lift_cache_bound(&self, lift: bool) {
        let mut state = self.state();
        state.lifted = match lift {
            true => state.lifted.saturating_add(1),
            false => state.lifted.saturating_sub(1),
        };
        state.set_limits();
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
