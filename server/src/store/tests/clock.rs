//! The wall clocks of tests: the store's, which goes with the runtime's, and a server's, which may be wrong.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

tokio::task_local! {
    static AHEAD: Duration;
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Does something as a server whose clock is ahead by so much.
pub async fn ahead<T>(by: Duration, work: impl Future<Output = T>) -> T {
    AHEAD.scope(by, work).await
}

/// What a server takes for the time, in ms since the Unix epoch.
pub fn servers_ms() -> u64 {
    stores_ms() + AHEAD.try_with(|&by| millis(by)).unwrap_or(0)
}

/// The time, in ms since the Unix epoch: as far from a fixed time as the runtime's clock has come, which
/// tests set forward.
pub fn stores_ms() -> u64 {
    static BEGAN: OnceLock<(Instant, SystemTime)> = OnceLock::new();
    let (began, wall) = *BEGAN.get_or_init(|| (Instant::now(), SystemTime::now()));
    let come = tokio::time::Instant::now().into_std().saturating_duration_since(began);
    wall.duration_since(SystemTime::UNIX_EPOCH).map_or(0, millis).saturating_add(millis(come))
}
