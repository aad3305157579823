//! Who waits for a write lease, in the order they came.
//!
//! Clients that find the lease with another ask again after some milliseconds, as SQLite's busy handler
//! does. Whoever happens to ask first would get it, and the one that just gave it back is the nearest.
//! So a client may say by a name of its own that it is the same one that asked before: it keeps its
//! place for a moment, and nobody else that waits is granted the lease before it. Who asks only once
//! does not wait: he is told no, and keeps nobody from anything.
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
    queues: HashMap<DbKey, Vec<Place>>,
    prune_at: usize,
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
    /// waited for; without one it is this one's turn.
    pub fn ask(&self, key: &DbKey, waiter: &str, now: Instant) -> Result<(), Duration> {
        let mut queues = self.queues.lock();
        queues.prune(now);
        let queue = queues.queues.entry(key.clone()).or_default();
        queue.retain(|place| place.until > now);
        let until = now.checked_add(PLACE).unwrap_or(now);
        if let Some(place) = queue.iter_mut().find(|place| place.waiter == waiter) {
            (place.until, place.waits) = (until, true);
        } else if queue.len() < MAX_WAITERS {
            queue.push(Place { waiter: waiter.to_owned(), until, waits: false });
        }
        match queue.iter().find(|place| place.waits) {
            Some(first) if first.waiter != waiter => {
                Err(first.until.saturating_duration_since(now))
            }
            _ => Ok(()),
        }
    }

    /// A waiter has what it waited for.
    pub fn leave(&self, key: &DbKey, waiter: &str) {
        let mut queues = self.queues.lock();
        if let Some(queue) = queues.queues.get_mut(key) {
            queue.retain(|place| place.waiter != waiter);
            if queue.is_empty() {
                queues.queues.remove(key);
            }
        }
    }

    /// How many wait.
    pub fn count(&self, key: &DbKey, now: Instant) -> usize {
        let queues = self.queues.lock();
        let queue = queues.queues.get(key);
        let waits = |place: &&Place| place.waits && place.until > now;
        queue.map_or(0, |queue| queue.iter().filter(waits).count())
    }
}

impl Queues {
    /// Forgets deserted queues whenever their number has doubled.
    fn prune(&mut self, now: Instant) {
        if self.queues.len() >= self.prune_at.max(PRUNE_FROM) {
            self.queues.retain(|_, queue| queue.iter().any(|place| place.until > now));
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
            assert_eq!(waiters.ask(&a, "one", now), Ok(()));
        }
        assert_eq!(waiters.ask(&a, "two", now), Err(PLACE));
        assert_eq!(waiters.ask(&key("b"), "two", now), Ok(()));
        let later = now + PLACE / 2;
        assert_eq!(waiters.ask(&a, "three", later), Err(PLACE / 2));
        assert_eq!(waiters.count(&a, later), 1);
        assert_eq!(waiters.ask(&a, "three", later), Err(PLACE / 2));
        assert_eq!(waiters.ask(&a, "two", later), Err(PLACE / 2));
        assert_eq!(waiters.ask(&a, "one", later), Ok(()));
        assert_eq!((waiters.count(&a, later), waiters.count(&key("c"), later)), (3, 0));
        waiters.leave(&a, "one");
        assert_eq!(waiters.ask(&a, "two", later), Ok(()));
        // Whoever had it comes last.
        assert_eq!(waiters.ask(&a, "one", later), Err(PLACE));
        waiters.leave(&a, "two");
        assert_eq!(waiters.ask(&a, "one", later), Err(PLACE));
        assert_eq!(waiters.ask(&a, "three", later), Ok(()));
    }

    #[test]
    fn a_place_is_not_kept_for_one_that_does_not_come_back() {
        let (waiters, now, a) = (Waiters::default(), Instant::now(), key("a"));
        for _ in 0..2 {
            assert_eq!(waiters.ask(&a, "one", now), Ok(()));
        }
        for _ in 0..2 {
            assert_eq!(waiters.ask(&a, "two", now + PLACE / 3), Err(PLACE * 2 / 3));
        }
        assert_eq!((waiters.count(&a, now), waiters.count(&a, now + PLACE)), (2, 1));
        assert_eq!(waiters.ask(&a, "one", now + PLACE), Err(PLACE / 3));
        assert_eq!(waiters.ask(&a, "two", now + PLACE), Ok(()));
    }

    #[test]
    fn what_nobody_waits_for_is_forgotten() {
        let (waiters, now) = (Waiters::default(), Instant::now());
        for n in 0..10_000_u32 {
            waiters.ask(&key(&n.to_string()), "one", now + PLACE * n).unwrap();
        }
        assert!(waiters.queues.lock().queues.len() <= PRUNE_FROM);
        for n in 0..4 * MAX_WAITERS {
            let _ = waiters.ask(&key("a"), &(n / 2).to_string(), now);
        }
        assert_eq!(waiters.count(&key("a"), now), MAX_WAITERS);
    }
}
