//! Whether files may be removed by their age: only while this server's clock goes evenly and agrees with
//! the store's. A clock that is wrong for a moment would remove what is to be kept for weeks.

use std::time::Duration;

use parking_lot::Mutex;

use super::claim::now_ms;
use super::moment::Moment;
use super::rules;

/// This server's clock, as far as it was watched.
#[derive(Debug)]
pub(super) struct Clock {
    /// It has gone on evenly since then.
    steady: Mutex<Moment>,
}

impl Clock {
    pub(super) fn new() -> Clock {
        Clock { steady: Mutex::new(Moment::now()) }
    }

    /// How long the clock has gone on evenly; zero right after it was set.
    pub(super) fn steady_for(&self) -> Duration {
        let mut steady = self.steady.lock();
        if !rules::may_remove_by_age(steady.wall_jump()) {
            *steady = Moment::now();
        }
        steady.running_for()
    }
}

/// How far this server's clock is from the store's, by an object that was written between two moments of
/// this server's clock. Times in ms since the Unix epoch.
pub(super) fn gap(before_ms: u64, written_ms: u64) -> Duration {
    // Stores tell whole seconds, cut off; a slow answer only widens what passes.
    let (from, to) = (before_ms.saturating_sub(1000), now_ms());
    let off = from.saturating_sub(written_ms).max(written_ms.saturating_sub(to));
    Duration::from_millis(off)
}
