//! Items that are made on a thread of their own before anybody asks for them.

use super::interrupt::{LOOK_MS, is_interrupted};
use super::threads::spawn;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Items that are made at the most before the first of them is taken.
const MAX_AHEAD: usize = 4;

/// Makes one item of what is left of another one, or none after the last.
type Make<T> = Box<dyn FnMut(T) -> Option<T> + Send>;

/// Items in their order. Whoever drops this does not wait for the thread, which ends after the item that it
/// is making.
pub struct Ahead<T> {
    shared: Arc<Shared<T>>,
    is_threaded: bool,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    /// `None` while the thread has it.
    make: Option<Make<T>>,
    made: Vec<T>,
    used: Vec<T>,
    /// Whether no more will be made, or none is wanted.
    is_over: bool,
}

impl<T: Default + Send + 'static> Ahead<T> {
    /// Begins to make items. Where no thread is to be had, each is made when it is asked for.
    pub fn new(make: impl FnMut(T) -> Option<T> + Send + 'static) -> Ahead<T> {
        let mut used = Vec::new();
        used.resize_with(MAX_AHEAD, T::default);
        let make: Option<Make<T>> = Some(Box::new(make));
        let state = State { make, made: Vec::new(), used, is_over: false };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let worker = Worker(Arc::clone(&shared));
        let is_threaded = spawn(Box::new(move || worker.run())).is_ok();
        Ahead { shared, is_threaded }
    }

    /// The next item; `None` after the last, when the thread failed, or when the wait for it is interrupted. `used` is one that is done with.
    pub fn next(&mut self, used: T) -> Option<T> {
        let mut state = self.shared.lock();
        if !self.is_threaded {
            return state.make.as_mut()?(used);
        }
        state.used.push(used);
        // Not for each item: to wake a thread takes as long as to make some.
        if state.used.len() >= MAX_AHEAD / 2 {
            self.shared.changed.notify_one();
        }
        loop {
            if !state.made.is_empty() {
                return Some(state.made.remove(0));
            }
            if state.is_over {
                return None;
            }
            let (woken, was_long) = self.shared.wait_a_moment(state);
            if was_long && is_interrupted() {
                return None;
            }
            state = woken;
        }
    }
}

impl<T> Drop for Ahead<T> {
    fn drop(&mut self) {
        self.shared.end();
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State<T>>) -> MutexGuard<'a, State<T>> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// The same for a moment; also answers whether that was all of it.
    fn wait_a_moment<'a>(
        &self,
        state: MutexGuard<'a, State<T>>,
    ) -> (MutexGuard<'a, State<T>>, bool) {
        let woken = self.changed.wait_timeout(state, Duration::from_millis(LOOK_MS));
        let (state, timeout) = woken.unwrap_or_else(PoisonError::into_inner);
        (state, timeout.timed_out())
    }

    fn end(&self) {
        self.lock().is_over = true;
        self.changed.notify_one();
    }
}

/// The thread's end. However the thread ends, nobody waits for it any more.
struct Worker<T>(Arc<Shared<T>>);

impl<T> Worker<T> {
    fn run(&self) {
        let Some(mut make) = self.0.lock().make.take() else { return };
        while let Some(used) = self.take_used() {
            let Some(item) = make(used) else { return };
            self.0.lock().made.push(item);
            self.0.changed.notify_one();
        }
    }

    /// Waits for an item to make the next one of; `None` when none is wanted any more.
    fn take_used(&self) -> Option<T> {
        let mut state = self.0.lock();
        loop {
            if state.is_over {
                return None;
            }
            match state.used.pop() {
                Some(used) => return Some(used),
                None => state = self.0.wait(state),
            }
        }
    }
}

impl<T> Drop for Worker<T> {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, clippy::panic)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;

    /// 1, 2, 3 and so on, in vectors that are used again.
    fn counting(last: usize, made: Arc<AtomicUsize>) -> Ahead<Vec<usize>> {
        Ahead::new(move |mut used: Vec<usize>| {
            let number = made.fetch_add(1, Ordering::SeqCst) + 1;
            used.clear();
            used.push(number);
            (number <= last).then_some(used)
        })
    }

    #[test]
    fn items_come_in_order_and_few_are_made_ahead() {
        let made = Arc::new(AtomicUsize::new(0));
        let mut items = counting(1000, Arc::clone(&made));
        let mut item = Vec::new();
        for number in 1..=1000 {
            item = items.next(item).unwrap();
            assert_eq!(item, [number]);
            assert!(made.load(Ordering::SeqCst) <= number + MAX_AHEAD);
        }
        assert_eq!(items.next(item), None);
        assert_eq!(items.next(Vec::new()), None);
    }

    #[test]
    fn whoever_drops_it_ends_the_thread() {
        let (sender, receiver) = channel::<()>();
        let mut items = Ahead::new(move |_: ()| {
            let _ = &sender;
            Some(())
        });
        assert!(items.next(()).is_some());
        drop(items);
        // Comes to an end only with the sender.
        assert_eq!(receiver.iter().count(), 0);
    }

    #[test]
    fn a_panic_is_the_end() {
        let mut items = Ahead::new(|_: ()| -> Option<()> { panic!("not a bug: a test") });
        assert_eq!(items.next(()), None);
    }
}
