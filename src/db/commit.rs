//! The open transaction gets to the server.
//!
//! ```text
//! SYNC            the LTX file is made, the lease is live          fails: SQLite rolls back, or may try again
//! xSync, journal  SQLite's own, or of a VFS on top of this one     fails: SQLite rolls back, announces that
//! COMMIT_PHASETWO the file is pushed                               fails: SQLite drops its pages
//! ```
//!
//! A commit is decided where SQLite decides it on a plain file: when the journal is gone. Between `SYNC` and
//! there SQLite may still fail, for want of memory or in a VFS on top of this one, and roll back. Had the
//! transaction been pushed by then, it would be there after a COMMIT that failed; another one that undoes
//! it would be seen by others, could fail itself, and there is none for the first of a database. So nothing
//! is pushed that SQLite can still roll back, and after it is pushed nothing of SQLite's can fail.
//!
//! Nothing is visible to anybody before the server has acknowledged it; then the position moves and
//! the pages enter the cache. An error leaves everything as it was.

use super::change::Change;
use super::connection::{Connection, Phase};
use super::database::Database;
use super::group::Membership;
use super::make::{Announced, make};
use super::push::Push;
use super::transaction::AfterFailure;
use crate::error::{Error, ErrorKind, Result};
use crate::sys;
use alloc::boxed::Box;

/// SQLite counts the first of its transactions under a lock only, and others would not notice the rest: what a
/// codec encrypted can't be counted here.
const NO_EXCLUSIVE_MODE: &str = "an encrypted database can't be written with locking_mode=exclusive; run \
                                 PRAGMA locking_mode=normal, read something, and begin again";

impl Connection {
    /// Takes in that SQLite is about to commit the open transaction, or has rolled it back.
    /// [`Connection::confirm_commit`] follows a commit. When another database of the SQLite connection may
    /// be about to be committed with it, it is held back until that is decided about.
    pub fn prepare_commit(&mut self) -> Result<()> {
        self.announce(false)
    }

    /// The same when SQLite says that others will be committed with it.
    pub fn prepare_commit_together(&mut self) -> Result<()> {
        self.announce(true)
    }

    fn announce(&mut self, together: bool) -> Result<()> {
        let others_write = self.membership.as_ref().is_some_and(Membership::others_write);
        let together = together || others_write;
        let Phase::Writing(transaction) = &mut self.phase else {
            return Ok(());
        };
        if let Some(staging) = &transaction.staging {
            if !staging.round.is_open() {
                return self.end_rollback();
            }
            // What was announced before was not finished, so it was the end of a rollback that looked like
            // a commit, or its commit failed elsewhere. What is written by now is what counts.
            staging.round.withdraw(&staging.staged);
            transaction.staging = None;
        }
        // As above: SQLite did not finish what it announced before.
        transaction.prepared = None;
        transaction.is_announced = false;
        transaction.rolled_back = false;
        match core::mem::replace(&mut transaction.after_failure, AfterFailure::Discard) {
            AfterFailure::Nothing => {}
            AfterFailure::Discard => {
                transaction.discard();
                transaction.has_ended = true;
                return Ok(());
            }
            AfterFailure::FailOnce(error) => return Err(error),
        }
        if transaction.is_as_before() {
            transaction.discard();
            return Ok(());
        }
        let keeps_locks = self.keeps_locks();
        let Err(error) = self.prepare(together, keeps_locks) else { return Ok(()) };
        let error = self.judge_overtaken(error);
        let error = match error.kind() {
            ErrorKind::StaleView => error,
            _ if together => as_final(error),
            _ => error,
        };
        if let (true, Some(membership)) = (together, &self.membership) {
            membership.abandon_round();
        }
        if let Phase::Writing(transaction) = &mut self.phase {
            transaction.after_failure = self.database.after_failure(&error, keeps_locks);
        }
        Err(error)
    }

    /// What becomes of an error before a commit is decided when the database has moved on below the
    /// transaction: it is "busy", for good. Then it is of no use to wait for who has the lease.
    pub(super) fn judge_overtaken(&self, error: Error) -> Error {
        let Phase::Writing(transaction) = &self.phase else { return error };
        let overtaken = match error.kind() {
            ErrorKind::PosMismatch => Some(error.clone()),
            ErrorKind::LeaseHeld if self.database.poll_now().is_ok() => {
                self.database.expect_at(transaction.view.pos).err()
            }
            _ => None,
        };
        overtaken.map_or(error, |overtaken| {
            self.database.fail(Error::new(ErrorKind::StaleView, overtaken.message()))
        })
    }

    fn prepare(&mut self, together: bool, keeps_locks: bool) -> Result<()> {
        let Phase::Writing(transaction) = &mut self.phase else {
            return Ok(());
        };
        let is_encrypted = transaction.is_encrypted()?;
        if is_encrypted && together && (self.keeps_locks || transaction.commits > 0) {
            transaction.discard();
            return Err(self.database.error(ErrorKind::Unsupported, NO_EXCLUSIVE_MODE));
        }
        if is_encrypted && !together {
            // Whether this is a commit only what follows tells. What can be told as "busy" is told now.
            self.database.live_lease(self.id)?;
            let base = transaction.view.pos;
            self.database.expect_at(base).map_err(|error| self.database.fail(error))?;
            transaction.is_announced = true;
            transaction.after_failure = AfterFailure::Nothing;
            return Ok(());
        }
        match make(&self.database, transaction)? {
            Announced::Made(made) if together => {
                let made = made.0;
                self.stage(made)
            }
            Announced::Made(made) => {
                // What can still be told as "busy", and tried again, is told now.
                self.database.live_lease(self.id)?;
                self.database.expect_at(made.0.base).map_err(|error| self.database.fail(error))?;
                transaction.prepared = Some(Box::new(made.0));
                transaction.is_prepared_as_it_is = true;
                transaction.after_failure = AfterFailure::Nothing;
                Ok(())
            }
            outcome => {
                let was_rollback = matches!(outcome, Announced::RolledBack);
                transaction.discard();
                // Where SQLite keeps its locks, an empty commit may follow that nothing announces.
                transaction.rolled_back = was_rollback && !keeps_locks;
                transaction.has_ended = true;
                self.start_query();
                Ok(())
            }
        }
    }

    /// Fails a commit that SQLite announces, before anything is pushed.
    pub fn refuse_commit(&mut self, error: Error) -> Error {
        if let Phase::Writing(transaction) = &mut self.phase {
            transaction.after_failure = AfterFailure::Discard;
        }
        if let Some(membership) = &self.membership {
            membership.abandon_round();
        }
        error
    }

    /// SQLite says that what it announced last was a commit, and finishes it: it is pushed now, or, when it was
    /// held back, decided about, unless that was done for another database. An error means that it is not
    /// committed, unless the text says that this is not known; SQLite drops its pages then.
    ///
    /// A rollback is not followed by this; had one been recognised where there was none, a commit would
    /// be lost in silence.
    pub fn confirm_commit(&mut self) -> Result<()> {
        self.decide()?;
        self.prepare_announced()?;
        self.push_prepared()?;
        let Phase::Writing(transaction) = &mut self.phase else {
            return Ok(());
        };
        if core::mem::take(&mut transaction.rolled_back) {
            let text = "a commit was taken for a rollback; its changes are not saved";
            return Err(self.database.error(ErrorKind::Internal, text));
        }
        Ok(())
    }

    /// What was announced of an encrypted database turned out to be a commit, and the file has its size by now.
    fn prepare_announced(&mut self) -> Result<()> {
        let Phase::Writing(transaction) = &mut self.phase else { return Ok(()) };
        if !core::mem::take(&mut transaction.is_announced) {
            return Ok(());
        }
        let made = match self.keeps_locks || transaction.commits > 0 {
            true => Err(self.database.error(ErrorKind::Unsupported, NO_EXCLUSIVE_MODE)),
            false => make(&self.database, transaction),
        };
        match made {
            Ok(Announced::Made(made)) => transaction.prepared = Some(Box::new(made.0)),
            Ok(_) => transaction.discard(),
            Err(error) => {
                transaction.discard();
                return Err(as_final(error));
            }
        }
        Ok(())
    }

    fn push_prepared(&mut self) -> Result<()> {
        let Phase::Writing(transaction) = &mut self.phase else { return Ok(()) };
        let Some(made) = transaction.prepared.take() else { return Ok(()) };
        let database = &self.database;
        let sent = sys::Tick::now();
        let pushed = Push { database, connection: self.id, made: &made }.run();
        if let Err(error) = pushed {
            // SQLite does not write the old pages back, nor announce a rollback, any more.
            transaction.discard();
            return Err(as_final(error));
        }
        if let Some(dirty) = &transaction.dirty {
            let change = Change::of_made(database, transaction.view, &made, dirty);
            database.state().publish(&made, sent, |pgno| change.written_page(pgno));
        }
        self.move_on(&made);
        Ok(())
    }
}

impl Database {
    /// What SQLite's next announcement means after a commit failed with `error`.
    pub(super) fn after_failure(&self, error: &Error, keeps_locks: bool) -> AfterFailure {
        match error.kind() {
            // To SQLite this means "busy": it keeps the transaction, and COMMIT may be tried again.
            ErrorKind::LeaseHeld | ErrorKind::Busy => AfterFailure::Nothing,
            ErrorKind::StaleView if !keeps_locks => AfterFailure::Nothing,
            _ if keeps_locks && self.state().distrusted => {
                let kind = match error.kind() {
                    // It has to be one that makes SQLite drop its pages.
                    ErrorKind::StaleView => ErrorKind::PosMismatch,
                    kind => kind,
                };
                AfterFailure::FailOnce(Error::new(kind, error.message()))
            }
            _ => AfterFailure::Discard,
        }
    }
}

/// An error that ends the transaction. To SQLite "busy" would mean that COMMIT may be tried again, which
/// is not so when a part of it was announced already.
pub(super) fn as_final(error: Error) -> Error {
    match error.kind() {
        ErrorKind::LeaseHeld | ErrorKind::Busy | ErrorKind::StaleView => {
            Error::new(ErrorKind::Refused, error.message())
        }
        _ => error,
    }
}

#[cfg(test)]
impl Connection {
    /// What SQLite does to commit a transaction of one database.
    pub fn commit(&mut self) -> Result<()> {
        self.prepare_commit()?;
        self.confirm_commit()
    }
}
