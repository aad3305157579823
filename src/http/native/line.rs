//! One connection to the server, or by a proxy, with what was read from it and not yet used.

use super::head::{self, Head, MAX_HEAD_LEN};
use super::socket::{Socket, cut, describe};
#[cfg(feature = "tls")]
use super::tls::Tls;
use crate::http::TransportError;
use crate::sys::Tick;
use std::io::{Read, Write};
use std::time::Instant;

/// Bytes that are read and not yet used: more than any header or line may have.
const BUFFER_LEN: usize = MAX_HEAD_LEN + 4096;
/// Bytes of a body that go along with the header.
const WITH_HEAD_LEN: usize = 16 * 1024;

/// How bytes get there.
pub enum Stream {
    /// As they are.
    Plain(Socket),
    /// Encrypted.
    #[cfg(feature = "tls")]
    Tls(Box<Tls>),
    /// From nowhere.
    #[cfg(any(test, fuzzing))]
    Script(Script),
}

/// Bytes that come so many at a time, however many are read.
#[cfg(any(test, fuzzing))]
pub struct Script {
    socket: Socket,
    rest: std::collections::VecDeque<u8>,
    step: usize,
}

#[cfg(any(test, fuzzing))]
#[allow(clippy::unwrap_used)]
impl Script {
    /// The script of these bytes.
    pub fn new(bytes: &[u8], step: usize) -> Script {
        let (socket, _) = std::os::unix::net::UnixStream::pair().unwrap();
        let tcp = std::net::TcpStream::from(std::os::fd::OwnedFd::from(socket));
        Script {
            socket: Socket::new(tcp, Instant::now()),
            rest: bytes.iter().copied().collect(),
            step,
        }
    }

    fn read(&mut self, bytes: &mut [u8]) -> usize {
        let most = self.step.min(bytes.len());
        let (target, _) = bytes.split_at_mut(most);
        std::io::Read::read(&mut self.rest, target).unwrap()
    }
}

impl Stream {
    fn socket(&mut self) -> &mut Socket {
        match self {
            Stream::Plain(socket) => socket,
            #[cfg(feature = "tls")]
            Stream::Tls(tls) => &mut tls.socket,
            #[cfg(any(test, fuzzing))]
            Stream::Script(script) => &mut script.socket,
        }
    }

    fn is_quiet(&mut self) -> bool {
        match self {
            Stream::Plain(socket) => socket.is_quiet(),
            #[cfg(feature = "tls")]
            Stream::Tls(tls) => tls.is_quiet(),
            #[cfg(any(test, fuzzing))]
            Stream::Script(script) => script.rest.is_empty(),
        }
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, TransportError> {
        match self {
            Stream::Plain(socket) => socket.read(bytes).map_err(describe),
            #[cfg(feature = "tls")]
            Stream::Tls(tls) => tls.read(bytes),
            #[cfg(any(test, fuzzing))]
            Stream::Script(script) => Ok(script.read(bytes)),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), TransportError> {
        match self {
            Stream::Plain(socket) => socket.write_all(bytes).map_err(describe),
            #[cfg(feature = "tls")]
            Stream::Tls(tls) => tls.write(bytes),
            #[cfg(any(test, fuzzing))]
            Stream::Script(_) => Ok(()),
        }
    }
}

/// See the module.
pub struct Line {
    stream: Stream,
    /// What was read and not yet used is in `used..filled`.
    buffer: Vec<u8>,
    used: usize,
    filled: usize,
    /// When the last answer was over.
    idle_since: Tick,
}

impl Line {
    /// Takes a connection that was just made.
    pub fn new(stream: Stream) -> Line {
        let buffer = vec![0; BUFFER_LEN];
        Line { stream, buffer, used: 0, filled: 0, idle_since: Tick::now() }
    }

    /// What it runs on; `None` where that is encrypted, or something was read that is not used.
    pub fn into_socket(self) -> Option<Socket> {
        match self.stream {
            Stream::Plain(socket) if self.used == self.filled => Some(socket),
            _ => None,
        }
    }

    /// Gives reading and writing up at that time.
    pub fn set_deadline(&mut self, deadline: Instant) {
        self.stream.socket().deadline = deadline;
    }

    /// Begins to count how long it is idle. `false` when bytes came that nobody asked for.
    pub fn rest(&mut self) -> bool {
        self.idle_since = Tick::now();
        self.unused().is_empty()
    }

    /// Whether a request may be sent on it: it was idle for a short time only, and nothing came in it.
    pub fn is_fresh(&mut self, max_idle_ms: u64) -> bool {
        self.idle_since.age_ms() < max_idle_ms && self.stream.is_quiet()
    }

    /// Sends a request. The second answer tells whether anything of it was sent.
    pub fn write(&mut self, head: &[u8], body: &[u8]) -> (Result<(), TransportError>, bool) {
        self.stream.socket().wrote = false;
        // Small requests are one write, so one segment; the others need several in any case.
        let (first, rest) = body.split_at(body.len().min(WITH_HEAD_LEN));
        let written = self.stream.write(&[head, first].concat());
        let written =
            written.and_then(|()| if rest.is_empty() { Ok(()) } else { self.stream.write(rest) });
        (written, self.stream.socket().wrote)
    }

    /// Whether anything of an answer has come.
    pub fn has_unused(&self) -> bool {
        !self.unused().is_empty()
    }

    /// Reads an answer's header.
    pub fn read_head(&mut self) -> Result<Head, TransportError> {
        loop {
            if self.has_unused()
                && let Some((head, len)) = head::parse(self.unused())?
            {
                self.skip(len);
                return Ok(head);
            }
            self.fill()?;
        }
    }

    /// Reads bytes, 0 at the end of the connection.
    pub fn read(&mut self, bytes: &mut [u8]) -> Result<usize, TransportError> {
        if !self.has_unused() {
            return self.stream.read(bytes);
        }
        let len = self.unused().len().min(bytes.len());
        if let (Some(to), Some(from)) = (bytes.get_mut(..len), self.unused().get(..len)) {
            to.copy_from_slice(from);
        }
        self.skip(len);
        Ok(len)
    }

    /// Reads a line of at most `max_len` bytes, without its end.
    pub fn read_line(&mut self, max_len: usize) -> Result<Option<String>, TransportError> {
        loop {
            let unused = self.unused();
            let end = unused.iter().position(|&b| b == b'\n');
            if end.unwrap_or(unused.len()) > max_len {
                return Ok(None);
            }
            if let Some(end) = end {
                let line = unused.get(..end).and_then(|line| core::str::from_utf8(line).ok());
                let line = line.map(|line| line.trim_end_matches('\r').into());
                self.skip(end.saturating_add(1));
                return Ok(line);
            }
            self.fill()?;
        }
    }

    fn unused(&self) -> &[u8] {
        self.buffer.get(self.used..self.filled).unwrap_or_default()
    }

    fn skip(&mut self, len: usize) {
        self.used = self.used.saturating_add(len).min(self.filled);
    }

    /// Reads more behind what is not used yet.
    fn fill(&mut self) -> Result<(), TransportError> {
        self.buffer.copy_within(self.used..self.filled, 0);
        self.filled = self.filled.saturating_sub(self.used);
        self.used = 0;
        match self.stream.read(self.buffer.get_mut(self.filled..).unwrap_or_default())? {
            0 => Err(cut()),
            len => {
                self.filled = self.filled.saturating_add(len);
                Ok(())
            }
        }
    }
}
