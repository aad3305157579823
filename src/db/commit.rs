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

use super::announcement::{AfterFailure, Meaning, Situation, after_failure, as_final};
use super::connection::{Connection, Phase};
use super::database::Database;
use super::diff::{Diff, NewPage1};
use super::group::Membership;
use super::made::Made;
use super::make::{look_at_page1, make};
use super::push::Push;
use super::transaction::Unfinished;
use crate::error::{Error, ErrorKind, Result};
use crate::sys;
use alloc::boxed::Box;

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
        let Some(situation) = self.situation(together) else { return Ok(()) };
        let Phase::Writing(transaction) = &mut self.phase else { return Ok(()) };
        let is_together = situation.is_together;
        let mut page1 = None;
        let meaning = situation.meaning(&mut || {
            let (says, bytes) = look_at_page1(&self.database, transaction)?;
            page1 = bytes;
            Ok(says)
        });
        let outcome = match meaning {
            Ok(Meaning::Decided) => return self.end_rollback(),
            Ok(Meaning::FailOnceMore(error)) => return Err(error),
            Ok(Meaning::RollbackAfterFailure) => {
                transaction.end();
                Ok(())
            }
            Ok(Meaning::Nothing) => {
                transaction.discard();
                Ok(())
            }
            Ok(Meaning::Unchanged) => self.end_without_commit(false),
            Ok(Meaning::Rollback) => self.end_without_commit(true),
            Ok(Meaning::Refused) => {
                transaction.discard();
                Err(no_exclusive_mode(&self.database))
            }
            Ok(Meaning::Unsettled) => self.await_finish(Unfinished::Unsettled),
            Ok(Meaning::Commit) => self.prepare(page1, is_together),
            Err(error) => Err(error),
        };
        outcome.map_err(|error| self.fail_announced(error, is_together))
    }

    /// What is known of what SQLite announces; `None` where there is no transaction. What was announced before was
    /// not finished.
    fn situation(&mut self, together: bool) -> Option<Situation> {
        let others_write = self.membership.as_ref().is_some_and(Membership::others_write);
        let Phase::Writing(transaction) = &mut self.phase else { return None };
        let mut is_decided = false;
        if let Unfinished::HeldBack(staging) = &transaction.unfinished {
            is_decided = !staging.round.is_open();
            if !is_decided {
                // It was the end of a rollback that looked like a commit, or its commit failed elsewhere.
                // What is written by now is what counts.
                staging.round.withdraw(&staging.staged);
            }
        }
        if !is_decided {
            transaction.unfinished = Unfinished::Nothing;
        }
        let failed = core::mem::replace(&mut transaction.after_failure, AfterFailure::Discard);
        Some(Situation {
            is_decided,
            after_failure: failed,
            has_written: !transaction.is_as_before(),
            is_together: together || others_write,
            keeps_locks: self.keeps_locks,
            is_further: transaction.commits > 0,
        })
    }

    /// What was written is gone again, or leaves every page as it was.
    fn end_without_commit(&mut self, is_rollback: bool) -> Result<()> {
        // Where SQLite keeps its locks, an empty commit may follow that nothing announces.
        let is_watched = is_rollback && !self.keeps_locks();
        let Phase::Writing(transaction) = &mut self.phase else { return Ok(()) };
        transaction.end();
        if is_watched {
            transaction.unfinished = Unfinished::Rollback;
        }
        self.start_query();
        Ok(())
    }

    /// Makes a commit ready to be pushed, or holds it back. It has that `page1`, unless it is encrypted.
    fn prepare(&mut self, page1: Option<NewPage1>, is_together: bool) -> Result<()> {
        let Phase::Writing(transaction) = &mut self.phase else { return Ok(()) };
        match make(&self.database, transaction, page1)? {
            Some(made) if is_together => self.stage(*made),
            Some(made) => self.await_finish(Unfinished::Prepared { made, is_current: true }),
            None => self.end_without_commit(false),
        }
    }

    /// SQLite finishes that next, unless it rolls back. What can still be told as "busy", and tried again, is
    /// told now.
    fn await_finish(&mut self, unfinished: Unfinished) -> Result<()> {
        let Phase::Writing(transaction) = &mut self.phase else { return Ok(()) };
        let database = &self.database;
        database.live_lease(self.id)?;
        database.expect_at(transaction.view.pos).map_err(|error| database.fail(error))?;
        transaction.unfinished = unfinished;
        transaction.after_failure = AfterFailure::Nothing;
        Ok(())
    }

    /// The error of a commit that is not to be, and what it means for the next announcement.
    fn fail_announced(&mut self, error: Error, is_together: bool) -> Error {
        let error = self.judge_overtaken(error);
        let error = match error.kind() {
            ErrorKind::StaleView => error,
            _ if is_together => as_final(error),
            _ => error,
        };
        if let (true, Some(membership)) = (is_together, &self.membership) {
            membership.abandon_round();
        }
        let is_elsewhere = self.database.state().distrusted;
        let after = after_failure(&error, self.keeps_locks(), is_elsewhere);
        if let Phase::Writing(transaction) = &mut self.phase {
            transaction.after_failure = after;
        }
        error
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
        let Phase::Writing(transaction) = &mut self.phase else { return Ok(()) };
        match core::mem::take(&mut transaction.unfinished) {
            Unfinished::Nothing | Unfinished::HeldBack(_) => Ok(()),
            Unfinished::Prepared { made, .. } => self.push_alone(&made),
            Unfinished::Unsettled => match self.make_unsettled()? {
                Some(made) => self.push_alone(&made),
                None => Ok(()),
            },
            Unfinished::Rollback => {
                let text = "a commit was taken for a rollback; its changes are not saved";
                Err(self.database.error(ErrorKind::Internal, text))
            }
        }
    }

    /// What was announced of an encrypted database turned out to be a commit, and the file has its size by now.
    fn make_unsettled(&mut self) -> Result<Option<Box<Made>>> {
        let Phase::Writing(transaction) = &mut self.phase else { return Ok(None) };
        let made = match self.keeps_locks || transaction.commits > 0 {
            true => Err(no_exclusive_mode(&self.database)),
            false => make(&self.database, transaction, None),
        };
        if !matches!(made, Ok(Some(_))) {
            transaction.discard();
        }
        made.map_err(as_final)
    }

    fn push_alone(&mut self, made: &Made) -> Result<()> {
        let Phase::Writing(transaction) = &mut self.phase else { return Ok(()) };
        let database = &self.database;
        let sent = sys::Tick::now();
        let pushed = Push { database, connection: self.id, made }.run();
        if let Err(error) = pushed {
            // SQLite does not write the old pages back, nor announce a rollback, any more.
            transaction.discard();
            return Err(as_final(error));
        }
        if let Some(dirty) = &transaction.dirty {
            let diff = Diff::of_made(database, transaction.view, made, dirty);
            database.state().publish(made, sent, |pgno| diff.written_page(pgno));
        }
        self.move_on(made);
        Ok(())
    }
}

/// SQLite counts the first of its transactions under a lock only, and others would not notice the rest: what a
/// codec encrypted can't be counted here.
fn no_exclusive_mode(database: &Database) -> Error {
    let text = "an encrypted database can't be written with locking_mode=exclusive; run \
                PRAGMA locking_mode=normal, read something, and begin again";
    database.error(ErrorKind::Unsupported, text)
}

#[cfg(test)]
impl Connection {
    /// What SQLite does to commit a transaction of one database.
    pub fn commit(&mut self) -> Result<()> {
        self.prepare_commit()?;
        self.confirm_commit()
    }
}
