//! Files of groups that do not count, or not yet, and what becomes of them.
//!
//! Such a file is the last of its database: it takes the next TXID, and what counts ends before it.
//! Readers leave it where it is. A writer wants that TXID: it waits for the decision for a while, then
//! decides against the group itself. A file of a group that was decided against is replaced by a
//! transaction that changes nothing, or, where it would have been the first, by one that says that the
//! database was dropped. Nothing else is ever put there, and only in place of that very file: so
//! whoever does it, and however late, does no harm.

use std::sync::Arc;
use std::time::Duration;

use litevfs::types::{Pgno, Pos, Txid};
use tokio::time::Instant;

use super::base::Base;
use super::own::Target;
use crate::key::DbKey;
use crate::store::bucket::decision::Decision;
use crate::store::bucket::error::Error;
use crate::store::bucket::file_index::FileIndex;
use crate::store::bucket::marks::Tag;
use crate::store::bucket::moment::now_ms;
use crate::store::history::database::Database;
use crate::store::history::shelf::{FRESH, Shelf};
use crate::store::history::slots::Slot;
use crate::store::history::standing::Waiting;

/// How long a writer waits for the decision on a group that has the TXID it wants.
pub(in crate::store) const PATIENCE: Duration = Duration::from_secs(5);
/// How old an undecided file must be for readers to have it decided.
const ABANDONED: Duration = Duration::from_secs(60);
/// How often it is asked whether a group was decided.
const PAUSE: Duration = Duration::from_millis(100);
/// How often a writer finds another group in its way.
const ROUNDS: usize = 8;

impl Shelf {
    /// A database with what other servers committed up to now, or moments ago.
    pub(in crate::store) async fn fresh(
        &self,
        key: &DbKey,
    ) -> Result<Option<Arc<Database>>, Error> {
        self.fresh_within(key, FRESH).await
    }

    /// A database with what other servers committed up to so long ago.
    pub(in crate::store) async fn fresh_within(
        &self,
        key: &DbKey,
        max_age: Duration,
    ) -> Result<Option<Arc<Database>>, Error> {
        let slot = self.slot(key);
        let found = self.looked_at(key, &slot, max_age).await?;
        if self.resolve_if_idle(key, &slot).await {
            return self.looked_at(key, &slot, max_age).await;
        }
        Ok(found)
    }

    /// What to commit to: [`Shelf::known_base`], without a file of a group in the way, but for
    /// one of that group's. The gate is held.
    pub(in crate::store) async fn base(
        &self,
        key: &DbKey,
        slot: &Arc<Slot>,
        own: Option<Tag>,
    ) -> Result<Base, Error> {
        for _ in 0..ROUNDS {
            let base = self.known_base(key, slot).await?;
            if !self.resolve(key, slot, own, PATIENCE).await? {
                return Ok(base);
            }
        }
        Err(Error::Busy)
    }

    /// Clears a file of a group out of the way, if that can be done at once. For readers.
    pub(in crate::store) async fn resolve_if_idle(&self, key: &DbKey, slot: &Arc<Slot>) -> bool {
        let Some(waiting) = slot.doubt.lock().clone() else {
            return false;
        };
        let Ok(_gate) = slot.gate.try_lock() else {
            return false;
        };
        let age = Duration::from_millis(now_ms().saturating_sub(waiting.file.written_ms));
        let abandoned = age >= ABANDONED || !self.objects.is_shared();
        let resolved = async {
            if abandoned || self.is_decided(&waiting).await? {
                return self.resolve(key, slot, None, Duration::ZERO).await;
            }
            Ok(false)
        };
        resolved.await.unwrap_or_else(|error: Error| {
            tracing::debug!(database = %key, %error, "a file of a group stays for now");
            false
        })
    }

    async fn is_decided(&self, Waiting { db, file }: &Waiting) -> Result<bool, Error> {
        let index = self.indexes.get(&self.objects, db, file).await?;
        match index.marks.group {
            Some(tag) => Ok(self.objects.read_decision(&db.key.cluster, tag).await?.is_some()),
            None => Ok(false),
        }
    }

    /// Brings a file of a group that is in the way to its end, but for one of that group's; whether
    /// there was one. The group is decided against unless it is decided within `patience`. The gate is
    /// held.
    pub(in crate::store) async fn resolve(
        &self,
        key: &DbKey,
        slot: &Arc<Slot>,
        own: Option<Tag>,
        patience: Duration,
    ) -> Result<bool, Error> {
        let Some(waiting) = slot.doubt.lock().clone() else {
            return Ok(false);
        };
        let index = match self.indexes.get(&self.objects, &waiting.db, &waiting.file).await {
            // Another server was faster.
            Err(Error::Gone(_)) => return self.seen_again(slot).await,
            index => index?,
        };
        let Some(tag) = index.marks.group.filter(|&tag| own != Some(tag)) else {
            return Ok(false);
        };
        // On a store that is this server's alone, whoever has the gate knows that nobody else is at it.
        let patience = if self.objects.is_shared() { patience } else { Duration::ZERO };
        let decision = self.decision_within(key, tag, patience).await?;
        if decision.admits(&key.db, &index).is_none() {
            self.undo(key, slot, &waiting, &index).await?;
        }
        self.seen_again(slot).await
    }

    async fn decision_within(
        &self,
        key: &DbKey,
        tag: Tag,
        patience: Duration,
    ) -> Result<Decision, Error> {
        let began = Instant::now();
        loop {
            if let Some(decision) = self.objects.read_decision(&key.cluster, tag).await? {
                return Ok(decision);
            }
            if began.elapsed() >= patience {
                tracing::info!(database = %key, "deciding against a group that nobody went on with");
                let decision = Decision::Aborted {};
                return self.objects.decide(&key.cluster, tag, &decision).await;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Makes the next use see what became of a file.
    async fn seen_again(&self, slot: &Slot) -> Result<bool, Error> {
        *slot.doubt.lock() = None;
        if self.objects.is_shared() {
            slot.look_again().await;
        } else {
            slot.forget().await;
        }
        Ok(true)
    }

    /// Replaces a file of a group that was decided against.
    async fn undo(
        &self,
        key: &DbKey,
        slot: &Arc<Slot>,
        Waiting { db, file }: &Waiting,
        index: &FileIndex,
    ) -> Result<(), Error> {
        let path = self.objects.shape.file(db, file);
        // It is replaced as it was read: of several servers one does it.
        let timestamp_ms = index.timestamp_ms;
        if file.min_txid == Txid(1) {
            let content = self.tombstone(db, index.page_size, Pos::EMPTY, timestamp_ms)?;
            self.objects.replace(&path, file, &content, timestamp_ms).await?;
            self.queue.swept_later(key);
            return Ok(());
        }
        let database = self.open(key, slot).await?.ok_or(Error::NoDatabase)?;
        if database.db != *db {
            return Ok(());
        }
        let view = database.view(None).await?;
        if file.min_txid.follows(view.pos.txid) {
            let (page1, at_ms) = (vec![Pgno::ONE], timestamp_ms.max(view.timestamp_ms));
            let seal =
                self.sound_from_view(&database, &view, Target::of(&view), page1, at_ms).await?;
            self.objects.replace(&path, file, &seal.file, timestamp_ms).await?;
        }
        Ok(())
    }
}
