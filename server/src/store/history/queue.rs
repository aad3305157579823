//! Which databases are to be compacted when.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::key::DbKey;
use crate::store::bucket::rules;
use crate::store::bucket::schedule::{self, Schedule};

/// How long a database that is committed to is left alone, at least.
pub(in crate::store) const REST: Duration = Duration::from_millis(250);
/// The pause after a compaction failed, or another server is at it.
pub(in crate::store) const RETRY: Duration = Duration::from_secs(10);
/// Which databases are to be compacted when.
#[derive(Debug)]
pub(in crate::store) struct Queue {
    /// When what is merged, and for how long what stays.
    pub(in crate::store) schedule: Schedule,
    due: Mutex<Due>,
    /// Something is due earlier than before.
    pub(in crate::store) wake: Notify,
}

/// Databases by when they are due, each once.
#[derive(Debug, Default)]
struct Due {
    times: HashMap<DbKey, (Instant, u64)>,
    /// The numbers tell databases apart that are due at the same time.
    order: BTreeMap<(Instant, u64), DbKey>,
    next: u64,
}

impl Due {
    /// Has a database be due at a time, if not before; whether that changed anything.
    fn add(&mut self, key: &DbKey, at: Instant) -> bool {
        let known = self.times.get(key).copied();
        if known.is_some_and(|(known, _)| known <= at) {
            return false;
        }
        if let Some(known) = known {
            self.order.remove(&known);
        }
        let place = (at, self.next);
        self.next = self.next.wrapping_add(1);
        self.times.insert(key.clone(), place);
        self.order.insert(place, key.clone());
        true
    }

    /// Takes out the first that is due by then, or says when one will be.
    fn take(&mut self, now: Instant) -> Result<DbKey, Option<Instant>> {
        match self.order.first_entry() {
            Some(first) if first.key().0 <= now => {
                let key = first.remove();
                self.times.remove(&key);
                Ok(key)
            }
            first => Err(first.map(|first| first.key().0)),
        }
    }
}

impl Queue {
    /// With nothing due.
    pub(in crate::store) fn new(schedule: Schedule) -> Queue {
        Queue { schedule, due: Mutex::default(), wake: Notify::new() }
    }

    /// Has a database be due after a while, if not before.
    pub(in crate::store) fn add(&self, key: &DbKey, after: Duration) {
        let Some(at) = Instant::now().checked_add(after) else {
            return;
        };
        if self.due.lock().add(key, at) {
            self.wake.notify_one();
        }
    }

    /// Takes out what is due, or says when something will be.
    pub(in crate::store) fn take(&self) -> Result<DbKey, Option<Instant>> {
        self.due.lock().take(Instant::now())
    }

    /// Tells that a database was committed to, and of how many files its position is made now.
    pub(in crate::store) fn committed(&self, key: &DbKey, plan_len: usize) {
        let first = self.schedule.levels.first().map_or(RETRY, |level| level.every);
        let soon = plan_len >= schedule::LONGEST_PLAN;
        self.add(key, if soon { REST.min(first) } else { first });
    }

    /// Tells that a database was dropped, and that its files are to be removed.
    pub(in crate::store) fn swept_soon(&self, key: &DbKey) {
        self.add(key, Duration::ZERO);
    }

    /// Tells that a database was dropped, and that some of its files are to be removed later.
    pub(in crate::store) fn swept_later(&self, key: &DbKey) {
        self.add(key, rules::GRACE.saturating_add(Duration::from_secs(1)));
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;

    #[test]
    fn each_database_is_due_once_and_the_earliest_first() {
        let key = |db: &str| DbKey { cluster: "c".parse().unwrap(), db: db.parse().unwrap() };
        let (mut due, now, second) = (Due::default(), Instant::now(), Duration::from_secs(1));
        assert!(due.add(&key("a"), now + second * 2) && due.add(&key("b"), now + second));
        assert!(!due.add(&key("b"), now + second * 3), "it is due before");
        assert!(due.add(&key("a"), now) && due.add(&key("c"), now));
        assert_eq!(due.take(now), Ok(key("a")));
        assert_eq!(due.take(now), Ok(key("c")));
        assert_eq!(due.take(now), Err(Some(now + second)));
        assert_eq!(due.take(now + second), Ok(key("b")));
        assert_eq!(due.take(now + second * 9), Err(None));
        assert!(due.times.is_empty() && due.order.is_empty());
    }
}
