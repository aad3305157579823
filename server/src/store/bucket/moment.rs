//! How long ago something was known, for what may be relied on for a while only.

use std::time::Duration;

use tokio::time::Instant;

/// A moment of this process.
///
/// Its age is the larger of what two clocks say: the one that runs while the machine does, and the wall
/// clock, which is right again after the machine slept. So it may be too old, and that costs a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    running: Instant,
    wall_ms: u64,
}

impl Moment {
    /// Now.
    pub fn now() -> Moment {
        Moment { running: Instant::now(), wall_ms: now_ms() }
    }

    /// The time since then.
    pub fn age(self) -> Duration {
        let wall = Duration::from_millis(now_ms().saturating_sub(self.wall_ms));
        self.running.elapsed().max(wall)
    }

    /// The time since then by the clock that nobody sets.
    pub fn running_for(self) -> Duration {
        self.running.elapsed()
    }

    /// By how much the wall clock went another way than time did since then.
    pub fn wall_jump(self) -> Duration {
        let running = u64::try_from(self.running.elapsed().as_millis()).unwrap_or(u64::MAX);
        let expected = self.wall_ms.saturating_add(running);
        Duration::from_millis(expected.abs_diff(now_ms()))
    }
}

/// Now, in ms since the Unix epoch.
#[cfg(test)]
pub fn now_ms() -> u64 {
    testing::servers_ms()
}

/// Now, in ms since the Unix epoch.
#[cfg(not(test))]
pub fn now_ms() -> u64 {
    use std::time::SystemTime;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
#[path = "../tests/clock.rs"]
pub mod testing;
