//! Heads: which incarnation of a name lives, and up to where its commits' own files do not count any more.
//!
//! ```text
//!   no head           the first incarnation, and all of its files count
//!      |  floor raised                    name dropped
//!      v                                       v
//!   { first, floor } -- name dropped --> { a fresh incarnation, floor 0 } --> ...
//! ```
//!
//! A head changes on condition only, and never back: an incarnation that it has left is dead for good, and
//! what is below its floor does not count for good. So whoever acts on an old head acts on what is true
//! still (removes files that are dead), or is told by its answer: see [`super::rules`].
//!
//! A head stays for as long as the store, although its name may have no database: without it the first
//! incarnation would live again.

use std::sync::Arc;

use litevfs::types::Txid;
use serde::{Deserialize, Serialize};

use super::dates::dated;
use super::error::Error;
use super::incarnation::{Incarnation, IncarnationId};
use super::layout;
use super::moment::Moment;
use super::objects::{Objects, fresh_name};
use super::record::Kept;
use super::rules;
use crate::key::DbKey;

/// What a head says, as it was when it was read.
#[derive(Debug, Clone)]
pub struct Head {
    /// The incarnation that lives.
    pub db: Arc<Incarnation>,
    /// Commits' own files up to that transaction do not count: merged files have what they had.
    pub floor: Txid,
    /// This was so then, or later.
    pub known_at: Moment,
    /// The date of the answer that said so, in s since the Unix epoch, where the store has dates.
    pub dated: Option<u64>,
    stored: Option<Kept<Record>>,
}

/// The object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    /// `null` for the first.
    incarnation: Option<String>,
    floor: String,
    /// Tells one writing of it from another.
    nonce: String,
}

impl Head {
    fn of(
        key: &DbKey,
        stored: Option<Kept<Record>>,
        (known_at, dated): (Moment, Option<u64>),
    ) -> Result<Head, Error> {
        let damaged = |what: &dyn std::fmt::Display| Error::corrupt(layout::head(key), what);
        let Some(kept) = stored else {
            let db = Arc::new(Incarnation::first(key.clone()));
            return Ok(Head { db, floor: Txid::ZERO, known_at, dated, stored: None });
        };
        let id = kept.value.incarnation.as_deref().map(str::parse::<IncarnationId>);
        let id = id.transpose().map_err(|error| damaged(&error))?;
        let floor = kept.value.floor.parse().map_err(|error| damaged(&error))?;
        let db = Arc::new(Incarnation { key: key.clone(), id });
        Ok(Head { db, floor, known_at, dated, stored: Some(kept) })
    }

    /// A head that was just read.
    #[cfg(test)]
    pub fn for_tests(db: Incarnation, floor: Txid, dated: Option<u64>) -> Head {
        Head { db: Arc::new(db), floor, known_at: Moment::now(), dated, stored: None }
    }

    /// Whether the name has had another incarnation before.
    pub fn is_later(&self) -> bool {
        self.db.id.is_some()
    }

    /// Whether there is none: nothing of the name was ever dropped or removed.
    pub fn is_first(&self) -> bool {
        self.stored.is_none()
    }
}

impl Objects {
    /// The head of a name.
    pub(super) async fn head(&self, key: &DbKey) -> Result<Head, Error> {
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
    pub(super) async fn newest_head(&self, known: Head, dated: Option<u64>) -> Result<Head, Error> {
        if rules::may_rely(&known, dated) { Ok(known) } else { self.head(&known.db.key).await }
    }

    /// Moves a head on to an incarnation that was never used, which has no files; `None` when it had
    /// moved before.
    pub(super) async fn end_incarnation(&self, head: &Head) -> Result<Option<Head>, Error> {
        let id = Some(IncarnationId::fresh()?);
        let db = Arc::new(Incarnation { key: head.db.key.clone(), id });
        self.move_head(head, db, Txid::ZERO).await
    }

    /// Raises the floor of a living incarnation; `None` when the head had moved before.
    pub(super) async fn raise_floor(&self, head: &Head, to: Txid) -> Result<Option<Head>, Error> {
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
