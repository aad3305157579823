//! A transaction's way to the server: once, or not at all.
//!
//! An answer that is lost leaves a question. The server's position answers it in part: at the base,
//! the transaction was not applied, yet; at its own position it was, by its commit id, or, of a server that
//! knows no such ids, if nobody else can have written, which the lease says. Otherwise the same file is pushed again: our server knows one that it has,
//! wherever in its history. Before COMMIT fails although a push may still be on its way, that push is
//! fenced off by giving the lease back, and the server asked once more: it must refuse the file and be at
//! the base, or have another transaction in its place. Otherwise the error says that the outcome is not
//! known.

use super::database::Database;
use super::made::Made;
use crate::backend::PushError;
use crate::error::{Error, ErrorKind, Result};
use crate::sys::{self, log::log};
use crate::types::Pos;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// How often a transaction is pushed before COMMIT fails: each after something that the one before was told
/// or not told.
pub(super) const MAX_PUSHES: u32 = 3;
/// Time for a COMMIT, to the end of whatever it comes to, and what a slow line needs for a large one.
const COMMIT_MS: u64 = 15_000;
const COMMIT_BYTES_PER_MS: u64 = 256;
/// What of it is for finding out what became of a transaction whose push was not answered.
pub(super) const FENCE_MS: u64 = 4_000;
/// Pause between two pushes of a transaction.
pub(super) const PUSH_PAUSE_MS: u64 = 200;

/// A transaction to push.
pub struct Push<'a> {
    /// The database.
    pub database: &'a Arc<Database>,
    /// The connection that commits.
    pub connection: u64,
    /// The transaction.
    pub made: &'a Made,
}

/// What is to be done after a push that did not succeed.
enum AfterPush {
    Again(Error),
    Fail(Error),
    Committed,
}

/// Time for a COMMIT of so many bytes.
pub(super) fn commit_ms(len: usize) -> u64 {
    COMMIT_MS.saturating_add(len as u64 / COMMIT_BYTES_PER_MS)
}

/// The part of it that is for pushing.
fn pushing_ms(len: usize) -> u64 {
    commit_ms(len).saturating_sub(FENCE_MS)
}

impl Push<'_> {
    /// Pushes until the server has acknowledged, or it is clear that it will not.
    pub fn run(&self) -> Result<()> {
        let _all = sys::Within::new(commit_ms(self.made.file.len()));
        // The leases under which pushes were made whose outcome is not known.
        let mut open_under = Vec::new();
        let Err(error) = self.try_often(&mut open_under) else { return Ok(()) };
        match open_under.is_empty() {
            true => Err(error),
            false => self.fence_off(&open_under, error),
        }
    }

    fn try_often(&self, open_under: &mut Vec<String>) -> Result<()> {
        let _part = sys::Within::new(pushing_ms(self.made.file.len()));
        let mut pushes_left = MAX_PUSHES;
        loop {
            pushes_left = pushes_left.saturating_sub(1);
            let lease_id = self.database.live_lease(self.connection)?;
            if open_under.is_empty() {
                self.database.expect_at(self.made.base).map_err(|error| self.fail(error))?;
            }
            let Err(error) = self.push(&lease_id) else { return Ok(()) };
            match self.judge(error, &lease_id, open_under) {
                AfterPush::Committed => return Ok(()),
                AfterPush::Fail(error) => return Err(error),
                AfterPush::Again(error) if pushes_left == 0 || sys::left_ms() == 0 => {
                    return Err(self.fail(error));
                }
                AfterPush::Again(error) => {
                    log!(Info, "{}: pushing again: {error}", self.database.name());
                    self.database.count_retry();
                    sys::pause_ms(PUSH_PAUSE_MS);
                }
            }
        }
    }

    fn judge(&self, error: PushError, lease_id: &str, open_under: &mut Vec<String>) -> AfterPush {
        match error {
            PushError::Unknown(error) => {
                if open_under.last().is_none_or(|last| last != lease_id) {
                    open_under.push(lease_id.into());
                }
                match self.server_pos() {
                    Ok(now) if self.is_applied_at(now, open_under, lease_id) => {
                        AfterPush::Committed
                    }
                    Ok(now) => {
                        // Somebody else has written: what we know will be old in any case.
                        self.database.state().distrusted |= now != self.made.base;
                        AfterPush::Again(error)
                    }
                    Err(_) => AfterPush::Fail(error),
                }
            }
            PushError::Lease(error) => {
                self.database.lose_lease();
                AfterPush::Again(error)
            }
            PushError::PosMismatch(error) => {
                let now = self.server_pos();
                if now.as_ref().is_ok_and(|&now| self.is_applied_at(now, open_under, lease_id)) {
                    return AfterPush::Committed;
                }
                if !open_under.is_empty() && !now.is_ok_and(|now| self.is_shut_out_at(now)) {
                    // The earlier push may be what it went on by, and too old for it to tell.
                    return AfterPush::Fail(error);
                }
                open_under.clear();
                let text = format!("{error}; another client has written");
                AfterPush::Fail(self.fail(Error::new(ErrorKind::PosMismatch, text)))
            }
            // It did not get there: perhaps the server is just being restarted.
            PushError::Failed(error) if error.kind() == ErrorKind::Away => AfterPush::Again(error),
            PushError::Failed(error) => {
                self.database.note_refusal(&error);
                AfterPush::Fail(self.fail(error))
            }
        }
    }

    /// COMMIT fails, but pushes may still be on their way: fences them off, and looks whether one arrived.
    fn fence_off(&self, open_under: &[String], error: Error) -> Result<()> {
        let last = open_under.last().map_or("", String::as_str);
        let error = self.fail(error);
        if self.server_pos().is_ok_and(|now| self.is_applied_at(now, open_under, last)) {
            return Ok(());
        }
        let mut fenced = true;
        for lease_id in open_under {
            // The last one at the end: it is the one to remember where the server can't be told.
            fenced &= self.database.give_up_lease(lease_id);
        }
        // Under a lease that is gone nothing is applied any more, but our server still knows a file that
        // it has. The position alone does not tell: of several servers, one may be a moment behind.
        let refused = fenced
            && match self.push(last) {
                Ok(()) => return Ok(()),
                Err(PushError::Lease(_) | PushError::PosMismatch(_)) => true,
                Err(_) => false,
            };
        let now = self.server_pos();
        if now.is_ok_and(|now| self.is_shut_out_at(now) || refused && now.agrees(self.made.base)) {
            return Err(error);
        }
        self.database.state().in_doubt = true;
        Err(self.fail(outcome_unknown(&error)))
    }

    /// Whether the server has another transaction in the place of this one, which then never gets there.
    fn is_shut_out_at(&self, now: Pos) -> bool {
        now.txid == self.made.pos.txid && !now.agrees(self.made.pos)
    }

    fn push(&self, lease_id: &str) -> core::result::Result<(), PushError> {
        let sent = sys::Tick::now();
        let pushed =
            self.database.backend().push(self.database.name(), &self.made.file, lease_id)?;
        self.database.note_push(lease_id, sent, pushed);
        Ok(())
    }

    /// Whether the transaction is what brought the server to a position.
    fn is_applied_at(&self, now: Pos, open_under: &[String], lease_id: &str) -> bool {
        let made = self.made.pos;
        let is_told = made.commit_id.is_set() && made == now;
        is_told || now.agrees(made) && self.held_since(open_under, lease_id)
    }

    /// Whether the lease of the first push that is open is live still, and nobody else can have written
    /// since. To be asked after the position: without it, a database at our transaction's position may be
    /// there by an equal transaction of somebody else's.
    fn held_since(&self, open_under: &[String], lease_id: &str) -> bool {
        open_under.first().is_some_and(|first| first == lease_id)
            && self.database.prolong(lease_id).is_ok()
    }

    fn fail(&self, error: Error) -> Error {
        self.database.fail(error)
    }

    fn server_pos(&self) -> Result<Pos> {
        let since = (self.database.name().clone(), self.made.base);
        let changes = self.database.backend().changes(&[since], false)?;
        let change = changes.into_iter().next();
        change.map(|change| change.pos).ok_or_else(|| self.database.bad_answer("no position"))
    }
}

impl Database {
    /// An error after which the next transaction looks where the server is. It begins with the name.
    pub(super) fn fail(&self, error: Error) -> Error {
        self.state().distrusted = true;
        self.named(error)
    }

    /// Fails unless the database is where a transaction began that is about to be pushed.
    pub(super) fn expect_at(&self, base: Pos) -> Result<()> {
        if self.state().cache.pos() == base {
            return Ok(());
        }
        let text = "another client has written while the lease was lost; run the transaction again";
        Err(self.error(ErrorKind::PosMismatch, text))
    }

    /// Takes in why a transaction was not applied.
    pub(super) fn note_refusal(&self, error: &Error) {
        if error.kind() == ErrorKind::BadContent {
            // Perhaps for a checksum: then what the cache holds is not to be trusted.
            let mut state = self.state();
            let pos = state.cache.pos();
            state.cache.reset(pos);
        }
    }
}

/// The error of a COMMIT that nobody has answered.
pub(super) fn outcome_unknown(error: &Error) -> Error {
    let text = format!(
        "{error}; whether the transaction was applied is not known: look before you repeat it"
    );
    Error::new(ErrorKind::Away, text)
}
