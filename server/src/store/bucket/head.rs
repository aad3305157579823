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
//! still (removes files that are dead), or is told by its answer: see [`super::rules`]. How one is read and
//! moved on: [`crate::store::objects::heads`].
//!
//! A head stays for as long as the store, although its name may have no database: without it the first
//! incarnation would live again.

use std::sync::Arc;

use litevfs::types::Txid;
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::incarnation::{Incarnation, IncarnationId};
use super::kept::Kept;
use super::layout;
use super::moment::Moment;
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
    pub(in crate::store) stored: Option<Kept<Record>>,
}

/// The object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::store) struct Record {
    /// `null` for the first.
    pub(in crate::store) incarnation: Option<String>,
    pub(in crate::store) floor: String,
    /// Tells one writing of it from another.
    pub(in crate::store) nonce: String,
}

impl Head {
    /// What a name's head says, or that there is none.
    pub(in crate::store) fn of(
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
