//! How old something is, by the two clocks that a platform has. A host may stop the process or the page for
//! hours, or set its clock; both must age what we know.

use super::{running_ms, unix_ms};

/// A moment to measure from.
///
/// Its age is the larger of what two clocks say, the wall clock and the one that runs on through
/// suspension where a platform has such a clock, so that a frozen process finds everything old. It may be
/// too large, never too small.
#[derive(Debug, Clone, Copy)]
pub struct Tick {
    running_ms: u64,
    wall_ms: u64,
}

impl Tick {
    /// Now.
    pub fn now() -> Tick {
        Tick { running_ms: running_ms(), wall_ms: unix_ms() }
    }

    /// Milliseconds since then.
    pub fn age_ms(self) -> u64 {
        let now = Tick::now();
        let running = now.running_ms.saturating_sub(self.running_ms);
        running.max(now.wall_ms.saturating_sub(self.wall_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_follows_the_clock_that_moved_most() {
        let now = Tick::now();
        let frozen = Tick { wall_ms: now.wall_ms.saturating_sub(60_000), ..now };
        assert!(frozen.age_ms() >= 60_000);
        let set_back = Tick { wall_ms: now.wall_ms.saturating_add(60_000), ..now };
        assert!(set_back.age_ms() < 60_000);
    }
}
