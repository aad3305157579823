//! How slow a client may be: in every minute that the server waits for it, some bytes must move.
//!
//! Only waiting counts. A client that keeps up is never in danger, however long its transfer takes,
//! and neither is one that the server keeps waiting.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// The longest wait for the next [`MIN_BYTES`].
const MAX_WAIT: Duration = Duration::from_secs(60);
/// What must move in that time.
const MIN_BYTES: usize = 16 << 10;

/// The waiting of one direction of one transfer.
#[derive(Debug)]
pub struct Pace {
    max_wait: Duration,
    /// Waited since the last [`MIN_BYTES`], before the present wait.
    waited: Duration,
    moved: usize,
    present: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace::new(MAX_WAIT)
    }
}

impl Pace {
    /// With another wait than a minute.
    pub fn new(max_wait: Duration) -> Pace {
        Pace { max_wait, waited: Duration::ZERO, moved: 0, present: None }
    }

    /// Bytes moved.
    pub fn moved(&mut self, bytes: usize) {
        if let Some((since, _)) = self.present.take() {
            self.waited = self.waited.saturating_add(since.elapsed());
        }
        self.moved = self.moved.saturating_add(bytes);
        if self.moved >= MIN_BYTES {
            (self.moved, self.waited) = (0, Duration::ZERO);
        }
    }

    /// The client is not ready: gives the error when that has been so for too long, and else has
    /// the task woken when it will have been.
    pub fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let left = self.max_wait.saturating_sub(self.waited);
        let (_, alarm) = self.present.get_or_insert_with(|| {
            let now = Instant::now();
            (now, Box::pin(sleep_until(now.checked_add(left).unwrap_or(now))))
        });
        ready!(alarm.as_mut().poll(cx));
        let text = format!("less than {MIN_BYTES} bytes in {} s", self.max_wait.as_secs());
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    const SHORT: Duration = Duration::from_millis(20);

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(test);
    }

    async fn wait(pace: &mut Pace, time: Duration) -> bool {
        let late = poll_fn(|cx| pace.poll_late(cx));
        tokio::time::timeout(time, late).await.is_err()
    }

    #[test]
    fn who_moves_nothing_is_late() {
        run(async {
            let mut pace = Pace::new(SHORT);
            let late = poll_fn(|cx| pace.poll_late(cx)).await;
            assert_eq!(late.kind(), io::ErrorKind::TimedOut);
        });
    }

    #[test]
    fn a_few_bytes_do_not_make_up_for_a_long_wait_but_many_do() {
        run(async {
            let mut pace = Pace::new(Duration::from_secs(3600));
            assert!(wait(&mut pace, SHORT).await);
            pace.moved(1);
            assert!(pace.waited >= SHORT);
            pace.moved(MIN_BYTES);
            assert_eq!(pace.waited, Duration::ZERO);
            // Time between two waits is the server's own.
            tokio::time::sleep(SHORT).await;
            pace.moved(1);
            assert_eq!(pace.waited, Duration::ZERO);
        });
    }
}
