//! Long work takes turns: one token's many imports do not keep others from their commits.
//!
//! Whoever works on a large upload (unpacks it, checks it, packs it again) needs one of a few places, and
//! one of fewer that its caller has, and gives both back after a moment if others wait. So callers get equal
//! parts of the processors however much each has sent, and small uploads, which need no place, find one
//! that is not taken.
//!
//! Whoever waits for a turn in the middle of work has a thread meanwhile. So only a few of a caller's uploads are
//! begun at a time: the others wait outside, without a thread, and are gone when their client is.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::Asker;

/// How long a turn is, at least.
const TURN: Duration = Duration::from_millis(20);
/// How many uploads of a caller are begun at a time.
const BEGUN: usize = 4;
/// Below this many callers those without work are not looked for.
const PRUNE_FROM: usize = 64;

/// The places of a server.
#[derive(Debug)]
pub struct Turns {
    all: Arc<Semaphore>,
    each: usize,
    callers: Mutex<HashMap<Asker, Weak<Own>>>,
}

/// Where one caller's work takes its turns.
#[derive(Debug, Clone)]
pub struct Line {
    own: Arc<Own>,
    all: Arc<Semaphore>,
}

/// What one caller has.
#[derive(Debug)]
struct Own {
    turns: Arc<Semaphore>,
    begun: Arc<Semaphore>,
}

/// The right to begin with an upload, given back when it is dropped.
#[derive(Debug)]
#[allow(dead_code, reason = "it is one of few, of a caller that is known as long as it has any")]
pub struct Begun(OwnedSemaphorePermit, Arc<Own>);

/// A turn that is taken: first the caller's own place, so that of each caller few wait for the others.
#[derive(Debug)]
struct Turn {
    since: Instant,
    _all: OwnedSemaphorePermit,
    _own: OwnedSemaphorePermit,
}

impl Turns {
    /// As many places as there are processors, two at least, and half of them for each caller.
    pub fn new() -> Turns {
        let processors = std::thread::available_parallelism().map_or(2, usize::from).max(2);
        Turns::with_places(processors, processors / 2)
    }

    fn with_places(all: usize, each: usize) -> Turns {
        Turns { all: Arc::new(Semaphore::new(all)), each, callers: Mutex::default() }
    }

    /// The line of a caller.
    pub fn of(&self, asker: Asker) -> Line {
        let mut callers = self.callers.lock();
        if callers.len() >= PRUNE_FROM && callers.len().is_power_of_two() {
            callers.retain(|_, own| own.strong_count() > 0);
        }
        let known = callers.get(&asker).and_then(Weak::upgrade);
        let own = known.unwrap_or_else(|| {
            let turns = Arc::new(Semaphore::new(self.each));
            Arc::new(Own { turns, begun: Arc::new(Semaphore::new(BEGUN)) })
        });
        callers.insert(asker, Arc::downgrade(&own));
        Line { own, all: Arc::clone(&self.all) }
    }
}

impl Default for Turns {
    fn default() -> Turns {
        Turns::new()
    }
}

impl Line {
    /// Waits until one more upload may be begun. Nothing of it is lost when that is given up.
    pub async fn begin(&self) -> io::Result<Begun> {
        let begun = Arc::clone(&self.own.begun).acquire_owned().await;
        begun.map(|begun| Begun(begun, Arc::clone(&self.own))).map_err(io::Error::other)
    }

    /// Waits on a thread that may wait.
    fn take(&self) -> io::Result<Turn> {
        let taken = Handle::current().block_on(async {
            let own = Arc::clone(&self.own.turns).acquire_owned().await?;
            let all = Arc::clone(&self.all).acquire_owned().await?;
            Ok::<_, tokio::sync::AcquireError>(Turn { since: Instant::now(), _all: all, _own: own })
        });
        taken.map_err(io::Error::other)
    }
}

/// Reads what work is done on, in turns: a turn lasts from one read to the next.
#[derive(Debug)]
pub struct InTurns<R> {
    inner: R,
    line: Line,
    turn: Option<Turn>,
}

impl<R> InTurns<R> {
    /// To be read on a thread that may wait.
    pub fn new(inner: R, line: Line) -> InTurns<R> {
        InTurns { inner, line, turn: None }
    }
}

impl<R: Read> Read for InTurns<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.turn.take_if(|turn| turn.since.elapsed() >= TURN);
        if self.turn.is_none() {
            self.turn = Some(self.line.take()?);
        }
        self.inner.read(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn token(id: &str) -> Asker {
        Asker::Token(id.into())
    }

    /// Counts who reads at the same time, and reads on for longer than a turn.
    struct Slow<'a>(&'a AtomicUsize, usize);

    impl Read for Slow<'_> {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            assert!(self.0.fetch_add(1, Ordering::SeqCst) < self.1, "too many at a time");
            std::thread::sleep(TURN);
            self.0.fetch_sub(1, Ordering::SeqCst);
            Ok(1)
        }
    }

    #[test]
    fn a_caller_has_its_places_and_others_get_theirs_meanwhile() {
        let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
        let turns = Turns::with_places(2, 1);
        let (busy, other) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            let work = |count, line: Line, reads: usize| {
                let handle = runtime.handle().clone();
                move || {
                    let _inside = handle.enter();
                    let mut reader = InTurns::new(Slow(count, 1), line);
                    for _ in 0..reads {
                        reader.read_exact(&mut [0]).unwrap();
                    }
                }
            };
            let many: Vec<_> =
                (0..6).map(|_| scope.spawn(work(&busy, turns.of(token("a")), 8))).collect();
            scope.spawn(work(&other, turns.of(token("b")), 3)).join().unwrap();
            let left = many.iter().filter(|thread| !thread.is_finished()).count();
            assert!(left >= 4, "the other waited for all of it");
        });
    }

    #[tokio::test]
    async fn few_uploads_of_a_caller_are_begun_at_a_time() {
        let turns = Turns::with_places(2, 1);
        let mut begun = Vec::new();
        for _ in 0..BEGUN {
            begun.push(turns.of(token("a")).begin().await.unwrap());
        }
        let line = turns.of(token("a"));
        let mut next = Box::pin(line.begin());
        assert!(futures_util::poll!(&mut next).is_pending(), "one more was begun");
        turns.of(token("b")).begin().await.unwrap();
        drop(begun.pop());
        next.await.unwrap();
    }

    #[test]
    fn callers_without_work_are_forgotten() {
        let turns = Turns::with_places(2, 1);
        let kept = turns.of(token("kept"));
        (0..1000).for_each(|n| drop(turns.of(token(&n.to_string()))));
        assert!(turns.callers.lock().len() <= 2 * PRUNE_FROM);
        assert!(Arc::ptr_eq(&kept.own, &turns.of(token("kept")).own));
    }
}
