//! Leases that were granted to a request by name: sent again because its answer was lost, it is answered the
//! same, so that nobody is refused the lease by himself. One that comes when its lease is over gets none: nobody
//! would use it, or give it back.
//!
//! Those of a lease that is held are never forgotten: so there are as many as leases, and some thousands more.
//!
//! Kept in memory, by each server for itself: whoever meets with another one waits for the lease to end.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::key::DbKey;

/// The most databases without a lease of which requests are remembered.
const MAX_DATABASES: usize = 10_000;
/// The most requests that are remembered of one: how late a request may come, counted in leases.
const MAX_REQUESTS: usize = 8;

/// The last named requests for the lease of each database. Who has locked those of one may grant its lease.
#[derive(Debug, Default)]
pub struct Grants(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    granted: HashMap<DbKey, Arc<tokio::sync::Mutex<Granted>>>,
    prune_at: usize,
}

/// The last named requests for one lease, each with the id that it was granted.
#[derive(Debug, Default)]
pub struct Granted {
    requests: VecDeque<(String, String)>,
    /// Until when the lease is held, as far as this server knows.
    until: Option<Instant>,
}

impl Grants {
    /// Those of a database, to be locked from the look at them until what was granted is noted: a request and
    /// its twin may come at the same time.
    pub fn of(&self, key: &DbKey) -> Arc<tokio::sync::Mutex<Granted>> {
        let mut table = self.0.lock();
        if !table.granted.contains_key(key) {
            table.prune(Instant::now());
        }
        Arc::clone(table.granted.entry(key.clone()).or_default())
    }

    /// The lease of a database lasts for so long from now on.
    pub fn prolonged(&self, key: &DbKey, left: Duration) {
        let granted = self.0.lock().granted.get(key).cloned();
        // Who has it locked is about to note a lease of his own.
        if let Some(Ok(mut granted)) = granted.as_ref().map(|granted| granted.try_lock()) {
            granted.prolonged(left);
        }
    }
}

impl Table {
    /// Forgets those that nobody uses whose lease is over, whenever their number has doubled.
    fn prune(&mut self, now: Instant) {
        if self.granted.len() >= self.prune_at.max(MAX_DATABASES) {
            let is_held = |granted: &Granted| granted.until.is_some_and(|until| until > now);
            self.granted.retain(|_, granted| {
                Arc::strong_count(granted) > 1 || granted.try_lock().is_ok_and(|g| is_held(&g))
            });
            self.prune_at = self.granted.len().saturating_mul(2);
        }
    }
}

impl Granted {
    /// The lease that was granted to a request before; perhaps it is over.
    pub fn id(&self, request: &str) -> Option<&str> {
        self.requests.iter().find(|(name, _)| name == request).map(|(_, id)| id.as_str())
    }

    /// A lease was granted to a request of that name, for so long.
    pub fn note(&mut self, request: &str, id: &str, left: Duration) {
        self.requests.retain(|(name, _)| name != request);
        self.requests.truncate(MAX_REQUESTS.saturating_sub(1));
        self.requests.push_front((request.to_owned(), id.to_owned()));
        self.prolonged(left);
    }

    fn prolonged(&mut self, left: Duration) {
        self.until = Instant::now().checked_add(left).max(self.until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> DbKey {
        DbKey { cluster: "c".parse().unwrap(), db: format!("db{n}").parse().unwrap() }
    }

    #[test]
    fn the_last_requests_of_each_database_are_known_by_name() {
        let grants = Grants::default();
        let note = |n, request: &str, id: &str| {
            grants.of(&key(n)).blocking_lock().note(request, id, Duration::ZERO)
        };
        let id =
            |n, request: &str| grants.of(&key(n)).blocking_lock().id(request).map(String::from);
        note(1, "a", "1");
        note(2, "a", "2");
        assert_eq!((id(1, "a").as_deref(), id(2, "a").as_deref()), (Some("1"), Some("2")));
        assert_eq!(id(1, "b"), None);
        note(1, "b", "3");
        assert_eq!((id(1, "a").as_deref(), id(1, "b").as_deref()), (Some("1"), Some("3")));
        (0..MAX_REQUESTS).for_each(|n| note(1, &n.to_string(), "4"));
        assert_eq!((id(1, "a"), id(1, "0").as_deref()), (None, Some("4")));
        assert_eq!(grants.of(&key(1)).blocking_lock().requests.len(), MAX_REQUESTS);
    }

    #[test]
    fn what_is_in_use_or_held_is_not_forgotten() {
        let grants = Grants::default();
        let used = grants.of(&key(0));
        let minute = Duration::from_secs(60);
        grants.of(&key(1)).blocking_lock().note("a", "1", minute);
        grants.of(&key(2)).blocking_lock().note("a", "2", Duration::ZERO);
        grants.prolonged(&key(2), minute);
        (3..3 * MAX_DATABASES).for_each(|n| drop(grants.of(&key(n))));
        assert!(grants.0.lock().granted.len() <= MAX_DATABASES);
        assert!(Arc::ptr_eq(&used, &grants.of(&key(0))));
        for n in [1, 2] {
            assert!(grants.of(&key(n)).blocking_lock().id("a").is_some(), "a lease that is held");
        }
    }
}
