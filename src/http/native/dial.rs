//! New connections: the addresses of a host, and the first of them that answers.

use super::race;
use super::socket::{LOOK, Socket, interrupted, retryable};
use crate::http::TransportError;
use crate::sys;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

/// A host and how it is found.
pub struct Host {
    name: String,
    port: u16,
    /// The look-up that is under way.
    looking: Mutex<Option<(u32, Arc<LookUp>)>>,
    /// The address that answered last.
    answered: Mutex<Option<SocketAddr>>,
}

/// A question to the system, which can't be taken back and asks for no time limit: it gets a thread. Those
/// that ask meanwhile wait for the same one, so there is one thread a host at the most.
#[derive(Default)]
struct LookUp {
    answer: Mutex<Option<Result<Vec<SocketAddr>, String>>>,
    answered: Condvar,
}

impl Host {
    /// The host of a URL's authority, `HOST[:PORT]` or `[IPV6][:PORT]`; `None` when the port is no number.
    pub fn new(authority: &str, default_port: u16) -> Option<Host> {
        let after_ipv6 = authority.rfind(']').map_or(0, |end| end.saturating_add(1));
        let (name, port) = match authority.get(after_ipv6..)?.rsplit_once(':') {
            Some((_, port)) => {
                let len = authority.len().checked_sub(port.len())?.checked_sub(1)?;
                (authority.get(..len)?, port.parse().ok()?)
            }
            None => (authority, default_port),
        };
        let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        (!name.is_empty()).then(|| Host {
            name: name.into(),
            port,
            looking: Mutex::default(),
            answered: Mutex::default(),
        })
    }

    /// Name or address, without brackets.
    #[cfg(feature = "tls")]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Name and port, as CONNECT has them.
    pub fn authority(&self) -> String {
        let Host { name, port, .. } = self;
        if name.contains(':') { format!("[{name}]:{port}") } else { format!("{name}:{port}") }
    }

    /// A new connection.
    pub fn connect(&self, deadline: Instant) -> Result<Socket, TransportError> {
        let addresses = self.addresses(deadline)?;
        let last = *self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        let (tcp, address) = race::connect(&race::order(addresses, last), deadline)?;
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
        Ok(Socket::new(tcp, deadline))
    }

    fn addresses(&self, deadline: Instant) -> Result<Vec<SocketAddr>, TransportError> {
        if let Ok(address) = self.name.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, self.port)]);
        }
        let look_up = self.look_up()?;
        let mut answer = look_up.answer.lock().unwrap_or_else(PoisonError::into_inner);
        while answer.is_none() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(retryable("the host name was not found in time"));
            }
            let woken = look_up.answered.wait_timeout(answer, left.min(LOOK));
            answer = woken.unwrap_or_else(PoisonError::into_inner).0;
            if sys::is_interrupted() {
                return Err(interrupted());
            }
        }
        match answer.as_ref() {
            Some(Ok(addresses)) => Ok(addresses.clone()),
            // It was waited for until it is there.
            Some(Err(reason)) => Err(retryable(reason.clone())),
            None => Err(retryable("the host name was not found")),
        }
    }

    fn look_up(&self) -> Result<Arc<LookUp>, TransportError> {
        let mut looking = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        let process = sys::process_id();
        // A forked child has no thread that would answer.
        if let Some((_, under_way)) = looking.as_ref().filter(|(owner, _)| *owner == process)
            && under_way.answer.lock().is_ok_and(|answer| answer.is_none())
        {
            return Ok(Arc::clone(under_way));
        }
        let look_up = Arc::new(LookUp::default());
        let (asked, name, port) = (Arc::clone(&look_up), self.name.clone(), self.port);
        let ask = move || {
            let addresses = (name.as_str(), port).to_socket_addrs();
            let addresses = addresses.map(Iterator::collect).map_err(|e| e.to_string());
            *asked.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(addresses);
            asked.answered.notify_all();
        };
        sys::spawn(Box::new(ask))
            .map_err(|e| retryable(format!("no thread to look up the host name: {e}")))?;
        *looking = Some((process, Arc::clone(&look_up)));
        Ok(look_up)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_taken_apart() {
        let parts = |text: &str| Host::new(text, 80).map(|host| (host.name.clone(), host.port));
        let host = |name: &str, port| Some((name.to_string(), port));
        assert_eq!(parts("a.example"), host("a.example", 80));
        assert_eq!(parts("a.example:81"), host("a.example", 81));
        assert_eq!(parts("[::1]"), host("::1", 80));
        assert_eq!(parts("[::1]:81"), host("::1", 81));
        for bad in ["", ":81", "a:b", "a:65536"] {
            assert_eq!(parts(bad), None, "{bad}");
        }
        assert_eq!(Host::new("[::1]", 443).unwrap().authority(), "[::1]:443");
    }
}
