//! How much the server takes on: requests at a time, and requests a second from each caller.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::rate::Rate;
use crate::shares::{Counts, may_take};

/// The limits of requests.
#[derive(Debug)]
pub struct Limits {
    requests: Arc<Requests>,
    rate: Option<Rate<Asker>>,
}

#[derive(Debug)]
struct Requests {
    most: usize,
    under_way: Mutex<Counts<Asker>>,
}

/// The room of one request, until it is dropped.
#[derive(Debug)]
pub struct Room {
    requests: Arc<Requests>,
    asker: Asker,
}

/// Why there is no room for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRoom {
    /// There are as many as the server takes.
    All,
    /// The rest is for others.
    Share,
}

impl NoRoom {
    /// What it is called in the metrics.
    pub const fn label(self) -> &'static str {
        match self {
            NoRoom::All => "requests",
            NoRoom::Share => "share",
        }
    }

    /// What whoever found no room is told.
    pub const fn text(self) -> &'static str {
        match self {
            NoRoom::All => "this server is busy with other requests: try again",
            NoRoom::Share => {
                "this server is busy with so many requests of yours that it keeps the room left for others: \
                 try again"
            }
        }
    }
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
        let requests = Arc::new(Requests { most: requests, under_way: Mutex::default() });
        Limits { requests, rate: rate.map(|(per_second, burst)| Rate::new(per_second, burst)) }
    }

    /// Counts a request; fails with how long its sender should wait.
    pub fn count(&self, asker: Asker) -> Result<(), Duration> {
        self.rate.as_ref().map_or(Ok(()), |rate| rate.take(asker, Instant::now()))
    }

    /// Makes room for a request until the answer is dropped.
    pub fn enter(&self, asker: &Asker) -> Result<Room, NoRoom> {
        let mut under_way = self.requests.under_way.lock();
        let free = self.requests.most.saturating_sub(under_way.all());
        if !may_take(under_way.of(asker), free) {
            return Err(if free == 0 { NoRoom::All } else { NoRoom::Share });
        }
        under_way.add(asker.clone());
        Ok(Room { requests: Arc::clone(&self.requests), asker: asker.clone() })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.requests.under_way.lock().remove(&self.asker);
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
        let (limits, asker) = (Limits::new(2, None), |id: &str| Asker::Token(id.into()));
        let enter = |id| limits.enter(&asker(id)).map_err(NoRoom::label);
        let first = enter("a").unwrap();
        assert_eq!(enter("a").unwrap_err(), "share");
        let second = enter("b").unwrap();
        assert_eq!(enter("c").unwrap_err(), "requests");
        drop(second);
        assert!(enter("c").is_ok());
        drop(first);
        assert!(enter("a").is_ok());
    }
}
