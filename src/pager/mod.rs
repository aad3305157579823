//! Pages by number: what is cached, what is dirty, and what to fetch next.
//!
//! ```text
//! cache.rs      committed pages as of one position, each with its checksum
//! storage.rs    where a cached page's bytes lie: slots of one file, or memory
//! index_log.rs  the cache's index on disk, which survives any end of the process
//! dirty.rs      pages of the open transaction, apart from the cache
//! prefetch.rs   which pages to ask for together
//! header.rs     the database header on page 1
//! ```
//!
//! Nothing here talks to the network or knows of locks; `db/` does both.

mod cache;
mod dirty;
pub mod header;
mod index_log;
mod prefetch;
mod storage;

pub use cache::{Cache, CacheLimits, CachePlace};
pub use dirty::DirtyPages;
pub use prefetch::{Bounds, Plan, Prefetch, max_pages_per_request};
