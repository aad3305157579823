//! What the pragmas set, with defaults and ranges.

use crate::config::DEFAULT_MAX_BULK_BYTES;

/// Settings of one connection.
#[derive(Debug, Clone, Copy)]
pub struct ReadSettings {
    /// Requests that reading may make in one query; 0 for any number.
    pub max_reqs_per_query: u32,
    /// Pages to fetch beside one that is missing.
    pub max_prefetch_pages: u32,
    /// How long ago the position may have been confirmed that a transaction begins at, in ms; 0 for any
    /// time.
    pub max_staleness_ms: u64,
}

impl ReadSettings {
    /// The largest `max_reqs_per_query`.
    pub const MAX_REQS_PER_QUERY: u32 = 1_024;
    /// The largest `max_prefetch_pages`.
    pub const MAX_PREFETCH_PAGES: u32 = 128;
}

impl Default for ReadSettings {
    fn default() -> ReadSettings {
        ReadSettings { max_reqs_per_query: 0, max_prefetch_pages: 32, max_staleness_ms: 0 }
    }
}

/// Settings of a database in this process, shared by its connections.
#[derive(Debug, Clone, Copy)]
pub struct SharedSettings {
    /// How old the known position may be when a transaction begins, in ms; 0 for any age.
    pub cache_sync_period_ms: u64,
    /// Bytes to leave free on the cache's file system.
    pub min_available_space: u64,
    /// Pages in the cache; 0 for any number.
    pub max_cached_pages: u32,
    /// Bytes of pages that one query may fetch in bulk; 0 for never.
    pub max_bulk_bytes: u64,
    /// For how long a lease is asked for, in ms: the longest time that others wait for one whose holder
    /// is gone.
    pub lease_duration_ms: u64,
}

impl SharedSettings {
    /// The shortest `lease_duration_ms`.
    pub const MIN_LEASE_DURATION_MS: u64 = 100;
    /// The longest `lease_duration_ms`; the server grants no longer ones.
    pub const MAX_LEASE_DURATION_MS: u64 = 60_000;
}

impl Default for SharedSettings {
    fn default() -> SharedSettings {
        SharedSettings {
            cache_sync_period_ms: 1_000,
            min_available_space: 10_000_000,
            max_cached_pages: 0,
            max_bulk_bytes: DEFAULT_MAX_BULK_BYTES,
            lease_duration_ms: 3_000,
        }
    }
}
