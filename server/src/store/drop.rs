//! Drops databases. Their names are free again at once.
//!
//! First a last transaction is made that says so, the tombstone: whoever else commits at that moment
//! loses, and other servers see it. Then the head of the name moves on to an incarnation of its own, in
//! which the next database of that name is made. Should the server die in between, whoever wants the name
//! moves the head on. The files of the old one are removed whenever: see [`super::sweep`].

use std::sync::Arc;
use std::time::Duration;

use litevfs::ltx::Header;
use litevfs::types::{Checksum, PageSize, Pos};

use super::base::Base;
use super::claim::now_ms;
use super::convert::Writer;
use super::create::Created;
use super::error::Error;
use super::head::Head;
use super::incarnation::Incarnation;
use super::layout::{self, Marks};
use super::mutant::{self, Mutant};
use super::open::list_living;
use super::{Slot, Store, Vacancy};
use crate::key::DbKey;
use crate::spool::Spool;

impl Store {
    /// Drops a database. Also a damaged database can be dropped.
    ///
    /// Whether the client may is asked early, and again at the moment when it is done: a lease may have
    /// been granted while a commit was waited for. From then to the end no lease is granted by this
    /// server, and nothing is merged.
    pub async fn drop_database(
        self: &Arc<Self>,
        key: &DbKey,
        lease_id: Option<&str>,
    ) -> Result<(), Error> {
        let slot = self.slot(key)?;
        self.check_lease(key, &slot, lease_id).await?;
        let _gate = slot.gate.lock().await;
        if mutant::is(Mutant::DropIgnoresLease) {
            self.drop_gated(key, &slot).await?;
        } else if lease_id.is_some() || !self.objects.is_shared() {
            self.check_lease(key, &slot, lease_id).await?;
            self.drop_gated(key, &slot).await?;
        } else {
            // Other servers grant leases, too: with one of its own, it is alone.
            let id = self.lease_for_drop(key, &slot).await?;
            let dropped = self.drop_gated(key, &slot).await;
            if let Err(error) = self.release_gated(key, &slot, &id).await {
                tracing::debug!(database = %key, %error, "a claim must run out");
            }
            dropped?;
        }
        self.sweep_after_drop(key).await;
        Ok(())
    }

    /// The rest, with the gate held, under a lease or with none there.
    async fn drop_gated(&self, key: &DbKey, slot: &Arc<Slot>) -> Result<(), Error> {
        slot.look_again().await;
        let mut found = self.newest(key, slot).await;
        if found.is_ok() && self.resolve(key, slot, None, Duration::ZERO).await? {
            found = self.newest(key, slot).await;
        }
        let head = match found {
            Ok(Ok(database)) => {
                let (summary, pos) = (database.summary(), database.pos());
                slot.forget().await;
                let head = database.head();
                let base = Base::Database(database);
                self.create_tombstone(&base, summary.page_size, pos, summary.timestamp_ms).await?;
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
                let pos = Pos { txid: files.tip(), post_apply_checksum: Checksum::EMPTY };
                self.create_tombstone(&Base::Vacant(head.clone()), page_size, pos, 0).await?;
                head
            }
            Err(error) => return Err(error),
        };
        self.bury(head).await;
        Ok(())
    }

    async fn newest(
        &self,
        key: &DbKey,
        slot: &Slot,
    ) -> Result<Result<Arc<super::Database>, (Head, Vacancy)>, Error> {
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
    async fn bury(&self, mut head: Head) {
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
            return self.swept_soon(key);
        }
        if let Err(error) = self.sweep(key).await {
            tracing::warn!(database = %key, %error, "files of a dropped database stay for now");
            self.swept_later(key);
        }
    }

    /// Makes the transaction after a position that says that the database is dropped.
    async fn create_tombstone(
        &self,
        base: &Base,
        page_size: PageSize,
        pos: Pos,
        last_ms: u64,
    ) -> Result<(), Error> {
        let (db, timestamp_ms) = (base.db(), now_ms().max(last_ms));
        let file = self.tombstone(db, page_size, pos, timestamp_ms)?;
        let txid = pos.txid.next();
        let path = self.objects.shape.named(db, 0, txid, txid);
        match self.objects.create(&path, &file, timestamp_ms).await? {
            Created::New(_) => self.confirm(base, txid).await,
            Created::Exists => Err(Error::PosMismatch(pos)),
        }
    }

    /// The file of the transaction after a position that says that the database is dropped.
    pub(super) fn tombstone(
        &self,
        db: &Incarnation,
        page_size: PageSize,
        pos: Pos,
        timestamp_ms: u64,
    ) -> Result<Arc<Spool>, Error> {
        let txid = pos.txid.next();
        let header = Header {
            commit: 0,
            min_txid: txid,
            max_txid: txid,
            timestamp_ms,
            no_checksum: true,
            ..Header::new(page_size)
        };
        let marks = Marks {
            pre_apply_checksum: pos.post_apply_checksum,
            post_apply_checksum: Checksum::EMPTY,
            client_timestamp_ms: header.timestamp_ms,
            span: 0,
            group: None,
        };
        let stored = layout::stored_header(&header, &marks, std::iter::empty());
        let made = Writer::new(stored, self.scratch()).and_then(Writer::finish);
        made.map(|(_, file)| file).map_err(|error| Error::corrupt(db, error))
    }
}
