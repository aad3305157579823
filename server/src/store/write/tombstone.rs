//! Makes tombstones: transactions that say that a database was dropped.

use std::sync::atomic::Ordering;

use litevfs::types::{PageSize, Pos};

use super::base::Base;
use crate::store::bucket::error::Error;
use crate::store::bucket::moment::now_ms;
use crate::store::history::shelf::Shelf;
use crate::store::history::slots::Slot;
use crate::store::objects::create::Created;
use crate::store::objects::dates::dated;

impl Shelf {
    /// Makes the transaction after a position that says that the database is dropped.
    pub(in crate::store) async fn create_tombstone(
        &self,
        slot: &Slot,
        base: &Base,
        page_size: PageSize,
        pos: Pos,
        last_ms: u64,
    ) -> Result<(), Error> {
        let (db, timestamp_ms) = (base.db(), now_ms().max(last_ms));
        let Some(txid) = pos.txid.successor() else {
            // No commit can follow either.
            return Ok(());
        };
        let file = self.tombstone(db, page_size, pos, timestamp_ms)?;
        let path = self.objects.shape.named(db, 0, txid, txid);
        let (created, date) = dated(self.objects.create(&path, &file, timestamp_ms)).await;
        match created {
            Ok(Created::New(_)) => match self.confirm(base, txid, date).await {
                // Who found it moved the head on before.
                Err(Error::Replaced) => Ok(()),
                confirmed => confirmed,
            },
            Ok(Created::Exists) => Err(Error::PosMismatch(pos)),
            Err(error) => {
                // It may appear yet: under no other lease.
                slot.unsettled.store(true, Ordering::Release);
                Err(error)
            }
        }
    }

    /// Ends an incarnation that has no database: a first commit that is under way fails, or has come first.
    pub(in crate::store) async fn end_vacant(
        &self,
        slot: &Slot,
        vacant: &Base,
    ) -> Result<(), Error> {
        let Base::Vacant(head) = vacant else {
            return Ok(());
        };
        let page_size = PageSize::new(4096).ok_or(Error::NoDatabase)?;
        match self.create_tombstone(slot, vacant, page_size, Pos::EMPTY, 0).await {
            Ok(()) => {
                self.objects.end_incarnation(head).await?;
                self.queue.swept_later(&head.db.key);
                Ok(())
            }
            // Then that place is taken, which is as good.
            Err(Error::PosMismatch(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
