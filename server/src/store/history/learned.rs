//! Which pages clients asked for, once they had opened a database: the next that opens it is likely to
//! want them too.

use std::collections::HashMap;

use litevfs::types::Pgno;

/// How many pages are counted.
const MAX_COUNTED: usize = 256;
/// Bytes that one takes: of a hash table an eighth is free, and it has a byte more for each place.
const COUNTED_BYTES: usize = size_of::<(Pgno, u32)>() + 2;
/// How many pages are told.
const MAX_TOLD: usize = 32;

/// How often pages were asked for, of late more than before.
#[derive(Debug, Default)]
pub(in crate::store) struct Learned(HashMap<Pgno, u32>);

impl Learned {
    /// Counts a page. When there are too many, all counts are halved, until some are forgotten.
    pub(in crate::store) fn note(&mut self, pgno: Pgno) {
        let count = self.0.entry(pgno).or_default();
        *count = count.saturating_add(1);
        while self.0.len() > MAX_COUNTED {
            self.0.retain(|_, count| {
                *count /= 2;
                *count > 0
            });
        }
    }

    /// Bytes of memory it takes, about.
    pub(in crate::store) fn memory(&self) -> usize {
        self.0.capacity().saturating_mul(COUNTED_BYTES)
    }

    /// The pages asked for most, if more than once.
    pub(in crate::store) fn most(&self) -> Vec<Pgno> {
        let again = self.0.iter().filter(|&(_, &count)| count > 1);
        let mut counted: Vec<(u32, Pgno)> = again.map(|(&pgno, &count)| (count, pgno)).collect();
        counted.sort_unstable_by_key(|&(count, pgno)| (std::cmp::Reverse(count), pgno));
        counted.into_iter().map(|(_, pgno)| pgno).take(MAX_TOLD).collect()
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_often_outlasts_what_is_asked_for_once() {
        let mut learned = Learned::default();
        let page = |pgno| Pgno::new(pgno).unwrap();
        for round in 0..2000 {
            learned.note(page(7));
            if round % 2 == 0 {
                learned.note(page(5));
            }
            learned.note(page(1000 + round));
            assert!(learned.0.len() <= MAX_COUNTED);
        }
        assert_eq!(learned.most(), [page(7), page(5)]);
    }
}
