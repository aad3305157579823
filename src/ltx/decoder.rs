//! Reads an LTX file.

use alloc::vec::Vec;

use super::Version;
use super::error::{Error, StreamError};
use super::header::{Header, Trailer};
use super::io::Read;
use crate::types::{PageSize, Pgno};

/// Reads one LTX file. Nothing read is certain before [`Decoder::finish`] has returned.
#[derive(Debug)]
pub struct Decoder<R> {
    input: R,
    header: Header,
}

impl<R: Read> Decoder<R> {
    /// Reads the header.
    pub fn new(input: R, version: Version) -> Result<Decoder<R>, StreamError<R::Error>> {
        todo!()
    }

    /// The header.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Reads the next page into `data`, which it resizes; `None` after the last page.
    pub fn next_page(&mut self, data: &mut Vec<u8>) -> Result<Option<Pgno>, StreamError<R::Error>> {
        todo!()
    }

    /// Reads the rest of the file, pages that were not asked for included, and verifies all of it.
    pub fn finish(self) -> Result<Trailer, StreamError<R::Error>> {
        todo!()
    }
}

/// Tells the version of a whole file.
pub fn detect(file: &[u8]) -> Result<Version, Error> {
    todo!()
}

/// Decodes one page frame of a v3 file, as the page index delimits it.
pub fn decode_page_frame(frame: &[u8], page_size: PageSize) -> Result<(Pgno, Vec<u8>), Error> {
    todo!()
}
