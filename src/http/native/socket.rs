//! A TCP connection on which nothing lasts past a deadline, nor past an interrupt.

use crate::http::TransportError;
use crate::sys::{LOOK_MS, is_interrupted};
use rustix::net::{RecvFlags, recv};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How exact a deadline is: the socket is not told anew of less than this.
const SLACK: Duration = Duration::from_millis(20);
/// How long a wait lasts at the most between two looks whether it is to end.
pub const LOOK: Duration = Duration::from_millis(LOOK_MS);

/// See the module.
pub struct Socket {
    tcp: TcpStream,
    /// When reading and writing are given up.
    pub deadline: Instant,
    /// Whether anything was written since this was last set to `false`.
    pub wrote: bool,
    /// What the socket was told; zero for nothing, and then a wait has no end.
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

    /// How long the next wait may be: it is looked in between whether it is to end.
    fn wait(&self) -> io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(left.min(LOOK))
    }
}

impl Read for Socket {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            let wait = self.wait()?;
            if self.read_timeout.is_zero() || wait.abs_diff(self.read_timeout) > SLACK {
                self.tcp.set_read_timeout(Some(wait))?;
                self.read_timeout = wait;
            }
            if let Some(done) = unless_waiting((&self.tcp).read(bytes)) {
                return done;
            }
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let wait = self.wait()?;
            if self.write_timeout.is_zero() || wait.abs_diff(self.write_timeout) > SLACK {
                self.tcp.set_write_timeout(Some(wait))?;
                self.write_timeout = wait;
            }
            if let Some(done) = unless_waiting((&self.tcp).write(bytes)) {
                self.wrote |= done.as_ref().is_ok_and(|&len| len > 0);
                return done;
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The outcome of reading or writing, unless nothing happened: a signal came in between, or it is time to look
/// whether to go on.
fn unless_waiting(outcome: io::Result<usize>) -> Option<io::Result<usize>> {
    use io::ErrorKind as Kind;
    match &outcome {
        Err(e) if matches!(e.kind(), Kind::Interrupted | Kind::WouldBlock | Kind::TimedOut) => {
            // `Interrupted` would have the standard library try again.
            is_interrupted().then(|| Err(Kind::Other.into()))
        }
        _ => Some(outcome),
    }
}

/// What the system says of a connection that was made, in words that help.
pub fn describe(error: io::Error) -> TransportError {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::TimedOut | Kind::WouldBlock => retryable("no answer in time"),
        Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe => cut(),
        Kind::Other => interrupted(),
        _ => retryable(error.to_string()),
    }
}

/// The error for a wait that somebody ended.
pub fn interrupted() -> TransportError {
    lasting("interrupted")
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::native::body::after_ms;
    use std::net::TcpListener;

    /// However little time there is: the socket is told of a deadline that is nearer than what it is not told.
    #[test]
    fn the_first_wait_of_a_connection_ends() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let connect = || TcpStream::connect(silent.local_addr().unwrap()).unwrap();
        let ms = SLACK.as_millis() as u64 / 2;
        let error = Socket::new(connect(), after_ms(ms)).read(&mut [0; 1]).unwrap_err();
        assert_eq!(describe(error).reason, "no answer in time");
        let mut full = Socket::new(connect(), after_ms(ms));
        let error = full.write_all(&vec![0; 100_000_000]).unwrap_err();
        assert_eq!(describe(error).reason, "no answer in time");
    }
}
