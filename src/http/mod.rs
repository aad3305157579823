//! How bytes travel: one request, one answer, with limits on both.
//!
//! A [`Transport`] is a platform's HTTP client. It MUST answer or fail within the request's time
//! limit, MUST NOT hand out more than `max_answer_len` bytes, MUST report an answer that was cut short
//! as an error, and MUST NOT follow redirects (the token would travel along). It may keep connections
//! between requests, and a kept one may turn out to be dead. Then it repeats a request by itself only
//! when that is a GET or nothing of it was sent.

#[cfg(feature = "emscripten")]
mod emscripten;
#[cfg(feature = "native")]
mod native;
#[cfg(feature = "native")]
mod proxy;
pub mod retry;
pub mod retry_after;

#[cfg(feature = "emscripten")]
pub use emscripten::EmscriptenTransport as PlatformTransport;
#[cfg(feature = "native")]
pub use native::NativeTransport as PlatformTransport;

use crate::sys::Tick;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

/// Room for the beginning of a long answer, or of one that does not say how long it is.
const READ_STEP_LEN: usize = 64 * 1024;

/// The methods the API uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Writes.
    Post,
    /// Gives back.
    Delete,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Delete => "DELETE",
        })
    }
}

/// A request.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// Method.
    pub method: Method,
    /// Scheme, host, path and query, percent-encoded.
    pub url: String,
    /// Header fields, without `Host` and `Content-Length`.
    pub headers: Vec<(&'static str, String)>,
    /// Body; empty for none.
    pub body: &'a [u8],
    /// From the look-up of the host to the last byte that [`Transport::send`] reads, or to the answer's
    /// header with [`Transport::open`], it takes at most this long.
    pub timeout_ms: u64,
    /// Bytes of the largest answer to take.
    pub max_answer_len: usize,
    /// Whether the body may take longer than `timeout_ms`: whoever reads it sees to its end.
    pub is_streamed: bool,
}

/// An answer, of any status, with its body: the bytes, or a [`Body`] to read them from.
#[derive(Debug, Clone, Default)]
pub struct Response<B = Vec<u8>> {
    /// Status code.
    pub status: u16,
    /// Header fields as they came.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: B,
}

impl<B> Response<B> {
    /// A header field by its name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let field = self.headers.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
        field.map(|(_, value)| value.as_str())
    }
}

/// A body that is read while it comes. Dropping it before its end costs the connection.
pub trait Body: Send {
    /// Reads what is there, waiting `max_wait_ms` at most for the first byte of it; 0 at the end. A body
    /// that ends too early or grows past the request's `max_answer_len` is an error.
    fn read(&mut self, bytes: &mut [u8], max_wait_ms: u64) -> Result<usize, TransportError>;

    /// Whether all of it was read, as far as is known without waiting.
    fn is_over(&self) -> bool;
}

/// No answer, or none that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportError {
    /// Whether the server may have seen the request.
    pub maybe_sent: bool,
    /// Whether asking again could help.
    pub retryable: bool,
    /// What happened, without the URL.
    pub reason: String,
}

/// A platform's HTTP client, see the module.
pub trait Transport: Send + Sync {
    /// Sends a request and waits for the answer's header.
    fn open(&self, request: &Request) -> Result<Response<Box<dyn Body>>, TransportError>;

    /// Sends a request and waits for the whole answer.
    fn send(&self, request: &Request) -> Result<Response, TransportError> {
        let started = Tick::now();
        let Response { status, headers, body: mut source } = self.open(request)?;
        let declared = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let declared = declared.and_then(|(_, len)| len.parse::<usize>().ok());
        // One more, to see the end. A length that is only said costs its sender nothing, hence the limit.
        let first = declared.map_or(READ_STEP_LEN, |len| len.saturating_add(1).min(READ_STEP_LEN));
        let mut body = Vec::new();
        let mut len = 0_usize;
        loop {
            if len == body.len() {
                // Not `resize`, which sets each byte by itself in a build that is made small.
                let mut larger = vec![0; len.saturating_mul(2).max(first)];
                larger.get_mut(..len).unwrap_or_default().copy_from_slice(&body);
                body = larger;
            }
            let wait_ms = request.timeout_ms.saturating_sub(started.age_ms());
            let rest = body.get_mut(len..).unwrap_or_default();
            match source.read(rest, wait_ms)? {
                0 => break,
                more => len = len.saturating_add(more),
            }
        }
        body.truncate(len);
        Ok(Response { status, headers, body })
    }
}
