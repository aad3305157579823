//! A TCP connection on which nothing lasts past a deadline.

use crate::http::TransportError;
use rustix::net::{RecvFlags, recv};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How exact a deadline is: the socket is not told anew of less than this.
const SLACK: Duration = Duration::from_millis(20);

/// See the module.
pub struct Socket {
    tcp: TcpStream,
    /// When reading and writing are given up.
    pub deadline: Instant,
    /// Whether anything was written since this was last set to `false`.
    pub wrote: bool,
    read_timeout: Duration,
    write_timeout: Duration,
}

impl Socket {
    /// Takes a connection that was just made.
    pub fn new(tcp: TcpStream, deadline: Instant) -> Socket {
        // Every write is a whole request or as much of it as fits: there is nothing to wait for.
        let _ = tcp.set_nodelay(true);
        let (read_timeout, write_timeout) = (Duration::ZERO, Duration::ZERO);
        Socket { tcp, deadline, wrote: false, read_timeout, write_timeout }
    }

    /// Whether nothing came since the last answer, not even the end of the connection.
    pub fn is_quiet(&self) -> bool {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        recv(&self.tcp, &mut [0; 1], flags).is_err_and(|e| e == rustix::io::Errno::WOULDBLOCK)
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

impl Read for Socket {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let left = self.left()?;
        if left.abs_diff(self.read_timeout) > SLACK {
            self.tcp.set_read_timeout(Some(left))?;
            self.read_timeout = left;
        }
        persist(|| (&self.tcp).read(bytes))
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.left()?;
        if left.abs_diff(self.write_timeout) > SLACK {
            self.tcp.set_write_timeout(Some(left))?;
            self.write_timeout = left;
        }
        let len = persist(|| (&self.tcp).write(bytes))?;
        self.wrote |= len > 0;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Does it again when a signal came in between.
fn persist(mut attempt: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match attempt() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// What the system says of a connection that was made, in words that help.
pub fn describe(error: io::Error) -> TransportError {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::TimedOut | Kind::WouldBlock => retryable("no answer in time"),
        Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe => cut(),
        _ => retryable(error.to_string()),
    }
}

/// The error for a connection that ended too early.
pub fn cut() -> TransportError {
    retryable("the connection was cut")
}

/// An error that may be over in a moment, of a request that was not sent.
pub fn retryable(reason: impl Into<String>) -> TransportError {
    TransportError { maybe_sent: false, retryable: true, reason: reason.into() }
}

/// An error that will be the same in a moment, of a request that was not sent.
pub fn lasting(reason: impl Into<String>) -> TransportError {
    TransportError { maybe_sent: false, retryable: false, reason: reason.into() }
}
