//! A value that threads wait for another one to change.

use super::interrupt::{LOOK_MS, is_interrupted};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// See the module.
#[derive(Debug, Default)]
pub struct Watched<T>(Mutex<T>, Condvar);

impl<T> Watched<T> {
    /// A value.
    pub fn new(value: T) -> Watched<T> {
        Watched(Mutex::new(value), Condvar::new())
    }

    /// Looks at it or changes it.
    pub fn with<U>(&self, look: impl FnOnce(&mut T) -> U) -> U {
        let outcome = look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
        self.1.notify_all();
        outcome
    }

    /// Waits until it is as it should be, for so long at the most; `false` when it did not come to that.
    pub fn wait_until(&self, max_ms: u64, is_so: impl Fn(&T) -> bool) -> bool {
        let mut value = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut left_ms = max_ms;
        while !is_so(&value) {
            if left_ms == 0 || is_interrupted() {
                return false;
            }
            let wait = Duration::from_millis(left_ms.min(LOOK_MS));
            let woken = self.1.wait_timeout(value, wait);
            let (woken, timeout) = woken.unwrap_or_else(PoisonError::into_inner);
            value = woken;
            if timeout.timed_out() {
                left_ms = left_ms.saturating_sub(LOOK_MS);
            }
        }
        true
    }
}
