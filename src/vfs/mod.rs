//! SQLite's view: a `sqlite3_vfs` whose main databases are [`crate::db::Connection`]s.
//!
//! Each file names only files further down.
//!
//! | file | what | above |
//! |---|---|---|
//! | `functions` | `litevfs_txid()` and its like, and how they get to every connection | `tables`, `stats` |
//! | `tables` | the VFS's methods, in the order of sqlite3.h | `open`, the files |
//! | `open` | from a name and its URI to an open main database | `main_file`, `parameters` |
//! | `passed_on` | those of its methods that are the default VFS's | `registration` |
//! | `main_file` | a main database's methods | `file_control`, `statements` |
//! | `super_journal_file` | a super-journal's | `super_journal`, `journal` |
//! | `journal` | a rollback journal's: bytes in memory, and in a file without a name | `registration` |
//! | `stats/` | the virtual table `litevfs_stats` | `visit` |
//! | `file_control` | what SQLite announces and asks of a main database, commits among it | `pragma`, `visit` |
//! | `visit` | from a connection and a schema's name to the database behind it | `main_database` |
//! | `statements` | what the statements that run mean for a main database | `main_database` |
//! | `main_database` | an open one, and how its last failure ended | `registration` |
//! | `registration` | the VFS object, made once a process, and what its methods share | `super_journal` |
//! | `super_journal` | what a transaction over several databases is decided by | `parameters` |
//! | `journal_failures` | why a journal failed, until its database asks | |
//! | `parameters` | what the URI of a database says | `sqlite` |
//! | `pragma` | the pragmas | `status`, `setting_kind` |
//! | `setting_kind` | how what a pragma sets is written | |
//! | `status` | the answer of `PRAGMA litevfs_status` | |
//! | `interrupt` | `sqlite3_interrupt` while something waits for the server | `sqlite` |
//! | `value` | what SQL gets | `sqlite` |
//! | `sqlite` | the functions of SQLite that we call | |
//! | `buffer` | SQLite's buffers | |
//! | `shield` | no panic gets past here | |
//! | `result_code` | the one map from errors to result codes | |
//!
//! Temporary files and databases are the default VFS's. A journal is SQLite's private undo log, and never needs
//! to survive the process.
#![allow(unsafe_code)]

mod buffer;
mod file_control;
mod functions;
mod interrupt;
mod journal;
mod journal_failures;
mod main_database;
mod main_file;
mod open;
mod parameters;
mod passed_on;
mod pragma;
mod registration;
mod result_code;
mod setting_kind;
mod shield;
mod sqlite;
mod statements;
mod stats;
mod status;
mod super_journal;
mod super_journal_file;
mod tables;
mod value;
mod visit;

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod contract_tests;

pub use functions::{add_to_connection, add_to_every_connection};
pub use registration::VFS_NAME;
pub use shield::shielded;
pub use sqlite::{AutoExtension, ConnectionFunctions, MIN_VERSION, Malloc, Sqlite, copy_text};
pub use tables::register;
