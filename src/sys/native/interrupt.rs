//! Whether somebody wants the call to end that this thread is in: a wait looks now and then.

use super::clock::{running_ms, sleep_ms};
use alloc::sync::Arc;
use core::cell::{Cell, RefCell};
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// How long a wait lasts at the most between two looks.
pub const LOOK_MS: u64 = 100;

/// A question with what it is asked about.
type Check = (fn(usize) -> bool, usize);

thread_local! {
    static CHECK: Cell<Option<Check>> = const { Cell::new(None) };
    static UNTIL: Cell<u64> = const { Cell::new(u64::MAX) };
    static STOP: RefCell<Option<Arc<AtomicBool>>> = const { RefCell::new(None) };
}

/// Has waits of this thread end when `check` says so, until this is dropped.
pub struct Interruptible(Option<Check>);

impl Interruptible {
    /// Begins.
    pub fn new(check: fn(usize) -> bool, about: usize) -> Interruptible {
        Interruptible(CHECK.replace(Some((check, about))))
    }
}

impl Drop for Interruptible {
    fn drop(&mut self) {
        CHECK.set(self.0);
    }
}

/// What this thread asks for has so much time in all, also where something around it had more, until this is
/// dropped.
pub struct Within(u64);

impl Within {
    /// Begins.
    pub fn new(ms: u64) -> Within {
        let until = UNTIL.get();
        UNTIL.set(until.min(running_ms().saturating_add(ms)));
        Within(until)
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        UNTIL.set(self.0);
    }
}

/// How much time there is left for what this thread asks for.
pub fn left_ms() -> u64 {
    match UNTIL.get() {
        u64::MAX => u64::MAX,
        until => until.saturating_sub(running_ms()),
    }
}

/// Has waits of this thread, which somebody else began, end when `stop` is set.
pub fn stop_waits_by(stop: Arc<AtomicBool>) {
    STOP.set(Some(stop));
}

/// Whether waits of this thread are to end.
pub fn is_interrupted() -> bool {
    CHECK.get().is_some_and(|(check, about)| check(about))
        || STOP.with_borrow(|stop| stop.as_ref().is_some_and(|stop| stop.load(Relaxed)))
}

/// Sleeps, but not past an interrupt.
pub fn pause_ms(mut ms: u64) {
    while ms > LOOK_MS {
        sleep_ms(LOOK_MS);
        ms = ms.saturating_sub(LOOK_MS);
        if is_interrupted() {
            return;
        }
    }
    sleep_ms(ms);
}
