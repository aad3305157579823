//! A backend that breaks on purpose: the next calls of a method fail before or after they take effect.

use super::MemoryBackend;
use crate::backend::{
    Backend, Change, ChangedPages, Granted, GroupError, GroupOutcome, GroupTx, Moment, Opening,
    Page, PageList, PageStream, PushError, Pushed,
};
use crate::error::{Error, ErrorKind, Result};
use crate::sys::{self, Mutex};
use crate::types::{DbName, PageSize, Pgno, Pos};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Time for a call, and for one that brings a transaction.
const CALL_MS: u64 = 8_000;
const PUSH_MS: u64 = 15_000;

/// What can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// `Backend::changes`
    Changes,
    /// `Backend::open`
    Open,
    /// `Backend::pages` and `Backend::stream`
    Pages,
    /// `Backend::push`
    Push,
    /// `Backend::push_group`
    PushGroup,
    /// `Backend::abort_group`
    AbortGroup,
}

/// How a call breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing breaks this time.
    Fine,
    /// The request does not arrive.
    Lost,
    /// What answers is in front of the server, and knows no such call.
    UnknownInFront,
    /// The same, and meanwhile the lease runs out at the server.
    LostWithTheLease,
    /// The same, and another client commits before anybody asks.
    LostAndWrittenOver,
    /// The request takes effect, the answer does not arrive.
    AnswerLost,
    /// The same, and another client commits before anybody asks.
    AnswerLostAndWrittenOver,
    /// The same, and the server has merged its files: it can't tell any more that it has this one.
    AnswerLostAndMerged,
    /// The request takes effect, then the lease runs out; and the server can't tell that it has this file.
    AnswerLostAndForgotten,
    /// The answer breaks off after so many pages.
    BrokenOff(u32),
    /// A position is asked for, and a server answers that has not heard of the last commits.
    Behind,
}

/// See the module.
pub struct FaultyBackend {
    /// The server behind the faults.
    pub server: Arc<MemoryBackend>,
    faults: Mutex<Vec<(Operation, Fault)>>,
    is_silent: AtomicBool,
}

impl FaultyBackend {
    /// Without faults.
    pub fn new(server: Arc<MemoryBackend>) -> FaultyBackend {
        let (faults, is_silent) = Default::default();
        FaultyBackend { server, faults, is_silent }
    }

    /// Has every call from now on last for as long as it may, in virtual time, and not be answered.
    pub fn fall_silent(&self) {
        self.is_silent.store(true, Relaxed);
    }

    /// Waits where nothing is answered.
    fn hear(&self, timeout_ms: u64) -> Result<()> {
        if !self.is_silent.load(Relaxed) {
            return Ok(());
        }
        sys::VirtualTime::advance(timeout_ms.min(sys::left_ms()));
        Err(away())
    }

    /// Has the next calls of a method break, one for each entry, whatever comes between them.
    pub fn plan(&self, faults: &[(Operation, Fault)]) {
        self.faults.lock().extend_from_slice(faults);
    }

    fn next(&self, operation: Operation) -> Option<Fault> {
        let mut faults = self.faults.lock();
        let at = faults.iter().position(|(planned, _)| *planned == operation)?;
        Some(faults.remove(at).1)
    }
}

/// An answer that breaks off.
struct BrokenOff {
    whole: Box<dyn PageStream>,
    left: u32,
}

impl PageStream for BrokenOff {
    fn to_come(&self) -> &PageList {
        self.whole.to_come()
    }

    fn next(&mut self, page: &mut Vec<u8>) -> Result<Option<Pgno>> {
        self.left = self.left.checked_sub(1).ok_or_else(away)?;
        self.whole.next(page)
    }
}

fn away() -> Error {
    Error::new(ErrorKind::Away, "the connection was cut")
}

impl Backend for FaultyBackend {
    fn host(&self) -> &str {
        self.server.host()
    }

    fn changes(&self, since: &[(DbName, Pos)], hurry: bool) -> Result<Vec<Change>> {
        self.hear(CALL_MS)?;
        match self.next(Operation::Changes) {
            None => self.server.changes(since, hurry),
            Some(Fault::Behind) => {
                let unchanged = ChangedPages::Some(Vec::new());
                Ok(since
                    .iter()
                    .map(|(_, pos)| Change { pos: *pos, pages: unchanged.clone() })
                    .collect())
            }
            Some(_) => Err(away()),
        }
    }

    fn pages(&self, db: &DbName, pos: Pos, pgnos: &[Pgno]) -> Result<Vec<Page>> {
        match self.next(Operation::Pages) {
            None => self.server.pages(db, pos, pgnos),
            Some(_) => Err(away()),
        }
    }

    fn open(&self, db: &DbName, since: Pos, max_len: u32, hurry: bool) -> Result<Option<Opening>> {
        match self.next(Operation::Open) {
            None => self.server.open(db, since, max_len, hurry),
            Some(_) => Err(away()),
        }
    }

    fn has_bulk(&self) -> bool {
        self.server.has_bulk()
    }

    fn has_commit_ids(&self) -> bool {
        self.server.has_commit_ids()
    }

    fn stream(
        &self,
        db: &DbName,
        pos: Pos,
        page_size: Option<PageSize>,
        pages: PageList,
    ) -> Result<Box<dyn PageStream>> {
        match self.next(Operation::Pages) {
            None => self.server.stream(db, pos, page_size, pages),
            Some(Fault::BrokenOff(left)) => {
                let whole = self.server.stream(db, pos, page_size, pages)?;
                Ok(Box::new(BrokenOff { whole, left }))
            }
            Some(_) => Err(away()),
        }
    }

    fn page1_then(&self, db: &DbName, moment: &Moment) -> Result<(Pos, Vec<u8>)> {
        match self.next(Operation::Pages) {
            None => self.server.page1_then(db, moment),
            Some(_) => Err(away()),
        }
    }

    fn size_pages(&self, db: &DbName, pos: Pos) -> Result<u32> {
        self.server.size_pages(db, pos)
    }

    fn push(&self, db: &DbName, file: &[u8], id: &str) -> core::result::Result<Pushed, PushError> {
        self.hear(PUSH_MS).map_err(PushError::Unknown)?;
        match self.next(Operation::Push) {
            None | Some(Fault::Fine) => self.server.push(db, file, id),
            Some(Fault::LostWithTheLease) => {
                self.server.break_lease(db);
                Err(PushError::Unknown(away()))
            }
            Some(Fault::Lost) => Err(PushError::Unknown(away())),
            Some(fault) => {
                if fault != Fault::LostAndWrittenOver {
                    self.server.push(db, file, id)?;
                }
                if matches!(fault, Fault::AnswerLostAndMerged | Fault::AnswerLostAndForgotten) {
                    self.server.forget_files(db);
                }
                if fault == Fault::AnswerLostAndForgotten {
                    self.server.break_lease(db);
                } else if fault != Fault::AnswerLost {
                    self.server.commit_elsewhere(db, |pages| {
                        pages.entry(Pgno::new(3).unwrap()).and_modify(|page| page.fill(77));
                    });
                    self.server.break_lease(db);
                }
                Err(PushError::Unknown(away()))
            }
        }
    }

    fn push_group(&self, id: &str, txs: &[GroupTx<'_>]) -> core::result::Result<(), GroupError> {
        self.hear(PUSH_MS).map_err(GroupError::Unknown)?;
        match self.next(Operation::PushGroup) {
            None => self.server.push_group(id, txs),
            Some(Fault::Lost) => Err(GroupError::Unknown(away())),
            Some(Fault::UnknownInFront) => Err(GroupError::Unsupported),
            Some(_) => {
                self.server.push_group(id, txs)?;
                Err(GroupError::Unknown(away()))
            }
        }
    }

    fn abort_group(&self, id: &str) -> Result<GroupOutcome> {
        self.hear(CALL_MS)?;
        match self.next(Operation::AbortGroup) {
            None => self.server.abort_group(id),
            Some(Fault::Lost) => Err(away()),
            Some(_) => {
                self.server.abort_group(id)?;
                Err(away())
            }
        }
    }

    fn acquire_lease(
        &self,
        db: &DbName,
        duration_ms: u64,
        waiter: Option<&str>,
    ) -> Result<Granted> {
        self.hear(CALL_MS)?;
        self.server.acquire_lease(db, duration_ms, waiter)
    }

    fn refresh_lease(&self, db: &DbName, lease_id: &str, duration_ms: u64) -> Result<u32> {
        self.hear(CALL_MS)?;
        self.server.refresh_lease(db, lease_id, duration_ms)
    }

    fn release_lease(&self, db: &DbName, lease_id: &str) -> Result<()> {
        self.hear(CALL_MS)?;
        self.server.release_lease(db, lease_id)
    }
}
