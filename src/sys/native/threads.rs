//! Locks and the background thread.

use super::clock::sleep_ms;
use crate::sys::Tick;
use std::io;
use std::sync::{self, PoisonError, TryLockError};
use std::time::Duration;

/// Pause between two looks at a lock that is not waited for at any length.
const LOCK_PAUSE_MS: u64 = 2;

/// Pause before a background task that panicked is run again.
const PAUSE_AFTER_PANIC_MS: u64 = 1_000;

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

    /// Waits for the lock, but not for long.
    pub fn lock_within(&self, max_ms: u64) -> Option<MutexGuard<'_, T>> {
        let since = Tick::now();
        loop {
            match self.0.try_lock() {
                Ok(guard) => return Some(guard),
                Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) if since.age_ms() >= max_ms => return None,
                Err(TryLockError::WouldBlock) => sleep_ms(LOCK_PAUSE_MS),
            }
        }
    }
}

/// Runs `task` on a background thread, after each pause of the length it answers with, until it
/// answers `None`. `false` when no thread is to be had. Nothing may depend on it: it may be frozen for
/// minutes.
pub fn spawn_every(first_pause_ms: u64, task: impl Fn() -> Option<u64> + Send + 'static) -> bool {
    #[cfg(test)]
    let task = match super::virtual_time::adopt(first_pause_ms, task) {
        Ok(task) => task,
        Err(is_taken) => return is_taken,
    };
    let run = move || {
        let mut pause_ms = first_pause_ms;
        loop {
            std::thread::sleep(Duration::from_millis(pause_ms));
            let step = std::panic::catch_unwind(std::panic::AssertUnwindSafe(&task));
            match step {
                Ok(Some(next_pause_ms)) => pause_ms = next_pause_ms,
                Ok(None) => return,
                Err(_) => pause_ms = PAUSE_AFTER_PANIC_MS,
            }
        }
    };
    spawn(Box::new(run)).is_ok()
}

/// Does `work` on a thread of its own. Boxed, because all of what starts a thread is made anew for each type.
pub fn spawn(work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
    std::thread::Builder::new().name("litevfs".into()).spawn(work).map(drop)
}
