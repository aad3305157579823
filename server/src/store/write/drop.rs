//! Drops databases. Their names are free again at once.
//!
//! First a last transaction is made that says so, the tombstone: whoever else commits at that moment
//! loses, and other servers see it. Then the head of the name moves on to an incarnation of its own, in
//! which the next database of that name is made. Should the server die in between, whoever wants the name
//! moves the head on. The files of the old one are removed whenever: see [`crate::store::compact::sweep`].

use std::sync::Arc;
use std::time::Duration;

use litevfs::types::{Checksum, PageSize, Pos};

use super::base::Base;
use crate::key::DbKey;
use crate::store::bucket::error::Error;
use crate::store::bucket::head::Head;
use crate::store::bucket::mutant::{self, Mutant};
use crate::store::history::open::{Vacancy, list_living};
use crate::store::history::shelf::Shelf;
use crate::store::history::slots::Slot;

impl Shelf {
    /// Drops a database. Also a damaged database can be dropped.
    ///
    /// Whether the client may is asked early, and again at the moment when it is done: a lease may have
    /// been granted while a commit was waited for. From then to the end no lease is granted, and what is
    /// being merged meanwhile is given up.
    pub(in crate::store) async fn drop_database(
        self: &Arc<Self>,
        key: &DbKey,
        lease_id: Option<&str>,
    ) -> Result<(), Error> {
        let slot = self.slot(key);
        self.check_lease(key, &slot, lease_id).await?;
        let _gate = slot.gate.lock().await;
        if mutant::is(Mutant::DropIgnoresLease) {
            self.drop_gated(key, &slot, None).await?;
        } else if lease_id.is_some() || !self.objects.is_shared() {
            self.drop_gated(key, &slot, lease_id).await?;
        } else {
            // Other servers grant leases, too: with one of its own, it is alone.
            let id = self.lease_for_drop(key, &slot).await?;
            let dropped = self.drop_gated(key, &slot, Some(&id)).await;
            if let Err(error) = self.release_gated(key, &slot, &id).await {
                tracing::debug!(database = %key, %error, "a claim must run out");
            }
            dropped?;
        }
        self.sweep_after_drop(key).await;
        Ok(())
    }

    /// The rest, with the gate held, under a lease or with none there.
    ///
    /// The lease is asked for once more when it is known which place in the history is to be taken: whoever
    /// was granted one since then has taken that place before.
    async fn drop_gated(
        &self,
        key: &DbKey,
        slot: &Arc<Slot>,
        lease_id: Option<&str>,
    ) -> Result<(), Error> {
        slot.look_again().await;
        let mut found = self.newest(key, slot).await;
        if found.is_ok() {
            match self.resolve(key, slot, None, Duration::ZERO).await {
                Ok(false) => {}
                Ok(true) => found = self.newest(key, slot).await,
                // Damaged, with a group's file in the way.
                Err(error @ Error::Corrupt { .. }) => found = Err(error),
                Err(error) => return Err(error),
            }
        }
        if !mutant::is(Mutant::DropIgnoresLease) {
            self.check_lease(key, slot, lease_id).await?;
        }
        let head = match found {
            Ok(Ok(database)) => {
                let (summary, pos) = (database.summary(), database.pos());
                slot.forget().await;
                let head = database.head();
                let base = Base::Database(database);
                let size = summary.page_size;
                let made =
                    self.create_tombstone(slot, &base, size, pos, summary.timestamp_ms).await;
                made?;
                // What is being compacted at this moment must not go on.
                base.into_database().inspect(|database| database.set_replaced());
                head
            }
            Ok(Err((_, Vacancy::Vacant))) => return Err(Error::NoDatabase),
            Ok(Err((head, Vacancy::Dropped))) => head,
            Err(error @ Error::Corrupt { .. }) => {
                tracing::warn!(database = %key, %error, "dropping a damaged database");
                let (head, files, _) = list_living(&self.objects, key).await?;
                let page_size = PageSize::new(4096).ok_or(Error::NoDatabase)?;
                let pos =
                    Pos { txid: files.tip(), post_apply_checksum: Checksum::EMPTY, ..Pos::EMPTY };
                let base = Base::Vacant(Box::new(head.clone()));
                self.create_tombstone(slot, &base, page_size, pos, 0).await?;
                head
            }
            Err(error) => return Err(error),
        };
        self.bury(slot, head).await;
        Ok(())
    }

    async fn newest(
        &self,
        key: &DbKey,
        slot: &Slot,
    ) -> Result<Result<Arc<crate::store::Database>, (Head, Vacancy)>, Error> {
        let found = self.found(key, slot).await?;
        let Ok(database) = &found else {
            return Ok(found);
        };
        match database.look(Duration::ZERO).await {
            Ok(()) => Ok(found),
            Err(Error::Replaced) => self.found(key, slot).await,
            Err(error) => Err(error),
        }
    }

    /// Moves the head of a dropped database on. It is dropped already: should this fail, whoever wants the
    /// name does it.
    async fn bury(&self, slot: &Slot, mut head: Head) {
        *slot.swept_at.lock() = None;
        let (key, dead) = (head.db.key.clone(), Arc::clone(&head.db));
        if mutant::is(Mutant::ReuseIncarnation) {
            let files = self.objects.ltx_files(&dead).await.unwrap_or_default();
            let path = |file| self.objects.shape.file(&dead, file);
            let _ = self.objects.remove(files.iter().map(path).collect()).await;
            return;
        }
        let moved: Result<(), Error> = async {
            loop {
                if self.objects.end_incarnation(&head).await?.is_some() {
                    return Ok(());
                }
                let now = self.objects.head(&key).await?;
                if now.db != dead {
                    return Ok(());
                }
                // Only its floor was raised.
                head = now;
            }
        }
        .await;
        if let Err(error) = moved {
            tracing::warn!(database = %key, %error, "it is dropped, but its name is not free yet");
        }
    }

    /// Removes the files of a database that was dropped: at once from a directory; from a shared store,
    /// which takes longer, in the background. The gate is held.
    async fn sweep_after_drop(&self, key: &DbKey) {
        if self.objects.is_shared() {
            return self.queue.swept_soon(key);
        }
        if let Err(error) = self.sweep(key).await {
            tracing::warn!(database = %key, %error, "files of a dropped database stay for now");
            self.queue.swept_later(key);
        }
    }
}
