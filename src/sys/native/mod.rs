//! The platform layer over `std`, for Unix.

mod ahead;
mod clock;
mod files;
mod interrupt;
mod logger;
mod threads;
#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod virtual_time;
mod watched;

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

pub use ahead::Ahead;
pub use clock::{running_ms, sleep_ms, unix_ms};
pub use files::{File, PrivateDir, available_space, create_dir};
pub use interrupt::{
    Interruptible, LOOK_MS, Within, is_interrupted, left_ms, pause_ms, stop_waits_by,
};
pub use logger::{init_log, log_line};
pub use threads::{Mutex, MutexGuard, spawn, spawn_every};
#[cfg(test)]
pub use virtual_time::VirtualTime;
pub use watched::Watched;

/// Other programs use the disk too.
pub const HAS_OWN_SPACE: bool = false;

/// There are folders for them, unless all are full or read-only.
pub const HAS_TEMP_FILES: bool = true;

/// Fills `bytes` with unpredictable bytes; `false` when the system has none.
pub fn random_bytes(bytes: &mut [u8]) -> bool {
    getrandom::fill(bytes).is_ok()
}

/// The number of this process. A forked child has another.
pub fn process_id() -> u32 {
    std::process::id()
}

static FORKS: AtomicU32 = AtomicU32::new(0);

/// To be called in a child that was forked.
pub fn note_fork() {
    FORKS.fetch_add(1, Relaxed);
}

/// Another number than in the process that this one was forked from. Asking the system for the process's id
/// takes a good part of the time that reading a page does.
pub fn forks() -> u32 {
    FORKS.load(Relaxed)
}

/// An environment variable; `None` when it is not set or not UTF-8.
pub fn env_var(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
