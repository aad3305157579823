//! One opening of a database: its read view, its open transaction, and what it keeps between two calls of SQLite's.

use super::database::Database;
use super::group::{MemberState, Membership};
use super::old_pages::OldPages;
use super::read_ahead::ReadAhead;
use super::rest::Rest;
use super::settings::{ReadSettings, SharedSettings};
use super::shown::Shown;
use super::transaction::Transaction;
use super::view::{ConfirmedView, View};
use crate::error::{Error, ErrorKind, Result};
use crate::pager::Prefetch;
use crate::sys::Tick;
use crate::types::DbName;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

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
    pub(super) auto_lease: bool,
    /// Why the lease was not to be had when a write was expected, and when that was.
    pub(super) refused: Option<(Tick, Error)>,
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
    pub(super) read_ahead: ReadAhead,
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
            read_ahead: ReadAhead::default(),
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

    /// Whether it takes the lease by itself.
    pub fn auto_lease(&self) -> bool {
        self.auto_lease
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

    /// Gives up what is still coming and what was kept for the query, which is over.
    pub(super) fn stop_reading_ahead(&mut self) {
        let ReadAhead { incoming, has_lifted, .. } = core::mem::take(&mut self.read_ahead);
        self.old_pages = OldPages::default();
        if let Some(incoming) = incoming {
            incoming.close(&self.database);
        }
        if has_lifted {
            self.database.lift_cache_bound(false);
        }
    }
}
