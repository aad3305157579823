//! The platform layer for a browser's worker, built by Emscripten.
//!
//! There is one thread, no process but this one, and what the page offers: a clock, randomness, timers and
//! perhaps a store for the cache. `ffi/wasm/library.js` is the other side of [`host`].

mod files;
pub mod host;
mod logger;
mod threads;

pub use files::{File, IoError, PrivateDir, available_space, create_dir};
pub use host::{env_var, random_bytes, running_ms, sleep_ms, unix_ms};
pub use logger::{init_log, log_line};
pub use threads::{
    Ahead, Interruptible, Mutex, MutexGuard, Watched, Within, is_interrupted, left_ms, pause_ms,
    spawn, spawn_every, stop_waits_by,
};

/// The store has so many bytes, and nobody else uses them.
pub const HAS_OWN_SPACE: bool = true;

/// What is not for the cache stays in memory.
pub const HAS_TEMP_FILES: bool = false;

/// There are no processes that could be told apart.
pub fn forks() -> u32 {
    0
}

/// There is one.
pub fn process_id() -> u32 {
    1
}
