//! Drops databases, and makes their names free again.
//!
//! First a last transaction is made that says so, the tombstone: whoever else commits at that moment
//! loses, and other servers see it. Then the other files go, and last the tombstone; only then the name
//! is free. Files have no other identity than their name when they are removed, so on a shared store
//! the tombstone stays until no server can be at removing files of the old database any more, and one
//! server at a time removes them, by a claim.

use std::sync::Arc;
use std::time::{Duration, Instant};

use litevfs::ltx::Header;
use litevfs::types::{Checksum, PageSize, Pos};

use super::Store;
use super::claim::{Claim, now_ms};
use super::convert::Writer;
use super::create::Created;
use super::error::Error;
use super::files::{Files, LtxFile};
use super::layout::{self, Marks};
use super::look::is_tombstone;
use super::objects::REMOVE_WITHIN;
use crate::key::DbKey;
use crate::spool::Spool;

/// What claims for removals are called.
const KIND: &str = "drop";
/// How long such a claim lasts: longer than removals go on.
const CLAIM: Duration = Duration::from_secs(60);
/// The levels of a database.
const LEVELS: u8 = layout::SNAPSHOT_LEVEL;

impl Store {
    /// Drops a database: all of its files go. Also a damaged database can be dropped.
    pub async fn drop_database(&self, key: &DbKey, lease_id: Option<&str>) -> Result<(), Error> {
        let slot = self.slot(key)?;
        self.check_lease(key, &slot, lease_id).await?;
        let _gate = slot.gate.lock().await;
        slot.look_again().await;
        let mut found = self.fresh(key).await;
        if found.is_ok() && self.resolve(key, &slot, None, Duration::ZERO).await? {
            found = self.fresh(key).await;
        }
        match found {
            Ok(Some(database)) => {
                let (summary, pos) = (database.summary(), database.pos());
                slot.forget().await;
                self.create_tombstone(key, summary.page_size, pos, summary.timestamp_ms).await?;
                // What is being compacted at this moment must not stay behind.
                database.set_replaced();
            }
            Ok(None) if self.objects.ltx_files(key).await?.is_empty() => {
                return Err(Error::NoDatabase);
            }
            Ok(None) => {}
            Err(error @ Error::Corrupt { .. }) => {
                tracing::warn!(database = %key, %error, "dropping a damaged database");
                let txid = self.files_of(key).await?.tip();
                let page_size = PageSize::new(4096).ok_or(Error::NoDatabase)?;
                let pos = Pos { txid, post_apply_checksum: Checksum::EMPTY };
                self.create_tombstone(key, page_size, pos, 0).await?;
            }
            Err(error) => return Err(error),
        }
        let shared = self.objects.is_shared();
        match self.remove_dropped(key, !shared).await {
            Ok(_) if !shared => self.objects.remove_folder(&layout::database(key)).await,
            Ok(_) => self.cleared_later(key),
            // It is dropped; what is left of it goes later.
            Err(error) => {
                tracing::warn!(database = %key, %error, "files of a dropped database stay for now");
                self.cleared_later(key);
            }
        }
        Ok(())
    }

    /// Removes what a dropped database left, so that one of its name can be made. False when there is a
    /// database after all. The gate is held.
    ///
    /// On a shared store that takes a while: see [`super::drop`].
    pub(super) async fn clear_leftovers(&self, key: &DbKey) -> Result<bool, Error> {
        let files = self.files_of(key).await?;
        let Some(last) = files.level(0).next_back() else {
            return Ok(files.is_empty());
        };
        let age = Duration::from_millis(now_ms().saturating_sub(last.written_ms));
        if self.objects.is_shared()
            && let Some(left) = REMOVE_WITHIN.checked_sub(age)
        {
            let dropped = self.is_dropped(key, &files).await?;
            return if dropped { Err(Error::Dropped(left)) } else { Ok(false) };
        }
        self.remove_dropped(key, true).await
    }

    /// Whether a file that was merged came too late: its database was dropped meanwhile.
    pub(super) async fn outlived(&self, key: &DbKey, merged: &LtxFile) -> Result<bool, Error> {
        let files = self.files_of(key).await?;
        // A database that was made anew has not come so far.
        let newest = files.level(0).next_back();
        let is_behind = newest.is_none_or(|newest| newest.max_txid < merged.max_txid);
        Ok(is_behind || self.is_dropped(key, &files).await?)
    }

    async fn files_of(&self, key: &DbKey) -> Result<Files, Error> {
        let mut files = Files::default();
        self.objects.ltx_files(key).await?.into_iter().for_each(|file| files.insert(file));
        Ok(files)
    }

    /// Whether the last transaction among files is a tombstone.
    async fn is_dropped(&self, key: &DbKey, files: &Files) -> Result<bool, Error> {
        let Some(last) = files.level(0).next_back() else {
            return Ok(false);
        };
        match self.indexes.get(&self.objects, &key.clone().into(), last).await {
            Ok(index) => Ok(is_tombstone(&index)),
            Err(Error::Gone(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes the files of a database if it is dropped, but for the tombstone if that is to stay;
    /// whether it was dropped.
    async fn remove_dropped(&self, key: &DbKey, tombstone_too: bool) -> Result<bool, Error> {
        if !self.objects.is_shared() {
            return self.remove_claimed(key, tombstone_too, None).await;
        }
        let path = layout::claim(KIND, key);
        let over = self.objects.read_claim(&path).await?;
        if let Some(left) = over.as_ref().and_then(|held| held.claim.left()) {
            return Err(Error::Dropped(left));
        }
        let claim = Claim::new(&self.server, KIND, CLAIM)?;
        let held = self.objects.write_claim(&path, &claim, over.as_ref()).await?;
        let held = held.ok_or(Error::Dropped(REMOVE_WITHIN))?;
        let deadline = Instant::now().checked_add(REMOVE_WITHIN);
        let done = self.remove_claimed(key, tombstone_too, deadline).await;
        if let Err(error) = self.objects.end_claim(&path, &held).await {
            tracing::debug!(database = %key, %error, "a claim must run out");
        }
        done
    }

    async fn remove_claimed(
        &self,
        key: &DbKey,
        tombstone_too: bool,
        deadline: Option<Instant>,
    ) -> Result<bool, Error> {
        let files = self.files_of(key).await?;
        if !self.is_dropped(key, &files).await? {
            return Ok(files.is_empty());
        }
        let last = files.level(0).next_back();
        let path = |file: &LtxFile| self.objects.shape.file(key, file);
        let others = files.iter().filter(|&file| Some(file) != last).map(path).collect();
        self.objects.remove(others, deadline).await?;
        if tombstone_too {
            // After a power cut, too, the tombstone must not be gone before the others are.
            for level in 0..=LEVELS {
                self.objects.settle(&self.objects.shape.level(key, level)).await?;
            }
            self.objects.remove(last.iter().map(|file| path(file)).collect(), deadline).await?;
            self.objects.settle(&self.objects.shape.level(key, 0)).await?;
        }
        Ok(true)
    }

    /// Makes the transaction after a position that says that the database is dropped.
    async fn create_tombstone(
        &self,
        key: &DbKey,
        page_size: PageSize,
        pos: Pos,
        last_ms: u64,
    ) -> Result<(), Error> {
        let timestamp_ms = now_ms().max(last_ms);
        let file = self.tombstone(key, page_size, pos, timestamp_ms)?;
        let txid = pos.txid.successor().ok_or(Error::LastTxid)?;
        let path = self.objects.shape.named(key, 0, txid, txid);
        match self.objects.create(&path, &file, timestamp_ms).await? {
            Created::New(_) => Ok(()),
            Created::Exists => Err(Error::PosMismatch(pos)),
        }
    }

    /// The file of the transaction after a position that says that the database is dropped.
    pub(super) fn tombstone(
        &self,
        key: &DbKey,
        page_size: PageSize,
        pos: Pos,
        timestamp_ms: u64,
    ) -> Result<Arc<Spool>, Error> {
        let txid = pos.txid.successor().ok_or(Error::LastTxid)?;
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
        made.map(|(_, file)| file).map_err(|error| Error::corrupt(key, error))
    }
}
