//! Fair parts of what there is only so much of, without a number for each: whoever has much is left less
//! of the rest.
//!
//! One caller alone may take about two thirds, the next one two thirds of the rest. So there is something for
//! those that come, who have nothing yet, and the last is for them alone. Where there is only one, it is
//! whoever's comes first.

use std::collections::HashMap;
use std::hash::Hash;

/// How many times what is left one may have.
const PART: usize = 2;

/// Whether whoever has so many may take one more, with so many free.
pub const fn may_take(own: usize, free: usize) -> bool {
    let left = free.saturating_sub(1);
    free > 0 && (own == 0 || own < left.saturating_mul(PART))
}

/// How many each has, and all.
#[derive(Debug)]
pub struct Counts<K> {
    each: HashMap<K, usize>,
    all: usize,
}

impl<K> Default for Counts<K> {
    fn default() -> Counts<K> {
        Counts { each: HashMap::new(), all: 0 }
    }
}

impl<K: Eq + Hash> Counts<K> {
    /// How many all have.
    pub const fn all(&self) -> usize {
        self.all
    }

    /// How many one has.
    pub fn of(&self, key: &K) -> usize {
        self.each.get(key).copied().unwrap_or(0)
    }

    /// One more.
    pub fn add(&mut self, key: K) {
        let count = self.each.entry(key).or_default();
        *count = count.saturating_add(1);
        self.all = self.all.saturating_add(1);
    }

    /// One less; whoever has none left is forgotten.
    pub fn remove(&mut self, key: &K) {
        let Some(count) = self.each.get_mut(key) else {
            return;
        };
        *count = count.saturating_sub(1);
        self.all = self.all.saturating_sub(1);
        if *count == 0 {
            self.each.remove(key);
        }
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;

    /// How many of so many each of some gets who want all there are.
    fn shares(most: usize, askers: usize) -> Vec<usize> {
        let mut counts = Counts::default();
        for asker in 0..askers {
            while may_take(counts.of(&asker), most - counts.all()) {
                counts.add(asker);
            }
        }
        (0..askers).map(|asker| counts.of(&asker)).collect()
    }

    #[test]
    fn there_is_always_something_left_for_the_next() {
        assert_eq!(shares(512, 1), [341]);
        assert_eq!(shares(512, 6), [341, 114, 38, 12, 4, 2]);
        assert_eq!(shares(5, 3), [3, 1, 1]);
        assert_eq!((shares(2, 2), shares(1, 1)), (vec![1, 1], vec![1]));
    }

    #[test]
    fn who_has_none_is_forgotten() {
        let mut counts = Counts::default();
        counts.add("a");
        counts.remove(&"a");
        counts.remove(&"b");
        assert!(counts.each.is_empty() && counts.all() == 0);
    }
}
