//! Who waits for a write lease, in the order they came.
//!
//! Clients that find the lease with another ask again after some milliseconds, as SQLite's busy handler
//! does. Whoever happens to ask first would get it, and the one that just gave it back is the nearest.
//! So a client may say by a name of its own that it is the same one that asked before: it keeps its
//! place for a moment, and nobody else that waits is granted the lease before it. Who asks only once
//! does not wait: he is told no, and keeps nobody from anything. A lease that is free is not kept for longer than
//! one place lasts, whoever is in the queue: clients that ask twice and go away may be many, one behind the other.
//!
//! Kept in memory, by each server for itself: a queue that is lost costs an order, nothing else.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::key::DbKey;

/// How long a place is kept for a waiter that does not ask again. SQLite asks every 100 ms or sooner.
pub const PLACE: Duration = Duration::from_millis(300);
/// The longest name of a waiter.
pub const MAX_NAME_LEN: usize = 64;

/// The most waiters for one lease whose order is kept.
const MAX_WAITERS: usize = 1_000;
/// Below this many queues the deserted ones are not looked for.
const PRUNE_FROM: usize = 64;

/// The waiters of all databases.
#[derive(Debug, Default)]
pub struct Waiters {
    queues: Mutex<Queues>,
}

#[derive(Debug, Default)]
struct Queues {
    queues: HashMap<DbKey, Queue>,
    prune_at: usize,
}

#[derive(Debug, Default)]
struct Queue {
    places: Vec<Place>,
    /// Since when somebody has been refused a lease that is free.
    kept_since: Option<Instant>,
}

#[derive(Debug)]
struct Place {
    waiter: String,
    until: Instant,
    /// Whether it has asked again.
    waits: bool,
}

impl Waiters {
    /// A waiter asks: it gets or keeps its place. `Err` says for how long at most the one before it is
    /// waited for; without one it is this one's turn. `is_free` says that nobody holds the lease.
    pub fn ask(
        &self,
        key: &DbKey,
        waiter: &str,
        is_free: bool,
        now: Instant,
    ) -> Result<(), Duration> {
        let mut queues = self.queues.lock();
        queues.prune(now);
        let queue = queues.queues.entry(key.clone()).or_default();
        let Queue { places, kept_since } = queue;
        places.retain(|place| place.until > now);
        let until = now.checked_add(PLACE).unwrap_or(now);
        if let Some(place) = places.iter_mut().find(|place| place.waiter == waiter) {
            (place.until, place.waits) = (until, true);
        } else if places.len() < MAX_WAITERS {
            places.push(Place { waiter: waiter.to_owned(), until, waits: false });
        }
        let first = places.iter().find(|place| place.waits).filter(|first| first.waiter != waiter);
        let Some(first) = first else { return Ok(()) };
        if !is_free {
            *kept_since = None;
        } else if now.saturating_duration_since(*kept_since.get_or_insert(now)) >= PLACE {
            return Ok(());
        }
        Err(first.until.saturating_duration_since(now))
    }

    /// A waiter has what it waited for.
    pub fn leave(&self, key: &DbKey, waiter: &str) {
        let mut queues = self.queues.lock();
        if let Some(queue) = queues.queues.get_mut(key) {
            queue.places.retain(|place| place.waiter != waiter);
            queue.kept_since = None;
            if queue.places.is_empty() {
                queues.queues.remove(key);
            }
        }
    }

    /// How many wait.
    pub fn count(&self, key: &DbKey, now: Instant) -> usize {
        let queues = self.queues.lock();
        let queue = queues.queues.get(key);
        let waits = |place: &&Place| place.waits && place.until > now;
        queue.map_or(0, |queue| queue.places.iter().filter(waits).count())
    }
}

impl Queues {
    /// Forgets deserted queues whenever their number has doubled.
    fn prune(&mut self, now: Instant) {
        if self.queues.len() >= self.prune_at.max(PRUNE_FROM) {
            self.queues.retain(|_, queue| queue.places.iter().any(|place| place.until > now));
            self.prune_at = self.queues.len().saturating_mul(2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(db: &str) -> DbKey {
        DbKey { cluster: "c".parse().unwrap(), db: db.parse().unwrap() }
    }

    #[test]
    fn they_are_served_in_the_order_they_came() {
        let (waiters, now, a) = (Waiters::default(), Instant::now(), key("a"));
        for _ in 0..2 {
            assert_eq!(waiters.ask(&a, "one", false, now), Ok(()));
        }
        assert_eq!(waiters.ask(&a, "two", false, now), Err(PLACE));
        assert_eq!(waiters.ask(&key("b"), "two", false, now), Ok(()));
        let later = now + PLACE / 2;
        assert_eq!(waiters.ask(&a, "three", false, later), Err(PLACE / 2));
        assert_eq!(waiters.count(&a, later), 1);
        assert_eq!(waiters.ask(&a, "three", false, later), Err(PLACE / 2));
        assert_eq!(waiters.ask(&a, "two", false, later), Err(PLACE / 2));
        assert_eq!(waiters.ask(&a, "one", false, later), Ok(()));
        assert_eq!((waiters.count(&a, later), waiters.count(&key("c"), later)), (3, 0));
        waiters.leave(&a, "one");
        assert_eq!(waiters.ask(&a, "two", false, later), Ok(()));
        // Whoever had it comes last.
        assert_eq!(waiters.ask(&a, "one", false, later), Err(PLACE));
        waiters.leave(&a, "two");
        assert_eq!(waiters.ask(&a, "one", false, later), Err(PLACE));
        assert_eq!(waiters.ask(&a, "three", false, later), Ok(()));
    }

    #[test]
    fn a_place_is_not_kept_for_one_that_does_not_come_back() {
        let (waiters, now, a) = (Waiters::default(), Instant::now(), key("a"));
        for _ in 0..2 {
            assert_eq!(waiters.ask(&a, "one", false, now), Ok(()));
        }
        for _ in 0..2 {
            assert_eq!(waiters.ask(&a, "two", false, now + PLACE / 3), Err(PLACE * 2 / 3));
        }
        assert_eq!((waiters.count(&a, now), waiters.count(&a, now + PLACE)), (2, 1));
        assert_eq!(waiters.ask(&a, "one", false, now + PLACE), Err(PLACE / 3));
        assert_eq!(waiters.ask(&a, "two", false, now + PLACE), Ok(()));
    }

    #[test]
    fn those_that_ask_twice_and_go_away_keep_nobody_out_for_long() {
        let (waiters, now, a) = (Waiters::default(), Instant::now(), key("a"));
        let step = PLACE / 10;
        let is_granted = |n: u32| {
            let asked = [0, 1].map(|_| waiters.ask(&a, &n.to_string(), true, now + step * n));
            asked.contains(&Ok(()))
        };
        assert!(is_granted(0), "it is the first, but goes away without a lease");
        let granted: Vec<u32> = (1..40).filter(|&n| is_granted(n)).collect();
        assert_eq!(granted.first(), Some(&11));
        // While somebody has the lease, the order holds.
        assert!(waiters.ask(&a, "b", false, now + step * 40).is_err());
        assert!(waiters.ask(&a, "b", true, now + step * 41).is_err());
    }

    #[test]
    fn what_nobody_waits_for_is_forgotten() {
        let (waiters, now) = (Waiters::default(), Instant::now());
        for n in 0..10_000_u32 {
            waiters.ask(&key(&n.to_string()), "one", false, now + PLACE * n).unwrap();
        }
        assert!(waiters.queues.lock().queues.len() <= PRUNE_FROM);
        for n in 0..4 * MAX_WAITERS {
            let _ = waiters.ask(&key("a"), &(n / 2).to_string(), false, now);
        }
        assert_eq!(waiters.count(&key("a"), now), MAX_WAITERS);
    }
}
