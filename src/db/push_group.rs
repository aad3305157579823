//! The way of several databases' transactions to the server: all of them once, or none.
//!
//! The server takes them under an id that we choose. While that is not answered, the same is pushed
//! again; then we ask it to decide against the id unless it has decided for it, and know the outcome
//! for good. An answer that refuses means that nothing was applied; what can be mended then, is, and
//! the transactions go out under another id.

use super::database::Database;
use super::push::{FENCE_MS, MAX_PUSHES, PUSH_PAUSE_MS, commit_ms, outcome_unknown};
use super::round::Staged;
use crate::backend::{GroupError, GroupOutcome, GroupTx};
use crate::error::{Error, ErrorKind, Result};
use crate::sys::{self, log::log};
use crate::text::hex;
use crate::types::DbName;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Write as _;

/// Transactions to push, of one server and cluster.
pub struct GroupPush<'a> {
    /// Two or more, of different databases.
    pub txs: &'a [Arc<Staged>],
}

/// What is to be done after the server refused.
enum AfterRefusal {
    Again(Error),
    Fail(Error),
}

impl GroupPush<'_> {
    /// Pushes until the server has acknowledged, or it is clear that it will not.
    pub fn run(&self) -> Result<()> {
        let _all = sys::Within::new(commit_ms(self.len()));
        let mut pushes_left = MAX_PUSHES;
        loop {
            pushes_left = pushes_left.saturating_sub(1);
            let lease_ids = self.live_leases()?;
            match self.push(&lease_ids) {
                Ok(()) => return Ok(()),
                Err(AfterRefusal::Again(error)) if pushes_left > 0 => self.pause(&error),
                Err(AfterRefusal::Again(error) | AfterRefusal::Fail(error)) => return Err(error),
            }
        }
    }

    /// The leases, acquired again where they were lost.
    fn live_leases(&self) -> Result<Vec<String>> {
        let mut lease_ids = Vec::with_capacity(self.txs.len());
        for tx in self.txs {
            lease_ids.push(tx.database.live_lease(tx.connection)?);
            tx.database.expect_at(tx.made.base).map_err(|error| self.fail(error))?;
        }
        Ok(lease_ids)
    }

    /// Pushes under one id, until that is answered or decided.
    fn push(&self, lease_ids: &[String]) -> core::result::Result<(), AfterRefusal> {
        let id = random_id().map_err(AfterRefusal::Fail)?;
        let txs: Vec<GroupTx<'_>> = self
            .txs
            .iter()
            .zip(lease_ids)
            .map(|(tx, lease_id)| GroupTx { db: tx.database.name(), lease_id, ltx: &tx.made.file })
            .collect();
        let Some(backend) = self.txs.first().map(|tx| tx.database.backend()) else {
            return Ok(());
        };
        let mut pushes_left = MAX_PUSHES;
        let mut may_be_there = false;
        // Of what there is left, however long the leases took, some is for the outcome.
        let part = sys::Within::new(sys::left_ms().saturating_sub(FENCE_MS));
        loop {
            pushes_left = pushes_left.saturating_sub(1);
            let error = match backend.push_group(&id, &txs) {
                Ok(()) => return Ok(()),
                Err(GroupError::Unknown(error)) => {
                    may_be_there = true;
                    error
                }
                // It did not get there, or what is in front of the server refused it: that tells nothing of
                // one that was pushed before.
                Err(GroupError::Failed(error))
                    if may_be_there || error.kind() == ErrorKind::Away =>
                {
                    error
                }
                // So does one that knows no such call, which the server does.
                Err(GroupError::Unsupported) if may_be_there => {
                    let text =
                        "what is in front of the server knows no commits over several databases";
                    Error::new(ErrorKind::Away, text)
                }
                Err(refused) => return Err(self.judge(refused)),
            };
            if pushes_left == 0 || sys::left_ms() == 0 {
                drop(part);
                return match may_be_there {
                    true => self.have_decided(&id, error),
                    // The server looked at none of them.
                    false => Err(AfterRefusal::Fail(self.fail(error))),
                };
            }
            self.pause(&error);
        }
    }

    /// Bytes of the transactions.
    fn len(&self) -> usize {
        self.txs.iter().map(|tx| tx.made.file.len()).sum()
    }

    /// Before what was pushed is pushed again.
    fn pause(&self, error: &Error) {
        log!(Info, "{}: pushing again: {error}", self.names());
        for tx in self.txs {
            tx.database.traffic().count_retry();
        }
        if let Some(first) = self.txs.first() {
            first.database.backend().traffic(None).count_retry();
        }
        sys::pause_ms(PUSH_PAUSE_MS);
    }

    /// What to do about an answer that refuses.
    fn judge(&self, refused: GroupError) -> AfterRefusal {
        match refused {
            GroupError::Lease(db, error) => {
                for tx in self.txs_of(db.as_ref()) {
                    tx.database.lose_lease();
                }
                AfterRefusal::Again(self.fail(error))
            }
            GroupError::Aborted(error) => AfterRefusal::Again(self.fail(error)),
            GroupError::PosMismatch(error) => {
                let text = format!("{error}; another client has written");
                AfterRefusal::Fail(self.fail(Error::new(ErrorKind::PosMismatch, text)))
            }
            GroupError::Unsupported => {
                let text = "this server can't commit a transaction over several databases \
                            atomically; write to one database a transaction";
                let text = format!("{}: {text}", self.names());
                AfterRefusal::Fail(self.fail(Error::new(ErrorKind::Unsupported, text)))
            }
            GroupError::Unknown(error) | GroupError::Failed(error) => {
                self.txs.iter().for_each(|tx| tx.database.note_refusal(&error));
                AfterRefusal::Fail(self.fail(error))
            }
        }
    }

    /// Nothing answers: has the server decide, which fences off what may still be on its way.
    fn have_decided(&self, id: &str, error: Error) -> core::result::Result<(), AfterRefusal> {
        let backend = self.txs.first().map(|tx| tx.database.backend());
        match backend.map(|backend| backend.abort_group(id)) {
            Some(Ok(GroupOutcome::Committed)) => Ok(()),
            Some(Ok(GroupOutcome::Aborted)) => Err(AfterRefusal::Fail(self.fail(error))),
            Some(Err(_)) | None => {
                self.txs.iter().for_each(|tx| tx.database.state().in_doubt = true);
                Err(AfterRefusal::Fail(outcome_unknown(&self.fail(error))))
            }
        }
    }

    /// An error after which the next transactions look where the server is. It begins with the names.
    fn fail(&self, error: Error) -> Error {
        for tx in self.txs {
            tx.database.state().distrusted = true;
        }
        if self.txs.iter().any(|tx| tx.database.is_named_by(&error)) {
            return error;
        }
        Error::new(error.kind(), format!("{}: {error}", self.names()))
    }

    /// The transactions of a database, or all of them.
    fn txs_of<'b>(&'b self, db: Option<&'b DbName>) -> impl Iterator<Item = &'b Arc<Staged>> {
        self.txs.iter().filter(move |tx| db.is_none_or(|db| db == Database::name(&tx.database)))
    }

    fn names(&self) -> String {
        let mut names = String::new();
        for (i, tx) in self.txs.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            let _ = write!(names, "{comma}{}", tx.database.name());
        }
        names
    }
}

fn random_id() -> Result<String> {
    let mut bytes = [0; 16];
    if !sys::random_bytes(&mut bytes) {
        let text =
            "the system has no random bytes for the id of a transaction over several databases";
        return Err(Error::new(ErrorKind::Local, text));
    }
    Ok(hex::of_bytes(&bytes))
}
