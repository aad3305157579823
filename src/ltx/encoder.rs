//! Writes an LTX file.

use super::Format;
use super::error::StreamError;
use super::header::{Header, Trailer};
use super::index::PageIndex;
use super::io::Write;
use crate::types::{Checksum, Pgno};

/// Writes one LTX file: pages in ascending order, then [`Encoder::finish`].
#[derive(Debug)]
pub struct Encoder<W> {
    out: W,
}

/// What [`Encoder::finish`] leaves.
#[derive(Debug)]
pub struct Finished<W> {
    /// The writer.
    pub out: W,
    /// The trailer as written.
    pub trailer: Trailer,
    /// The page index as written; empty for v1, which has none.
    pub index: PageIndex,
}

impl<W: Write> Encoder<W> {
    /// Writes the header.
    pub fn new(
        out: W,
        format: Format,
        header: Header,
    ) -> Result<Encoder<W>, StreamError<W::Error>> {
        todo!()
    }

    /// Writes the next page.
    pub fn encode_page(&mut self, pgno: Pgno, data: &[u8]) -> Result<(), StreamError<W::Error>> {
        todo!()
    }

    /// Writes the rest of the file.
    pub fn finish(
        self,
        post_apply_checksum: Checksum,
    ) -> Result<Finished<W>, StreamError<W::Error>> {
        todo!()
    }
}
