//! Time. A host may stop the process for minutes, or set its clock; both must age what we know.

use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment to measure from.
///
/// Its age is the larger of what two clocks say, the wall clock and the one that runs on through
/// suspension, so that a frozen process finds everything old. It may be too large, never too small.
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

/// Milliseconds since the Unix epoch, by the wall clock.
pub fn unix_ms() -> u64 {
    #[cfg(test)]
    if let Some(now) = super::virtual_time::now_ms() {
        return now;
    }
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

/// Sleeps.
pub fn sleep_ms(ms: u64) {
    #[cfg(test)]
    if super::virtual_time::now_ms().is_some() {
        return super::VirtualTime::advance(ms);
    }
    std::thread::sleep(Duration::from_millis(ms));
}

fn running_ms() -> u64 {
    #[cfg(test)]
    if let Some(now) = super::virtual_time::now_ms() {
        return now;
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let clock = ClockId::Boottime;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let clock = ClockId::Monotonic;
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1000).saturating_add(nanos / 1_000_000)
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
