//! What a commit builds on, and whether it counts once its file is there.

use std::sync::Arc;
use std::time::Duration;

use litevfs::types::{Pos, Txid};

use crate::key::DbKey;
use crate::store::bucket::error::Error;
use crate::store::bucket::head::Head;
use crate::store::bucket::incarnation::Incarnation;
use crate::store::bucket::mutant::{self, Mutant};
use crate::store::bucket::rules;
use crate::store::history::database::Database;
use crate::store::history::open::Vacancy;
use crate::store::history::shelf::{FRESH, Shelf};
use crate::store::history::slots::Slot;

/// How often a name is looked at again whose database was dropped a moment before.
const ROUNDS: usize = 8;

/// What a commit builds on.
#[derive(Debug, Clone)]
pub(in crate::store) enum Base {
    /// A database.
    Database(Arc<Database>),
    /// An incarnation without one.
    Vacant(Box<Head>),
}

impl Base {
    /// The database, if there is one.
    pub(in crate::store) fn database(&self) -> Option<&Database> {
        match self {
            Base::Database(database) => Some(database),
            Base::Vacant(_) => None,
        }
    }

    /// The same, for good.
    pub(in crate::store) fn into_database(self) -> Option<Arc<Database>> {
        match self {
            Base::Database(database) => Some(database),
            Base::Vacant(_) => None,
        }
    }

    /// The incarnation.
    pub(in crate::store) fn db(&self) -> &Arc<Incarnation> {
        match self {
            Base::Database(database) => &database.db,
            Base::Vacant(head) => &head.db,
        }
    }

    /// Makes sure that it has not moved on: to refuse what comes after is kinder than not to know.
    pub(in crate::store) async fn still_follows(&self) -> Result<(), Error> {
        let Base::Database(database) = self else {
            return Ok(());
        };
        let before = database.pos();
        database.look(Duration::ZERO).await?;
        let now = database.pos();
        if now == before { Ok(()) } else { Err(Error::PosMismatch(now)) }
    }

    /// Its position.
    pub(in crate::store) fn pos(&self) -> Pos {
        self.database().map_or(Pos::EMPTY, Database::pos)
    }
}

impl Shelf {
    /// What to commit to, as it was moments ago.
    pub(in crate::store) async fn known_base(
        &self,
        key: &DbKey,
        slot: &Arc<Slot>,
    ) -> Result<Base, Error> {
        for _ in 0..ROUNDS {
            match self.found(key, slot).await? {
                // A database that was dropped and made anew must not get a commit of the old one.
                Ok(database) => match database.look(FRESH.saturating_mul(10)).await {
                    Ok(()) => return Ok(Base::Database(database)),
                    Err(Error::Replaced) => {}
                    Err(error) => return Err(error),
                },
                Err((head, Vacancy::Vacant)) => return Ok(Base::Vacant(Box::new(head))),
                Err((head, Vacancy::Dropped)) => {
                    self.objects.end_incarnation(&head).await?;
                    self.queue.swept_later(key);
                }
            }
        }
        Err(Error::Busy)
    }

    /// Makes sure that a file counts which was just made, as an answer of that date said: its creation may
    /// have taken any time.
    pub(in crate::store) async fn confirm(
        &self,
        base: &Base,
        txid: Txid,
        dated: Option<u64>,
    ) -> Result<(), Error> {
        if !self.objects.is_shared() {
            return Ok(());
        }
        let known = match base {
            Base::Database(database) => database.head(),
            Base::Vacant(head) => Head::clone(head),
        };
        if mutant::is(Mutant::YoungHeadFloorIgnored) && rules::may_rely(&known, dated) {
            return Ok(());
        }
        let now = match base {
            Base::Database(database) => database.newest_head(dated).await?,
            Base::Vacant(_) => self.objects.newest_head(known, dated).await?,
        };
        rules::may_acknowledge(&now, base.db(), txid)
    }
}
