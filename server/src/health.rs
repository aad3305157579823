//! Whether this server should be sent requests: it is not stopping, and its store answers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::store::Store;

/// How long one look at the store counts: whoever asks needs no token, and must not be able to make
/// the store busy.
const LOOK_LASTS: Duration = Duration::from_secs(1);
/// How long the store may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// The state of the server.
#[derive(Debug, Default)]
pub struct Health {
    stopping: AtomicBool,
    /// The last look at the store. Held during a look, so that there is one at a time.
    seen: Mutex<Option<(Instant, Result<(), Ill>)>>,
}

/// Why a server should not be sent requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Ill {
    /// It was told to stop.
    #[error("this server is stopping")]
    Stopping,
    /// Its store fails or does not answer.
    #[error("this server cannot reach its store: its log says why")]
    NoStore,
}

impl Health {
    /// From now on the server is stopping.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Looks at the store, unless somebody just did.
    pub async fn check(&self, store: &Store) -> Result<(), Ill> {
        if self.stopping.load(Ordering::Acquire) {
            return Err(Ill::Stopping);
        }
        let mut seen = self.seen.lock().await;
        if let Some((at, found)) = *seen
            && at.elapsed() < LOOK_LASTS
        {
            return found;
        }
        let found = match tokio::time::timeout(LOOK_TIMEOUT, store.check()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                tracing::error!(%error, "the store cannot be reached");
                Err(Ill::NoStore)
            }
            Err(_) => {
                tracing::error!("the store did not answer for {} s", LOOK_TIMEOUT.as_secs());
                Err(Ill::NoStore)
            }
        };
        *seen = Some((Instant::now(), found));
        found
    }
}
