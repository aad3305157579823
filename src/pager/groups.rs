//! What is known of each group of a page file, in memory that follows from how many were used, and not from how
//! high their numbers are: a database may say that it is larger than any disk.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// Groups that come and go together.
const CHUNK_LEN: usize = 256;

/// What is known of a group whose block need not be in memory.
#[derive(Clone, Copy, Default)]
pub struct Group {
    /// What its block must have to count; 0 for a group that was never used.
    pub version: u64,
    /// Cached pages.
    pub pages: u32,
    /// Whether the version was raised since a block was written with it.
    pub is_raised: bool,
    /// Whether the log is still to be told.
    pub is_touched: bool,
}

/// See the module.
#[derive(Default)]
pub struct Groups {
    chunks: Vec<Option<Box<[Group; CHUNK_LEN]>>>,
    /// How many have been made.
    len: usize,
}

impl Groups {
    /// Forgets all.
    pub fn clear(&mut self) {
        self.chunks.clear();
        self.len = 0;
    }

    /// How many there is room for, which is a bound of how many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// A group; `None` when nothing is known of it.
    pub fn get(&self, number: u32) -> Option<&Group> {
        let (chunk, at) = place_of(number);
        self.chunks.get(chunk)?.as_ref()?.get(at)
    }

    /// A group that something is known of.
    pub fn get_mut(&mut self, number: u32) -> Option<&mut Group> {
        let (chunk, at) = place_of(number);
        self.chunks.get_mut(chunk)?.as_mut()?.get_mut(at)
    }

    /// A group of which something will be known.
    pub fn make(&mut self, number: u32) -> Option<&mut Group> {
        let (chunk, at) = place_of(number);
        if chunk >= self.chunks.len() {
            self.chunks.resize_with(chunk.checked_add(1)?, || None);
        }
        let place = self.chunks.get_mut(chunk)?;
        if place.is_none() {
            self.len = self.len.saturating_add(CHUNK_LEN);
        }
        place.get_or_insert_with(|| Box::new([Group::default(); CHUNK_LEN])).get_mut(at)
    }

    /// The first group from that one on that was used.
    pub fn next(&self, first: u32) -> Option<(u32, &Group)> {
        let mut number = first;
        loop {
            let (chunk, _) = place_of(number);
            match self.chunks.get(chunk)? {
                None => {
                    let next = chunk.checked_add(1)?.checked_mul(CHUNK_LEN)?;
                    number = u32::try_from(next).ok()?;
                }
                Some(_) => {
                    let group = self.get(number)?;
                    if group.version > 0 || group.pages > 0 {
                        return Some((number, group));
                    }
                    number = number.checked_add(1)?;
                }
            }
        }
    }
}

fn place_of(number: u32) -> (usize, usize) {
    let number = number as usize;
    (number / CHUNK_LEN, number % CHUNK_LEN)
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;

    #[test]
    fn groups_take_the_room_of_those_that_were_used() {
        let mut groups = Groups::default();
        let highest = u32::MAX / 255;
        for number in [7, 300, highest] {
            groups.make(number).unwrap().version = u64::from(number);
        }
        let next = |first| groups.next(first).map(|(number, group)| (number, group.version));
        let found = |number: u32| Some((number, u64::from(number)));
        assert_eq!([next(0), next(7)], [found(7); 2]);
        assert_eq!([next(8), next(301)], [found(300), found(highest)]);
        assert_eq!(next(highest + 1), None);
        assert_eq!(groups.len(), 3 * CHUNK_LEN);
        assert!(groups.get(100_000).is_none() && groups.get(8).is_some());
        groups.clear();
        assert!(groups.next(0).is_none() && groups.len() == 0);
    }
}
