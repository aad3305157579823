//! How much the server takes on: requests at a time, and requests a second from each caller.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::rate::Rate;

/// The limits of requests.
#[derive(Debug)]
pub struct Limits {
    requests: Arc<Semaphore>,
    rate: Option<Rate<Asker>>,
}

/// Whose requests are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Asker {
    /// Those with one token, by its id.
    Token(Arc<str>),
    /// Those without a good token, by the address they come from.
    Peer(Option<IpAddr>),
}

impl Asker {
    /// Everyone at an address. Whoever has one IPv6 address has all that begin like it.
    pub fn at(address: Option<IpAddr>) -> Asker {
        let home = |address: IpAddr| match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::from([a, b, c, d, 0, 0, 0, 0])
            }
            v4 => v4,
        };
        Asker::Peer(address.map(home))
    }
}

impl Limits {
    /// So many requests at a time; and, if given, so many a second and in a burst.
    pub fn new(requests: usize, rate: Option<(u32, u32)>) -> Limits {
        let requests = Arc::new(Semaphore::new(requests.min(Semaphore::MAX_PERMITS)));
        Limits { requests, rate: rate.map(|(per_second, burst)| Rate::new(per_second, burst)) }
    }

    /// Counts a request; fails with how long its sender should wait.
    pub fn count(&self, asker: Asker) -> Result<(), Duration> {
        self.rate.as_ref().map_or(Ok(()), |rate| rate.take(asker, Instant::now()))
    }

    /// Makes room for a request until the answer is dropped; none when there is no room.
    pub fn enter(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.requests).try_acquire_owned().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_home_are_one_asker() {
        let at = |text: &str| Asker::at(Some(text.parse().unwrap()));
        assert_eq!(at("2001:db8::1"), at("2001:db8::2:3"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
        assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
        assert_ne!(at("192.0.2.1"), at("192.0.2.2"));
    }

    #[test]
    fn there_is_room_again_when_one_leaves() {
        let limits = Limits::new(1, None);
        let first = limits.enter();
        assert!(first.is_some() && limits.enter().is_none());
        drop(first);
        assert!(limits.enter().is_some());
    }
}
