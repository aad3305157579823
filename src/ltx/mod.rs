//! The LTX codec: one file that holds the pages of one or several transactions.
//!
//! Needs `core` and `alloc` only, and does no I/O: bytes come and go through [`Read`] and [`Write`].

mod checksum;
mod decoder;
mod encoder;
mod error;
#[cfg(all(any(test, fuzzing), feature = "native"))]
#[allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#[path = "../../tests/fuzz/oracles/ltx/mod.rs"]
pub mod fuzzing;
mod header;
mod index;
mod inner_page;
mod io;
mod lz4_block;
mod lz4_frame;
mod name;
mod order;
mod page_frame;
mod page_frames;
mod varint;

pub use checksum::{Crc64, page_checksum};
pub use decoder::{Decoder, detect};
pub use encoder::{Encoder, Finished};
pub use error::{Error, StreamError};
pub use header::{HEADER_LEN, Header, TRAILER_LEN, Trailer};
pub use index::{IndexEntry, PageIndex};
#[cfg(feature = "std")]
pub use io::{IoRead, IoWrite};
pub use io::{Read, Write};
pub use name::{file_name, parse_file_name};
pub use page_frame::{END_OF_PAGES, decode_page_frame, inner_page_frame, starts_page_frame};
pub use page_frames::PageFrames;

/// What a decoder must be told, because the file does not say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// LiteFS, LiteVFS and the LiteFS Cloud API: no page index.
    V1,
    /// Litestream 0.5 and this project's server: every page by itself, and a page index.
    V3,
}

/// What an encoder can write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// v1, pages as they are.
    V1Raw,
    /// v1, all pages in one LZ4 frame.
    V1Lz4,
    /// v3, an LZ4 frame a page, which every Litestream 0.5 reads.
    V3Frame,
    /// v3, an LZ4 block a page: the smallest, read by Litestream since August 2026.
    V3Block,
}

impl Format {
    /// The version that reads it.
    pub const fn version(self) -> Version {
        match self {
            Format::V1Raw | Format::V1Lz4 => Version::V1,
            Format::V3Frame | Format::V3Block => Version::V3,
        }
    }
}
