//! One exchange with the server: URL, headers, time limits, retries; and errors that say what happened.

use super::receive::{Counting, NoBody, Received, is_success, receive};
use super::wire::{ErrorResponse, error_of, json};
use crate::backend::traffic::Ledger;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::http::retry::{self, AWAY_MS, Away, Patience, is_overloaded};
use crate::http::retry_after;
use crate::http::{Body, Method, Request, Response, Transport, TransportError};
use crate::peer::{field, said};
use crate::sys::{self, log::log};
use crate::text::percent;
use crate::types::{DbName, Pos};
use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// Which server instance answered, and in a request, which one should.
const INSTANCE_FROM_SERVER: &str = "Lfsc-Instance-Id";
const INSTANCE_TO_SERVER: &str = "fly-force-instance-id";
/// The server's disk is full; nothing was applied.
const INSUFFICIENT_STORAGE: u16 = 507;
/// A server that does not know a call answers so.
const NOT_FOUND: u16 = 404;
const METHOD_NOT_ALLOWED: u16 = 405;
/// Our server's code for more requests than it takes, which it has before anything looks at one.
const RATE_LIMIT: &str = "ERATELIMIT";
/// Time for all of a call that is not about pages: as long as a server may be away, and an answer.
const CONTROL_TIMEOUT_MS: u64 = 8_000;
/// The same, and how long a server may be away, where the call can be done without.
const HURRIED_TIMEOUT_MS: u64 = 5_000;
const HURRIED_AWAY_MS: u64 = 400;
/// What to do where nobody named a server.
const NO_HOST: &str = "; LITEFS_CLOUD_HOST is not set, and this service, which is meant then, was \
                       switched off: set it to the URL of your own server";

/// A call of the API.
pub struct Call<'a> {
    /// Method.
    pub method: Method,
    /// Path below the base URL.
    pub path: &'static str,
    /// Query, values not yet encoded.
    pub query: Vec<(&'static str, String)>,
    /// Header fields beside the common ones.
    pub headers: Vec<(&'static str, String)>,
    /// Body; empty for none.
    pub body: &'a [u8],
    /// Time for all tries together.
    pub timeout_ms: u64,
    /// Bytes of the largest answer.
    pub max_answer_len: usize,
    /// Whether sending it twice does no harm.
    pub repeatable: bool,
    /// For how long the server may be away.
    pub away_ms: u64,
    /// The databases that it counts for.
    pub about: Vec<DbName>,
}

impl<'a> Call<'a> {
    /// A repeatable call with an empty body, the time of a control call and a small answer.
    pub fn new(method: Method, path: &'static str) -> Call<'a> {
        Call {
            method,
            path,
            query: Vec::new(),
            headers: Vec::new(),
            body: &[],
            timeout_ms: CONTROL_TIMEOUT_MS,
            max_answer_len: 1 << 20,
            repeatable: true,
            away_ms: AWAY_MS,
            about: Vec::new(),
        }
    }

    /// Says which database it is about.
    pub fn with_db(mut self, db: &DbName) -> Call<'a> {
        self.about.push(db.clone());
        self.with("db", db)
    }

    /// Where it goes on without an answer, a server that is away is not waited for.
    pub fn in_a_hurry(self, hurry: bool) -> Call<'a> {
        match hurry {
            true => Call { timeout_ms: HURRIED_TIMEOUT_MS, away_ms: HURRIED_AWAY_MS, ..self },
            false => self,
        }
    }

    /// Adds the position that it is about.
    pub fn at(self, pos: Pos) -> Call<'a> {
        let call = self.with("pos", &pos);
        match pos.commit_id.is_set() {
            true => call.with("commit_id", &pos.commit_id),
            false => call,
        }
    }

    /// Adds a query parameter.
    pub fn with(mut self, name: &'static str, value: &dyn fmt::Display) -> Call<'a> {
        self.query.push((name, value.to_string()));
        self
    }
}

/// Why a call has no good answer.
pub struct Failure {
    /// For people and for the result code.
    pub error: Error,
    /// The server's error code, `EPOSMISMATCH` for one; empty when there was none.
    pub code: String,
    /// The database of several that it is about, if the server told.
    pub db: Option<String>,
    /// The answer's status; 0 when there was no answer.
    pub status: u16,
    /// Whether the server may have acted on the request.
    pub maybe_applied: bool,
    /// Whether our server is there and did not look at the request: it had enough of them.
    pub is_refused: bool,
}

impl Failure {
    /// Whether it is about the lease: held by another, gone or too old, in the codes of our server and
    /// of others.
    pub fn is_about_lease(&self) -> bool {
        self.code.starts_with("ELEASE") || self.code == "ENOLEASE"
    }

    /// Whether the server does not know the call. About a database that it does not have, it answers
    /// with a code of its own.
    pub fn is_unknown_call(&self) -> bool {
        self.status == METHOD_NOT_ALLOWED
            || self.status == NOT_FOUND && matches!(self.code.as_str(), "" | "ENOTFOUND")
    }
}

/// Talks to one server.
pub struct Exchange {
    transport: Box<dyn Transport>,
    config: Config,
    instance: sys::Mutex<Option<String>>,
    away: Away,
    /// What was sent and received.
    pub ledger: Ledger,
}

impl Exchange {
    /// The exchange with the server of the configuration.
    pub fn new(config: Config, transport: Box<dyn Transport>) -> Exchange {
        let (instance, away, ledger) = Default::default();
        Exchange { transport, config, instance, away, ledger }
    }

    /// Calls the server and answers with its body when the status is 200 to 299.
    pub fn call(&self, call: Call) -> core::result::Result<Vec<u8>, Failure> {
        self.answer(call).map(|response| response.body)
    }

    /// The same with the answer's header.
    pub fn answer(&self, call: Call) -> core::result::Result<Response, Failure> {
        let Response { status, headers, body } = self.exchange(call, false)?;
        Ok(Response { status, headers, body: body.bytes })
    }

    /// The same with a body that is read as it comes.
    pub fn open(&self, call: Call) -> core::result::Result<Response<Box<dyn Body>>, Failure> {
        let Response { status, headers, body } = self.exchange(call, true)?;
        Ok(Response { status, headers, body: body.rest.unwrap_or(Box::new(NoBody)) })
    }

    /// Calls the server; an answer that is no success is a failure.
    fn exchange(
        &self,
        call: Call,
        is_streamed: bool,
    ) -> core::result::Result<Response<Received>, Failure> {
        let what = format!("{} {}", call.method, call.path);
        let started = sys::Tick::now();
        let outcome = match self.outcome(call, is_streamed) {
            Ok(response) if is_success(response.status) => {
                self.remember_instance(&response);
                Ok(response)
            }
            Ok(response) => Err(self.refusal(&what, &response)),
            Err(error) => Err(self.no_answer(&what, error)),
        };
        match &outcome {
            Ok(response) => {
                let len = response.body.bytes.len();
                log!(Debug, "{what}: ok, {len} bytes, {} ms", started.age_ms());
            }
            Err(failure) => log!(Debug, "{what}: {}, {} ms", failure.error, started.age_ms()),
        }
        outcome
    }

    /// Sends a call, again if that may help and does no harm.
    fn outcome(
        &self,
        call: Call,
        is_streamed: bool,
    ) -> core::result::Result<Response<Received>, TransportError> {
        let Call { repeatable, away_ms, .. } = call;
        let patience = Patience { repeatable, away_ms, away: &self.away };
        let counters = self.ledger.counters(&call.about);
        let transport = Counting::new(&*self.transport, counters);
        let request = Request { is_streamed, ..self.request(call) };
        // A browser takes no time for any time.
        if request.timeout_ms == 0 {
            let reason = "no time was left to ask".to_string();
            return Err(TransportError { maybe_sent: false, retryable: true, reason });
        }
        let send = |request: &Request| receive(&transport, request);
        retry::repeat(request, patience, send, |request| {
            self.forget_instance();
            request.headers.retain(|(name, _)| *name != INSTANCE_TO_SERVER);
        })
    }

    /// Host and port of the server.
    pub fn host(&self) -> &str {
        &self.config.base_url.authority
    }

    fn request<'a>(&self, call: Call<'a>) -> Request<'a> {
        let mut url = self.config.base_url.to_string();
        url.push_str(call.path);
        let cluster = self.config.cluster.as_ref().map(|name| ("cluster", name.to_string()));
        for (i, (name, value)) in call.query.into_iter().chain(cluster).enumerate() {
            url.push(if i == 0 { '?' } else { '&' });
            url.push_str(name);
            url.push('=');
            percent::encode(&value, &mut url);
        }
        // No field that nobody needs: they go with every commit, which may be smaller.
        let mut headers = call.headers;
        headers.push(("Authorization", self.config.token.reveal().to_owned()));
        if let Some(instance) = &*self.instance.lock() {
            headers.push((INSTANCE_TO_SERVER, instance.clone()));
        }
        Request {
            method: call.method,
            url,
            headers,
            body: call.body,
            timeout_ms: call.timeout_ms.min(sys::left_ms()),
            max_answer_len: call.max_answer_len,
            is_streamed: false,
        }
    }

    /// The failure for an answer that did not come.
    pub fn no_answer(&self, what: &str, error: TransportError) -> Failure {
        self.forget_instance();
        let kind = match error.retryable {
            _ if sys::is_interrupted() => ErrorKind::Interrupted,
            true => ErrorKind::Away,
            false => ErrorKind::BadAnswer,
        };
        let mut text = format!("{}: {what}: {}", self.host(), error.reason);
        text.push_str(self.no_host());
        Failure {
            error: Error::new(kind, text),
            code: String::new(),
            db: None,
            status: 0,
            maybe_applied: error.maybe_sent,
            is_refused: false,
        }
    }

    fn no_host(&self) -> &'static str {
        if self.config.is_default_host { NO_HOST } else { "" }
    }

    /// What an answer that says no is about. Without an error code it is not the server's, and what it
    /// says is worth less than what its status means.
    fn explain(
        &self,
        what: &str,
        status: u16,
        location: Option<&str>,
        told: &ErrorResponse,
    ) -> String {
        let mut text = format!("{}: {what}: status {status}", self.host());
        let is_front = told.code.is_none();
        let location = location.filter(|_| is_front).map(|location| said::clean(location, 100));
        let (before, after) = if is_front { (" (", ")") } else { (" ", "") };
        for part in [&told.code, &told.db, &told.error, &location].into_iter().flatten() {
            if !part.is_empty() {
                let part = part.replace(self.config.token.reveal(), "(token)");
                for piece in [before, &part, after] {
                    text.push_str(piece);
                }
            }
        }
        if is_front {
            for piece in [said::NOT_THE_SERVER, said::of_a_front(status), self.no_host()] {
                text.push_str(piece);
            }
        }
        text
    }

    /// The failure for an answer that says no.
    fn refusal(&self, what: &str, answer: &Response<Received>) -> Failure {
        let (status, told) = (answer.status, error_of(&answer.body.bytes));
        let mut text = self.explain(what, status, answer.header("Location"), &told);
        let (code, db) = (told.code.unwrap_or_default(), told.db);
        let is_refused = code == RATE_LIMIT || retry_after::told(answer).is_refused;
        let fail = |kind, code, maybe_applied, text: String| Failure {
            error: Error::new(kind, text),
            code,
            db,
            status,
            maybe_applied,
            is_refused,
        };
        if status == INSUFFICIENT_STORAGE {
            return fail(ErrorKind::Full, code, false, text);
        }
        if is_overloaded(status) || status >= 500 {
            self.forget_instance();
            return fail(ErrorKind::Away, code, !is_refused, text);
        }
        let (kind, advice) = match (status, code.as_str()) {
            (_, "EPOSMISMATCH") => (ErrorKind::PosMismatch, "; run the transaction again"),
            (401 | 403, code) if !code.is_empty() => {
                (ErrorKind::Refused, "; check token and cluster, LITEFS_CLOUD_... or in the URI")
            }
            _ => (ErrorKind::Refused, ""),
        };
        text.push_str(advice);
        fail(kind, code, false, text)
    }

    fn remember_instance(&self, response: &Response<Received>) {
        if let Some(id) = response.header(INSTANCE_FROM_SERVER).filter(|id| field::is_id(id)) {
            let mut instance = self.instance.lock();
            if instance.as_deref() != Some(id) {
                *instance = Some(id.to_owned());
            }
        }
    }

    fn forget_instance(&self) {
        *self.instance.lock() = None;
    }

    /// The error for an answer that makes no sense.
    pub fn bad_answer(&self, what: &str, why: &str) -> Error {
        let host = self.host();
        let text = format!("{host}: {what}: {why}; is that a LiteFS Cloud server?");
        Error::new(ErrorKind::BadAnswer, text)
    }

    /// The answer's JSON.
    pub fn json<T: miniserde::Deserialize>(&self, what: &str, body: &[u8]) -> Result<T> {
        json(body).ok_or_else(|| self.bad_answer(what, "the answer is not the JSON it should be"))
    }
}

#[cfg(test)]
#[path = "exchange_tests.rs"]
mod tests;
