//! Reads page frames that come one after the other, as a server sends pages that it has stored.
//!
//! The order is the sender's, and nothing guards the data: what asked for the pages knows which they
//! should be. A row without its end mark was broken off, and is an error.

use alloc::vec::Vec;

use super::error::{Error, StreamError};
use super::io::{Input, Read};
use super::page_frame::{FrameHeader, PageReader};
use crate::types::{PageSize, Pgno};

/// A row of page frames: [`PageFrames::next_page`] until `None`. Keeps its memory between pages.
pub struct PageFrames<R> {
    input: Input<R>,
    page_size: Option<PageSize>,
    reader: PageReader,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    InPages,
    AfterPages,
    /// A step failed, or is under way.
    Failed,
}

impl<R: Read> PageFrames<R> {
    /// Reads from the first frame on. Without a page size, the first page tells it.
    pub fn new(input: R, page_size: Option<PageSize>) -> PageFrames<R> {
        let (input, reader) = (Input::new(input), PageReader::default());
        PageFrames { input, page_size, reader, state: State::InPages }
    }

    /// What it reads from.
    pub const fn input(&self) -> &R {
        self.input.inner()
    }

    /// Bytes of a page; `None` before it is known.
    pub const fn page_size(&self) -> Option<PageSize> {
        self.page_size
    }

    /// Reads the next page into `page`, which it resizes; `None` after the end mark, behind which
    /// there must be nothing.
    pub fn next_page(&mut self, page: &mut Vec<u8>) -> Result<Option<Pgno>, StreamError<R::Error>> {
        match self.state {
            State::InPages => {}
            State::AfterPages => return Ok(None),
            State::Failed => return Err(Error::AlreadyFailed.into()),
        }
        self.state = State::Failed;
        let header = FrameHeader::read_sent(&mut self.input)?;
        let Some(pgno) = header.pgno() else {
            self.input.expect_end()?;
            self.state = State::AfterPages;
            return Ok(None);
        };
        let page_size = match self.page_size {
            Some(page_size) => {
                litevfs_hot::resize(page, page_size.len_bytes());
                self.reader.read(&mut self.input, &header, page)?;
                page_size
            }
            None => self.first_page(&header, page)?,
        };
        if pgno == page_size.lock_pgno() {
            return Err(Error::LockPage.into());
        }
        self.page_size = Some(page_size);
        self.state = State::InPages;
        Ok(Some(pgno))
    }

    /// Reads a page of a size that is not known yet.
    fn first_page(
        &mut self,
        header: &FrameHeader,
        page: &mut Vec<u8>,
    ) -> Result<PageSize, StreamError<R::Error>> {
        litevfs_hot::resize(page, PageSize::MAX.len_bytes());
        let len = self.reader.read_within(&mut self.input, header, page)?;
        page.truncate(len);
        let page_size = u32::try_from(len).ok().and_then(PageSize::new);
        page_size.ok_or(Error::BadPageLength.into())
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;
    use crate::ltx::{Encoder, Format, Header, PageIndex};
    use crate::types::{Checksum, Txid};
    use alloc::vec;

    /// Pages of a file, without what is around them.
    fn frames(format: Format, page_size: u32, pgnos: &[u32]) -> Vec<u8> {
        let header = Header {
            commit: 3_000_000,
            min_txid: Txid(2),
            max_txid: Txid(2),
            pre_apply_checksum: Checksum(Checksum::FLAG),
            ..Header::new(PageSize::new(page_size).unwrap())
        };
        let mut encoder = Encoder::new(Vec::new(), format, header).unwrap();
        for &pgno in pgnos {
            encoder.encode_page(Pgno::new(pgno).unwrap(), &content(page_size, pgno)).unwrap();
        }
        let finished = encoder.finish(Checksum(Checksum::FLAG)).unwrap();
        let entries: &PageIndex = &finished.index;
        let end = entries.entries().last().unwrap();
        finished.out[super::super::HEADER_LEN..(end.offset + end.len) as usize].to_vec()
    }

    fn content(page_size: u32, pgno: u32) -> Vec<u8> {
        (0..page_size).map(|n| (n.wrapping_mul(n ^ pgno) >> 3) as u8).collect()
    }

    fn decoded(bytes: &[u8], page_size: Option<PageSize>) -> Result<Vec<(u32, Vec<u8>)>, Error> {
        let (mut pages, mut page) = (Vec::new(), Vec::new());
        let mut frames = PageFrames::new(bytes, page_size);
        while let Some(pgno) = frames.next_page(&mut page).map_err(Error::from)? {
            pages.push((pgno.get(), page.clone()));
        }
        assert_eq!(frames.next_page(&mut page), Ok(None));
        Ok(pages)
    }

    #[test]
    fn frames_of_both_kinds_come_back_in_their_order() {
        for page_size in [512, 4096, 65_536] {
            let mut row = frames(Format::V3Block, page_size, &[7, 90]);
            row.extend(frames(Format::V3Frame, page_size, &[3]));
            row.extend(END);
            let expected: Vec<_> = [7, 90, 3].map(|pgno| (pgno, content(page_size, pgno))).into();
            assert!(decoded(&row, PageSize::new(page_size)) == Ok(expected.clone()));
            assert!(decoded(&row, None) == Ok(expected));
        }
        assert_eq!(decoded(&END, None), Ok(vec![]));
    }

    const END: [u8; 6] = crate::ltx::END_OF_PAGES;

    #[test]
    fn what_is_broken_off_or_damaged_is_an_error() {
        let mut row = frames(Format::V3Block, 1024, &[1, 2]);
        row.extend(frames(Format::V3Frame, 1024, &[3]));
        row.extend(END);
        for len in 0..row.len() {
            assert_eq!(decoded(&row[..len], None), Err(Error::Truncated), "{len} bytes");
        }
        let longer = [&row[..], &[0]].concat();
        assert_eq!(decoded(&longer, None), Err(Error::TrailingBytes));
        for place in 0..row.len() {
            let mut damaged = row.clone();
            damaged[place] ^= 0x40;
            // Most damage shows; none takes more memory than a page, or panics.
            let _ = decoded(&damaged, None);
            let _ = decoded(&damaged, PageSize::new(1024));
        }
    }

    #[test]
    fn pages_of_another_size_and_the_lock_page_are_refused() {
        let mut row = frames(Format::V3Block, 1024, &[1]);
        row.extend(frames(Format::V3Block, 512, &[2]));
        row.extend(END);
        assert_eq!(decoded(&row, None), Err(Error::BadPageLength));
        assert_eq!(decoded(&row, PageSize::new(512)), Err(Error::CompressedTooLong));
        let lock_pgno = PageSize::new(512).unwrap().lock_pgno().get();
        let mut row = frames(Format::V3Block, 512, &[1]);
        row[..4].copy_from_slice(&lock_pgno.to_be_bytes());
        row.extend(END);
        assert_eq!(decoded(&row, None), Err(Error::LockPage));
    }
}
