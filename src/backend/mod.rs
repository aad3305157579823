//! Where LTX files and pages come from: the trait, the client of the LiteFS Cloud API, and twins in
//! memory for tests; and what that took, counted.

mod ahead;
pub mod lfsc;
mod pages;
pub mod traffic;
#[cfg(test)]
pub mod twins;

use crate::error::{Error, ErrorKind, Result};
use crate::types::{DbName, PageSize, Pgno, Pos, Txid};
pub use ahead::read_ahead;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
pub use pages::{Page, PageList, PageStream, WholeAnswer};
use traffic::Traffic;

/// Which pages differ between a known position and the newest one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangedPages {
    /// These; empty when the position is the same.
    Some(Vec<Pgno>),
    /// Any of them, by commits alone.
    ByCommits,
    /// That can't be told: nothing known is good any more.
    All,
}

/// A database's newest position, and what changed on the way there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The newest position; [`Pos::EMPTY`] for a database that does not exist.
    pub pos: Pos,
    /// What changed since the position asked about.
    pub pages: ChangedPages,
}

impl Change {
    /// The database does not exist.
    pub const GONE: Change = Change { pos: Pos::EMPTY, pages: ChangedPages::All };
}

/// What a database is opened with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// Where it is, and what changed since it was known last.
    pub change: Change,
    /// Pages that opening takes and that changed since, as they are there; page 1 before the others.
    pub pages: Vec<Page>,
}

/// A moment of a database's past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Moment {
    /// After that transaction.
    Txid(Txid),
    /// After the last transaction committed by then, in the server's forms of a time: RFC 3339, or
    /// so long ago.
    Time(String),
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Moment::Txid(txid) => write!(f, "txid={txid}"),
            Moment::Time(time) => write!(f, "timestamp={time}"),
        }
    }
}

/// What the server told of the lease under which a push succeeded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pushed {
    /// How many other clients wait for it, as far as the server tells.
    pub waiters: u32,
    /// For how long it was prolonged, in ms from when the push was sent; `None` when it was not.
    pub lease_ms: Option<u64>,
}

/// Why a push did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushError {
    /// Nobody knows whether the transaction was applied.
    Unknown(Error),
    /// The server is at another position than the transaction's base.
    PosMismatch(Error),
    /// The lease is not, or no longer, ours.
    Lease(Error),
    /// It was not applied.
    Failed(Error),
}

/// A transaction of a group, see [`Backend::push_group`].
#[derive(Debug, Clone, Copy)]
pub struct GroupTx<'a> {
    /// The database.
    pub db: &'a DbName,
    /// The lease that it is written under.
    pub lease_id: &'a str,
    /// The LTX file.
    pub ltx: &'a [u8],
}

/// Why a group was not applied. Where a database is named, it is the one that it failed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupError {
    /// Nobody knows whether the group was applied.
    Unknown(Error),
    /// A database is at another position than its transaction's base.
    PosMismatch(Error),
    /// A lease is not, or no longer, ours.
    Lease(Option<DbName>, Error),
    /// It was decided against the group.
    Aborted(Error),
    /// The server can't apply transactions of several databases at once.
    Unsupported,
    /// It was not applied.
    Failed(Error),
}

/// What was decided about a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupOutcome {
    /// All of its transactions were applied.
    Committed,
    /// None was, and none will be.
    Aborted,
}

/// A lease that was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// The server's name for it.
    pub id: String,
    /// The newest position since then, if the server told.
    pub pos: Option<Pos>,
}

/// The most databases of one [`Backend::changes`] call.
pub const MAX_DATABASES_PER_REQUEST: usize = 1_000;
/// The most pages of one [`Backend::pages`] call, and of one [`Backend::stream`] where it is no bulk.
pub const MAX_PAGES_PER_REQUEST: u32 = 512;
/// The most ranges of one [`Backend::stream`] call, so that they fit into a URL.
pub const MAX_RANGES_PER_REQUEST: usize = 256;

/// A store of databases. All calls are blocking and bounded in time; every one may be made from any
/// thread.
pub trait Backend: Send + Sync {
    /// Where it is, for messages.
    fn host(&self) -> &str;

    /// The newest positions of databases, at most [`MAX_DATABASES_PER_REQUEST`], each with what changed since
    /// the given one. The answers are in the order of the questions. In a `hurry` a server that is away is not
    /// waited for.
    fn changes(&self, since: &[(DbName, Pos)], hurry: bool) -> Result<Vec<Change>>;

    /// Pages as they were at `pos`, each asked for once, at most [`MAX_PAGES_PER_REQUEST`]. The answer
    /// holds what was asked for and nothing else, in any order; every page must be in the database.
    fn pages(&self, db: &DbName, pos: Pos, pgnos: &[Pgno]) -> Result<Vec<Page>>;

    /// What a reader needs first of a database that is known as of `since`, in about `max_len` bytes;
    /// `None` where that takes [`Backend::changes`] and [`Backend::pages`]. `hurry` as there.
    fn open(&self, db: &DbName, since: Pos, max_len: u32, hurry: bool) -> Result<Option<Opening>> {
        let _ = (db, since, max_len, hurry);
        Ok(None)
    }

    /// Whether [`Backend::stream`] takes any number of pages, as far as is known.
    fn has_bulk(&self) -> bool {
        false
    }

    /// Whether it tells which commit a position is. A transaction is then pushed with an id of its own, and with
    /// that of the commit it was made on. Known when a lease was granted, at the latest.
    fn has_commit_ids(&self) -> bool;

    /// Pages as they were at `pos`, in the order asked for, to be read as they come. At most
    /// [`MAX_RANGES_PER_REQUEST`]; without [`Backend::has_bulk`] at most [`MAX_PAGES_PER_REQUEST`].
    fn stream(
        &self,
        db: &DbName,
        pos: Pos,
        page_size: Option<PageSize>,
        pages: PageList,
    ) -> Result<Box<dyn PageStream>> {
        let _ = page_size;
        let pgnos: Vec<Pgno> = pages.iter().collect();
        Ok(Box::new(WholeAnswer::new(self.pages(db, pos, &pgnos)?)))
    }

    /// The position of a moment, and page 1 at it. A moment that the history does not hold is
    /// [`crate::error::ErrorKind::NotFound`].
    fn page1_then(&self, db: &DbName, moment: &Moment) -> Result<(Pos, Vec<u8>)>;

    /// The size in pages at a position, for a database whose page 1 does not say it.
    fn size_pages(&self, db: &DbName, pos: Pos) -> Result<u32>;

    /// Appends a transaction. Durable when it succeeds.
    fn push(
        &self,
        db: &DbName,
        ltx: &[u8],
        lease_id: &str,
    ) -> core::result::Result<Pushed, PushError>;

    /// Appends transactions to several databases, to all of them or to none. Durable when it succeeds.
    /// `id` is 32 lower-case hex digits that no other group has; the same group may be pushed again.
    fn push_group(&self, id: &str, txs: &[GroupTx<'_>]) -> core::result::Result<(), GroupError> {
        let _ = (id, txs);
        Err(GroupError::Unsupported)
    }

    /// Decides against a group unless it is decided, and answers what holds from now on.
    fn abort_group(&self, id: &str) -> Result<GroupOutcome> {
        Err(Error::new(ErrorKind::Internal, format!("nothing can be known of {id}")))
    }

    /// Takes the write lease for so long. A `waiter` that is refused and asks again under the same name
    /// gets it before those that came later.
    fn acquire_lease(&self, db: &DbName, duration_ms: u64, waiter: Option<&str>)
    -> Result<Granted>;

    /// Prolongs a lease from now on. Answers how many clients wait for it, as far as the server tells.
    fn refresh_lease(&self, db: &DbName, lease_id: &str, duration_ms: u64) -> Result<u32>;

    /// Gives a lease back. One that is gone already is no error.
    fn release_lease(&self, db: &DbName, lease_id: &str) -> Result<()>;

    /// The counters of the requests about a database, which go on as long as somebody holds them; `None`
    /// for all requests.
    fn traffic(&self, _db: Option<&DbName>) -> Arc<Traffic> {
        Arc::default()
    }
}
