//! Takes merged files in, and has positions begin with a snapshot after the page size changed.

use std::time::Duration;

use crate::store::bucket::error::Error;
use crate::store::bucket::ltx_file::{LtxFile, SNAPSHOT_LEVEL};
use crate::store::bucket::schedule::Merge;
use crate::store::history::database::Database;
use crate::store::history::queue::REST;
use crate::store::history::shelf::Shelf;

impl Shelf {
    /// Has a position begin with a snapshot after the page size changed, so that nobody has to merge
    /// files of two page sizes, which stock Litestream refuses to.
    pub(in crate::store) async fn begin_with_snapshot(&self, database: &Database) {
        if let Err(error) = self.snapshot_after_reshape(database).await {
            // It is made up for when the database is compacted; meanwhile it reads well.
            tracing::warn!(database = %database.db, %error, "no snapshot of the new page size yet");
            self.queue.add(&database.db.key, REST);
        }
    }

    pub(in crate::store) async fn snapshot_after_reshape(
        &self,
        database: &Database,
    ) -> Result<(), Error> {
        if !database.state.read().lacks_snapshot() {
            return Ok(());
        }
        let view = database.view(None).await?;
        let Some(first) = view.reshaped_by() else {
            return Ok(());
        };
        let merge = Merge { inputs: vec![first], level: SNAPSHOT_LEVEL };
        match self.merge(database, &merge).await? {
            Some(file) => self.take_in_merged(database, file).await,
            None => database.reload().await,
        }
    }

    /// Takes in a merged file. Should its database have been dropped while it was made, it lies where
    /// nobody looks, and is swept up.
    pub(in crate::store) async fn take_in_merged(
        &self,
        database: &Database,
        file: LtxFile,
    ) -> Result<(), Error> {
        let looked = database.look(Duration::ZERO).await;
        if database.is_replaced() {
            self.queue.swept_later(&database.db.key);
            return Err(Error::Replaced);
        }
        looked?;
        database.state.write().add(file);
        Ok(())
    }
}
