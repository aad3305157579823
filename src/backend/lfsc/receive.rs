//! One try of a call: what goes over the wire is counted, and as much of the answer read as the call wants.

use crate::backend::traffic::Traffic;
use crate::http::{Body, Request, Response, Transport, TransportError};
use crate::sys;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Bytes of an error's body to read.
const MAX_ERROR_LEN: usize = 4096;

/// A transport that counts what goes through it: the tries of one call.
pub struct Counting<'a> {
    transport: &'a dyn Transport,
    counters: Vec<Arc<Traffic>>,
    is_retry: AtomicBool,
}

impl<'a> Counting<'a> {
    /// Counts for these from now on.
    pub fn new(transport: &'a dyn Transport, counters: Vec<Arc<Traffic>>) -> Counting<'a> {
        Counting { transport, counters, is_retry: AtomicBool::new(false) }
    }
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

    fn is_over(&self) -> bool {
        self.body.is_over()
    }
}

/// What came of a body: all of it or, where somebody else reads it, the rest.
pub struct Received {
    /// What was read of it.
    pub bytes: Vec<u8>,
    /// What is yet to be read.
    pub rest: Option<Box<dyn Body>>,
}

/// Where there is nothing to read.
pub struct NoBody;

impl Body for NoBody {
    fn read(&mut self, _: &mut [u8], _: u64) -> core::result::Result<usize, TransportError> {
        Ok(0)
    }

    fn is_over(&self) -> bool {
        true
    }
}

/// One try. What an answer says that is an error is read at once, so that the connection can be kept.
pub fn receive(
    transport: &Counting<'_>,
    request: &Request,
) -> core::result::Result<Response<Received>, TransportError> {
    if !request.is_streamed {
        let Response { status, headers, body: bytes } = transport.send(request)?;
        return Ok(Response { status, headers, body: Received { bytes, rest: None } });
    }
    let asked = sys::Tick::now();
    let Response { status, headers, mut body } = transport.open(request)?;
    let left_ms = request.timeout_ms.saturating_sub(asked.age_ms());
    let bytes = match is_success(status) {
        true => Vec::new(),
        false => read_error(&mut *body, left_ms)?,
    };
    Ok(Response { status, headers, body: Received { bytes, rest: Some(body) } })
}

/// Whether a status says that it was done.
pub fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

/// The body of an error, as far as it comes in time.
fn read_error(body: &mut dyn Body, left_ms: u64) -> core::result::Result<Vec<u8>, TransportError> {
    let mut bytes = vec![0; MAX_ERROR_LEN];
    let (started, mut len) = (sys::Tick::now(), 0_usize);
    while let Some(rest) = bytes.get_mut(len..).filter(|rest| !rest.is_empty()) {
        match body.read(rest, left_ms.saturating_sub(started.age_ms())) {
            Ok(more) if more > 0 => len = len.saturating_add(more),
            Err(error) if sys::is_interrupted() => return Err(error),
            _ => break,
        }
    }
    bytes.truncate(len);
    Ok(bytes)
}
