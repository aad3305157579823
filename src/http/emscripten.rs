//! HTTP by the browser: a synchronous `XMLHttpRequest`, which a worker may make.
//!
//! The browser keeps connections, speaks TLS and asks the server whether the page may use it (CORS). It
//! hands an answer over when all of it is there, so a body that is read as it comes has come already.

use super::{Body, Request, Response, Transport, TransportError};
use crate::config::BaseUrl;
use crate::error::Result;
use crate::sys::host::Answer;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::Write as _;

/// The time limit is for all of an answer here: a long one that others read as it comes has more, a millisecond
/// for so many bytes.
const LEAST_BYTES_PER_MS: u64 = 1024;
/// The most that it has more.
const MAX_BODY_MS: u64 = 60_000;

/// See the module.
pub struct EmscriptenTransport(());

impl EmscriptenTransport {
    /// The transport to a server: the same for all.
    pub fn new(_: &BaseUrl) -> Result<EmscriptenTransport> {
        Ok(EmscriptenTransport(()))
    }
}

impl Transport for EmscriptenTransport {
    fn open(
        &self,
        request: &Request,
    ) -> core::result::Result<Response<Box<dyn Body>>, TransportError> {
        let mut head = format!("{}\n{}", request.method, request.url);
        for (name, value) in &request.headers {
            let _ = write!(head, "\n{name}: {value}");
        }
        let max_len = request.max_answer_len as u64;
        let body_ms = (max_len / LEAST_BYTES_PER_MS).min(MAX_BODY_MS);
        let body_ms = if request.is_streamed { body_ms } else { 0 };
        let timeout_ms = request.timeout_ms.saturating_add(body_ms);
        let answer = Answer::to(&head, request.body, timeout_ms);
        let text = answer.text();
        match answer.status() {
            0 => Err(no_answer(&text)),
            _ if answer.body_len() > max_len => {
                let reason = format!("the answer has over {max_len} bytes");
                Err(TransportError { maybe_sent: true, retryable: false, reason })
            }
            status => {
                let headers = text.lines().filter_map(field).collect();
                Ok(Response { status, headers, body: Box::new(Whole(answer)) })
            }
        }
    }
}

/// The host says in the first letter what can be done: `c`, it was cancelled before it was sent; `a`, to
/// ask again may help; `n`, it does not help.
fn no_answer(text: &str) -> TransportError {
    let (kind, reason) = text.split_at_checked(1).unwrap_or_default();
    TransportError { maybe_sent: kind != "c", retryable: kind == "a", reason: reason.to_string() }
}

fn field(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    Some((name.to_string(), value.trim().to_string()))
}

/// A body that is there.
struct Whole(Answer);

impl Body for Whole {
    fn read(&mut self, bytes: &mut [u8], _: u64) -> core::result::Result<usize, TransportError> {
        Ok(self.0.read(bytes))
    }

    // What was not read yet is there.
    fn is_over(&self) -> bool {
        true
    }
}
