//! The floors of a database that this server saw, and for how long: see [`crate::store::bucket::rules`].

use std::collections::VecDeque;
use std::time::Duration;

use litevfs::types::Txid;

use crate::store::bucket::head::Head;
use crate::store::bucket::moment::Moment;
use crate::store::bucket::rules;

/// The floors that a server saw.
#[derive(Debug)]
pub(in crate::store) struct Floors {
    /// The highest that was seen for long enough.
    old: Txid,
    recent: VecDeque<(Txid, Moment)>,
}

impl Floors {
    /// With the one of a head that was just read.
    pub(in crate::store) fn seen(head: &Head) -> Floors {
        Floors { old: Txid::ZERO, recent: VecDeque::from([(head.floor, Moment::now())]) }
    }

    /// Takes note of a head that was just read.
    pub(in crate::store) fn note(&mut self, head: &Head) {
        if self.recent.back().is_none_or(|(floor, _)| *floor < head.floor) {
            self.recent.push_back((head.floor, Moment::now()));
        }
    }

    /// The highest that was seen for long enough to remove what is below; and when the next will be so.
    pub(in crate::store) fn old(&mut self, shared: bool) -> (Txid, Option<Duration>) {
        while let Some(&(floor, seen_at)) = self.recent.front() {
            if floor > self.old && !rules::floor_holds(seen_at.running_for(), shared) {
                return (self.old, Some(rules::GRACE.saturating_sub(seen_at.running_for())));
            }
            self.old = self.old.max(floor);
            self.recent.pop_front();
        }
        (self.old, None)
    }
}
