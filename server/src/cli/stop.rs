//! Signals that ask a verb to end, so that it can clear up first: what it made on the disk, the lease it has.
//!
//! Whoever listens takes a signal's usual effect away for good; so a verb listens once, and looks for the
//! signal in everything that takes long from then on.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::client::Done;

/// What a verb says that was asked to end.
const INTERRUPTED: &str = "interrupted";
/// How long work that blocks has to clear up.
const CLEARING_UP: Duration = Duration::from_secs(2);

/// Listens to the signals that end a program: Ctrl-C, `kill`, a terminal that is closed.
pub(super) struct Stop(Vec<Signal>);

/// Tells work that blocks to end.
#[derive(Clone, Default)]
pub(super) struct Flag(Arc<AtomicBool>);

impl Flag {
    /// Fails if the work is to end.
    pub(super) fn look(&self) -> Result<(), &'static str> {
        if self.0.load(Ordering::Relaxed) { Err(INTERRUPTED) } else { Ok(()) }
    }
}

impl Stop {
    /// Begins to listen.
    pub(super) fn listen() -> Stop {
        let ignored = std::fs::read_to_string("/proc/self/status").map_or(0, |text| ignored(&text));
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let heard = kinds.into_iter().filter(|kind| ignored & bit(*kind) == 0);
        Stop(heard.filter_map(|kind| signal(kind).ok()).collect())
    }

    /// Waits until the verb is asked to end; what to say then.
    pub(super) async fn asked(&mut self) -> &'static str {
        poll_fn(|context| {
            let asked = self.0.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
            if asked { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        INTERRUPTED
    }

    /// Does work that blocks on another thread. Asked to end, that looks at its flag now and then.
    pub(super) async fn during<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&Flag) -> Done<T> + Send + 'static,
    ) -> Done<T> {
        let flag = Flag::default();
        let seen = flag.clone();
        let mut work =
            tokio::task::spawn_blocking(move || work(&seen).map_err(|error| error.to_string()));
        tokio::select! {
            done = &mut work => Ok(done??),
            text = self.asked() => {
                flag.0.store(true, Ordering::Relaxed);
                // What waits for something else has made nothing yet.
                let _ = tokio::time::timeout(CLEARING_UP, work).await;
                Err(text.into())
            }
        }
    }
}

/// The signals that whoever started the program has it ignore: `nohup`, or a shell that runs it in the
/// background. They stay so.
fn ignored(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

fn bit(kind: SignalKind) -> u64 {
    let number = u32::try_from(kind.as_raw_value()).ok();
    number.and_then(|number| 1_u64.checked_shl(number.checked_sub(1)?)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_stays_so() {
        let status = "Name:\tx\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\n";
        assert_eq!(ignored(status), 0x1001);
        assert_eq!((bit(SignalKind::hangup()), bit(SignalKind::interrupt())), (1, 2));
        assert_eq!(ignored("of another system"), 0);
    }
}
