//! The body of an answer, read from the connection while it comes.

use super::head::Framing;
use super::line::Line;
use super::pool::Pool;
use super::socket::{cut, lasting, retryable};
use crate::http::{Body, TransportError};
use crate::text::hex;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes of a line that gives a chunk's size, or of one after the last.
const MAX_CHUNK_LINE_LEN: usize = 1024;
/// Lines after the last chunk.
const MAX_TRAILERS: usize = 64;

/// What is yet to come.
#[derive(Clone, Copy)]
enum Rest {
    /// So many bytes.
    Length(u64),
    /// So many of this chunk, then its end and the next one.
    Chunk(u64),
    /// The size of a chunk.
    ChunkSize,
    /// What comes until the connection ends.
    UntilClose,
    Nothing,
}

/// See the module.
pub struct LineBody {
    /// `None` when it was given back, or is of no more use.
    line: Option<Line>,
    /// Where the connection goes after the body; `None` when it is not to be used again.
    pool: Option<Arc<Pool>>,
    rest: Rest,
    max_len: usize,
    len: usize,
}

impl LineBody {
    /// The body of an answer that may have `max_len` bytes.
    pub fn new(
        line: Line,
        framing: Framing,
        pool: Option<Arc<Pool>>,
        max_len: usize,
    ) -> Result<LineBody, TransportError> {
        let rest = match framing {
            Framing::Length(len) if usize::try_from(len).is_ok_and(|len| len <= max_len) => {
                Rest::Length(len)
            }
            Framing::Length(_) => return Err(too_long(max_len)),
            Framing::Chunked => Rest::ChunkSize,
            Framing::UntilClose => Rest::UntilClose,
        };
        let mut body = LineBody { line: Some(line), pool, rest, max_len, len: 0 };
        if matches!(rest, Rest::Length(0)) {
            body.finish();
        }
        Ok(body)
    }

    fn read_some(&mut self, bytes: &mut [u8]) -> Result<usize, TransportError> {
        let Some(line) = &mut self.line else { return Ok(0) };
        if let Rest::ChunkSize = self.rest {
            self.rest = match next_chunk(line)? {
                0 => Rest::Nothing,
                len => Rest::Chunk(len),
            };
        }
        let left = match self.rest {
            Rest::Length(left) | Rest::Chunk(left) => left,
            Rest::UntilClose => u64::MAX,
            Rest::ChunkSize | Rest::Nothing => 0,
        };
        // One byte more than is allowed, to see whether there is one.
        let allowed = self.max_len.saturating_sub(self.len).saturating_add(1);
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(allowed).min(bytes.len());
        let len = match bytes.get_mut(..most) {
            Some(bytes) if most > 0 => line.read(bytes)?,
            _ => 0,
        };
        self.len = self.len.saturating_add(len);
        if self.len > self.max_len {
            return Err(too_long(self.max_len));
        }
        let left = left.saturating_sub(len as u64);
        self.rest = match self.rest {
            Rest::Length(_) | Rest::Chunk(_) if len == 0 => return Err(cut()),
            Rest::Length(_) if left > 0 => Rest::Length(left),
            Rest::Chunk(_) if left > 0 => Rest::Chunk(left),
            Rest::Chunk(_) => end_chunk(line).map(|()| Rest::ChunkSize)?,
            Rest::UntilClose if len > 0 => Rest::UntilClose,
            _ => Rest::Nothing,
        };
        if let Rest::Nothing = self.rest {
            self.finish();
        }
        Ok(len)
    }

    /// The body is over: another request may have the connection.
    fn finish(&mut self) {
        self.rest = Rest::Nothing;
        if let (Some(line), Some(pool)) = (self.line.take(), self.pool.take()) {
            pool.put(line);
        }
    }
}

impl Body for LineBody {
    fn read(&mut self, bytes: &mut [u8], max_wait_ms: u64) -> Result<usize, TransportError> {
        if bytes.is_empty() {
            return Ok(0);
        }
        if let Some(line) = &mut self.line {
            line.set_deadline(after_ms(max_wait_ms));
        }
        self.read_some(bytes).map_err(|error| {
            // What comes next on it is not known.
            self.line = None;
            let reason = format!("the answer broke off after {} bytes: {}", self.len, error.reason);
            let reason = if error.retryable { reason } else { error.reason };
            TransportError { maybe_sent: true, reason, ..error }
        })
    }

    fn is_over(&self) -> bool {
        matches!(self.rest, Rest::Nothing)
    }
}

/// The time in so many milliseconds.
pub fn after_ms(ms: u64) -> Instant {
    let now = Instant::now();
    // What no clock can show is as good as never.
    now.checked_add(Duration::from_millis(ms)).unwrap_or(now)
}

/// Reads a chunk's size; 0 for the end, after which all of the body was read.
fn next_chunk(line: &mut Line) -> Result<u64, TransportError> {
    let text = line.read_line(MAX_CHUNK_LINE_LEN)?.ok_or_else(bad_chunk)?;
    let digits = text.split(';').next().unwrap_or_default().trim();
    let len = hex::parse(digits).ok_or_else(bad_chunk)?;
    if len == 0 {
        for _ in 0..MAX_TRAILERS {
            if line.read_line(MAX_CHUNK_LINE_LEN)?.ok_or_else(bad_chunk)?.is_empty() {
                return Ok(0);
            }
        }
        return Err(bad_chunk());
    }
    Ok(len)
}

fn end_chunk(line: &mut Line) -> Result<(), TransportError> {
    let end = line.read_line(1)?;
    if end.is_some_and(|end| end.is_empty()) { Ok(()) } else { Err(bad_chunk()) }
}

fn bad_chunk() -> TransportError {
    retryable("a chunk of it is malformed")
}

fn too_long(max_len: usize) -> TransportError {
    lasting(format!("the answer is longer than {max_len} bytes"))
}
