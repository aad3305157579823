//! SQLite's locks on a connection, and the lease that writing needs.
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

use super::connection::{Connection, Lock, Phase};
use super::transaction::Transaction;
use super::view::View;
use crate::error::{ErrorKind, Result};
use crate::sys::{Tick, log::log};
use crate::types::Pos;
use alloc::format;

/// How long the lease is taken for refused after it was: the lock for writing follows the one for reading
/// at once, and need not ask again.
const REFUSAL_LASTS_MS: u64 = 100;
/// How often a lease is taken that is gone again before a transaction has begun under it.
const LEASE_TRIES: u32 = 3;

impl Connection {
    /// Binds the connection to the newest view for good: SQLite will ask for no locks, and take all pages
    /// for those of one state.
    pub fn pin(&mut self) -> Result<()> {
        self.lock(Lock::Shared)?;
        self.is_pinned = true;
        Ok(())
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
        self.phase = Phase::Writing(Transaction::new(view));
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
            self.take_outcome();
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
