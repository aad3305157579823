//! The right to compact a database, which one server has at a time. Should two have it, because a clock is
//! wrong or one was frozen, they make the same files, and remove what is dead for both.

use std::time::{Duration, Instant};

use object_store::path::Path;

use crate::key::DbKey;
use crate::store::claim::{Claim, Held, now_ms};
use crate::store::clock;
use crate::store::error::Error;
use crate::store::{Store, layout};

/// How long a claim lasts, and when it is written again.
const CLAIM: Duration = Duration::from_secs(60);
const RECLAIM: Duration = Duration::from_secs(30);
/// What claims for compaction are called.
const KIND: &str = "compaction";

impl Store {
    /// Claims the compaction of a database; `None` while another server has it.
    pub(super) async fn claim_compaction(
        &self,
        key: &DbKey,
    ) -> Result<Option<CompactionClaim>, Error> {
        if !self.objects.is_shared() {
            return Ok(Some(CompactionClaim { path: Path::default(), held: None }));
        }
        let path = layout::claim(KIND, key);
        let over: Option<Held> = self.objects.read_record(&path).await?;
        if over.as_ref().is_some_and(|held| held.value.left().is_some()) {
            return Ok(None);
        }
        let claim = Claim::new(&self.server, KIND, CLAIM)?;
        let held = self.objects.write_record(&path, &claim, over.as_ref()).await?;
        let until = Instant::now().checked_add(RECLAIM);
        Ok(held.map(|held| CompactionClaim { path, held: Some((held, until)) }))
    }
}

/// The right to compact a database.
pub(super) struct CompactionClaim {
    path: Path,
    /// The claim and when to write it again; nothing on a store that nobody shares.
    held: Option<(Held, Option<Instant>)>,
}

impl CompactionClaim {
    /// Makes sure that it is held for a while longer.
    pub(super) async fn hold(&mut self, store: &Store) -> Result<(), Error> {
        match &self.held {
            Some((_, until)) if until.is_none_or(|until| Instant::now() >= until) => {
                self.renew(store).await
            }
            _ => Ok(()),
        }
    }

    async fn renew(&mut self, store: &Store) -> Result<(), Error> {
        let Some((held, _)) = &self.held else {
            return Ok(());
        };
        let claim = Claim::new(&store.server, KIND, CLAIM)?;
        let again = store.objects.write_record(&self.path, &claim, Some(held)).await?;
        let again = again.ok_or_else(|| std::io::Error::other("another server compacts it now"))?;
        self.held = Some((again, Instant::now().checked_add(RECLAIM)));
        Ok(())
    }

    /// How far this server's clock is from the store's, by a claim that is written for it.
    pub(super) async fn clock_gap(&mut self, store: &Store) -> Result<Duration, Error> {
        let before_ms = now_ms();
        let path = if self.held.is_some() {
            self.renew(store).await?;
            self.path.clone()
        } else {
            store.objects.touch().await?
        };
        let written_ms = store.objects.written_at(&path).await?;
        Ok(written_ms.map_or(Duration::MAX, |written_ms| clock::gap(before_ms, written_ms)))
    }

    pub(super) async fn end(self, store: &Store) {
        if let Some((held, _)) = self.held
            && let Err(error) = store.objects.end_claim(&self.path, &held).await
        {
            tracing::debug!(claim = %self.path, %error, "it must run out");
        }
    }
}
