//! What the store refuses, and what can fail below it.

use std::fmt;

use litevfs::types::{PageSize, Pgno, Pos, Txid};

use crate::lease::LeaseError;

/// Why a database could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such database.
    #[error("there is no such database")]
    NoDatabase,
    /// The position is not held (any more), or the transaction does not follow the last one.
    #[error("position mismatch")]
    PosMismatch(Pos),
    /// The database was never at that transaction, or is no longer known to have been.
    #[error("the database cannot go back to that transaction{0}")]
    NoTxid(Nearest),
    /// The database is younger than that, or its history does not reach back so far.
    #[error("the history of the database does not reach back to that time{0}")]
    NoTimestamp(Nearest),
    /// There is no transaction id left.
    #[error(
        "the database is at the last transaction id there can be: export it, and import it under another name"
    )]
    LastTxid,
    /// The cluster has databases.
    #[error("the cluster has databases: delete them first")]
    ClusterInUse,
    /// No such page at that position.
    #[error("page {0} is not in the database at that position")]
    NoPage(Pgno),
    /// The upload is not a sound LTX file.
    #[error("{0}")]
    BadFormat(String),
    /// The upload's page size is not the database's, and it does not replace every page.
    #[error("the database has pages of {} bytes, the upload has pages of {}, but not all: send every page, or use the database's page size", .database.bytes(), .file.bytes())]
    PageSize {
        /// The database's.
        database: PageSize,
        /// The upload's.
        file: PageSize,
    },
    /// Page 1 of the upload contradicts the LTX header.
    #[error("{0}")]
    BadPage1(String),
    /// The database grows by pages that are not in the upload.
    #[error("the LTX file leaves out pages by which the database grows")]
    MissingPages,
    /// The file checksum or the post-apply checksum is not what the bytes give.
    #[error("{0}")]
    BadChecksum(String),
    /// The lease fence refused the commit.
    #[error(transparent)]
    Fenced(#[from] LeaseError),
    /// What a reader had begun to read at that position was removed.
    #[error("position no longer held: {0}: ask for the newest")]
    NotHeld(Pos),
    /// The database was dropped meanwhile, and perhaps made anew.
    #[error("the database was dropped: open it anew")]
    Replaced,
    /// A transaction was stored when its place in the history had been taken, merged and removed.
    #[error(
        "the object store took so long that others went on meanwhile, and it is not known whether the transaction was applied: ask for the position, and look"
    )]
    Overtaken,
    /// The group was decided against.
    #[error("the group was decided against: nothing of it was applied; run the transaction again")]
    GroupAborted,
    /// Other transactions were committed, or tried, under the id of the group.
    #[error("that id is another group's: choose a new one at random for each")]
    OtherGroup,
    /// Others are faster all the time.
    #[error("the databases change faster than this server can follow: try again")]
    Busy,
    /// A file is not there any more: another one that was merged from it has what it had.
    #[error("{0} is gone")]
    Gone(String),
    /// The object store does not do what commits depend on.
    #[error("{store}: {what}")]
    Unfit {
        /// Its name.
        store: String,
        /// What is wrong with it, and what to do.
        what: String,
    },
    /// The stored history of a database is damaged.
    #[error("{file}: {what}")]
    Corrupt {
        /// The file, by its path in the store.
        file: String,
        /// What is wrong with it.
        what: String,
    },
    /// The object store failed.
    #[error(transparent)]
    Objects(object_store::Error),
    /// A temp file or the operating system failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl From<object_store::Error> for Error {
    fn from(error: object_store::Error) -> Error {
        match error {
            object_store::Error::NotFound { path, .. } => Error::Gone(path),
            error => Error::Objects(error),
        }
    }
}

impl Error {
    /// A damaged file.
    pub(in crate::store) fn corrupt(file: impl ToString, what: impl ToString) -> Error {
        Error::Corrupt { file: file.to_string(), what: what.to_string() }
    }
}

/// The restorable transactions nearest to one that is not, as the end of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nearest {
    pub(in crate::store) before: Option<Txid>,
    pub(in crate::store) after: Option<Txid>,
}

impl fmt::Display for Nearest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.before, self.after) {
            (Some(before), Some(after)) => write!(f, ": the nearest held are {before} and {after}"),
            (Some(newest), None) => write!(f, ": the newest held is {newest}"),
            (None, Some(oldest)) => write!(f, ": the oldest held is {oldest}"),
            (None, None) => Ok(()),
        }
    }
}

/// Whether an error comes from a full disk.
pub fn is_full(error: &(dyn std::error::Error + 'static)) -> bool {
    use std::io::ErrorKind;
    std::iter::successors(Some(error), |error| error.source()).any(|error| {
        let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        matches!(kind, Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded))
    })
}
