//! One transaction of a group, on its way from an upload to a file that waits for the decision.

use std::fmt::Write;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use litevfs::ltx::TRAILER_LEN;
use litevfs::types::{ClusterName, Pos};

use super::GroupTx;
use crate::key::DbKey;
use crate::offload::offload;
use crate::spool::Spool;
use crate::store::bucket::error::Error;
use crate::store::bucket::file_index::FileIndex;
use crate::store::bucket::ltx_file::LtxFile;
use crate::store::bucket::marks::Tag;
use crate::store::history::shelf::Shelf;
use crate::store::history::slots::Slot;
use crate::store::objects::create::Created;
use crate::store::objects::dates::dated;
use crate::store::write::base::Base;
use crate::store::write::commit::By;
use crate::store::write::convert::{self, Converted, Sound};

/// A member whose upload decodes.
pub(super) struct Member {
    pub(super) key: DbKey,
    pub(super) slot: Arc<Slot>,
    lease_id: Option<String>,
    converted: Converted,
}

/// A member that may be the next transaction of its database.
pub(super) struct Admitted {
    key: DbKey,
    slot: Arc<Slot>,
    base: Base,
    sound: Sound,
}

/// A member whose file is there.
pub(super) struct Prepared {
    pub(super) key: DbKey,
    pub(super) slot: Arc<Slot>,
    /// What was there before.
    pub(super) base: Base,
    pub(super) sound: Sound,
    pub(super) file: LtxFile,
    pub(super) index: Arc<FileIndex>,
}

/// A member whose file could not be made.
pub(super) struct Failed {
    pub(super) key: DbKey,
    pub(super) slot: Arc<Slot>,
    /// Why; `None` when its place is taken.
    pub(super) error: Option<Error>,
}

/// What tells an uploaded file from another: its length and its trailer, with the file checksum.
pub(super) fn recognised_by(upload: &Spool) -> io::Result<String> {
    let mut text = format!("{:x}-", upload.len());
    for byte in upload.tail::<TRAILER_LEN>()?.unwrap_or_default() {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

impl Member {
    /// Decodes an upload.
    pub(super) async fn new(
        shelf: &Shelf,
        cluster: &ClusterName,
        tag: Tag,
        tx: GroupTx,
    ) -> Result<Member, Error> {
        let key = DbKey { cluster: cluster.clone(), db: tx.db };
        let slot = shelf.slot(&key);
        let scratch = shelf.objects.scratch().to_owned();
        let len_bytes = tx.upload.len_of_work();
        let now_ms = shelf.time_of_next(&slot).await?;
        let work = move || convert::convert(&tx.upload, &scratch, now_ms, Some(tag));
        let converted = offload(len_bytes, work).await??;
        if converted.header.min_txid != converted.header.max_txid {
            let text = "a file of a group has one transaction: send what spans several by itself";
            return Err(Error::BadFormat(text.to_owned()));
        }
        Ok(Member { key, slot, lease_id: tx.lease_id, converted })
    }

    /// Checks it against its database. The gate is held.
    pub(super) async fn admit(self, shelf: &Shelf, tag: Tag) -> Result<Admitted, Error> {
        let Member { key, slot, lease_id, converted: Converted { header, sound } } = self;
        let by = By::Client(lease_id.as_deref());
        let known = sound.as_ref().ok();
        let base = shelf.checked(&key, &slot, &header, known, by, Some(tag)).await?;
        Ok(Admitted { key, slot, base, sound: sound? })
    }
}

impl Admitted {
    /// The order in which files are made.
    pub(super) fn rank(&self) -> u8 {
        match (self.base.database(), self.sound.file.in_memory()) {
            (None, _) => 2,
            (Some(_), Some(_)) => 1,
            (Some(_), None) => 0,
        }
    }

    /// Makes its file. The gate is held.
    pub(super) async fn prepare(self, shelf: &Shelf, tag: Tag) -> Result<Prepared, Failed> {
        match self.make_file(shelf, tag).await {
            Ok(Some((file, index))) => {
                let Admitted { key, slot, base, sound } = self;
                Ok(Prepared { key, slot, base, sound, file, index })
            }
            Ok(None) => Err(Failed { key: self.key, slot: self.slot, error: None }),
            Err(error) => {
                // It may be there all the same, or appear: only the files can tell.
                leave_open(&self.slot).await;
                Err(Failed { key: self.key, slot: self.slot, error: Some(error) })
            }
        }
    }

    /// Its file, unless its place is taken.
    async fn make_file(
        &self,
        shelf: &Shelf,
        tag: Tag,
    ) -> Result<Option<(LtxFile, Arc<FileIndex>)>, Error> {
        let Admitted { base, sound, .. } = self;
        let (db, txid) = (base.db(), sound.header.min_txid);
        let (made, date) = dated(shelf.make_file(base, sound)).await;
        if let Created::New(version) = made? {
            shelf.confirm(base, txid, date).await?;
            let file = LtxFile::stored(0, (txid, txid), sound.file.len(), version);
            shelf.indexes.put(db, &file, Arc::clone(&sound.index));
            return Ok(Some((file, Arc::clone(&sound.index))));
        }
        shelf.objects.settle(&shelf.objects.shape.level(db, 0)).await?;
        // The same may have been sent before, to a server that died, or is at it too.
        let listed = shelf.objects.committed_from(db, txid).await?;
        let there = listed.into_iter().find(|f| (f.min_txid, f.max_txid) == (txid, txid));
        let path = || shelf.objects.shape.named(db, 0, txid, txid).to_string();
        let there = there.ok_or_else(|| Error::Gone(path()))?;
        let index = shelf.indexes.get(&shelf.objects, db, &there).await?;
        if index.marks.group != Some(tag) {
            return Ok(None);
        }
        shelf.confirm(base, txid, date).await?;
        if sound.is_file(&shelf.objects, db, there, &index).await? {
            Ok(Some((there, index)))
        } else {
            Err(Error::OtherGroup)
        }
    }
}

impl Prepared {
    /// The position of the database after it.
    pub(super) fn pos(&self) -> Pos {
        self.index.pos()
    }

    /// Leaves it to the next who looks what became of it.
    pub(super) async fn leave_open(&self) {
        leave_open(&self.slot).await;
    }
}

async fn leave_open(slot: &Slot) {
    slot.forget().await;
    slot.unsettled.store(true, Ordering::Release);
}
