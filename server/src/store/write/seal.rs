//! Takes the next place of a database, so that what may be under way to it fails or has come first.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use litevfs::types::Pgno;

use super::base::Base;
use super::commit::By;
use super::own::Target;
use crate::key::DbKey;
use crate::store::bucket::error::Error;
use crate::store::history::shelf::Shelf;
use crate::store::history::slots::Slot;

impl Shelf {
    /// Makes a transaction that changes nothing: it has page 1 as it is. Whatever commit was under way
    /// to the same place before has come to its end after this, or will fail.
    ///
    /// Where there is no database, its first commit may be under way: the first place is taken by what
    /// says that it was dropped.
    pub(in crate::store) async fn seal(&self, key: &DbKey, slot: &Arc<Slot>) -> Result<(), Error> {
        slot.look_again().await;
        let database = match self.base(key, slot, None).await? {
            Base::Database(database) => database,
            vacant @ Base::Vacant(_) => {
                self.end_vacant(slot, &vacant).await?;
                slot.unsettled.store(false, Ordering::Release);
                return Ok(());
            }
        };
        let view = database.view(None).await?;
        if view.pos.txid.next().is_none() {
            // No commit can be under way to a place that there is not.
            slot.unsettled.store(false, Ordering::Release);
            return Ok(());
        }
        let (page1, at_ms) = (vec![Pgno::ONE], self.time_of_next(slot).await?);
        let sound = self.sound_from_view(&database, &view, Target::of(&view), page1, at_ms).await?;
        match self.commit_gated(key, slot, sound.header, Ok(sound), By::Server).await {
            // Then that place is taken, which is as good.
            Ok(_) | Err(Error::PosMismatch(_)) => {
                slot.unsettled.store(false, Ordering::Release);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}
