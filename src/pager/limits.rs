//! How much is cached.

/// Bounds of a cache.
#[derive(Debug, Clone, Copy)]
pub struct CacheLimits {
    /// Pages; 0 for any number.
    pub max_pages: u32,
    /// Bytes to leave free on the file system.
    pub min_available_space: u64,
}

impl CacheLimits {
    /// In place of a number of pages: all that a query needs, whatever is kept otherwise.
    pub const ALL_PAGES: u32 = u32::MAX;
}
