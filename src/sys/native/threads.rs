//! Locks and the background thread.

use std::sync::{self, PoisonError};
use std::time::Duration;

/// A lock whose contents stay usable when a holder panicked: the shield turns the panic into an
/// error, and the guarded states are valid between any two statements.
#[derive(Debug, Default)]
pub struct Mutex<T>(sync::Mutex<T>);

/// Leave to use what a [`Mutex`] guards.
pub type MutexGuard<'a, T> = sync::MutexGuard<'a, T>;

impl<T> Mutex<T> {
    /// A lock around `value`.
    pub const fn new(value: T) -> Mutex<T> {
        Mutex(sync::Mutex::new(value))
    }

    /// Waits for the lock.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs `task` on a background thread, after each pause of the length it answers with, until it
/// answers `None`. Nothing may depend on it: a thread may not be had, or may be frozen for minutes.
pub fn spawn_every(first_pause_ms: u64, task: impl Fn() -> Option<u64> + Send + 'static) {
    #[cfg(test)]
    let Some(task) = super::virtual_time::adopt(first_pause_ms, task) else { return };
    let run = move || {
        let mut pause_ms = first_pause_ms;
        loop {
            std::thread::sleep(Duration::from_millis(pause_ms));
            let step = std::panic::catch_unwind(std::panic::AssertUnwindSafe(&task));
            match step {
                Ok(Some(next_pause_ms)) => pause_ms = next_pause_ms,
                Ok(None) | Err(_) => return,
            }
        }
    };
    let _ = std::thread::Builder::new().name("litevfs".into()).spawn(run);
}
