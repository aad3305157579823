//! SQLite's view: a `sqlite3_vfs` whose main databases are [`crate::db::Connection`]s.
//!
//! ```text
//! sqlite.rs       the functions of SQLite that we call
//! registration.rs the VFS object, made once a process
//! parameters.rs   what the URI of a database says
//! tables.rs       the VFS's methods, in the order of sqlite3.h
//! main_file.rs    a main database's methods
//! journal.rs      a rollback journal's: bytes in memory, and in a file without a name
//! super_journal.rs what a transaction over several databases is decided by
//! file_control.rs what SQLite announces and asks of a main database, commits among it
//! interrupt.rs    sqlite3_interrupt while something waits for the server
//! pragma.rs       the pragmas
//! status.rs       the answer of PRAGMA litevfs_status
//! functions.rs    litevfs_txid() and its like, and how they get to every connection
//! stats/          the virtual table litevfs_stats
//! visit.rs        from a connection and a schema's name to the database behind it
//! value.rs        what SQL gets
//! shield.rs       no panic gets past here
//! result_code.rs  the one map from errors to result codes
//! ```
//!
//! Temporary files and databases are the default VFS's. A journal is SQLite's private undo log, and never needs
//! to survive the process.
#![allow(unsafe_code)]

mod file_control;
mod functions;
mod interrupt;
mod journal;
mod main_file;
mod parameters;
mod pragma;
mod registration;
mod result_code;
mod shield;
mod sqlite;
mod stats;
mod status;
mod super_journal;
mod tables;
mod value;
mod visit;

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod contract_tests;

pub use functions::{add_to_connection, add_to_every_connection};
pub use registration::register;
pub use shield::shielded;
pub use sqlite::{AutoExtension, ConnectionFunctions, MIN_VERSION, Malloc, Sqlite, copy_text};

/// Why a transaction is refused that other VFSs' databases take part in.
const NOT_ATOMIC: &str = "a transaction over litevfs databases and others can't be committed atomically; \
                          write to the one kind or the other a transaction, or, for several litevfs \
                          databases, have one of them or :memory: as the main database";

/// The name the VFS is registered under.
pub const VFS_NAME: &core::ffi::CStr = c"litevfs";
