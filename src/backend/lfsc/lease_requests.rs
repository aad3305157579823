//! Requests for a lease, each under a name that it is known by when it comes again.
//!
//! Our server answers a name that it has granted a lease with that lease. So the name of a request that was not
//! answered, because it took too long or was interrupted, is kept for the next one: under another name that
//! would be refused, by the lease that nobody knows of, until it runs out.

use crate::sys;
use crate::types::DbName;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// The names of requests that were not answered, none of which is under way.
#[derive(Default)]
pub struct Unanswered(sys::Mutex<Vec<(DbName, String)>>);

impl Unanswered {
    /// Takes the name of one for a database.
    pub fn take(&self, db: &DbName) -> Option<String> {
        let mut names = self.0.lock();
        let at = names.iter().position(|(other, _)| other == db)?;
        Some(names.swap_remove(at).1)
    }

    /// Takes in that a request was not answered.
    pub fn keep(&self, db: &DbName, name: String) {
        self.0.lock().push((db.clone(), name));
    }
}

/// A name that no other request has; `None` where the system has no random bytes.
pub fn new_name() -> Option<String> {
    sys::random_u64().map(|name| format!("{name:016x}"))
}
