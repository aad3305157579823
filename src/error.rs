//! The one error type of the extension: a kind that decides the result code, and a text for people.
//!
//! Every layer makes them, `vfs/result_code.rs` is the only place that maps them to SQLite's codes.
//! The text says what happened and what to do; it never holds the token.

use alloc::string::String;
use core::fmt;

/// What went wrong, as far as SQLite and the retry logic care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// An environment variable or a parameter of a URI is missing or unusable.
    Config,
    /// A database name that this VFS does not take.
    Name,
    /// The database does not exist and was opened without leave to create it.
    NotFound,
    /// A write without the lease.
    NoLease,
    /// A write to a database that was opened for reading only.
    ReadOnly,
    /// Somebody else holds the lease.
    LeaseHeld,
    /// Another connection of this process is writing.
    Busy,
    /// The read view is older than the database; the transaction must start again to write.
    StaleView,
    /// The server no longer has the position this process is at.
    PosMismatch,
    /// The server no longer has the position that a connection is bound to for good.
    Gone,
    /// A forked child uses what its parent opened.
    Forked,
    /// The query needs more requests than `litevfs_max_reqs_per_query` allows.
    RequestLimit,
    /// What is known is older than `litevfs_max_staleness` allows, and nothing newer is to be had.
    TooOld,
    /// The server can't be reached, is overloaded, too slow or cut the connection.
    Away,
    /// The program had the wait for the server end.
    Interrupted,
    /// The server understood and refused.
    Refused,
    /// The server refused what a transaction says: perhaps it has other pages than are known here.
    BadContent,
    /// The server has no room.
    Full,
    /// The server's answer makes no sense.
    BadAnswer,
    /// The page is not in the database file's range or the file is not a database.
    Corrupt,
    /// Something SQLite can ask for and this VFS does not do.
    Unsupported,
    /// A pragma's value is out of range.
    Pragma,
    /// The local disk failed where it can't be done without.
    Local,
    /// A bug in the extension.
    Internal,
}

/// An error with its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

/// The result of everything that can fail.
pub type Result<T> = core::result::Result<T, Error>;

impl Error {
    /// An error of that kind.
    #[inline(never)]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error { kind, message: message.into() }
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The text for people.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl core::error::Error for Error {}
