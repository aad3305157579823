//! What went over the wire, counted.
//!
//! The client of the API counts every request as it makes it, for the server and for each database that
//! the request is about; pragmas and SQL read the counts. Counting takes no lock and no system call.

use crate::sys;
use crate::types::DbName;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters, from when they were made.
#[derive(Debug, Default)]
pub struct Traffic {
    requests: AtomicU64,
    retries: AtomicU64,
    bytes_out: AtomicU64,
    bytes_in: AtomicU64,
}

/// What [`Traffic`] counted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct TrafficCounts {
    /// Requests that were sent, or may have been.
    pub requests: u64,
    /// Tries after one that had no answer, or the answer to come back later.
    pub retries: u64,
    /// Bytes of the requests' bodies.
    pub bytes_out: u64,
    /// Bytes of the answers' bodies.
    pub bytes_in: u64,
}

impl Traffic {
    /// Counts a request with a body of so many bytes.
    pub fn count_request(&self, bytes_out: usize) {
        self.requests.fetch_add(1, Relaxed);
        self.bytes_out.fetch_add(bytes_out as u64, Relaxed);
    }

    /// Counts bytes of an answer's body.
    pub fn count_bytes_in(&self, bytes_in: usize) {
        self.bytes_in.fetch_add(bytes_in as u64, Relaxed);
    }

    /// Counts a try that follows a failed one. The request it makes is counted on its own.
    pub fn count_retry(&self) {
        self.retries.fetch_add(1, Relaxed);
    }

    /// The counts so far. Each is right; together they may be of slightly different moments.
    pub fn counts(&self) -> TrafficCounts {
        TrafficCounts {
            requests: self.requests.load(Relaxed),
            retries: self.retries.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
            bytes_in: self.bytes_in.load(Relaxed),
        }
    }
}

/// The counters of a server and of its databases.
#[derive(Debug, Default)]
pub struct Ledger {
    total: Arc<Traffic>,
    /// In the order of their names.
    databases: sys::Mutex<Vec<(DbName, Weak<Traffic>)>>,
}

impl Ledger {
    /// The counters of everything sent to the server.
    pub fn total(&self) -> Arc<Traffic> {
        Arc::clone(&self.total)
    }

    /// The counters of a database. They begin anew when nobody held on to them.
    pub fn of_database(&self, db: &DbName) -> Arc<Traffic> {
        let mut databases = self.databases.lock();
        if let Some(traffic) = find(&databases, db) {
            return traffic;
        }
        databases.retain(|(name, traffic)| name != db && traffic.strong_count() > 0);
        let traffic = Arc::new(Traffic::default());
        let at = databases.partition_point(|(name, _)| name < db);
        databases.insert(at, (db.clone(), Arc::downgrade(&traffic)));
        traffic
    }

    /// The counters that a request about these databases belongs to.
    pub fn counters(&self, about: &[DbName]) -> Vec<Arc<Traffic>> {
        let databases = self.databases.lock();
        let held = about.iter().filter_map(|db| find(&databases, db));
        core::iter::once(self.total()).chain(held).collect()
    }
}

/// The counters of a database that somebody holds.
fn find(databases: &[(DbName, Weak<Traffic>)], db: &DbName) -> Option<Arc<Traffic>> {
    let at = databases.binary_search_by(|(name, _)| name.cmp(db)).ok()?;
    databases.get(at).and_then(|(_, traffic)| traffic.upgrade())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_counts_for_the_server_and_for_each_of_its_databases() {
        let ledger = Ledger::default();
        let names: Vec<DbName> = ["a", "b", "c"].map(|name| name.parse().unwrap()).into();
        let (a, b) = (ledger.of_database(&names[0]), ledger.of_database(&names[1]));
        for counters in [&names[..], &names[..1], &names[2..], &[]] {
            for traffic in ledger.counters(counters) {
                traffic.count_request(10);
                traffic.count_bytes_in(3);
            }
        }
        let counts = |requests| TrafficCounts {
            requests,
            retries: 0,
            bytes_out: 10 * requests,
            bytes_in: 3 * requests,
        };
        assert_eq!(ledger.total().counts(), counts(4));
        assert_eq!(a.counts(), counts(2));
        assert_eq!(b.counts(), counts(1));
        assert_eq!(ledger.of_database(&names[0]).counts(), counts(2));
        drop(a);
        assert_eq!(ledger.of_database(&names[0]).counts(), counts(0));
    }
}
