//! Leases that were granted to a request by name: sent again because its answer was lost, it is answered the
//! same, so that nobody is refused the lease by himself.
//!
//! Kept in memory, by each server for itself: whoever meets with another one waits for the lease to end.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::key::DbKey;

/// The most that are remembered: those that came last, of one database each.
const MAX_GRANTS: usize = 10_000;

/// The last named request for the lease of each database, with the lease's id.
#[derive(Debug, Default)]
pub struct Grants(Mutex<HashMap<DbKey, (String, String)>>);

impl Grants {
    /// A lease was granted to a request of that name.
    pub fn note(&self, key: &DbKey, request: &str, id: &str) {
        let mut grants = self.0.lock();
        if grants.len() >= MAX_GRANTS && !grants.contains_key(key) {
            grants.clear();
        }
        grants.insert(key.clone(), (request.to_owned(), id.to_owned()));
    }

    /// The lease that was granted to it before; perhaps it is over.
    pub fn of(&self, key: &DbKey, request: &str) -> Option<String> {
        let grants = self.0.lock();
        let (_, id) = grants.get(key).filter(|(name, _)| name == request)?;
        Some(id.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_request_of_each_database_is_known_by_its_name() {
        let grants = Grants::default();
        let key = |n: usize| DbKey {
            cluster: "c".parse().unwrap(),
            db: format!("db{n}").parse().unwrap(),
        };
        grants.note(&key(1), "a", "1");
        grants.note(&key(2), "a", "2");
        assert_eq!(grants.of(&key(1), "a").as_deref(), Some("1"));
        assert_eq!(grants.of(&key(1), "b"), None);
        grants.note(&key(1), "b", "3");
        assert_eq!((grants.of(&key(1), "a"), grants.of(&key(1), "b")), (None, Some("3".into())));
        for n in 0..3 * MAX_GRANTS {
            grants.note(&key(n), "a", "4");
        }
        assert!(grants.0.lock().len() <= MAX_GRANTS);
    }
}
