//! Places for connections: so many in all, so many from one address, and none for long for those that did
//! nothing yet.
//!
//! A connection *waits* until a request on it is let in by a token, or by a server that is open. When there
//! is no place left, one that waits gives up its own: of the address that has most of those the oldest. So
//! whoever holds connections without a token keeps out nobody but himself.
//!
//! Addresses are those that connections come from. What a proxy says about its clients is not believed;
//! all of them count as the proxy.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::limits::Asker;

/// The places of one server.
#[derive(Debug)]
pub struct Places {
    most: usize,
    /// The most from one address; loopback addresses have no such limit.
    most_from_one: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    /// In the order in which they came.
    guests: BTreeMap<u64, Guest>,
    from: HashMap<Asker, usize>,
    next: u64,
}

#[derive(Debug)]
struct Guest {
    from: Asker,
    /// Set while it waits: has it give up its place.
    waits: Option<oneshot::Sender<()>>,
}

/// The place of one connection.
#[derive(Debug)]
pub struct Place {
    number: u64,
    places: Arc<Places>,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// All are taken.
    All,
    /// That address has as many as one may have.
    One,
}

impl Full {
    /// What it is called in the metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Full::All => "connections",
            Full::One => "address",
        }
    }

    /// What whoever found no place is told.
    pub const fn text(self) -> &'static str {
        match self {
            Full::All => "this server has as many connections as it takes: try again",
            Full::One => {
                "this server has as many connections from your address, or your proxy's, as it takes from \
                 one: try again, or raise --max-connections-per-address"
            }
        }
    }
}

impl Places {
    /// So many in all and from one address.
    pub fn new(most: usize, most_from_one: usize) -> Arc<Places> {
        Arc::new(Places { most, most_from_one, taken: Mutex::default() })
    }

    /// A place for a connection, and what tells that it must give it up.
    pub fn enter(self: &Arc<Self>, peer: IpAddr) -> Result<(Place, oneshot::Receiver<()>), Full> {
        let mut taken = self.taken.lock();
        let from = Asker::at(Some(peer));
        let has = taken.from.get(&from).copied().unwrap_or(0);
        let limited = !peer.to_canonical().is_loopback() && has >= self.most_from_one;
        if limited && !taken.give_up_one(|guest| guest.from == from) {
            return Err(Full::One);
        }
        if taken.guests.len() >= self.most {
            let most = taken.most_waiting();
            if !most.is_some_and(|most| taken.give_up_one(|guest| guest.from == most)) {
                return Err(Full::All);
            }
        }
        let (give_up, given_up) = oneshot::channel();
        let number = taken.next;
        taken.next = taken.next.wrapping_add(1);
        let count = taken.from.entry(from.clone()).or_default();
        *count = count.saturating_add(1);
        taken.guests.insert(number, Guest { from, waits: Some(give_up) });
        Ok((Place { number, places: Arc::clone(self) }, given_up))
    }
}

impl Taken {
    /// The address that has the most connections that wait.
    fn most_waiting(&self) -> Option<Asker> {
        let mut waiting: HashMap<&Asker, usize> = HashMap::new();
        for guest in self.guests.values().filter(|guest| guest.waits.is_some()) {
            let count = waiting.entry(&guest.from).or_default();
            *count = count.saturating_add(1);
        }
        waiting.into_iter().max_by_key(|(_, count)| *count).map(|(from, _)| from.clone())
    }

    /// Has the oldest of some that wait give up its place, which is free at once; whether there was one.
    fn give_up_one(&mut self, of: impl Fn(&Guest) -> bool) -> bool {
        let waits = |guest: &Guest| guest.waits.is_some() && of(guest);
        let oldest = self.guests.iter().find(|(_, guest)| waits(guest)).map(|(number, _)| *number);
        oldest.is_some_and(|number| {
            self.leave(number);
            true
        })
    }

    /// Dropping what has a guest give up its place does that.
    fn leave(&mut self, number: u64) {
        let Some(guest) = self.guests.remove(&number) else {
            return;
        };
        let left = self.from.get_mut(&guest.from).map(|count| {
            *count = count.saturating_sub(1);
            *count
        });
        if left == Some(0) {
            self.from.remove(&guest.from);
        }
    }
}

impl Place {
    /// Somebody was let in on this connection: it does not wait any more.
    pub fn keep(&self) {
        if let Some(guest) = self.places.taken.lock().guests.get_mut(&self.number)
            && let Some(waits) = guest.waits.take()
        {
            let _ = waits.send(());
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken.lock().leave(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot::error::TryRecvError;

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn who_waits_makes_room_and_who_was_let_in_does_not() {
        let places = Places::new(3, 9);
        let (known, mut known_told) = places.enter(at("192.0.2.1")).unwrap();
        known.keep();
        let mut strangers: Vec<_> =
            (0..2).map(|_| places.enter(at("192.0.2.9")).unwrap()).collect();
        let mut newer = places.enter(at("192.0.2.2")).unwrap();
        assert_eq!(strangers[0].1.try_recv(), Err(TryRecvError::Closed), "the oldest gave up");
        assert_eq!(strangers[1].1.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(known_told.try_recv(), Ok(()));
        assert_eq!(newer.1.try_recv(), Err(TryRecvError::Empty));
        newer.0.keep();
        strangers[1].0.keep();
        assert_eq!(places.enter(at("192.0.2.3")).unwrap_err(), Full::All);
        // What gave up its place has none to give back.
        strangers.remove(0);
        assert_eq!(places.enter(at("192.0.2.3")).unwrap_err(), Full::All);
        drop(newer);
        assert!(places.enter(at("192.0.2.3")).is_ok());
    }

    #[test]
    fn who_holds_most_that_wait_loses_one_first() {
        let places = Places::new(4, 9);
        let mut first = places.enter(at("192.0.2.1")).unwrap();
        let mut many: Vec<_> = (0..3).map(|_| places.enter(at("192.0.2.9")).unwrap()).collect();
        let _new = places.enter(at("192.0.2.2")).unwrap();
        assert_eq!(first.1.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(many[0].1.try_recv(), Err(TryRecvError::Closed));
    }

    #[test]
    fn one_address_has_so_many_and_loopback_as_many_as_there_are() {
        let places = Places::new(9, 2);
        let kept = |text| {
            let place = places.enter(at(text)).map(|(place, _)| place);
            place.inspect(Place::keep)
        };
        let _held = [kept("2001:db8::1").unwrap(), kept("2001:db8::2").unwrap()];
        assert_eq!(kept("2001:db8::3").unwrap_err(), Full::One, "one home is one address");
        let _others = [kept("2001:db8:0:1::1").unwrap(), kept("192.0.2.1").unwrap()];
        let _local = ["127.0.0.1", "127.0.0.1", "127.0.0.1", "::1"].map(|text| kept(text).unwrap());
        // One of its own that waits makes room for the next.
        let places = Places::new(9, 1);
        let mut old = places.enter(at("192.0.2.1")).unwrap();
        let _new = places.enter(at("192.0.2.1")).unwrap();
        assert_eq!(old.1.try_recv(), Err(TryRecvError::Closed));
        assert_eq!(places.taken.lock().guests.len(), 1);
    }
}
