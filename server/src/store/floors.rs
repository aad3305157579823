//! The floors of a database that this server saw, and for how long: see [`super::bucket::rules`].

use std::collections::VecDeque;
use std::time::Duration;

use litevfs::types::Txid;

use super::bucket::head::Head;
use super::bucket::moment::Moment;
use super::bucket::rules;

/// The floors that a server saw.
#[derive(Debug)]
pub(super) struct Floors {
    /// The highest that was seen for long enough.
    old: Txid,
    recent: VecDeque<(Txid, Moment)>,
}

impl Floors {
    /// With the one of a head that was just read.
    pub(super) fn seen(head: &Head) -> Floors {
        Floors { old: Txid::ZERO, recent: VecDeque::from([(head.floor, Moment::now())]) }
    }

    /// Takes note of a head that was just read.
    pub(super) fn note(&mut self, head: &Head) {
        if self.recent.back().is_none_or(|(floor, _)| *floor < head.floor) {
            self.recent.push_back((head.floor, Moment::now()));
        }
    }

    /// The highest that was seen for long enough to remove what is below; and when the next will be so.
    pub(super) fn old(&mut self, shared: bool) -> (Txid, Option<Duration>) {
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
