//! Pages by number: what is cached, what is dirty, and what to fetch next.
//!
//! ```text
//! cache.rs      committed pages as of one position, each with its checksum
//! pages.rs      where cached pages lie, with what is known of each
//!   page_file.rs     in a file, at places that follow from their numbers
//!   page_index.rs    what is known of each page in the file
//!   block.rs         a part of that
//!   groups.rs        which parts there are
//!   index_log.rs     what must be known of the file before it is used
//!   memory_pages.rs  in memory, where there is no disk
//! private_file.rs  bytes that no failure of a disk changes: what a journal is in
//! dirty.rs      pages of the open transaction, apart from the cache
//! prefetch.rs   which pages to ask for together
//! header.rs     the database header on page 1
//! ```
//!
//! Nothing here talks to the network or knows of locks; `db/` does both.

mod block;
mod cache;
mod dirty;
#[cfg(all(any(test, fuzzing), feature = "native"))]
#[allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#[path = "../../tests/fuzz/oracles/pager/mod.rs"]
pub mod fuzzing;
mod groups;
pub mod header;
mod index_log;
mod limits;
mod memory_pages;
mod page_file;
mod page_index;
mod pages;
mod prefetch;
mod private_file;

pub use cache::{Cache, CachePlace};
pub use dirty::DirtyPages;
pub use limits::CacheLimits;
pub use prefetch::{Bounds, Plan, Prefetch, max_pages_per_request};
pub use private_file::PrivateFile;
