//! Whether files may be removed by their age: only while this server's clock goes evenly and agrees with
//! the store's. A clock that is wrong for a moment would remove what is to be kept for weeks.

use std::time::Duration;

use parking_lot::Mutex;

use super::reads::Objects;
use crate::metrics::Metrics;
use crate::store::bucket::error::{Error, is_full};
use crate::store::bucket::moment::{Moment, now_ms};
use crate::store::bucket::rules;

/// This server's clock, as far as it was watched.
#[derive(Debug)]
pub(in crate::store) struct Clock {
    /// It has gone on evenly since then.
    steady: Mutex<Moment>,
}

impl Clock {
    pub(in crate::store) fn new() -> Clock {
        Clock { steady: Mutex::new(Moment::now()) }
    }

    /// How long the clock has gone on evenly; zero right after it was set.
    fn steady_for(&self) -> Duration {
        let mut steady = self.steady.lock();
        if !rules::may_remove_by_age(steady.wall_jump()) {
            *steady = Moment::now();
        }
        steady.running_for()
    }
}

/// What time it is, as far as that may be trusted with how old files are.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Time {
    /// In ms since the Unix epoch.
    pub(in crate::store) now_ms: u64,
    /// For how long this server's clock has gone evenly, where it is the only one.
    pub(in crate::store) steady_for: Duration,
}

impl Clock {
    /// What time it is for the store and for this server; `None` when they don't agree, which is logged.
    ///
    /// An object is written for it. How long that took is told by the clock that nobody sets: whatever the
    /// other one does meanwhile is noticed.
    pub(in crate::store) async fn agreed_time(
        &self,
        objects: &Objects,
        metrics: &Metrics,
    ) -> Result<Option<Time>, Error> {
        let (now_ms, began) = (now_ms(), Moment::now());
        let steady_for = if objects.is_shared() { Duration::MAX } else { self.steady_for() };
        let time = Time { now_ms, steady_for };
        let path = match objects.touch().await {
            // There is one clock then, and room is wanted.
            Err(error) if is_full(&error) && !objects.is_shared() => return Ok(Some(time)),
            path => path?,
        };
        let written_ms = objects.written_at(&path).await?;
        let gap = written_ms.map_or(Duration::MAX, |ms| gap(now_ms, ms, began.running_for()));
        metrics.clock_gap(gap);
        if rules::may_remove_by_age(gap) {
            return Ok(Some(time));
        }
        tracing::warn!(
            apart = %humantime::format_duration(Duration::from_secs(gap.as_secs())),
            "this server's clock and the store's are apart: no file is removed until they agree; \
             set the clock of the one that is wrong"
        );
        Ok(None)
    }
}

/// How far an object's time is from a span of this server's time, in ms since the Unix epoch.
fn gap(from_ms: u64, written_ms: u64, took: Duration) -> Duration {
    // Stores tell whole seconds, cut off.
    let from = from_ms.saturating_sub(1000);
    let to = from_ms.saturating_add(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    let off = from.saturating_sub(written_ms).max(written_ms.saturating_sub(to));
    Duration::from_millis(off)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_agree_within_the_time_that_a_request_took() {
        let took = Duration::from_secs(5);
        let gap = |written_ms| gap(100_000, written_ms, took).as_millis();
        assert_eq!([gap(99_000), gap(100_000), gap(105_000)], [0, 0, 0]);
        assert_eq!([gap(98_000), gap(107_000)], [1000, 2000]);
    }
}
