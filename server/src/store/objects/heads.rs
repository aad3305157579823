//! Reads heads, and moves them on.

use std::sync::Arc;

use litevfs::types::Txid;

use super::dates::dated;
use super::reads::{Objects, fresh_name};
use crate::key::DbKey;
use crate::store::bucket::error::Error;
use crate::store::bucket::head::{Head, Record};
use crate::store::bucket::incarnation::{Incarnation, IncarnationId};
use crate::store::bucket::moment::Moment;
use crate::store::bucket::{layout, rules};

impl Objects {
    /// The head of a name.
    pub(in crate::store) async fn head(&self, key: &DbKey) -> Result<Head, Error> {
        let known_at = Moment::now();
        let path = layout::head(key);
        let (stored, date) = dated(self.again_record(&path)).await;
        let stored = stored.map_err(|error| match error {
            Error::Corrupt { what, .. } => {
                let advice = "put it back from a copy; without it the first database of the name would \
                              live again";
                Error::corrupt(&path, format!("{what}: {advice}"))
            }
            error => error,
        })?;
        if stored.is_some()
            && let Some(folder) = path.parent()
        {
            // Whoever wrote it may not have come to that.
            self.settle(&folder).await?;
        }
        Head::of(key, stored, (known_at, date))
    }

    /// The head that is known, or, where that is too old for an answer of that date, the one that is there
    /// now.
    pub(in crate::store) async fn newest_head(
        &self,
        known: Head,
        dated: Option<u64>,
    ) -> Result<Head, Error> {
        if rules::may_rely(&known, dated) { Ok(known) } else { self.head(&known.db.key).await }
    }

    /// Moves a head on to an incarnation that was never used, which has no files; `None` when it had
    /// moved before.
    pub(in crate::store) async fn end_incarnation(
        &self,
        head: &Head,
    ) -> Result<Option<Head>, Error> {
        let id = Some(IncarnationId::fresh()?);
        let db = Arc::new(Incarnation { key: head.db.key.clone(), id });
        self.move_head(head, db, Txid::ZERO).await
    }

    /// Raises the floor of a living incarnation; `None` when the head had moved before.
    pub(in crate::store) async fn raise_floor(
        &self,
        head: &Head,
        to: Txid,
    ) -> Result<Option<Head>, Error> {
        self.move_head(head, Arc::clone(&head.db), to).await
    }

    async fn move_head(
        &self,
        head: &Head,
        db: Arc<Incarnation>,
        floor: Txid,
    ) -> Result<Option<Head>, Error> {
        rules::may_move(head, &db, floor)?;
        let record = Record {
            incarnation: db.id.map(|id| id.to_string()),
            floor: floor.to_string(),
            nonce: fresh_name()?,
        };
        let (path, known_at) = (layout::head(&db.key), Moment::now());
        let written = dated(self.write_record(&path, &record, head.stored.as_ref())).await;
        let (written, date) = (written.0?, written.1);
        Ok(written.map(|kept| Head { db, floor, known_at, dated: date, stored: Some(kept) }))
    }
}
