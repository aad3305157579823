//! Leases that were granted to a request by name: sent again because its answer was lost, it is answered the
//! same, so that nobody is refused the lease by himself. One that comes when its lease is over gets none: nobody
//! would use it, or give it back.
//!
//! Kept in memory, by each server for itself: whoever meets with another one waits for the lease to end.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::key::DbKey;

/// The most databases of which requests are remembered.
const MAX_DATABASES: usize = 10_000;
/// The most requests that are remembered of one: how late a request may come, counted in leases.
const MAX_REQUESTS: usize = 8;

/// The last named requests for the lease of each database. Who has locked those of one may grant its lease.
#[derive(Debug, Default)]
pub struct Grants(Mutex<HashMap<DbKey, Arc<tokio::sync::Mutex<Granted>>>>);

/// The last named requests for one lease, each with the id that it was granted.
#[derive(Debug, Default)]
pub struct Granted(VecDeque<(String, String)>);

impl Grants {
    /// Those of a database, to be locked from the look at them until what was granted is noted: a request and
    /// its twin may come at the same time.
    pub fn of(&self, key: &DbKey) -> Arc<tokio::sync::Mutex<Granted>> {
        let mut grants = self.0.lock();
        if grants.len() >= MAX_DATABASES && !grants.contains_key(key) {
            grants.retain(|_, granted| Arc::strong_count(granted) > 1);
        }
        Arc::clone(grants.entry(key.clone()).or_default())
    }
}

impl Granted {
    /// The lease that was granted to a request before; perhaps it is over.
    pub fn id(&self, request: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == request).map(|(_, id)| id.as_str())
    }

    /// A lease was granted to a request of that name.
    pub fn note(&mut self, request: &str, id: &str) {
        self.0.truncate(MAX_REQUESTS.saturating_sub(1));
        self.0.push_front((request.to_owned(), id.to_owned()));
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
        let note =
            |n, request: &str, id: &str| grants.of(&key(n)).blocking_lock().note(request, id);
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
        assert_eq!(grants.of(&key(1)).blocking_lock().0.len(), MAX_REQUESTS);
    }

    #[test]
    fn what_is_in_use_is_not_forgotten() {
        let grants = Grants::default();
        let used = grants.of(&key(0));
        (1..3 * MAX_DATABASES).for_each(|n| drop(grants.of(&key(n))));
        assert!(grants.0.lock().len() <= MAX_DATABASES);
        assert!(Arc::ptr_eq(&used, &grants.of(&key(0))));
    }
}
