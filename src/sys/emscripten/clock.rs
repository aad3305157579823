//! Time. A page may be frozen for hours, and its clock be set; both must age what we know.

use super::host;
pub use super::host::{sleep_ms, unix_ms};

/// A moment to measure from.
///
/// Its age is the larger of what two clocks say: the one that runs while the page does, and the wall
/// clock. It may be too large, never too small.
#[derive(Debug, Clone, Copy)]
pub struct Tick {
    running_ms: u64,
    wall_ms: u64,
}

impl Tick {
    /// Now.
    pub fn now() -> Tick {
        Tick { running_ms: host::running_ms(), wall_ms: unix_ms() }
    }

    /// Milliseconds since then.
    pub fn age_ms(self) -> u64 {
        let now = Tick::now();
        let running = now.running_ms.saturating_sub(self.running_ms);
        running.max(now.wall_ms.saturating_sub(self.wall_ms))
    }
}
