//! How often somebody may ask: so many requests a second, and a burst of them at once.
//!
//! Of each asker only one time is kept: when it would have come to rest if every request took its
//! share of a second. Whoever rests is forgotten, so the table is as long as there are busy askers,
//! and has an end: past it, those who are new share one place.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// The most askers that are told apart.
const MAX_ASKERS: usize = 65_536;
/// Below this many askers those at rest are not looked for.
const PRUNE_FROM: usize = 1024;
/// The shortest time between two such searches, which would otherwise be one a request when the
/// table is full of busy askers.
const PRUNE_PAUSE: Duration = Duration::from_secs(1);

/// A limit, and who has used how much of it.
#[derive(Debug)]
pub struct Rate<K> {
    /// What one request takes.
    share: Duration,
    /// How far ahead of the clock an asker may be.
    burst: Duration,
    table: Mutex<Table<K>>,
}

#[derive(Debug)]
struct Table<K> {
    /// When each asker will be at rest.
    rests_at: HashMap<K, Instant>,
    others_rest_at: Option<Instant>,
    prune_at: usize,
    pruned: Option<Instant>,
}

impl<K: Eq + Hash> Rate<K> {
    /// So many requests a second, and `burst` at once; at least one of each.
    pub fn new(per_second: u32, burst: u32) -> Rate<K> {
        let share = Duration::from_secs(1).checked_div(per_second).unwrap_or_default();
        let burst = share.saturating_mul(burst.max(1));
        let table = Table {
            rests_at: HashMap::new(),
            others_rest_at: None,
            prune_at: PRUNE_FROM,
            pruned: None,
        };
        Rate { share, burst, table: Mutex::new(table) }
    }

    /// Counts a request; fails with how long to wait when it is one too many, and then does not.
    pub fn take(&self, asker: K, now: Instant) -> Result<(), Duration> {
        let mut table = self.table.lock();
        let rests_at = table.place(asker, now);
        let next = (*rests_at).max(now).checked_add(self.share).unwrap_or(now);
        let ahead = next.saturating_duration_since(now);
        if ahead > self.burst {
            return Err(ahead.saturating_sub(self.burst));
        }
        *rests_at = next;
        Ok(())
    }
}

impl<K: Eq + Hash> Table<K> {
    fn place(&mut self, asker: K, now: Instant) -> &mut Instant {
        let due = |pruned| now.saturating_duration_since(pruned) >= PRUNE_PAUSE;
        if self.rests_at.len() >= self.prune_at && self.pruned.is_none_or(due) {
            self.pruned = Some(now);
            self.rests_at.retain(|_, rests_at| *rests_at > now);
            let doubled = self.rests_at.len().saturating_mul(2);
            self.prune_at = doubled.clamp(PRUNE_FROM, MAX_ASKERS);
        }
        if self.rests_at.len() >= MAX_ASKERS && !self.rests_at.contains_key(&asker) {
            return self.others_rest_at.get_or_insert(now);
        }
        self.rests_at.entry(asker).or_insert(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_burst_and_then_so_many_a_second() {
        let (rate, now) = (Rate::new(10, 3), Instant::now());
        for _ in 0..3 {
            assert_eq!(rate.take("a", now), Ok(()));
        }
        assert_eq!(rate.take("a", now), Err(SECOND / 10));
        assert_eq!(rate.take("b", now), Ok(()));
        assert_eq!(rate.take("a", now + SECOND / 20), Err(SECOND / 20));
        assert_eq!(rate.take("a", now + SECOND / 10), Ok(()));
        assert_eq!(rate.take("a", now + SECOND / 10), Err(SECOND / 10));
        let rested = now + SECOND * 10;
        let taken = (0..10).take_while(|_| rate.take("a", rested).is_ok()).count();
        assert_eq!(taken, 3);
    }

    #[test]
    fn those_at_rest_are_forgotten() {
        let (rate, now) = (Rate::new(1, 1), Instant::now());
        for n in 0..100_000_u32 {
            rate.take(n, now + SECOND * n).unwrap();
        }
        assert!(rate.table.lock().rests_at.len() <= PRUNE_FROM);
    }

    #[test]
    fn past_the_end_of_the_table_the_new_ones_share_a_place() {
        let (rate, now) = (Rate::new(1, 1), Instant::now());
        let taken = (0..100_000_u32).filter(|&n| rate.take(n, now).is_ok()).count();
        assert_eq!(taken, MAX_ASKERS + 1);
        assert_eq!(rate.table.lock().rests_at.len(), MAX_ASKERS);
        assert_eq!(rate.take(1, now), Err(SECOND));
        assert_eq!(rate.take(200_000, now + SECOND), Ok(()));
    }
}
