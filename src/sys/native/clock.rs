//! The system's clocks.

use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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

/// Milliseconds by a clock that nobody sets, and that runs on through suspension where there is such a one.
pub fn running_ms() -> u64 {
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
