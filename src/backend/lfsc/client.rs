//! The backend's methods as calls of the API.

use super::base64;
use super::exchange::{Call, Exchange, Failure};
use super::wire::{
    GroupResponse, LeaseResponse, PagesResponse, SyncResponse, group_header, sync_request,
};
use crate::backend::traffic::Traffic;
use crate::backend::{
    Backend, Change, GroupError, GroupOutcome, GroupTx, MAX_PAGES_PER_REQUEST, Moment, Page,
    PushError,
};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::http::{Method, Response, Transport};
use crate::types::{DbName, Pgno, Pos};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Time for an answer with pages.
const PAGES_TIMEOUT_MS: u64 = 15_000;
/// Time for a push: a fixed part and, for large ones, what a slow line needs.
const PUSH_TIMEOUT_MS: u64 = 15_000;
const PUSH_BYTES_PER_MS: u64 = 256;
/// The largest answer to a poll: a list of page numbers of many databases.
const MAX_SYNC_ANSWER_LEN: usize = 64 << 20;
/// The largest answer with one page: 64 KiB in base64, and what is around it.
const MAX_PAGE_ANSWER_LEN: usize = 90_000;
/// A lease is refused with this status, whatever the code.
const CONFLICT: u16 = 409;
/// A server that does not know a call answers so; about a database that it does not have, with a code
/// of its own.
const NOT_FOUND: u16 = 404;
const METHOD_NOT_ALLOWED: u16 = 405;
/// How many other clients wait for the lease.
const LEASE_WAITERS: &str = "Lfsc-Lease-Waiters";
/// The longest lease id to take.
const MAX_LEASE_ID_LEN: usize = 128;

/// A LiteFS Cloud server.
pub struct LfscClient {
    exchange: Exchange,
}

impl LfscClient {
    /// The client for the server of the configuration.
    pub fn new(config: Config, transport: Box<dyn Transport>) -> LfscClient {
        LfscClient { exchange: Exchange::new(config, transport) }
    }

    fn call(&self, call: Call) -> Result<Vec<u8>> {
        self.exchange.call(call).map_err(|failure| failure.error)
    }

    fn decode_pages(&self, asked: &[Pgno], body: &[u8]) -> Result<Vec<Page>> {
        const WHAT: &str = "GET /db/page";
        let answer: PagesResponse = self.exchange.json(WHAT, body)?;
        let mut missing = asked.to_vec();
        let mut pages = Vec::with_capacity(asked.len());
        for page in answer.pages {
            let at = missing.iter().position(|pgno| pgno.get() == page.pgno);
            let pgno = at.map(|at| missing.swap_remove(at)).ok_or_else(|| {
                let why = format!("the answer has page {}, which was not asked for", page.pgno);
                self.exchange.bad_answer(WHAT, &why)
            })?;
            let data = base64::decode(&page.data).ok_or_else(|| {
                self.exchange.bad_answer(WHAT, &format!("page {pgno} is not base64"))
            })?;
            pages.push((pgno, data));
        }
        match missing.first() {
            Some(pgno) => Err(self.exchange.bad_answer(WHAT, &format!("page {pgno} is missing"))),
            None => Ok(pages),
        }
    }

    fn lease_call(&self, method: Method, db: &DbName) -> Call {
        Call::new(method, "/lease").with_db(db)
    }
}

impl Backend for LfscClient {
    fn host(&self) -> &str {
        self.exchange.host()
    }

    fn changes(&self, since: &[(DbName, Pos)]) -> Result<Vec<Change>> {
        const WHAT: &str = "POST /sync";
        let body = sync_request(since).into_bytes();
        let headers = [("Content-Type", "application/json".to_string())].into();
        let call = Call {
            body,
            headers,
            max_answer_len: MAX_SYNC_ANSWER_LEN,
            about: since.iter().map(|(db, _)| db.clone()).collect(),
            ..Call::new(Method::Post, "/sync")
        };
        let answer: SyncResponse = self.exchange.json(WHAT, &self.call(call)?)?;
        let change = |(db, pos): &(DbName, Pos)| {
            let bad = || self.exchange.bad_answer(WHAT, &format!("{db}: not a position"));
            answer.change(db, *pos).ok_or_else(bad)
        };
        since.iter().map(change).collect()
    }

    fn pages(&self, db: &DbName, pos: Pos, pgnos: &[Pgno]) -> Result<Vec<Page>> {
        debug_assert!(pgnos.len() <= MAX_PAGES_PER_REQUEST as usize);
        let body = self.call(pages_call(db, pgnos).with("pos", pos))?;
        self.decode_pages(pgnos, &body)
    }

    fn page1_then(&self, db: &DbName, moment: &Moment) -> Result<(Pos, Vec<u8>)> {
        let call = pages_call(db, &[Pgno::ONE]);
        let call = match moment {
            Moment::Txid(txid) => call.with("txid", txid),
            Moment::Time(time) => call.with("timestamp", time),
        };
        let response = self.exchange.answer(call).map_err(moment_error)?;
        let pos = response.header("Litevfs-Pos").and_then(|pos| pos.trim().parse().ok());
        let pos = pos.filter(|pos: &Pos| !pos.is_empty()).ok_or_else(|| {
            let why = "the answer names no position; the server knows no past";
            self.exchange.bad_answer("GET /db/page", why)
        })?;
        let mut pages = self.decode_pages(&[Pgno::ONE], &response.body)?;
        Ok((pos, pages.pop().map(|(_, page)| page).unwrap_or_default()))
    }

    fn push(
        &self,
        db: &DbName,
        ltx: &[u8],
        lease_id: &str,
    ) -> core::result::Result<u32, PushError> {
        let mut call = push_call("/db/tx", ltx.to_vec());
        call.headers.push(("Lfsc-Lease-Id", lease_id.to_string()));
        match self.exchange.answer(call.with_db(db)) {
            Ok(answer) => Ok(waiters(&answer)),
            Err(failure) => Err(push_error(failure)),
        }
    }

    fn push_group(&self, id: &str, txs: &[GroupTx<'_>]) -> core::result::Result<(), GroupError> {
        let mut body = group_header(id, txs).into_bytes();
        for tx in txs {
            body.extend_from_slice(tx.ltx);
        }
        let about = txs.iter().map(|tx| tx.db.clone()).collect();
        match self.exchange.call(Call { about, ..push_call("/db/group", body) }) {
            Ok(_) => Ok(()),
            Err(failure) => Err(group_error(failure)),
        }
    }

    fn abort_group(&self, id: &str) -> Result<GroupOutcome> {
        const WHAT: &str = "DELETE /db/group";
        let body = self.call(Call::new(Method::Delete, "/db/group").with("id", id))?;
        let answer: GroupResponse = self.exchange.json(WHAT, &body)?;
        match answer.outcome.as_str() {
            "committed" => Ok(GroupOutcome::Committed),
            "aborted" => Ok(GroupOutcome::Aborted),
            other => {
                let shown: String = other.chars().take(40).collect();
                Err(self.exchange.bad_answer(WHAT, &format!("'{shown}' is no outcome")))
            }
        }
    }

    fn acquire_lease(&self, db: &DbName, duration_ms: u64, waiter: Option<&str>) -> Result<String> {
        let mut call = self.lease_call(Method::Post, db).with("duration", duration_ms);
        if let Some(waiter) = waiter {
            call = call.with("waiter", waiter);
        }
        let answer =
            self.exchange.answer(Call { repeatable: false, ..call }).map_err(lease_error)?;
        let answer: LeaseResponse = self.exchange.json("POST /lease", &answer.body)?;
        let usable = (1..=MAX_LEASE_ID_LEN).contains(&answer.id.len())
            && answer.id.bytes().all(|b| b.is_ascii_graphic());
        if !usable {
            return Err(self.exchange.bad_answer("POST /lease", "the lease id is unusable"));
        }
        Ok(answer.id)
    }

    fn refresh_lease(&self, db: &DbName, lease_id: &str, duration_ms: u64) -> Result<u32> {
        let call = self.lease_call(Method::Post, db);
        let call = call.with("duration", duration_ms).with("id", lease_id);
        let answer =
            self.exchange.answer(Call { repeatable: false, ..call }).map_err(lease_error)?;
        Ok(waiters(&answer))
    }

    fn release_lease(&self, db: &DbName, lease_id: &str) -> Result<()> {
        match self.exchange.call(self.lease_call(Method::Delete, db).with("id", lease_id)) {
            Ok(_) => Ok(()),
            Err(failure) if failure.error.kind() == ErrorKind::Refused => Ok(()),
            Err(failure) => Err(failure.error),
        }
    }

    fn traffic(&self, db: Option<&DbName>) -> Arc<Traffic> {
        let ledger = &self.exchange.ledger;
        db.map_or_else(|| ledger.total(), |db| ledger.of_database(db))
    }
}

fn pages_call(db: &DbName, pgnos: &[Pgno]) -> Call {
    let list = pgnos.iter().map(|pgno| pgno.to_string()).collect::<Vec<_>>().join(",");
    let call = Call {
        timeout_ms: PAGES_TIMEOUT_MS,
        max_answer_len: pgnos.len().saturating_mul(MAX_PAGE_ANSWER_LEN),
        ..Call::new(Method::Get, "/db/page")
    };
    call.with_db(db).with("pgno", list)
}

/// What the server says of a moment that it does not know, or can't make out.
fn moment_error(failure: Failure) -> Error {
    match failure.code.as_str() {
        "ENODB" | "ENOTXID" | "ENOTIMESTAMP" | "EBADINPUT" => {
            Error::new(ErrorKind::NotFound, failure.error.message())
        }
        _ => failure.error,
    }
}

fn push_call(path: &'static str, body: Vec<u8>) -> Call {
    let len = u64::try_from(body.len()).unwrap_or(u64::MAX);
    Call {
        headers: [("Content-Type", "application/octet-stream".to_string())].into(),
        body,
        timeout_ms: PUSH_TIMEOUT_MS.saturating_add(len / PUSH_BYTES_PER_MS),
        repeatable: false,
        ..Call::new(Method::Post, path)
    }
}

fn group_error(failure: Failure) -> GroupError {
    let is_unknown_call = failure.status == METHOD_NOT_ALLOWED
        || failure.status == NOT_FOUND && matches!(failure.code.as_str(), "" | "ENOTFOUND");
    if is_unknown_call && failure.db.is_none() {
        return GroupError::Unsupported;
    }
    if failure.code == "EGROUPABORTED" {
        return GroupError::Aborted(failure.error);
    }
    let db = failure.db.as_deref().and_then(|db| db.parse().ok());
    match push_error(failure) {
        PushError::Unknown(error) => GroupError::Unknown(error),
        PushError::PosMismatch(error) => GroupError::PosMismatch(error),
        PushError::Lease(error) => GroupError::Lease(db, error),
        PushError::Failed(error) => GroupError::Failed(error),
    }
}

/// How many wait for a lease. Servers of other makes do not tell.
fn waiters(answer: &Response) -> u32 {
    answer.header(LEASE_WAITERS).and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

fn push_error(failure: Failure) -> PushError {
    let kind = failure.error.kind();
    if failure.code == "EPOSMISMATCH" {
        PushError::PosMismatch(failure.error)
    } else if failure.is_about_lease() {
        PushError::Lease(failure.error)
    } else if failure.maybe_applied || kind == ErrorKind::BadAnswer {
        PushError::Unknown(failure.error)
    } else {
        PushError::Failed(failure.error)
    }
}

fn lease_error(failure: Failure) -> Error {
    if failure.is_about_lease() || failure.status == CONFLICT {
        Error::new(ErrorKind::LeaseHeld, failure.error.message())
    } else {
        failure.error
    }
}
