//! Write leases: who may commit to a database right now.
//!
//! A lease is a fence, not a hint: while one is live, only a commit that carries its id goes through.
//! Leases are kept in memory and timed by the monotonic clock, so that a jump of the wall clock
//! neither ends nor prolongs one. They do not outlive the process; a restart frees them all, and the
//! position check of every commit still keeps two writers apart.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::key::DbKey;

/// The longest lease that is granted; longer requests get this.
pub const MAX_DURATION: Duration = Duration::from_secs(60);
/// The shortest lease that is granted.
pub const MIN_DURATION: Duration = Duration::from_millis(1);

/// Below this many leases the dead ones are not looked for.
const PRUNE_FROM: usize = 64;

/// Why a lease, or a commit, was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// Another client holds the lease.
    #[error("another client holds the write lease for {} ms more: try again then", .0.as_millis())]
    Held(Duration),
    /// The id is not that of a live lease.
    #[error("this write lease has expired or was never granted: acquire it again")]
    Lost,
}

/// The leases of all databases.
#[derive(Debug, Default)]
pub struct Leases {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    leases: HashMap<DbKey, Lease>,
    prune_at: usize,
}

#[derive(Debug)]
struct Lease {
    id: String,
    until: Instant,
    /// For how long it was last granted.
    duration: Duration,
}

impl Leases {
    /// Grants a lease named `id` unless one is live; returns how long it lasts.
    pub fn acquire(
        &self,
        key: &DbKey,
        id: String,
        duration: Duration,
        now: Instant,
    ) -> Result<Duration, LeaseError> {
        let mut table = self.table.lock();
        if let Some(lease) = table.live(key, now) {
            return Err(LeaseError::Held(lease.until.saturating_duration_since(now)));
        }
        table.prune(now);
        let (until, duration) = end_of(duration, now);
        table.leases.insert(key.clone(), Lease { id, until, duration });
        Ok(duration)
    }

    /// Prolongs a live lease; returns how long it lasts from now.
    pub fn refresh(
        &self,
        key: &DbKey,
        id: &str,
        duration: Duration,
        now: Instant,
    ) -> Result<Duration, LeaseError> {
        let mut table = self.table.lock();
        let lease = table.live(key, now).filter(|lease| lease.id == id).ok_or(LeaseError::Lost)?;
        let (until, duration) = end_of(duration, now);
        (lease.until, lease.duration) = (until, duration);
        Ok(duration)
    }

    /// Prolongs a lease that was just used, if it is live, by as long as it was last granted for; returns
    /// how long that is.
    pub fn prolong_used(&self, key: &DbKey, id: &str, now: Instant) -> Option<Duration> {
        let mut table = self.table.lock();
        let lease = table.live(key, now).filter(|lease| lease.id == id)?;
        (lease.until, _) = end_of(lease.duration, now);
        Some(lease.duration)
    }

    /// Gives a lease back. An unknown id is fine: the caller has what it wants.
    pub fn release(&self, key: &DbKey, id: &str) {
        let mut table = self.table.lock();
        if table.leases.get(key).is_some_and(|lease| lease.id == id) {
            table.leases.remove(key);
        }
    }

    /// For how long a lease on a database still lives; `None` when nobody holds one.
    pub fn holder(&self, key: &DbKey, now: Instant) -> Option<Duration> {
        let mut table = self.table.lock();
        table.live(key, now).map(|lease| lease.until.saturating_duration_since(now))
    }

    /// How many leases are live.
    pub fn live(&self, now: Instant) -> usize {
        self.table.lock().leases.values().filter(|lease| lease.until > now).count()
    }

    /// Whether a commit that carries `id`, or none, may go through.
    pub fn check(&self, key: &DbKey, id: Option<&str>, now: Instant) -> Result<(), LeaseError> {
        match (self.table.lock().live(key, now), id) {
            (None, None) => Ok(()),
            (Some(lease), Some(id)) if lease.id == id => Ok(()),
            (_, Some(_)) => Err(LeaseError::Lost),
            (Some(lease), None) => {
                Err(LeaseError::Held(lease.until.saturating_duration_since(now)))
            }
        }
    }
}

impl Table {
    fn live(&mut self, key: &DbKey, now: Instant) -> Option<&mut Lease> {
        self.leases.get_mut(key).filter(|lease| lease.until > now)
    }

    /// Forgets dead leases whenever the table has doubled, so that it stays in proportion to the
    /// live ones without a clean-up thread.
    fn prune(&mut self, now: Instant) {
        if self.leases.len() >= self.prune_at.max(PRUNE_FROM) {
            self.leases.retain(|_, lease| lease.until > now);
            self.prune_at = self.leases.len().saturating_mul(2);
        }
    }
}

fn end_of(duration: Duration, now: Instant) -> (Instant, Duration) {
    let duration = duration.clamp(MIN_DURATION, MAX_DURATION);
    (now.checked_add(duration).unwrap_or(now), duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn key(db: &str) -> DbKey {
        DbKey { cluster: "c".parse().unwrap(), db: db.parse().unwrap() }
    }

    #[test]
    fn one_holder_at_a_time_and_the_next_after_expiry() {
        let (leases, now) = (Leases::default(), Instant::now());
        assert_eq!(leases.acquire(&key("a"), "1".into(), SECOND, now), Ok(SECOND));
        assert_eq!(
            leases.acquire(&key("a"), "2".into(), SECOND, now + SECOND / 4),
            Err(LeaseError::Held(SECOND * 3 / 4))
        );
        assert_eq!(leases.acquire(&key("b"), "2".into(), SECOND, now), Ok(SECOND));
        assert_eq!(leases.holder(&key("a"), now + SECOND / 4), Some(SECOND * 3 / 4));
        assert_eq!(leases.holder(&key("a"), now + SECOND), None);
        assert_eq!(leases.acquire(&key("a"), "2".into(), SECOND, now + SECOND), Ok(SECOND));
        leases.release(&key("a"), "1");
        assert_eq!(leases.check(&key("a"), Some("2"), now + SECOND), Ok(()));
        leases.release(&key("a"), "2");
        assert_eq!(leases.check(&key("a"), None, now + SECOND), Ok(()));
    }

    #[test]
    fn a_refresh_prolongs_only_a_live_lease() {
        let (leases, now) = (Leases::default(), Instant::now());
        leases.acquire(&key("a"), "1".into(), SECOND, now).unwrap();
        let later = now + SECOND / 2;
        assert_eq!(leases.refresh(&key("a"), "1", SECOND, later), Ok(SECOND));
        assert_eq!((leases.live(later), leases.live(later + SECOND)), (1, 0));
        assert_eq!(leases.refresh(&key("a"), "2", SECOND, later), Err(LeaseError::Lost));
        assert_eq!(leases.check(&key("a"), Some("1"), now + SECOND), Ok(()));
        assert_eq!(leases.refresh(&key("a"), "1", SECOND, later + SECOND), Err(LeaseError::Lost));
    }

    #[test]
    fn a_use_prolongs_a_live_lease_as_it_was_last_granted() {
        let (leases, now) = (Leases::default(), Instant::now());
        leases.acquire(&key("a"), "1".into(), SECOND, now).unwrap();
        leases.refresh(&key("a"), "1", SECOND * 2, now).unwrap();
        let later = now + SECOND;
        assert_eq!(leases.prolong_used(&key("a"), "2", later), None);
        assert_eq!(leases.prolong_used(&key("a"), "1", later), Some(SECOND * 2));
        assert_eq!(leases.holder(&key("a"), later), Some(SECOND * 2));
        assert_eq!(leases.prolong_used(&key("a"), "1", later + SECOND * 2), None);
    }

    #[test]
    fn a_live_lease_fences_and_a_dead_one_admits_nobody() {
        let (leases, now) = (Leases::default(), Instant::now());
        leases.acquire(&key("a"), "1".into(), SECOND, now).unwrap();
        assert_eq!(leases.check(&key("a"), None, now), Err(LeaseError::Held(SECOND)));
        assert_eq!(leases.check(&key("a"), Some("2"), now), Err(LeaseError::Lost));
        assert_eq!(leases.check(&key("a"), Some("1"), now + SECOND), Err(LeaseError::Lost));
        assert_eq!(leases.check(&key("a"), None, now + SECOND), Ok(()));
    }

    #[test]
    fn durations_are_clamped() {
        let (leases, now) = (Leases::default(), Instant::now());
        assert_eq!(leases.acquire(&key("a"), "1".into(), Duration::ZERO, now), Ok(MIN_DURATION));
        assert_eq!(leases.acquire(&key("b"), "1".into(), SECOND * 3600, now), Ok(MAX_DURATION));
    }

    #[test]
    fn dead_leases_are_forgotten() {
        let (leases, now) = (Leases::default(), Instant::now());
        for n in 0..10_000_u32 {
            let at = now + SECOND * n;
            leases.acquire(&key(&n.to_string()), "1".into(), SECOND, at).unwrap();
        }
        assert!(leases.table.lock().leases.len() <= PRUNE_FROM);
    }
}
