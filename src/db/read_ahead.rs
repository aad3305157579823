//! What a connection asked for beyond what its query has needed so far.

use super::incoming::Incoming;
use super::refetches::Refetches;

/// See the module.
#[derive(Default)]
pub(super) struct ReadAhead {
    /// An answer that is read as far as needed.
    pub incoming: Option<Incoming>,
    /// Misses that it did not help with since it last did.
    pub misses_elsewhere: u32,
    /// Bytes that the query has fetched in bulk.
    pub bulk_bytes: u64,
    /// What it fetched again and again.
    pub refetches: Refetches,
    /// Whether the bound of the cache is lifted for it.
    pub has_lifted: bool,
}
