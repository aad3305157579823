//! One exchange with the server: URL, headers, time limits, retries; and errors that say what happened.

use super::wire::{error_of, json};
use crate::backend::traffic::{Ledger, Traffic};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::http::retry::{self, is_overloaded};
use crate::http::{Body, MAX_ERROR_LEN, Method, Request, Response, Transport, TransportError};
use crate::sys::{self, log::log};
use crate::types::DbName;
use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Write as _;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Which server instance answered, and in a request, which one should.
const INSTANCE_FROM_SERVER: &str = "Lfsc-Instance-Id";
const INSTANCE_TO_SERVER: &str = "fly-force-instance-id";
/// The server's disk is full; nothing was applied.
const INSUFFICIENT_STORAGE: u16 = 507;
/// A server that does not know a call answers so.
const NOT_FOUND: u16 = 404;
const METHOD_NOT_ALLOWED: u16 = 405;
/// The longest instance id to repeat.
const MAX_INSTANCE_LEN: usize = 128;

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
            timeout_ms: 5_000,
            max_answer_len: 1 << 20,
            repeatable: true,
            about: Vec::new(),
        }
    }

    /// Says which database it is about.
    pub fn with_db(mut self, db: &DbName) -> Call<'a> {
        self.about.push(db.clone());
        self.with("db", db)
    }

    /// Adds a query parameter.
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Call<'a> {
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
    /// What was sent and received.
    pub ledger: Ledger,
}

impl Exchange {
    /// The exchange with the server of the configuration.
    pub fn new(config: Config, transport: Box<dyn Transport>) -> Exchange {
        Exchange { transport, config, instance: sys::Mutex::new(None), ledger: Ledger::default() }
    }

    /// Calls the server and answers with its body when the status is 200 to 299.
    pub fn call(&self, call: Call) -> core::result::Result<Vec<u8>, Failure> {
        self.answer(call).map(|response| response.body)
    }

    /// The same with the answer's header.
    pub fn answer(&self, call: Call) -> core::result::Result<Response, Failure> {
        let what = format!("{} {}", call.method, call.path);
        let started = sys::Tick::now();
        let outcome = match self.outcome(call, |transport, request| transport.send(request)) {
            Ok(response) if is_success(response.status) => {
                self.remember_instance(&response);
                Ok(response)
            }
            Ok(response) => Err(self.refusal(&what, response.status, &response.body)),
            Err(error) => Err(self.no_answer(&what, error)),
        };
        match &outcome {
            Ok(response) => {
                let len = response.body.len();
                log!(Debug, "{what}: ok, {len} bytes, {} ms", started.age_ms());
            }
            Err(failure) => log!(Debug, "{what}: {}, {} ms", failure.error, started.age_ms()),
        }
        outcome
    }

    /// The same with a body that is read as it comes.
    pub fn open(&self, call: Call) -> core::result::Result<Response<Box<dyn Body>>, Failure> {
        let what = format!("{} {}", call.method, call.path);
        let started = sys::Tick::now();
        let timeout_ms = call.timeout_ms;
        // What an answer says that is an error is read at once, so that the connection can be kept.
        let open = |transport: &Counting<'_>, request: &Request| {
            let Response { status, headers, mut body } = transport.open(request)?;
            let told =
                if is_success(status) { Vec::new() } else { read_error(&mut *body, timeout_ms) };
            Ok(Response { status, headers, body: (body, told) })
        };
        let outcome = match self.outcome(call, open) {
            Ok(response) if is_success(response.status) => {
                self.remember_instance(&response);
                let Response { status, headers, body: (body, _) } = response;
                Ok(Response { status, headers, body })
            }
            Ok(response) => Err(self.refusal(&what, response.status, &response.body.1)),
            Err(error) => Err(self.no_answer(&what, error)),
        };
        match &outcome {
            Ok(_) => log!(Debug, "{what}: ok, it begins after {} ms", started.age_ms()),
            Err(failure) => log!(Debug, "{what}: {}, {} ms", failure.error, started.age_ms()),
        }
        outcome
    }

    /// Sends a call, again if that may help and does no harm.
    fn outcome<B>(
        &self,
        call: Call,
        send: impl Fn(&Counting<'_>, &Request) -> core::result::Result<Response<B>, TransportError>,
    ) -> core::result::Result<Response<B>, TransportError> {
        let repeatable = call.repeatable;
        let transport = Counting {
            transport: &*self.transport,
            counters: self.ledger.counters(&call.about),
            is_retry: AtomicBool::new(false),
        };
        let request = self.request(call);
        if !repeatable {
            return send(&transport, &request);
        }
        let send = |request: &Request| send(&transport, request);
        retry::repeat(request, send, |request| {
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
            percent_encode(&value, &mut url);
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
            timeout_ms: call.timeout_ms,
            max_answer_len: call.max_answer_len,
        }
    }

    /// The failure for an answer that did not come.
    pub fn no_answer(&self, what: &str, error: TransportError) -> Failure {
        self.forget_instance();
        let kind = if error.retryable { ErrorKind::Away } else { ErrorKind::BadAnswer };
        let text = format!("{}: {what}: {}", self.host(), error.reason);
        Failure {
            error: Error::new(kind, text),
            code: String::new(),
            db: None,
            status: 0,
            maybe_applied: error.maybe_sent,
        }
    }

    /// The failure for an answer that says no.
    fn refusal(&self, what: &str, status: u16, body: &[u8]) -> Failure {
        let host = self.host();
        let told = error_of(body);
        let mut text = format!("{host}: {what}: status {status}");
        for part in [&told.code, &told.db, &told.error].into_iter().flatten() {
            if !part.is_empty() {
                let _ = write!(text, " {part}");
            }
        }
        let mut text = text.replace(self.config.token.reveal(), "(token)");
        let (code, db) = (told.code.unwrap_or_default(), told.db);
        let fail = |kind, code, maybe_applied, text: String| Failure {
            error: Error::new(kind, text),
            code,
            db,
            status,
            maybe_applied,
        };
        if status == INSUFFICIENT_STORAGE {
            return fail(ErrorKind::Full, code, false, text);
        }
        if is_overloaded(status) || status >= 500 {
            self.forget_instance();
            return fail(ErrorKind::Away, code, true, text);
        }
        let (kind, advice) = match (status, code.as_str()) {
            (_, "EPOSMISMATCH") => (ErrorKind::PosMismatch, "; run the transaction again"),
            (401 | 403, _) => {
                (ErrorKind::Refused, "; check token and cluster, LITEFS_CLOUD_... or in the URI")
            }
            (300..=399, _) => (ErrorKind::Refused, "; check LITEFS_CLOUD_HOST, or host in the URI"),
            _ => (ErrorKind::Refused, ""),
        };
        text.push_str(advice);
        fail(kind, code, false, text)
    }

    fn remember_instance<B>(&self, response: &Response<B>) {
        let usable = |id: &&str| {
            (1..=MAX_INSTANCE_LEN).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
        };
        if let Some(id) = response.header(INSTANCE_FROM_SERVER).filter(usable) {
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

/// A transport that counts what goes through it: the tries of one call.
struct Counting<'a> {
    transport: &'a dyn Transport,
    counters: Vec<Arc<Traffic>>,
    is_retry: AtomicBool,
}

impl Transport for Counting<'_> {
    fn open(
        &self,
        request: &Request,
    ) -> core::result::Result<Response<Box<dyn Body>>, TransportError> {
        let is_retry = self.is_retry.swap(true, Relaxed);
        let outcome = self.transport.open(request);
        let maybe_sent = outcome.as_ref().map_or_else(|error| error.maybe_sent, |_| true);
        for traffic in &self.counters {
            if is_retry {
                traffic.count_retry();
            }
            if maybe_sent {
                traffic.count_request(request.body.len());
            }
        }
        let Response { status, headers, body } = outcome?;
        let counters = self.counters.clone();
        Ok(Response { status, headers, body: Box::new(CountedBody { body, counters }) })
    }
}

/// A body whose bytes are counted as they come.
struct CountedBody {
    body: Box<dyn Body>,
    counters: Vec<Arc<Traffic>>,
}

impl Body for CountedBody {
    fn read(
        &mut self,
        bytes: &mut [u8],
        max_wait_ms: u64,
    ) -> core::result::Result<usize, TransportError> {
        let len = self.body.read(bytes, max_wait_ms)?;
        for traffic in &self.counters {
            traffic.count_bytes_in(len);
        }
        Ok(len)
    }
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

/// The body of an error, as far as it comes in time.
fn read_error(body: &mut dyn Body, timeout_ms: u64) -> Vec<u8> {
    let mut bytes = vec![0; MAX_ERROR_LEN];
    let mut len = 0_usize;
    while let Some(rest) = bytes.get_mut(len..).filter(|rest| !rest.is_empty()) {
        match body.read(rest, timeout_ms) {
            Ok(more) if more > 0 => len = len.saturating_add(more),
            _ => break,
        }
    }
    bytes.truncate(len);
    bytes
}

fn percent_encode(text: &str, url: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~,/".contains(&byte) {
            url.push(char::from(byte));
        } else {
            let _ = write!(url, "%{byte:02X}");
        }
    }
}
