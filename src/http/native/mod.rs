//! HTTP/1.1 over connections that are kept for the next request; TLS by rustls with ring.
//!
//! | file | what |
//! | --- | --- |
//! | `dial`, `race` | addresses, and a connection to the first that answers |
//! | `socket` | a connection on which nothing lasts past a deadline |
//! | `tls` | encryption |
//! | `line` | a connection with what was read from it and not yet used |
//! | `pool` | the lines that wait for the next request |
//! | `head`, `body` | the parts of an answer |

mod body;
mod dial;
#[cfg(any(test, fuzzing))]
#[allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#[path = "../../../tests/fuzz/oracles/http/mod.rs"]
pub mod fuzzing;
mod head;
mod line;
mod pool;
mod race;
mod socket;
#[cfg(test)]
mod tests;
#[cfg(feature = "tls")]
mod tls;

use super::proxy::{Proxy, proxy_for};
use super::{Body, Method, Request, Response, Transport, TransportError};
use crate::config::BaseUrl;
use crate::error::{Error, ErrorKind, Result};
use crate::sys;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use body::{LineBody, after_ms};
use core::fmt::Write as _;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use dial::Host;
use head::Head;
use line::{Line, Stream};
use pool::Pool;
use socket::{Socket, lasting, retryable};
use std::time::Instant;
#[cfg(feature = "tls")]
use tls::Tls;

type Outcome<T> = core::result::Result<T, TransportError>;

/// Headers that only announce another one, before an answer.
const MAX_INTERIM_HEADS: usize = 8;
/// How long at least a kept connection may be silent after a request.
const LEAST_PATIENCE_MS: u64 = 800;
/// How long at the most: what has the least time is over after five seconds, and another connection is to
/// answer within that. Where answers take half as long, none is kept: to make one costs little beside that.
const MAX_PATIENCE_MS: u64 = 3_000;
/// What a line takes at least of a body.
const LEAST_BYTES_PER_MS: u64 = 64;
/// Fronts refuse requests of nobody.
const USER_AGENT: &str = concat!("litevfs/", env!("CARGO_PKG_VERSION"));
/// A proxy wants to know who asks.
const PROXY_AUTHENTICATION_REQUIRED: u16 = 407;

/// See the module.
pub struct NativeTransport {
    /// `http[s]://HOST[:PORT]`, what all URLs begin with.
    origin: String,
    authority: String,
    server: Host,
    proxy: Option<(Proxy, Host)>,
    pool: Arc<Pool>,
    /// How long answers took to begin of late: the slowest, which counts for less with each one after.
    usual_ms: AtomicU32,
    /// Made with the first connection: it reads files.
    #[cfg(feature = "tls")]
    tls: sys::Mutex<Option<Arc<rustls::ClientConfig>>>,
}

impl NativeTransport {
    /// The transport to a server, by the proxy that the environment names for it.
    pub fn new(base: &BaseUrl) -> Result<NativeTransport> {
        NativeTransport::with_vars(base, sys::env_var)
    }

    fn with_vars(base: &BaseUrl, var: impl Fn(&str) -> Option<String>) -> Result<NativeTransport> {
        #[cfg(not(feature = "tls"))]
        if base.https {
            let message = "this build has no TLS: \
                           use an http:// URL as host, or a build with the feature `tls`";
            return Err(Error::new(ErrorKind::Config, message));
        }
        let (scheme, port) = if base.https { ("https", 443) } else { ("http", 80) };
        let authority = base.authority.clone();
        let unusable = |what: &str| {
            Error::new(ErrorKind::Config, format!("{what} is not HOST, HOST:PORT or [IPV6]:PORT"))
        };
        let server = Host::new(&authority, port).ok_or_else(|| unusable(&authority))?;
        let proxy = match proxy_for(base, var)? {
            Some(proxy) => {
                let host = Host::new(&proxy.address, proxy.port);
                Some((proxy, host.ok_or_else(|| unusable("the proxy"))?))
            }
            None => None,
        };
        let origin = format!("{scheme}://{authority}");
        Ok(NativeTransport {
            origin,
            authority,
            server,
            proxy,
            pool: Arc::default(),
            usual_ms: AtomicU32::new(0),
            #[cfg(feature = "tls")]
            tls: sys::Mutex::default(),
        })
    }
}

impl Transport for NativeTransport {
    fn open(&self, request: &Request) -> Outcome<Response<Box<dyn Body>>> {
        self.exchange(request).map_err(|error| match &self.proxy {
            Some((proxy, _)) => {
                let reason = format!("by the proxy {}: {}", proxy.address, error.reason);
                TransportError { reason, ..error }
            }
            None => error,
        })
    }
}

impl NativeTransport {
    fn exchange(&self, request: &Request) -> Outcome<Response<Box<dyn Body>>> {
        let deadline = after_ms(request.timeout_ms);
        let head = self.head(request)?;
        let patience_ms = self.patience_ms(request);
        if let Some(patience_ms) = patience_ms
            && let Some(mut line) = self.pool.take()
        {
            let patience = after_ms(patience_ms);
            match self.ask(&mut line, &head, request.body, patience.min(deadline), deadline) {
                Err(error) if error.retryable && !line.has_unused() => {
                    // So, most likely, are the others: nobody is to wait for each of them.
                    self.pool.clear();
                    let is_harmless = request.method == Method::Get || !error.maybe_sent;
                    if !is_harmless || Instant::now() >= deadline {
                        return Err(error);
                    }
                }
                outcome => return self.answer(request, line, outcome?),
            }
        }
        let mut line = self.dial(deadline)?;
        let outcome = self.ask(&mut line, &head, request.body, deadline, deadline);
        self.answer(request, line, outcome?)
    }

    /// How long to wait for the first byte of an answer on a connection that was kept: it may be dead and
    /// nobody said so. Longer where answers take their time, and for a body that a slow line has to take.
    /// `None` where it can't be told in time.
    fn patience_ms(&self, request: &Request) -> Option<u64> {
        let usual_ms = u64::from(self.usual_ms.load(Relaxed));
        let body_ms = request.body.len() as u64 / LEAST_BYTES_PER_MS;
        let answer_ms = usual_ms.saturating_mul(4).clamp(LEAST_PATIENCE_MS, MAX_PATIENCE_MS);
        let is_told = usual_ms.saturating_mul(2) <= MAX_PATIENCE_MS;
        is_told.then_some(answer_ms.saturating_add(body_ms))
    }

    /// Sends a request and reads the header of its answer, which begins before `first_byte_by`.
    fn ask(
        &self,
        line: &mut Line,
        head: &[u8],
        body: &[u8],
        first_byte_by: Instant,
        deadline: Instant,
    ) -> Outcome<Head> {
        line.set_deadline(first_byte_by);
        let (written, wrote) = line.write(head, body);
        let started = Instant::now();
        let read = line.await_first_byte();
        if read.is_ok() {
            let took_ms = u32::try_from(started.elapsed().as_millis()).unwrap_or(u32::MAX);
            let usual_ms = self.usual_ms.load(Relaxed);
            self.usual_ms.store(took_ms.max(usual_ms.saturating_sub(usual_ms / 8)), Relaxed);
        }
        line.set_deadline(deadline);
        let mut answer = read.and_then(|()| line.read_head());
        for _ in 0..MAX_INTERIM_HEADS {
            match &answer {
                Ok(head) if head.response.status < 200 => answer = line.read_head(),
                _ => break,
            }
        }
        let outcome = match (written, answer) {
            (Ok(()), answer) => answer,
            // A server may refuse what it has not read to the end; then it ends the connection.
            (Err(_), Ok(head)) => Ok(Head { keeps: false, ..head }),
            (Err(error), Err(_)) => Err(error),
        };
        outcome.map_err(|error| TransportError { maybe_sent: wrote, ..error })
    }

    /// The header of a request, its end included.
    fn head(&self, request: &Request) -> Outcome<Vec<u8>> {
        request.check()?;
        let strange = || lasting("the request is not for this server");
        let path = request.url.strip_prefix(&self.origin).ok_or_else(strange)?;
        let mut head = String::new();
        let _ = write!(head, "{} ", request.method);
        if self.proxy.is_some() && !self.is_https() {
            head.push_str(&self.origin);
        }
        head.push_str(if path.is_empty() { "/" } else { path });
        head.push_str(" HTTP/1.1");
        push_field(&mut head, "Host", &self.authority);
        push_field(&mut head, "User-Agent", USER_AGENT);
        for (name, value) in &request.headers {
            push_field(&mut head, name, value);
        }
        if let Some((proxy, _)) = self.proxy.as_ref().filter(|_| !self.is_https()) {
            push_authorization(&mut head, proxy);
        }
        if request.method == Method::Post || !request.body.is_empty() {
            push_field(&mut head, "Content-Length", &request.body.len().to_string());
        }
        head.push_str("\r\n\r\n");
        Ok(head.into_bytes())
    }

    fn answer(
        &self,
        request: &Request,
        line: Line,
        head: Head,
    ) -> Outcome<Response<Box<dyn Body>>> {
        let Response { status, headers, .. } = head.response;
        if self.proxy.is_some() && status == PROXY_AUTHENTICATION_REQUIRED {
            return Err(refused_by_proxy());
        }
        let pool = head.keeps.then(|| Arc::clone(&self.pool));
        let body = LineBody::new(line, head.framing, pool, request.max_answer_len)
            .map_err(|error| TransportError { maybe_sent: true, ..error })?;
        Ok(Response { status, headers, body: Box::new(body) })
    }

    fn is_https(&self) -> bool {
        self.origin.starts_with("https")
    }

    /// A new connection to the server.
    fn dial(&self, deadline: Instant) -> Outcome<Line> {
        let Some((proxy, host)) = &self.proxy else {
            return self.line(self.server.connect(deadline)?);
        };
        let socket = host.connect(deadline)?;
        if !self.is_https() {
            return self.line(socket);
        }
        let authority = self.server.authority();
        let mut head = format!("CONNECT {authority} HTTP/1.1");
        push_field(&mut head, "Host", &authority);
        push_field(&mut head, "User-Agent", USER_AGENT);
        push_authorization(&mut head, proxy);
        head.push_str("\r\n\r\n");
        let mut line = Line::new(Stream::Plain(socket));
        let answer = self.ask(&mut line, head.as_bytes(), &[], deadline, deadline);
        // What the proxy got, the server did not.
        let status = answer.map_err(|e| TransportError { maybe_sent: false, ..e })?.response.status;
        match (status, line.into_socket()) {
            (200..300, Some(socket)) => self.line(socket),
            (PROXY_AUTHENTICATION_REQUIRED, _) => Err(refused_by_proxy()),
            _ => Err(retryable(format!("it does not connect: status {status}"))),
        }
    }

    fn line(&self, socket: Socket) -> Outcome<Line> {
        #[cfg(feature = "tls")]
        if self.is_https() {
            let known = self.tls.lock().clone();
            let config = match known {
                Some(config) => config,
                None => self.tls.lock().insert(tls::config()?).clone(),
            };
            let tls = Tls::new(config, self.server.name(), socket)?;
            return Ok(Line::new(Stream::Tls(Box::new(tls))));
        }
        Ok(Line::new(Stream::Plain(socket)))
    }
}

fn push_field(head: &mut String, name: &str, value: &str) {
    for part in ["\r\n", name, ": ", value] {
        head.push_str(part);
    }
}

fn push_authorization(head: &mut String, proxy: &Proxy) {
    if let Some(authorization) = &proxy.authorization {
        push_field(head, "Proxy-Authorization", authorization);
    }
}

fn refused_by_proxy() -> TransportError {
    lasting("it refuses the user name or password")
}
