//! One opening of a database: SQLite's locks on it, its read view, its open transaction.
//!
//! ```text
//!             lock shared            lock reserved
//!   unlocked ------------> reading ----------------> writing
//!      ^                   |    ^                       |
//!      +------ unlock -----+    +------- unlock --------+
//! ```
//!
//! Readers are pinned to a view each, so pending and exclusive locks need not wait for them: whoever
//! has the reserved lock may have those, too.

use super::ahead::Ahead;
use super::database::Database;
use super::group::{MemberState, Membership};
use super::old_pages::OldPages;
use super::rest::Rest;
use super::settings::{ReadSettings, SharedSettings};
use super::shown::Shown;
use super::transaction::{AfterFailure, Transaction};
use super::view::{ConfirmedView, View};
use crate::error::{Error, ErrorKind, Result};
use crate::pager::Prefetch;
use crate::sys::{Tick, log::log};
use crate::types::{DbName, Pos};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// How long the lease is taken for refused after it was: the lock for writing follows the one for reading
/// at once, and need not ask again.
const REFUSAL_LASTS_MS: u64 = 100;
/// How often a lease is taken that is gone again before a transaction has begun under it.
const LEASE_TRIES: u32 = 3;

/// SQLite's locks, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lock {
    /// No transaction.
    None,
    /// Reading.
    Shared,
    /// About to write; one at a time.
    Reserved,
    /// About to write the file.
    Pending,
    /// Writing the file.
    Exclusive,
}

/// What a connection does, and what that needs.
pub(super) enum Phase {
    Unlocked,
    Reading(View),
    Writing(Transaction),
}

/// One opening of a database.
pub struct Connection {
    pub(super) database: Arc<Database>,
    pub(super) id: u64,
    pub(super) phase: Phase,
    /// The place among the databases of the SQLite connection, once that is known.
    pub(super) membership: Option<Membership>,
    /// Why a commit over several databases failed, when SQLite was told on another one.
    pub(super) failure_elsewhere: Option<Error>,
    pub(super) settings: ReadSettings,
    /// Why it can't write; `None` for one that can.
    pub(super) read_only: Option<&'static str>,
    /// Whether the view never changes, and everything is one query.
    pub(super) is_pinned: bool,
    /// Whether SQLite keeps its locks between transactions (`locking_mode=exclusive`).
    pub(super) keeps_locks: bool,
    /// Whether it takes the lease by itself.
    auto_lease: bool,
    /// Why the lease was not to be had when a write was expected, and when that was.
    refused: Option<(Tick, Error)>,
    /// The journal mode that SQLite was last asked for.
    pub(super) journal_mode: Option<String>,
    /// What SQLite saw of page 1.
    pub(super) shown: Shown,
    /// Whether queries may make any number of requests, whatever the settings say.
    pub(super) is_unlimited: bool,
    /// When the server confirmed the view of the transaction.
    pub(super) view_confirmed: Option<Tick>,
    /// Requests made by the running query.
    pub(super) requests: u32,
    pub(super) prefetch: Prefetch,
    pub(super) ahead: Ahead,
    /// Answers whose rest is read beside the queries.
    pub(super) rests: Vec<Rest>,
    /// Pages of a view that is older than the cache.
    pub(super) old_pages: OldPages,
}

impl Connection {
    /// A connection of that number, without locks.
    pub(super) fn new(database: Arc<Database>, id: u64, settings: ReadSettings) -> Connection {
        Connection {
            database,
            id,
            phase: Phase::Unlocked,
            membership: None,
            failure_elsewhere: None,
            settings,
            read_only: None,
            is_pinned: false,
            keeps_locks: false,
            auto_lease: false,
            refused: None,
            journal_mode: None,
            shown: Shown::default(),
            is_unlimited: false,
            view_confirmed: None,
            requests: 0,
            prefetch: Prefetch::default(),
            ahead: Ahead::default(),
            rests: Vec::new(),
            old_pages: OldPages::default(),
        }
    }

    /// The database's name.
    pub fn name(&self) -> &DbName {
        self.database.name()
    }

    /// Fails in a forked child of the process that opened the connection. Its lease, cache and threads are
    /// the parent's, which goes on with them; a lock may be held by a thread that is not there.
    pub fn check_process(&self) -> Result<()> {
        if self.database.is_ours() {
            return Ok(());
        }
        let text = "this connection was opened before fork(), and only the process that opened it may use \
                    it; open the database anew in the child";
        Err(self.database.error(ErrorKind::Forked, text))
    }

    /// Has the connection refuse to write, for a reason to tell.
    pub fn make_read_only(&mut self, why: &'static str) {
        self.read_only.get_or_insert(why);
    }

    /// The error of a write, where there can't be one.
    pub fn refusal_to_write(&self) -> Option<Error> {
        let why = self.read_only?;
        Some(self.database.error(ErrorKind::ReadOnly, &format!("it is read-only: {why}")))
    }

    /// Binds the connection to the newest view for good: SQLite will ask for no locks, and take all pages
    /// for those of one state.
    pub fn pin(&mut self) -> Result<()> {
        self.lock(Lock::Shared)?;
        self.is_pinned = true;
        Ok(())
    }

    /// Whether the database has any transaction.
    pub fn exists(&self) -> Result<bool> {
        Ok(!self.newest_view()?.0.pos.is_empty())
    }

    /// The view that a transaction would begin with.
    pub(super) fn newest_view(&self) -> Result<ConfirmedView> {
        self.database.newest_view(self.settings.max_staleness_ms)
    }

    /// Fails where SQLite would take what it has in memory for what is there by now.
    pub(super) fn check_not_cut_off(&self, view: View) -> Result<()> {
        if !self.shown.is_cut_off(view) {
            return Ok(());
        }
        let text = "the encrypted database may have been restored or replaced since it was read here, which SQLite \
                    would not notice; close this connection and open it again";
        Err(self.database.error(ErrorKind::Refused, text))
    }

    /// Tells that SQLite is about to begin a statement that may write, here or elsewhere. With auto lease
    /// the lease is taken now, because afterwards the view that the lock pins is the newest; later on it
    /// might have become too old to write. Where that fails the lock for writing decides.
    pub fn expect_write(&mut self) {
        if self.auto_lease && !self.is_locked() && self.refusal_to_write().is_none() {
            let refused = self.database.live_lease(self.id).err();
            self.refused = refused.map(|error| (Tick::now(), error));
        }
    }

    /// Takes a stronger lock. Shared pins the newest view; reserved needs the lease and the newest
    /// view, and fails at once without.
    pub fn lock(&mut self, lock: Lock) -> Result<()> {
        if lock == Lock::None {
            return Ok(());
        }
        if let Phase::Unlocked = self.phase {
            self.start_query();
            let (view, confirmed) = match &self.membership {
                Some(membership) => {
                    membership.view(&self.database, self.settings.max_staleness_ms)?
                }
                None => self.newest_view()?,
            };
            self.check_not_cut_off(view)?;
            self.view_confirmed = confirmed;
            self.phase = Phase::Reading(view);
        }
        if lock > Lock::Shared
            && let Phase::Reading(view) = &self.phase
        {
            self.start_writing(*view)?;
        }
        self.tell_group();
        Ok(())
    }

    fn start_writing(&mut self, view: View) -> Result<()> {
        if let Some(error) = self.refusal_to_write() {
            return Err(error);
        }
        if let Some((when, error)) = self.refused.take()
            && when.age_ms() < REFUSAL_LASTS_MS
        {
            return Err(error);
        }
        self.become_writer(view.pos)?;
        self.phase = Phase::Writing(Transaction {
            view,
            dirty: None,
            size_bytes: view.size_bytes(),
            commits: 0,
            has_ended: false,
            rolled_back: false,
            after_failure: AfterFailure::Nothing,
            staging: None,
            prepared: None,
            is_prepared_as_it_is: false,
            is_announced: false,
        });
        Ok(())
    }

    /// Makes this connection the one of the process that writes, if its view is the newest.
    fn become_writer(&self, pos: Pos) -> Result<()> {
        for _ in 0..LEASE_TRIES {
            self.database.live_lease(self.id)?;
            let mut state = self.database.state();
            if state.lease.writer.is_some_and(|writer| writer != self.id) {
                drop(state);
                let text = "another connection of this process is writing";
                return Err(self.database.error(ErrorKind::Busy, text));
            }
            if state.cache.pos() != pos {
                drop(state);
                let advice = match self.keeps_locks {
                    true => "run PRAGMA locking_mode=normal, read something, and begin again",
                    false => "roll back and begin again",
                };
                let text = "the database moved on since this transaction began to read";
                return Err(self
                    .database
                    .error(ErrorKind::StaleView, &format!("{text}; {advice}")));
            }
            // As long as nobody was writing, the lease may have been given back since it was looked at.
            if state.lease.live_id(self.id).is_some() {
                state.lease.writer = Some(self.id);
                return Ok(());
            }
        }
        let text = "the write lease ran out as soon as it was there; try again";
        Err(self.database.error(ErrorKind::Busy, text))
    }

    /// Goes back to a weaker lock. What a transaction wrote and did not commit is gone.
    pub fn unlock(&mut self, lock: Lock) {
        if self.is_pinned {
            return;
        }
        if lock <= Lock::Shared {
            self.settle_staged();
        }
        let view = match &self.phase {
            Phase::Writing(transaction) if lock <= Lock::Shared => {
                if !transaction.is_clean() {
                    log!(Debug, "{}: an unfinished transaction is dropped", self.name());
                }
                transaction.view
            }
            Phase::Reading(view) => *view,
            _ => return,
        };
        self.refused = None;
        if lock == Lock::None {
            self.phase = Phase::Unlocked;
            self.stop_reading_ahead();
        } else {
            self.phase = Phase::Reading(view);
        }
        self.tell_group();
        self.database.end_write(self.id);
    }

    /// Whether this connection has any lock.
    pub fn is_locked(&self) -> bool {
        !matches!(self.phase, Phase::Unlocked)
    }

    /// Whether this connection has the lock for writing.
    pub fn is_writing(&self) -> bool {
        matches!(self.phase, Phase::Writing(_))
    }

    /// Whether there is nothing to commit.
    pub fn is_clean(&self) -> bool {
        match &self.phase {
            Phase::Writing(transaction) => transaction.is_clean(),
            Phase::Unlocked | Phase::Reading(_) => true,
        }
    }

    /// Whether some connection of the process writes.
    pub fn is_reserved(&self) -> bool {
        self.database.state().lease.writer.is_some()
    }

    /// Bytes of the database file as this connection sees it.
    pub fn size_bytes(&self) -> Result<u64> {
        Ok(match &self.phase {
            Phase::Writing(transaction) => transaction.size_bytes,
            Phase::Reading(view) => view.size_bytes(),
            Phase::Unlocked => self.newest_view()?.0.size_bytes(),
        })
    }

    /// Takes the write lease until it is given back or the connection closed.
    pub fn acquire_lease(&mut self) -> Result<()> {
        if let Some(error) = self.refusal_to_write() {
            return Err(error);
        }
        self.database.acquire_lease(self.id)
    }

    /// Gives the write lease back.
    pub fn release_lease(&mut self) -> Result<()> {
        let keeps_locks = self.keeps_locks();
        if let Phase::Writing(transaction) = &mut self.phase {
            if !(keeps_locks && transaction.is_clean()) {
                let text =
                    "a transaction is open; commit or roll back before giving the lease back";
                return Err(self.database.error(ErrorKind::Busy, text));
            }
            transaction.discard();
        }
        self.database.release_lease(self.id);
        Ok(())
    }

    /// Whether it takes the lease by itself.
    pub fn auto_lease(&self) -> bool {
        self.auto_lease
    }

    /// Has it take the lease by itself when it writes, or leave that to [`Connection::acquire_lease`].
    pub fn set_auto_lease(&mut self, on: bool) -> Result<()> {
        if on == self.auto_lease {
            return Ok(());
        }
        if !on && let Phase::Writing(_) = &self.phase {
            let text = "a transaction is open; commit or roll back before switching auto lease off";
            return Err(self.database.error(ErrorKind::Busy, text));
        }
        self.database.set_auto_lease(self.id, on);
        self.auto_lease = on;
        Ok(())
    }

    /// Settings of this connection.
    pub fn settings(&mut self) -> &mut ReadSettings {
        &mut self.settings
    }

    /// Settings of the database in this process.
    pub fn shared_settings(&self) -> SharedSettings {
        self.database.state().settings
    }

    /// Changes the settings of the database in this process.
    pub fn set_shared_settings(&self, settings: SharedSettings) {
        self.database.set_settings(settings);
    }

    /// Whether SQLite keeps its locks between transactions.
    pub fn keeps_locks(&self) -> bool {
        let outlived = match &self.phase {
            Phase::Writing(transaction) => transaction.has_ended,
            Phase::Unlocked | Phase::Reading(_) => false,
        };
        self.keeps_locks || outlived
    }

    /// Tells whether SQLite keeps its locks between transactions.
    pub fn set_keeps_locks(&mut self, keeps_locks: bool) {
        self.keeps_locks = keeps_locks;
    }

    /// Whether the number of requests that a query may make is limited.
    pub fn has_request_limit(&self) -> bool {
        self.settings.max_reqs_per_query != 0
    }

    /// Lets queries of this connection make any number of requests.
    pub fn lift_request_limit(&mut self) {
        self.is_unlimited = true;
    }

    /// Has the setting count again.
    pub fn restore_request_limit(&mut self) {
        self.is_unlimited = false;
    }

    /// The journal mode in force, as far as it was set by a pragma.
    pub fn journal_mode(&self) -> &str {
        self.journal_mode.as_deref().unwrap_or("delete")
    }

    /// Tells which journal mode SQLite was asked for.
    pub fn set_journal_mode(&mut self, mode: String) {
        self.journal_mode = Some(mode);
    }

    /// Tells the other databases of the SQLite connection what this one does.
    pub(super) fn tell_group(&self) {
        if let Some(membership) = &self.membership {
            membership.set_state(match &self.phase {
                Phase::Unlocked => MemberState::Unlocked,
                Phase::Reading(view) => MemberState::Reading(view.pos),
                Phase::Writing(transaction) => MemberState::Writing(transaction.view.pos),
            });
        }
    }

    /// A new query begins: what is counted a query begins anew.
    pub(super) fn start_query(&mut self) {
        self.requests = 0;
        self.prefetch.start_query();
        self.stop_reading_ahead();
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.database.is_ours() {
            self.unlock(Lock::None);
            self.stop_reading_ahead();
            self.database.release_lease(self.id);
            self.database.set_auto_lease(self.id, false);
        }
    }
}
