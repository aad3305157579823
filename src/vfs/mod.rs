//! SQLite's view: a `sqlite3_vfs` whose main databases are [`crate::db::Connection`]s.
//!
//! ```text
//! sqlite.rs       the functions of SQLite that we call
//! registration.rs the VFS object, made once a process
//! parameters.rs   what the URI of a database says
//! tables.rs       the VFS's methods, in the order of sqlite3.h
//! main_file.rs    a main database's methods
//! journal.rs      a rollback journal's: a temporary file without a name
//! file_control.rs what SQLite announces and asks of a main database, commits among it
//! pragma.rs       the pragmas
//! units.rs        sizes and durations as people write them
//! shield.rs       no panic gets past here
//! result_code.rs  the one map from errors to result codes
//! ```
//!
//! Temporary files and databases are the default VFS's. So are journals, in a file without a name:
//! a journal is SQLite's private undo log and never needs to survive the process.
#![allow(unsafe_code)]

mod file_control;
mod journal;
mod main_file;
mod parameters;
mod pragma;
mod registration;
mod result_code;
mod shield;
mod sqlite;
mod tables;
mod units;

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod contract_tests;

pub use registration::register;
pub use shield::shielded;
pub use sqlite::{ConnectionFunctions, Sqlite};

/// The name the VFS is registered under.
pub const VFS_NAME: &core::ffi::CStr = c"litevfs";
