//! Claims: small objects by which servers on one store tell each other who does what, until when.
//!
//! A claim changes hands by a conditional put on the version that was read, so of several servers one
//! gets it. Its end is told by the wall clock, and others allow for a skew; nothing that must not go
//! wrong rests on it, because a commit is decided by the creation of its file alone.

use std::time::Duration;

use object_store::path::Path;
use serde::{Deserialize, Serialize};

use super::reads::{Objects, fresh_name};
use crate::store::bucket::error::Error;
use crate::store::bucket::kept::Kept;
use crate::store::bucket::moment::now_ms;

/// How far the clocks of two servers may be apart.
const SKEW: Duration = Duration::from_secs(1);
/// The longest that anything is claimed for.
pub const LONGEST: Duration = Duration::from_secs(60);

/// Who has claimed something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The server, as it names itself.
    pub server: String,
    /// What the claim is for: the id of a lease, for one.
    pub id: String,
    /// Its end, in ms since the Unix epoch; 0 when it was given back.
    pub until_ms: u64,
    /// Something may have been done under it through another server than that.
    #[serde(default)]
    pub moved: bool,
    /// Tells one writing of it from another.
    nonce: String,
}

/// A claim as it was read, or written.
pub type Held = Kept<Claim>;

impl Claim {
    /// A claim from now on.
    pub fn new(server: &str, id: &str, duration: Duration) -> Result<Claim, Error> {
        let until_ms = now_ms().saturating_add(millis(duration));
        let nonce = fresh_name()?;
        Ok(Claim { server: server.to_owned(), id: id.to_owned(), until_ms, moved: false, nonce })
    }

    /// The same, used through another server too.
    pub fn moved(&self) -> Result<Claim, Error> {
        Ok(Claim { moved: true, nonce: fresh_name()?, ..self.clone() })
    }

    /// Whether it was given back, and did not just run out.
    pub const fn is_given_back(&self) -> bool {
        self.until_ms == 0
    }

    /// The same, given back.
    fn ended(self) -> Claim {
        Claim { until_ms: 0, ..self }
    }
}

impl Held {
    /// How long others must still honour it; `None` when it is over. A server whose clock was ahead holds it
    /// no longer than another one could from when it was stored.
    pub fn left(&self) -> Option<Duration> {
        if self.value.is_given_back() {
            return None;
        }
        let longest = self.written_ms.map(|stored| stored.saturating_add(millis(LONGEST)));
        let until_ms = longest.map_or(self.value.until_ms, |end| end.min(self.value.until_ms));
        let end = until_ms.saturating_add(millis(SKEW));
        end.checked_sub(now_ms()).filter(|&left| left > 0).map(Duration::from_millis)
    }
}

impl Objects {
    /// Gives a claim back; whether it was still the one that is held.
    pub async fn end_claim(&self, path: &Path, held: &Held) -> Result<bool, Error> {
        let ended = Claim { nonce: fresh_name()?, ..held.value.clone().ended() };
        Ok(self.write_record(path, &ended, Some(held)).await?.is_some())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
