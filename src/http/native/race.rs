//! Attempts to connect that overlap (RFC 8305): an address that does not answer holds up the next one for a
//! quarter of a second only.

use super::socket::{LOOK, interrupted, retryable};
use crate::http::TransportError;
use crate::sys;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketType, connect as begin_to_connect, socket_with, sockopt};
use rustix::{fd::OwnedFd, io::Errno, io::ioctl_fionbio};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long an attempt has before the next one begins beside it.
const HEAD_START: Duration = Duration::from_millis(250);

/// The order to try addresses in: the one that answered last, then those of both families by turns.
pub fn order(mut addresses: Vec<SocketAddr>, last: Option<SocketAddr>) -> Vec<SocketAddr> {
    let mut family = None;
    for at in 0..addresses.len() {
        let rest = addresses.get(at..).unwrap_or_default();
        let next = match family {
            None => rest.iter().position(|address| Some(*address) == last),
            Some(before) => rest.iter().position(|address| address.is_ipv4() != before),
        };
        if let Some(next) = next {
            let address = addresses.remove(at.saturating_add(next));
            addresses.insert(at, address);
        }
        family = addresses.get(at).map(SocketAddr::is_ipv4);
    }
    addresses
}

/// A connection to the first of these addresses that answers.
pub fn connect(
    addresses: &[SocketAddr],
    deadline: Instant,
) -> Result<(TcpStream, SocketAddr), TransportError> {
    let mut untried = addresses.iter();
    let mut attempts: Vec<(OwnedFd, SocketAddr)> = Vec::new();
    let mut failure = retryable("the host name has no address");
    let mut next_at = Instant::now();
    loop {
        let now = Instant::now();
        if now >= deadline {
            return Err(retryable("no connection in time"));
        }
        if now >= next_at || attempts.is_empty() {
            next_at = now.checked_add(HEAD_START).unwrap_or(deadline);
            match untried.next() {
                Some(address) => match begin(address) {
                    Ok(socket) => attempts.push((socket, *address)),
                    Err(errno) => failure = describe(errno),
                },
                None if attempts.is_empty() => return Err(failure),
                None => next_at = deadline,
            }
            continue;
        }
        let wait = next_at.min(deadline).saturating_duration_since(now).min(LOOK);
        let Some(at) = first_done(&attempts, wait) else {
            if sys::is_interrupted() {
                return Err(interrupted());
            }
            continue;
        };
        let (socket, address) = attempts.swap_remove(at);
        match sockopt::socket_error(&socket).and_then(|outcome| outcome) {
            Ok(()) => {
                let blocking = ioctl_fionbio(&socket, false);
                return blocking.map(|()| (socket.into(), address)).map_err(describe);
            }
            Err(errno) => {
                failure = describe(errno);
                // There is nothing to wait for.
                next_at = now;
            }
        }
    }
}

/// Begins to connect, and does not wait for that.
fn begin(address: &SocketAddr) -> Result<OwnedFd, Errno> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let flags = rustix::net::SocketFlags::CLOEXEC;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let flags = rustix::net::SocketFlags::empty();
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    ioctl_fionbio(&socket, true)?;
    match begin_to_connect(&socket, address) {
        Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => Ok(socket),
        Err(errno) => Err(errno),
    }
}

/// Waits for an attempt that is over, successful or not.
fn first_done(attempts: &[(OwnedFd, SocketAddr)], wait: Duration) -> Option<usize> {
    let mut fds: Vec<PollFd<'_>> =
        attempts.iter().map(|(socket, _)| PollFd::new(socket, PollFlags::OUT)).collect();
    let wait = Timespec { tv_sec: 0, tv_nsec: wait.subsec_nanos().into() };
    let _ = poll(&mut fds, Some(&wait));
    fds.iter().position(|fd| !fd.revents().is_empty())
}

fn describe(errno: Errno) -> TransportError {
    match errno {
        Errno::CONNREFUSED => retryable("connection refused"),
        Errno::TIMEDOUT => retryable("no connection in time"),
        errno => retryable(std::io::Error::from(errno).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::native::body::after_ms;
    use std::net::TcpListener;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn what_worked_comes_first_and_families_take_turns() {
        let [a, b, c, d] = ["[::1]:1", "[::2]:1", "1.1.1.1:1", "2.2.2.2:1"].map(address);
        let all = vec![a, b, c, d];
        assert_eq!(order(all.clone(), None), [a, c, b, d]);
        assert_eq!(order(all.clone(), Some(d)), [d, a, c, b]);
        assert_eq!(order(all, Some(address("3.3.3.3:1"))), [a, c, b, d]);
        assert_eq!(order(Vec::new(), Some(a)), []);
    }

    #[test]
    fn an_address_that_refuses_or_is_silent_does_not_keep_from_the_next() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let good = listener.local_addr().unwrap();
        let refusing = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        // Its queue is full: what comes on top is not answered.
        let full = socket_with(
            AddressFamily::INET,
            SocketType::STREAM,
            rustix::net::SocketFlags::empty(),
            None,
        )
        .unwrap();
        rustix::net::bind(&full, &address("127.0.0.1:0")).unwrap();
        rustix::net::listen(&full, 0).unwrap();
        let silent = SocketAddr::try_from(rustix::net::getsockname(&full).unwrap()).unwrap();
        let filling: Vec<_> = (0..4).map(|_| begin(&silent).unwrap()).collect();
        for dead in [refusing, silent] {
            let (_, address) = connect(&[dead, good], after_ms(10_000)).unwrap();
            assert_eq!(address, good);
        }
        let error = connect(&[refusing], after_ms(10_000)).unwrap_err();
        assert_eq!(error.reason, "connection refused");
        let error = connect(&[silent], after_ms(50)).unwrap_err();
        assert_eq!(error.reason, "no connection in time");
        drop(filling);
    }
}
