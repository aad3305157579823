//! The right to compact a database, which one server has at a time. Should two have it, because a clock is
//! wrong or one was frozen, they make the same files, and remove what is dead for both.

use std::time::{Duration, Instant};

use object_store::path::Path;

use crate::key::DbKey;
use crate::store::bucket::error::Error;
use crate::store::bucket::layout;
use crate::store::history::shelf::Shelf;
use crate::store::objects::claim::{Claim, Held, LONGEST};

/// How long a claim lasts, and when it is written again.
const CLAIM: Duration = Duration::from_secs(60);
const RECLAIM: Duration = Duration::from_secs(30);
const _: () = assert!(CLAIM.as_secs() <= LONGEST.as_secs() && RECLAIM.as_secs() < CLAIM.as_secs());
/// What claims for compaction are called.
const KIND: &str = "compaction";

impl Shelf {
    /// Claims the compaction of a database; `None` while another server has it.
    pub(in crate::store) async fn claim_compaction(
        &self,
        key: &DbKey,
    ) -> Result<Option<CompactionClaim>, Error> {
        if !self.objects.is_shared() {
            return Ok(Some(CompactionClaim { path: Path::default(), held: None }));
        }
        let path = layout::claim(KIND, key);
        let over: Option<Held> = self.objects.read_record(&path).await?;
        if over.as_ref().is_some_and(|held| held.left().is_some()) {
            return Ok(None);
        }
        let claim = Claim::new(&self.server, KIND, CLAIM)?;
        let held = self.objects.write_record(&path, &claim, over.as_ref()).await?;
        let until = Instant::now().checked_add(RECLAIM);
        Ok(held.map(|held| CompactionClaim { path, held: Some((held, until)) }))
    }
}

/// The right to compact a database.
pub(in crate::store) struct CompactionClaim {
    path: Path,
    /// The claim and when to write it again; nothing on a store that nobody shares.
    held: Option<(Held, Option<Instant>)>,
}

impl CompactionClaim {
    /// Makes sure that it is held for a while longer.
    pub(in crate::store) async fn hold(&mut self, shelf: &Shelf) -> Result<(), Error> {
        match &self.held {
            Some((_, until)) if until.is_none_or(|until| Instant::now() >= until) => {
                self.renew(shelf).await
            }
            _ => Ok(()),
        }
    }

    async fn renew(&mut self, shelf: &Shelf) -> Result<(), Error> {
        let Some((held, _)) = &self.held else {
            return Ok(());
        };
        let claim = Claim::new(&shelf.server, KIND, CLAIM)?;
        let again = shelf.objects.write_record(&self.path, &claim, Some(held)).await?;
        let again = again.ok_or_else(|| std::io::Error::other("another server compacts it now"))?;
        self.held = Some((again, Instant::now().checked_add(RECLAIM)));
        Ok(())
    }

    pub(in crate::store) async fn end(self, shelf: &Shelf) {
        if let Some((held, _)) = self.held
            && let Err(error) = shelf.objects.end_claim(&self.path, &held).await
        {
            tracing::debug!(claim = %self.path, %error, "it must run out");
        }
    }
}
