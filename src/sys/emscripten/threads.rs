//! Locks where there is one thread, and timers for what other platforms do on a thread of their own.
#![allow(unsafe_code)]

use super::host;
use alloc::boxed::Box;
use core::cell::{RefCell, RefMut};

/// A lock that nobody can wait for: whoever holds it is further up on the one stack there is.
#[derive(Debug, Default)]
pub struct Mutex<T>(RefCell<T>);

// SAFETY: the module is built without threads (`wasm32` without atomics): it runs on one at a time, and its
// memory is not shared with another instance.
unsafe impl<T> Sync for Mutex<T> {}

/// Leave to use what a [`Mutex`] guards.
pub type MutexGuard<'a, T> = RefMut<'a, T>;

impl<T> Mutex<T> {
    /// A lock around `value`.
    pub const fn new(value: T) -> Mutex<T> {
        Mutex(RefCell::new(value))
    }

    /// Takes the lock. To take one that is held would be a bug in this program, and elsewhere wait for
    /// ever: here it ends it.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.borrow_mut()
    }

    /// Takes the lock unless it is held.
    pub fn lock_within(&self, _: u64) -> Option<MutexGuard<'_, T>> {
        self.0.try_borrow_mut().ok()
    }
}

/// Elsewhere waits end when the program says so. Here nothing else runs meanwhile that could.
pub struct Interruptible(());

impl Interruptible {
    /// Begins.
    pub fn new(_: fn(usize) -> bool, _: usize) -> Interruptible {
        Interruptible(())
    }
}

static UNTIL: Mutex<u64> = Mutex::new(u64::MAX);

/// What is asked for has so much time in all, also where something around it had more, until this is dropped.
pub struct Within(u64);

impl Within {
    /// Begins.
    pub fn new(ms: u64) -> Within {
        let mut until = UNTIL.lock();
        let before = *until;
        *until = before.min(host::running_ms().saturating_add(ms));
        Within(before)
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        *UNTIL.lock() = self.0;
    }
}

/// How much time there is left for what is asked for.
pub fn left_ms() -> u64 {
    match *UNTIL.lock() {
        u64::MAX => u64::MAX,
        until => until.saturating_sub(host::running_ms()),
    }
}

/// Whether waits are to end.
pub fn is_interrupted() -> bool {
    false
}

/// Sleeps.
pub fn pause_ms(ms: u64) {
    host::sleep_ms(ms);
}

/// There is no thread to be had.
pub fn spawn(_: Box<dyn FnOnce() + Send>) -> Result<(), super::IoError> {
    Err(super::files::NO_THREADS)
}

/// What a thread would share with others.
#[derive(Debug, Default)]
pub struct Watched<T>(Mutex<T>);

impl<T> Watched<T> {
    /// A value.
    pub fn new(value: T) -> Watched<T> {
        Watched(Mutex::new(value))
    }

    /// Looks at it or changes it.
    pub fn with<U>(&self, look: impl FnOnce(&mut T) -> U) -> U {
        look(&mut self.0.lock())
    }

    /// Whether it is as it should be: nobody changes it meanwhile.
    pub fn wait_until(&self, _: u64, is_so: impl Fn(&T) -> bool) -> bool {
        is_so(&self.0.lock())
    }
}

/// Elsewhere, a thread's waits end when somebody says so.
pub fn stop_waits_by(_: alloc::sync::Arc<core::sync::atomic::AtomicBool>) {}

/// Runs `task` by a timer, after each pause of the length it answers with, until it answers `None`.
/// Nothing may depend on it: a timer waits until the worker has nothing else to do.
pub fn spawn_every(first_pause_ms: u64, task: impl Fn() -> Option<u64> + Send + 'static) -> bool {
    host::set_timer(first_pause_ms, Box::new(task));
    true
}

/// Items that other platforms make on a thread before they are asked for; here, when they are.
pub struct Ahead<T>(Box<dyn FnMut(T) -> Option<T> + Send>);

impl<T> Ahead<T> {
    /// `make` makes an item of what is left of another one, or none after the last.
    pub fn new(make: impl FnMut(T) -> Option<T> + Send + 'static) -> Ahead<T> {
        Ahead(Box::new(make))
    }

    /// The next item; `None` after the last. `used` is one that is done with.
    pub fn next(&mut self, used: T) -> Option<T> {
        self.0(used)
    }
}
