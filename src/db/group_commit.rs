//! A connection's part in a commit of several databases.

use super::announcement::{AfterFailure, after_failure, as_final};
use super::connection::{Connection, Phase};
use super::group::{Group, Groups, Membership, Owner};
use super::made::Made;
use super::round::{Round, Staged};
use super::shown::SeenPage1;
use super::transaction::{Staging, Transaction, Unfinished};
use super::view::View;
use crate::error::{Error, ErrorKind, Result};
use crate::sys::log::log;
use alloc::sync::Arc;

impl Connection {
    /// Puts the database among those that the same SQLite connection has open, unless it never moves.
    pub fn join(&mut self, groups: &Groups, owner: Owner) {
        if self.is_pinned || self.database.past().is_some() {
            return;
        }
        if self.membership.as_ref().is_none_or(|membership| membership.owner() != owner) {
            self.membership = Some(groups.join(owner, &self.database));
            self.tell_group();
        }
    }

    /// The databases of the SQLite connection.
    pub fn group(&self) -> Option<&Arc<Group>> {
        self.membership.as_ref().map(Membership::group)
    }

    /// The commit over several databases that waits for its decision.
    pub fn round(&self) -> Option<Arc<Round>> {
        match &self.phase {
            Phase::Writing(Transaction { unfinished: Unfinished::HeldBack(staging), .. }) => {
                Some(Arc::clone(&staging.round))
            }
            _ => None,
        }
    }

    /// Why a commit over several databases failed, if SQLite was told on another one of them.
    pub fn take_failure_elsewhere(&mut self) -> Option<Error> {
        self.failure_elsewhere.take()
    }

    /// Holds a finished transaction back until it is decided about.
    pub(super) fn stage(&mut self, made: Made) -> Result<()> {
        let (Some(membership), Phase::Writing(transaction)) = (&self.membership, &mut self.phase)
        else {
            let text = "a commit over several databases by a connection that is not known";
            return Err(self.database.error(ErrorKind::Internal, text));
        };
        let database = Arc::clone(&self.database);
        let staged = Arc::new(Staged { database, connection: self.id, made });
        let round = membership.stage(Arc::clone(&staged))?;
        log!(Debug, "{}: held back {}", self.database.name(), staged.made.pos);
        transaction.unfinished = Unfinished::HeldBack(Staging { round, staged });
        transaction.after_failure = AfterFailure::Nothing;
        Ok(())
    }

    /// Decides about what was announced together, if that was not done yet.
    pub(super) fn decide(&mut self) -> Result<()> {
        let Some(round) = self.round() else { return Ok(()) };
        let outcome = round.decide();
        self.take_outcome();
        self.failure_elsewhere = None;
        outcome.map_err(as_final)
    }

    /// SQLite rolled back a transaction that was held back.
    pub(super) fn end_rollback(&mut self) -> Result<()> {
        self.take_outcome();
        let keeps_locks = self.keeps_locks();
        let is_elsewhere = self.database.state().distrusted;
        let failure = self.failure_elsewhere.as_ref();
        let after = failure.map(|error| after_failure(error, keeps_locks, is_elsewhere));
        let Phase::Writing(transaction) = &mut self.phase else { return Ok(()) };
        transaction.end();
        if !keeps_locks {
            // Were it a commit after all, that would be noticed.
            transaction.unfinished = Unfinished::Rollback;
        }
        match after {
            Some(AfterFailure::FailOnce(error)) => {
                transaction.after_failure = AfterFailure::Discard;
                Err(error)
            }
            _ => Ok(()),
        }
    }

    /// Looks at what was decided about a transaction that was held back, and moves on if it was
    /// committed. Otherwise it is not any more.
    pub(super) fn take_outcome(&mut self) {
        let Phase::Writing(transaction) = &mut self.phase else { return };
        let Some(staging) = transaction.take_held_back() else { return };
        match staging.round.outcome() {
            Some(Ok(())) => {
                if let Some(dirty) = &transaction.dirty {
                    staging.staged.keep_pages(dirty);
                }
                self.move_on(&staging.staged.made);
            }
            Some(Err(error)) => self.failure_elsewhere = Some(error),
            None => {}
        }
    }

    /// The open transaction was committed: the connection is where it leads.
    pub(super) fn move_on(&mut self, made: &Made) {
        let Phase::Writing(transaction) = &mut self.phase else { return };
        let page_size = Some(made.page_size);
        transaction.view = View {
            pos: made.pos,
            page_size,
            commit: made.commit,
            is_encrypted: made.is_encrypted,
            ..transaction.view
        };
        transaction.commits = transaction.commits.saturating_add(1);
        transaction.has_ended = true;
        transaction.discard();
        // SQLite must not go on with a page 1 that says WAL: next time it reads it again.
        self.shown.is_outdated = made.shows_wal;
        let page1 = SeenPage1::new(&made.page1).ok().filter(|_| !made.is_encrypted);
        self.shown.wrote(transaction.view, page1);
        log!(Debug, "{}: committed {}", self.database.name(), made.pos);
        self.tell_group();
        self.start_query();
    }
}
