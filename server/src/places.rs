//! Places for connections: so many in all, so many from one address, and none for long for those that do
//! nothing.
//!
//! A connection *waits* until a request on it is let in by a token, or by a server that is open; then it is
//! *kept*, and *at work* while there is a request. When there is no place left, a connection that waits or
//! that is kept idle gives up its own. One place in eight is for those that wait: while they have fewer,
//! whoever has most kept connections loses the one that was idle for longest; else the address that has most
//! that wait loses the oldest of these. So whoever holds connections without a token keeps out nobody but
//! himself, and whoever holds them with one has no more than his part for work: see [`super::shares`].
//!
//! Addresses are those that connections come from. What a proxy says about its clients is not believed;
//! all of them count as the proxy.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::limits::{Asker, NoRoom};
use crate::shares::{Counts, may_take};

/// One in so many places is for connections that wait.
const WAITING_PART: usize = 8;

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
    from: Counts<Asker>,
    /// Those at work: by who has them do it, by address, by both.
    at_work: Counts<Asker>,
    at_work_from: Counts<Asker>,
    at_work_both: Counts<(Asker, Asker)>,
    next: u64,
}

#[derive(Debug)]
struct Guest {
    from: Asker,
    /// Whether addresses like its own have a limit.
    is_limited: bool,
    /// Who was let in on it last; nobody while it waits.
    holder: Option<Asker>,
    is_at_work: bool,
    /// Larger than that of whoever has been idle for longer.
    since: u64,
    /// Dropped, has it give up its place.
    _give_up: oneshot::Sender<()>,
}

/// The place of one connection.
#[derive(Debug)]
pub struct Place {
    number: u64,
    places: Arc<Places>,
}

/// A request on a connection, which is not idle while this lives.
#[derive(Debug)]
pub struct AtWork(Arc<Place>);

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

    /// A place for a connection, and what ends when it must give it up.
    pub fn enter(self: &Arc<Self>, peer: IpAddr) -> Result<(Place, oneshot::Receiver<()>), Full> {
        let mut taken = self.taken.lock();
        let from = Asker::at(Some(peer));
        let is_limited = !peer.to_canonical().is_loopback();
        let is_full = is_limited && taken.from.of(&from) >= self.most_from_one;
        if is_full && !taken.make_room(self.most_from_one, |guest| guest.from == from) {
            return Err(Full::One);
        }
        if taken.guests.len() >= self.most && !taken.make_room(self.most, |_| true) {
            return Err(Full::All);
        }
        let (give_up, given_up) = oneshot::channel();
        let number = taken.number();
        taken.from.add(from.clone());
        let guest = Guest {
            from,
            is_limited,
            holder: None,
            is_at_work: false,
            since: number,
            _give_up: give_up,
        };
        taken.guests.insert(number, guest);
        Ok((Place { number, places: Arc::clone(self) }, given_up))
    }
}

impl Taken {
    fn number(&mut self) -> u64 {
        let number = self.next;
        self.next = number.wrapping_add(1);
        number
    }

    /// Has one of some give up its place, which is free at once; whether there was one that could.
    fn make_room(&mut self, most: usize, of: impl Fn(&Guest) -> bool) -> bool {
        let some: Vec<(u64, &Guest)> = self
            .guests
            .iter()
            .filter(|(_, guest)| of(guest))
            .map(|(n, guest)| (*n, guest))
            .collect();
        let waiting = some.iter().filter(|(_, guest)| guest.holder.is_none()).count();
        let idle = || most_of(&some, |guest| guest.holder.as_ref());
        let waits = || most_of(&some, |guest| guest.holder.is_none().then_some(&guest.from));
        let are_few = waiting < (most / WAITING_PART).max(1);
        let number = if are_few { idle().or_else(waits) } else { waits() };
        number.inspect(|&number| self.leave(number)).is_some()
    }

    /// Dropping what has a guest give up its place does that.
    fn leave(&mut self, number: u64) {
        if let Some(guest) = self.guests.remove(&number) {
            self.from.remove(&guest.from);
        }
    }

    /// Counts a guest as at work for somebody, or no longer.
    fn count(&mut self, from: &Asker, holder: &Asker, is_at_work: bool) {
        let both = (from.clone(), holder.clone());
        if is_at_work {
            self.at_work.add(holder.clone());
            self.at_work_from.add(from.clone());
            self.at_work_both.add(both);
        } else {
            self.at_work.remove(holder);
            self.at_work_from.remove(from);
            self.at_work_both.remove(&both);
        }
    }
}

/// Of those with the owner who has most, and one that is not at work: the one that did nothing for longest.
fn most_of<'a>(
    guests: &[(u64, &'a Guest)],
    owner: impl Fn(&'a Guest) -> Option<&'a Asker>,
) -> Option<u64> {
    /// How many one has, and of those that are not at work the one that is so for longest: since when, and its number.
    type Has = (usize, Option<(u64, u64)>);
    let mut has: HashMap<&Asker, Has> = HashMap::new();
    for &(number, guest) in guests {
        if let Some(owner) = owner(guest) {
            let (count, idle) = has.entry(owner).or_default();
            *count = count.saturating_add(1);
            if !guest.is_at_work {
                let this = (guest.since, number);
                *idle = Some(idle.map_or(this, |idle| idle.min(this)));
            }
        }
    }
    let most = has.into_values().filter(|(_, idle)| idle.is_some());
    most.max_by_key(|(count, idle)| (*count, Reverse(*idle)))
        .and_then(|(_, idle)| idle)
        .map(|(_, number)| number)
}

impl Place {
    /// A request of somebody who was let in begins on this connection. Fails when he has as many at work as
    /// one may have, or when it has just given up its place.
    pub fn begin(self: &Arc<Self>, asker: Asker) -> Result<AtWork, NoRoom> {
        let places = &self.places;
        let taken = &mut *places.taken.lock();
        let Some(guest) = taken.guests.get_mut(&self.number) else {
            return Err(NoRoom::All);
        };
        guest.holder = Some(asker.clone());
        let from = guest.from.clone();
        let free = |most: usize, taken: usize| most.saturating_sub(taken);
        let in_all = may_take(taken.at_work.of(&asker), free(places.most, taken.at_work.all()));
        let both = (from, asker);
        let from_one = !guest.is_limited
            || may_take(
                taken.at_work_both.of(&both),
                free(places.most_from_one, taken.at_work_from.of(&both.0)),
            );
        if !in_all || !from_one {
            return Err(NoRoom::Share);
        }
        guest.is_at_work = true;
        taken.count(&both.0, &both.1, true);
        Ok(AtWork(Arc::clone(self)))
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        let Place { number, places } = &*self.0;
        let taken = &mut *places.taken.lock();
        let now = taken.number();
        let Some(guest) = taken.guests.get_mut(number) else {
            return;
        };
        (guest.is_at_work, guest.since) = (false, now);
        let (from, holder) = (guest.from.clone(), guest.holder.clone());
        if let Some(holder) = holder {
            taken.count(&from, &holder, false);
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

    fn token(id: &str) -> Asker {
        Asker::Token(id.into())
    }

    /// A connection that is at work for somebody.
    struct Kept(Arc<Place>, oneshot::Receiver<()>, Option<AtWork>);

    impl Kept {
        fn is_closed(&mut self) -> bool {
            self.1.try_recv() == Err(TryRecvError::Closed)
        }

        fn idle(mut self) -> Kept {
            self.2 = None;
            self
        }
    }

    fn enter(places: &Arc<Places>, from: &str, id: &str) -> Result<Kept, Full> {
        let (place, told) = places.enter(at(from))?;
        let place = Arc::new(place);
        let at_work = place.begin(token(id)).ok();
        Ok(Kept(place, told, at_work))
    }

    #[test]
    fn who_waits_makes_room_and_who_is_at_work_does_not() {
        let places = Places::new(3, 9);
        let mut known = enter(&places, "192.0.2.1", "a").unwrap();
        let mut strangers: Vec<_> =
            (0..2).map(|_| places.enter(at("192.0.2.9")).unwrap()).collect();
        let newer = enter(&places, "192.0.2.2", "b").unwrap();
        assert_eq!(strangers[0].1.try_recv(), Err(TryRecvError::Closed), "the oldest gave up");
        assert_eq!(strangers[1].1.try_recv(), Err(TryRecvError::Empty));
        let (last, _told) = strangers.pop().unwrap();
        let at_work = Arc::new(last).begin(token("c")).unwrap();
        assert_eq!(places.enter(at("192.0.2.3")).unwrap_err(), Full::All);
        // What gave up its place has none to give back.
        strangers.clear();
        assert_eq!(places.enter(at("192.0.2.3")).unwrap_err(), Full::All);
        assert!(!known.is_closed());
        drop(newer);
        assert!(places.enter(at("192.0.2.3")).is_ok());
        drop(at_work);
        let taken = places.taken.lock();
        assert_eq!((taken.at_work.all(), taken.at_work_both.all()), (1, 1));
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
    fn who_holds_most_that_are_idle_loses_the_one_that_was_so_for_longest() {
        let places = Places::new(5, 9);
        let mut few = enter(&places, "192.0.2.1", "few").unwrap().idle();
        let mut many: Vec<_> =
            (0..4).map(|_| enter(&places, "192.0.2.9", "many").unwrap()).collect();
        let busy = many.remove(0);
        let mut idle: Vec<Kept> = many.into_iter().rev().map(Kept::idle).collect();
        let new = enter(&places, "192.0.2.2", "new").unwrap().idle();
        let closed: Vec<bool> = idle.iter_mut().map(Kept::is_closed).collect();
        assert_eq!(closed, [true, false, false]);
        assert!(!few.is_closed());
        assert_eq!(Arc::clone(&idle[0].0).begin(token("many")).unwrap_err(), NoRoom::All);
        drop((busy, idle, new));
        // Those that wait have their part, and no more.
        let places = Places::new(16, 99);
        let mut idle: Vec<Kept> =
            (0..16).map(|_| enter(&places, "192.0.2.1", "a").unwrap().idle()).collect();
        let waiting: Vec<_> = (0..9).map(|_| places.enter(at("192.0.2.9")).unwrap()).collect();
        assert_eq!(idle.iter_mut().filter_map(|kept| kept.is_closed().then_some(())).count(), 2);
        drop(waiting);
    }

    #[test]
    fn one_caller_has_a_part_of_the_places_at_work() {
        let places = Places::new(4, 3);
        let first: Vec<_> = (0..3).map(|_| enter(&places, "192.0.2.1", "a").unwrap()).collect();
        assert!(
            first[1].2.is_some() && first[2].2.is_none(),
            "the rest of the address is for others"
        );
        let other = enter(&places, "192.0.2.1", "b").unwrap();
        assert!(other.2.is_some(), "an idle one made room");
        let local: Vec<_> = (0..2).map(|_| enter(&places, "127.0.0.1", "a")).collect();
        assert!(local.iter().flatten().all(|kept| kept.2.is_none()), "one is left, and not for it");
        assert!(enter(&places, "127.0.0.1", "c").unwrap().2.is_some());
    }

    #[test]
    fn one_address_has_so_many_and_loopback_as_many_as_there_are() {
        let places = Places::new(99, 2);
        let enter = |text, id| enter(&places, text, id);
        let _held = [enter("2001:db8::1", "a").unwrap(), enter("2001:db8::2", "b").unwrap()];
        assert_eq!(enter("2001:db8::3", "c").err(), Some(Full::One), "one home is one address");
        let _others = [enter("2001:db8:0:1::1", "a").unwrap(), enter("192.0.2.1", "a").unwrap()];
        let _local = ["127.0.0.1", "127.0.0.1", "127.0.0.1", "::1"].map(|text| enter(text, "a"));
        // One of its own that waits makes room for the next.
        let places = Places::new(9, 1);
        let mut old = places.enter(at("192.0.2.1")).unwrap();
        let _new = places.enter(at("192.0.2.1")).unwrap();
        assert_eq!(old.1.try_recv(), Err(TryRecvError::Closed));
        assert_eq!(places.taken.lock().guests.len(), 1);
    }
}
