//! Why a journal failed, until its database asks.
//!
//! SQLite does not say whose error a journal's is, but by the result code. The text waits here for the database,
//! which has the journal's name but for the suffix.

use crate::error::Error;
use crate::sys;
use alloc::string::String;
use alloc::vec::Vec;

/// Failures of journals that their databases have not taken in, by full name.
#[derive(Default)]
pub struct Failures(sys::Mutex<Vec<(String, Error)>>);

impl Failures {
    /// Keeps one, in place of an earlier one of the same database's.
    pub fn add(&self, database: &str, error: Error) {
        let mut failures = self.0.lock();
        failures.retain(|(of, _)| of != database);
        failures.push((database.into(), error));
    }

    /// The last failure of a database's journal.
    pub fn take(&self, database: &str) -> Option<Error> {
        let mut failures = self.0.lock();
        let at = failures.iter().position(|(of, _)| of == database)?;
        Some(failures.swap_remove(at).1)
    }
}
