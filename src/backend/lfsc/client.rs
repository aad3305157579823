//! The backend's methods as calls of the API.

use super::dialect::Dialect;
use super::exchange::{Call, Exchange, Failure};
use super::lease_requests::{Unanswered, new_name};
use super::opening;
use super::pages::{Asker, decode_whole, pages_call};
use super::snapshot;
use super::wire::{
    GroupResponse, LeaseResponse, SyncResponse, group_header, max_sync_answer_len, sync_request,
};
use crate::backend::traffic::Traffic;
use crate::backend::{
    Backend, Change, Granted, GroupError, GroupOutcome, GroupTx, MAX_PAGES_PER_REQUEST, Moment,
    Opening, Page, PageList, PageStream, PushError, Pushed,
};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::http::{Method, Response, Transport};
use crate::peer::{field, said};
use crate::types::{DbName, PageSize, Pgno, Pos};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Time for a push: a fixed part and, for large ones, what a slow line needs.
const PUSH_TIMEOUT_MS: u64 = 15_000;
const PUSH_BYTES_PER_MS: u64 = 256;
/// What a transaction says is refused with one of these. Its length or the token are not.
const BAD_REQUEST: u16 = 400;
const UNPROCESSABLE: u16 = 422;
/// A lease is refused with this status, whatever the code.
const CONFLICT: u16 = 409;
/// How many other clients wait for the lease.
const LEASE_WAITERS: &str = "Lfsc-Lease-Waiters";
/// For how many ms a commit has prolonged the lease.
const LEASE_DURATION: &str = "Lfsc-Lease-Duration";

/// A LiteFS Cloud server.
pub struct LfscClient {
    exchange: Arc<Exchange>,
    dialect: Arc<Dialect>,
    unanswered: Unanswered,
}

impl LfscClient {
    /// The client for the server of the configuration.
    pub fn new(config: Config, transport: Box<dyn Transport>) -> LfscClient {
        let exchange = Arc::new(Exchange::new(config, transport));
        LfscClient { exchange, dialect: Arc::default(), unanswered: Unanswered::default() }
    }

    fn call(&self, call: Call) -> Result<Vec<u8>> {
        self.exchange.call(call).map_err(|failure| failure.error)
    }

    fn lease_call(&self, method: Method, db: &DbName) -> Call<'static> {
        Call::new(method, "/lease").with_db(db)
    }

    /// The lease that an answer grants.
    fn granted(&self, answer: &Response) -> Result<Granted> {
        let pos = self.dialect.pos_of(answer);
        let answer: LeaseResponse = self.exchange.json("POST /lease", &answer.body)?;
        if !field::is_id(&answer.id) {
            return Err(self.exchange.bad_answer("POST /lease", "the lease id is unusable"));
        }
        Ok(Granted { id: answer.id, pos })
    }
}

impl Backend for LfscClient {
    fn host(&self) -> &str {
        self.exchange.host()
    }

    fn changes(&self, since: &[(DbName, Pos)], hurry: bool) -> Result<Vec<Change>> {
        const WHAT: &str = "POST /sync";
        let body = sync_request(since);
        let headers = [("Content-Type", "application/json".to_string())].into();
        let call = Call {
            body: body.as_bytes(),
            headers,
            max_answer_len: max_sync_answer_len(since.len()),
            about: since.iter().map(|(db, _)| db.clone()).collect(),
            ..Call::new(Method::Post, "/sync").in_a_hurry(hurry)
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
        let mut stream = self.stream(db, pos, None, pgnos.iter().copied().collect())?;
        let mut pages = Vec::with_capacity(pgnos.len());
        let mut page = Vec::new();
        while let Some(pgno) = stream.next(&mut page)? {
            pages.push((pgno, core::mem::take(&mut page)));
        }
        Ok(pages)
    }

    fn open(&self, db: &DbName, since: Pos, max_len: u32, hurry: bool) -> Result<Option<Opening>> {
        opening::open(&self.exchange, &self.dialect, db, since, max_len, hurry)
    }

    fn has_bulk(&self) -> bool {
        self.dialect.has_frames()
    }

    fn has_commit_ids(&self) -> bool {
        self.dialect.has_commit_ids()
    }

    fn stream(
        &self,
        db: &DbName,
        pos: Pos,
        page_size: Option<PageSize>,
        pages: PageList,
    ) -> Result<Box<dyn PageStream>> {
        let asker = Asker {
            exchange: Arc::clone(&self.exchange),
            dialect: Arc::clone(&self.dialect),
            db: db.clone(),
            pos,
            page_size,
        };
        asker.ask(pages)
    }

    fn page1_then(&self, db: &DbName, moment: &Moment) -> Result<(Pos, Vec<u8>)> {
        let page1 = PageList::from_iter([Pgno::ONE]);
        let call = pages_call(db, &page1);
        let call = match moment {
            Moment::Txid(txid) => call.with("txid", txid),
            Moment::Time(time) => call.with("timestamp", time),
        };
        let response = self.exchange.answer(call).map_err(moment_error)?;
        let pos = self.dialect.pos_of(&response);
        let pos = pos.filter(|pos| !pos.is_empty()).ok_or_else(|| {
            let why = "the answer names no position; the server knows no past";
            self.exchange.bad_answer("GET /db/page", why)
        })?;
        let mut pages = decode_whole(&self.exchange, &self.dialect, &page1, response)?;
        Ok((pos, pages.pop().map(|(_, page)| page).unwrap_or_default()))
    }

    fn size_pages(&self, db: &DbName, pos: Pos) -> Result<u32> {
        snapshot::size_pages(&self.exchange, db, pos)
    }

    fn push(
        &self,
        db: &DbName,
        ltx: &[u8],
        lease_id: &str,
    ) -> core::result::Result<Pushed, PushError> {
        let mut call = push_call("/db/tx", ltx);
        call.headers.push(("Lfsc-Lease-Id", lease_id.to_string()));
        match self.exchange.answer(call.with_db(db)) {
            Ok(answer) => Ok(pushed(&answer)),
            Err(failure) => Err(push_error(failure)),
        }
    }

    fn push_group(&self, id: &str, txs: &[GroupTx<'_>]) -> core::result::Result<(), GroupError> {
        let mut body = group_header(id, txs).into_bytes();
        for tx in txs {
            body.extend_from_slice(tx.ltx);
        }
        let about = txs.iter().map(|tx| tx.db.clone()).collect();
        match self.exchange.call(Call { about, ..push_call("/db/group", &body) }) {
            Ok(_) => Ok(()),
            Err(failure) => Err(group_error(failure)),
        }
    }

    fn abort_group(&self, id: &str) -> Result<GroupOutcome> {
        const WHAT: &str = "DELETE /db/group";
        let body = self.call(Call::new(Method::Delete, "/db/group").with("id", &id))?;
        let answer: GroupResponse = self.exchange.json(WHAT, &body)?;
        match answer.outcome.as_str() {
            "committed" => Ok(GroupOutcome::Committed),
            "aborted" => Ok(GroupOutcome::Aborted),
            other => {
                let shown = said::clean(other, 40);
                Err(self.exchange.bad_answer(WHAT, &format!("'{shown}' is no outcome")))
            }
        }
    }

    fn acquire_lease(
        &self,
        db: &DbName,
        duration_ms: u64,
        waiter: Option<&str>,
    ) -> Result<Granted> {
        loop {
            let kept = self.unanswered.take(db);
            let is_kept = kept.is_some();
            let name = kept.or_else(new_name);
            let mut call = self.lease_call(Method::Post, db).with("duration", &duration_ms);
            let parts = [("waiter", waiter), ("request", name.as_deref())];
            for (key, value) in parts {
                if let Some(value) = value {
                    call = call.with(key, &value);
                }
            }
            let failure = match self.exchange.answer(call) {
                Ok(answer) => return self.granted(&answer),
                Err(failure) => failure,
            };
            let is_answered = failure.status != 0 && !failure.maybe_applied && !failure.is_refused;
            if let (Some(name), false) = (name, is_answered) {
                self.unanswered.keep(db, name);
            }
            let is_refused = failure.is_refused;
            let error = lease_error(failure);
            // What was granted under the name is over by now, or never was.
            if is_kept && is_answered && error.kind() == ErrorKind::LeaseHeld {
                continue;
            }
            return Err(match is_refused {
                true => Error::new(ErrorKind::LeaseHeld, error.message()),
                false => error,
            });
        }
    }

    fn refresh_lease(&self, db: &DbName, lease_id: &str, duration_ms: u64) -> Result<u32> {
        let call = self.lease_call(Method::Post, db);
        let call = call.with("duration", &duration_ms).with("id", &lease_id);
        let answer = self.exchange.answer(call).map_err(lease_error)?;
        Ok(waiters(&answer))
    }

    fn release_lease(&self, db: &DbName, lease_id: &str) -> Result<()> {
        match self.exchange.call(self.lease_call(Method::Delete, db).with("id", &lease_id)) {
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

/// What the server says of a moment that it does not know, or can't make out.
fn moment_error(failure: Failure) -> Error {
    match failure.code.as_str() {
        "ENODB" | "ENOTXID" | "ENOTIMESTAMP" | "EBADINPUT" => {
            Error::new(ErrorKind::NotFound, failure.error.message())
        }
        _ => failure.error,
    }
}

fn push_call<'a>(path: &'static str, body: &'a [u8]) -> Call<'a> {
    let len = u64::try_from(body.len()).unwrap_or(u64::MAX);
    Call {
        body,
        timeout_ms: PUSH_TIMEOUT_MS.saturating_add(len / PUSH_BYTES_PER_MS),
        repeatable: false,
        ..Call::new(Method::Post, path)
    }
}

fn group_error(failure: Failure) -> GroupError {
    if failure.is_unknown_call() && failure.db.is_none() {
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

/// What the answer to a push tells. Servers of other makes do not prolong the lease.
fn pushed(answer: &Response) -> Pushed {
    let lease_ms = answer.header(LEASE_DURATION).and_then(|ms| ms.trim().parse().ok());
    Pushed { waiters: waiters(answer), lease_ms }
}

fn push_error(failure: Failure) -> PushError {
    let kind = failure.error.kind();
    if failure.code == "EPOSMISMATCH" {
        PushError::PosMismatch(failure.error)
    } else if failure.is_about_lease() {
        PushError::Lease(failure.error)
    } else if failure.maybe_applied || kind == ErrorKind::BadAnswer {
        PushError::Unknown(failure.error)
    } else if kind == ErrorKind::Refused && matches!(failure.status, BAD_REQUEST | UNPROCESSABLE) {
        PushError::Failed(Error::new(ErrorKind::BadContent, failure.error.message()))
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
