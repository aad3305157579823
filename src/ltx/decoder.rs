//! Reads an LTX file page by page, in memory bounded whatever the file says.

use alloc::vec::Vec;

use super::Version;
use super::checksum::{Crc64, checksum_of};
use super::error::{Error, StreamError};
use super::header::{HEADER_LEN, Header, Trailer};
use super::index::{IndexCheck, IndexEntry, PageIndex};
use super::io::{Input, Read};
use super::lz4_frame::FrameDecoder;
use super::order::PageOrder;
use super::page_frame::{FrameHeader, PageReader};
use crate::types::{Checksum, Pgno};

/// Bytes of a page header in v1.
const V1_HEADER_LEN: u64 = 4;

/// Reads one LTX file: [`Decoder::new`], [`Decoder::next_page`] until `None`, [`Decoder::finish`].
///
/// Pages are not verified before [`Decoder::finish`] has returned, because the file checksum comes
/// last: nothing may be done with them before that cannot be undone.
pub struct Decoder<R> {
    input: Input<R>,
    crc: Crc64,
    header: Header,
    order: PageOrder,
    block: PageBlock,
    state: State,
}

/// How pages are packed.
enum PageBlock {
    V1Raw,
    V1Lz4(FrameDecoder),
    V3(PageReader, IndexCheck),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    InPages,
    AfterPages,
    /// A step failed, or is under way.
    Failed,
}

impl<R: Read> Decoder<R> {
    /// Reads the header.
    pub fn new(input: R, version: Version) -> Result<Decoder<R>, StreamError<R::Error>> {
        let mut input = Input::new(input);
        let bytes: [u8; HEADER_LEN] = input.read_array()?;
        let (header, lz4) = Header::decode(&bytes, version)?;
        let mut crc = Crc64::new();
        crc.update(&bytes);
        let block = match version {
            Version::V1 if lz4 => {
                let mut frame = FrameDecoder::default();
                frame.begin(&mut input, v1_content_limit(&header))?;
                PageBlock::V1Lz4(frame)
            }
            Version::V1 => PageBlock::V1Raw,
            Version::V3 => PageBlock::V3(PageReader::default(), IndexCheck::default()),
        };
        let order = PageOrder::new(header);
        Ok(Decoder { input, crc, header, order, block, state: State::InPages })
    }

    /// The header.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Reads the next page into `data`, which it resizes; `None` after the last page.
    pub fn next_page(&mut self, data: &mut Vec<u8>) -> Result<Option<Pgno>, StreamError<R::Error>> {
        match self.state {
            State::InPages => {}
            State::AfterPages => return Ok(None),
            State::Failed => return Err(Error::AlreadyFailed.into()),
        }
        self.state = State::Failed;
        data.resize(self.header.page_size.len_bytes(), 0);
        let pgno = match self.block {
            PageBlock::V1Raw | PageBlock::V1Lz4(_) => self.next_v1(data)?,
            PageBlock::V3(..) => self.next_v3(data)?,
        };
        self.state = if pgno.is_some() { State::InPages } else { State::AfterPages };
        Ok(pgno)
    }

    /// Reads the rest of the file, pages that were not asked for included, and verifies all of it:
    /// that a snapshot is complete, the page index, the checksums, and that nothing follows.
    pub fn finish(mut self) -> Result<Trailer, StreamError<R::Error>> {
        let mut data = Vec::new();
        while self.next_page(&mut data)?.is_some() {}
        match self.block {
            PageBlock::V1Raw => {}
            PageBlock::V1Lz4(mut frame) => frame.end(&mut self.input)?,
            PageBlock::V3(_, index) => index.read(&mut self.input, &mut self.crc)?,
        }
        let post_apply_checksum = Checksum(self.input.read_u64()?);
        self.crc.update(&post_apply_checksum.0.to_be_bytes());
        let file_checksum = Checksum(self.input.read_u64()?);
        if file_checksum != checksum_of(&self.crc) {
            return Err(Error::FileChecksum.into());
        }
        self.order.post_apply(post_apply_checksum)?;
        self.input.expect_end()?;
        Ok(Trailer { post_apply_checksum, file_checksum })
    }

    fn next_v1(&mut self, page: &mut [u8]) -> Result<Option<Pgno>, StreamError<R::Error>> {
        let mut header = [0; V1_HEADER_LEN as usize];
        self.read_v1(&mut header)?;
        self.crc.update(&header);
        let Some(pgno) = Pgno::new(u32::from_be_bytes(header)) else {
            self.order.end()?;
            return Ok(None);
        };
        self.order.next(pgno)?;
        self.read_v1(page)?;
        self.accept(pgno, page);
        Ok(Some(pgno))
    }

    /// Fills `buf` from the page block of v1.
    fn read_v1(&mut self, buf: &mut [u8]) -> Result<(), StreamError<R::Error>> {
        match &mut self.block {
            PageBlock::V1Lz4(frame) => frame.read(&mut self.input, buf),
            PageBlock::V1Raw | PageBlock::V3(..) => self.input.read_exact(buf),
        }
    }

    fn next_v3(&mut self, page: &mut [u8]) -> Result<Option<Pgno>, StreamError<R::Error>> {
        let offset = self.input.offset();
        let header = FrameHeader::read(&mut self.input)?;
        self.crc.update(header.bytes());
        let Some(pgno) = header.pgno() else {
            self.order.end()?;
            return Ok(None);
        };
        self.order.next(pgno)?;
        if let PageBlock::V3(reader, index) = &mut self.block {
            reader.read(&mut self.input, &header, page)?;
            let len = self.input.offset().saturating_sub(offset);
            index.expect(&IndexEntry { pgno, offset, len });
        }
        self.accept(pgno, page);
        Ok(Some(pgno))
    }

    fn accept(&mut self, pgno: Pgno, page: &[u8]) {
        self.crc.update(page);
        self.order.data(pgno, page);
    }
}

/// The longest page block of v1 that the header allows.
fn v1_content_limit(header: &Header) -> u64 {
    let page = u64::from(header.page_size.bytes()).saturating_add(V1_HEADER_LEN);
    u64::from(header.commit).saturating_mul(page).saturating_add(V1_HEADER_LEN)
}

/// Tells the version of a whole file, which the file itself does not say; the file checksum has the
/// last word when it is read.
pub fn detect(file: &[u8]) -> Result<Version, Error> {
    let v1 = Header::is_v1_lz4(file)? || PageIndex::decode(file, file.len() as u64).is_err();
    Ok(if v1 { Version::V1 } else { Version::V3 })
}
