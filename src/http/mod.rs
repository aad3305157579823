//! How bytes travel: one request, one answer, with limits on both.
//!
//! A [`Transport`] is a platform's HTTP client. It MUST answer or fail within the request's time
//! limit, MUST NOT hand out more than `max_answer_len` bytes, MUST report an answer that was cut short
//! as an error, and MUST NOT follow redirects (the token would travel along). It may keep connections
//! between requests, but then it repeats a request by itself only when nothing of it was sent.

#[cfg(feature = "native")]
mod native;
#[cfg(feature = "native")]
mod proxy;
pub mod retry;

#[cfg(feature = "native")]
pub use native::NativeTransport;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

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
pub struct Request {
    /// Method.
    pub method: Method,
    /// Scheme, host, path and query, percent-encoded.
    pub url: String,
    /// Header fields, without `Host` and `Content-Length`.
    pub headers: Vec<(&'static str, String)>,
    /// Body; empty for none.
    pub body: Vec<u8>,
    /// Everything, from the look-up of the host to the last byte, takes at most this long.
    pub timeout_ms: u64,
    /// Bytes of the largest answer to take.
    pub max_answer_len: usize,
}

/// An answer, of any status.
#[derive(Debug, Clone, Default)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Header fields as they came.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Response {
    /// A header field by its name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let field = self.headers.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
        field.map(|(_, value)| value.as_str())
    }
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
    /// Sends a request and waits for the whole answer.
    fn send(&self, request: &Request) -> Result<Response, TransportError>;
}
