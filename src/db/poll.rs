//! Asking for newer positions: one request for all open databases of an origin that were used of late.
//!
//! Those that were not ask when they are used again. Where more are in use than one request takes, it asks
//! for those that a transaction reads together, and then for those that would have to ask soonest.
//!
//! Freshness is measured from the moment a request was sent. While the server is away, what the cache
//! holds stays readable: at the last confirmed position, with a warning in the log, and with a pause
//! between two polls, so that not every statement waits for a time-out. `litevfs_max_staleness` is the
//! bound to that: past it every transaction polls, and fails when that brings nothing fresh enough.

use super::database::Database;
use super::polled::{Answer, Since};
use super::view::is_too_old;
use crate::backend::{MAX_DATABASES_PER_REQUEST, Opening};
use crate::error::{Error, ErrorKind, Result};
use crate::sys::{self, log::log};
use crate::types::{DbName, Pos};
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Bytes of the pages that a database is opened with.
const MAX_OPENING_LEN: u32 = 92 << 10;
/// A database that was not used for so long asks when it is used again.
const UNUSED_MS: u64 = 60_000;
/// What was confirmed so short a time ago is asked about again only if there is room.
const FRESH_MS: u64 = 500;
/// How often a poll is made again because another one overtook it.
const MAX_RACES: usize = 16;

impl Database {
    /// Polls if what is known of the newest position is older than the sync period, or than
    /// `max_staleness_ms`, where that is not 0.
    pub fn poll_if_due(&self, max_staleness_ms: u64) -> Result<()> {
        let is_due = {
            let mut state = self.state();
            state.used = sys::Tick::now();
            state.poll_is_due() || is_too_old(state.confirmed, max_staleness_ms)
        };
        if !is_due {
            return Ok(());
        }
        let has_other = {
            let state = self.state();
            state.has_page1() && !is_too_old(state.confirmed, max_staleness_ms)
        };
        let Err(error) = self.poll(&[], has_other) else {
            return Ok(());
        };
        let mut state = self.state();
        if error.kind() != ErrorKind::Away || !state.has_page1() || state.in_doubt {
            return Err(error);
        }
        if is_too_old(state.confirmed, max_staleness_ms) {
            let confirmed = state.confirmed;
            drop(state);
            return Err(self.too_old(confirmed, max_staleness_ms, error.message()));
        }
        state.away_since_poll = Some(sys::Tick::now());
        let pos = state.cache.pos();
        match state.confirmed {
            Some(confirmed) => log!(
                Warn,
                "{error}; reading {} from the cache, {pos}, confirmed {} ms ago",
                self.name(),
                confirmed.age_ms()
            ),
            None => log!(
                Warn,
                "{error}; reading {} from the cache, {pos}, as an earlier process left it",
                self.name()
            ),
        }
        Ok(())
    }

    /// The error for a view that was confirmed too long ago.
    pub fn too_old(&self, confirmed: Option<sys::Tick>, max_ms: u64, why: &str) -> Error {
        let when = match confirmed {
            Some(confirmed) => format!("was confirmed {} ms ago", confirmed.age_ms()),
            None => "was left by an earlier process".to_string(),
        };
        let text = format!(
            "what is known of the database {when}, and PRAGMA litevfs_max_staleness allows {max_ms} ms: \
             {why}"
        );
        self.error(ErrorKind::TooOld, &text)
    }

    /// Polls, for this and other open databases of its origin. What is known of this one is then as new as
    /// the server was when this began, or newer.
    pub fn poll_now(&self) -> Result<()> {
        self.poll(&[], false)
    }

    /// The same, certainly for those databases, too.
    pub fn poll_beside(&self, beside: &[Arc<Database>]) -> Result<()> {
        self.poll(beside, false)
    }

    /// Both; in a `hurry` a server that is away is not waited for.
    fn poll(&self, beside: &[Arc<Database>], hurry: bool) -> Result<()> {
        if self.past().is_some() {
            return Ok(());
        }
        for _ in 0..MAX_RACES {
            if self.poll_once(beside, hurry)? {
                return Ok(());
            }
        }
        let text = "other connections of this process poll all the time; try again";
        Err(self.error(ErrorKind::Busy, text))
    }

    /// Whether the server was not away just now.
    pub fn may_poll(&self) -> bool {
        self.state().away_since_poll.is_none()
    }

    /// Polls, so that what is known of this and those databases, as far as they are of its origin, is of one
    /// state. Where that does not succeed, it is as good as it was.
    pub fn poll_together(&self, beside: &[Arc<Database>]) {
        if let Err(error) = self.poll(beside, true) {
            log!(Info, "{error}; going on without a common state of all databases");
            if error.kind() == ErrorKind::Away {
                self.state().away_since_poll = Some(sys::Tick::now());
            }
        }
    }

    /// Whether the answer about this database could be used: not so when another poll's came first,
    /// which may have been asked earlier.
    fn poll_once(&self, beside: &[Arc<Database>], hurry: bool) -> Result<bool> {
        if self.state().poll == 0
            && let Some(is_used) = self.open_once(hurry)?
        {
            return Ok(is_used);
        }
        let all = self.origin().databases();
        let asked = self.to_ask(&all, beside);
        let origin = self.origin();
        let (number, since, polls) = {
            let mut number = origin.read_barrier();
            *number = number.saturating_add(1);
            let places = asked.iter().map(|database| {
                let place = database.state().place();
                ((database.name().clone(), place.pos), place.poll)
            });
            let (since, polls): (Vec<(DbName, Pos)>, Vec<u64>) = places.unzip();
            (*number, since, polls)
        };
        let sent = sys::Tick::now();
        let changes = self.backend().changes(&since, hurry)?;
        let mut is_used = true;
        let _barrier = origin.read_barrier();
        for (((database, (name, pos)), poll), change) in
            asked.into_iter().zip(since).zip(polls).zip(changes)
        {
            log!(Debug, "{name}: polled, {pos} -> {}", change.pos);
            let answer = Answer { number, sent };
            let applied = database.state().apply(Since { pos, poll }, change, answer);
            is_used &= applied || name != *self.name();
        }
        Ok(is_used)
    }

    /// The databases to ask about: this one, `beside`, and others of `all` that are in use.
    fn to_ask<'a>(
        &'a self,
        all: &'a [Arc<Database>],
        beside: &[Arc<Database>],
    ) -> Vec<&'a Database> {
        let rank = |database: &Arc<Database>| {
            if beside.iter().any(|other| Arc::ptr_eq(other, database)) {
                return 0;
            }
            let state = database.state();
            let is_fresh = state.confirmed.is_some_and(|when| when.age_ms() < FRESH_MS);
            match state.used.age_ms() > UNUSED_MS {
                true => u32::MAX,
                false => 1_u32.saturating_add(is_fresh.into()),
            }
        };
        let others = all.iter().filter(|other| other.name() != self.name());
        let ranked: Vec<_> = others.map(|other| (rank(other), &**other)).collect();
        let mut asked = alloc::vec![self];
        for wanted in 0..=2 {
            let of_rank = ranked.iter().filter(|(rank, _)| *rank == wanted);
            let room = MAX_DATABASES_PER_REQUEST.saturating_sub(asked.len());
            asked.extend(of_rank.map(|(_, other)| *other).take(room));
        }
        asked
    }

    /// The first poll of a database that was just opened, which brings pages, too; `None` when the server
    /// knows no such call.
    fn open_once(&self, hurry: bool) -> Result<Option<bool>> {
        let origin = self.origin();
        let (number, pos, poll, max_bytes) = {
            let mut number = origin.read_barrier();
            *number = number.saturating_add(1);
            let state = self.state();
            (*number, state.cache.pos(), state.poll, state.settings.max_bulk_bytes)
        };
        let sent = sys::Tick::now();
        let max_len = u32::try_from(max_bytes).unwrap_or(u32::MAX).min(MAX_OPENING_LEN);
        let Some(opening) = self.backend().open(self.name(), pos, max_len, hurry)? else {
            return Ok(None);
        };
        let Opening { change, pages } = opening;
        log!(Debug, "{}: opened, {pos} -> {}, {} pages", self.name(), change.pos, pages.len());
        let at = change.pos;
        let answer = Answer { number, sent };
        let is_used = {
            let _barrier = origin.read_barrier();
            self.state().apply(Since { pos, poll }, change, answer)
        };
        self.take_pages(at, &pages)?;
        Ok(Some(is_used))
    }
}
