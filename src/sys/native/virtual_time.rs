//! Time that a test decides, for the thread that asked for it.
//!
//! There the clocks stand still until they are advanced, sleeping advances them, and what would run on
//! a background thread waits until the test runs it, early, late or never. Other threads have the
//! machine's time.

use std::cell::{Cell, RefCell};
use std::vec::Vec;

type Task = Box<dyn Fn() -> Option<u64>>;

struct Background {
    owner: usize,
    due_ms: u64,
    task: Task,
}

thread_local! {
    static NOW_MS: Cell<Option<u64>> = const { Cell::new(None) };
    static REFUSES: Cell<bool> = const { Cell::new(false) };
    static OWNER: Cell<usize> = const { Cell::new(0) };
    static BACKGROUND: RefCell<Vec<Background>> = const { RefCell::new(Vec::new()) };
}

/// The moment at which virtual time begins: any will do.
const START_MS: u64 = 1_700_000_000_000;

/// Virtual time on this thread, as long as this lives.
pub struct VirtualTime(());

impl VirtualTime {
    /// Stops the clocks.
    pub fn start() -> VirtualTime {
        NOW_MS.set(Some(START_MS));
        VirtualTime(())
    }

    /// Lets time pass.
    pub fn advance(ms: u64) {
        NOW_MS.set(NOW_MS.get().map(|now| now + ms));
    }

    /// Says on whose account background tasks begin from now on, and answers on whose they did.
    pub fn set_owner(owner: usize) -> usize {
        OWNER.replace(owner)
    }

    /// Has the next background task not be taken, as where there are too many threads.
    pub fn refuse_next_task() {
        REFUSES.set(true);
    }

    /// The owners of tasks that are due.
    pub fn due() -> Vec<usize> {
        let now = now_ms().unwrap_or(0);
        BACKGROUND.with_borrow(|all| {
            all.iter().filter(|one| one.due_ms <= now).map(|one| one.owner).collect()
        })
    }

    /// Runs one due task of an owner.
    pub fn run_due(owner: usize) {
        let now = now_ms().unwrap_or(0);
        let taken = BACKGROUND.with_borrow_mut(|all| {
            let at = all.iter().position(|one| one.owner == owner && one.due_ms <= now)?;
            Some(all.remove(at))
        });
        let Some(mut background) = taken else { return };
        if let Some(pause_ms) = (background.task)() {
            background.due_ms = now_ms().unwrap_or(0) + pause_ms;
            BACKGROUND.with_borrow_mut(|all| all.push(background));
        }
    }

    /// Ends an owner's tasks, as the end of its process would.
    pub fn drop_tasks(owner: usize) {
        let dropped: Vec<Background> = BACKGROUND
            .with_borrow_mut(|all| all.extract_if(.., |one| one.owner == owner).collect());
        drop(dropped);
    }
}

impl Drop for VirtualTime {
    fn drop(&mut self) {
        NOW_MS.set(None);
        drop(BACKGROUND.take());
    }
}

/// Now, where time is virtual.
pub fn now_ms() -> Option<u64> {
    NOW_MS.get()
}

/// Takes a background task where time is virtual, and answers whether it did so, else hands it back.
pub fn adopt<T: Fn() -> Option<u64> + Send + 'static>(pause_ms: u64, task: T) -> Result<T, bool> {
    let Some(now) = now_ms() else { return Ok(task) };
    if REFUSES.replace(false) {
        return Err(false);
    }
    let owner = OWNER.get();
    let background = Background { owner, due_ms: now + pause_ms, task: Box::new(task) };
    BACKGROUND.with_borrow_mut(|all| all.push(background));
    Err(true)
}
