//! One page of a v3 file: a header that says how the data is packed, and the data.
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 4 | pgno |
//! | 4 | 2 | flags: bit 0 set, an LZ4 block follows; bit 1 set, a packed inner page; none, an LZ4 frame |
//! | 6 | 4 | bytes of what follows, only with a flag |
//! | 6 or 10 | | the page, compressed |
//!
//! An all-zero page number and flags end the pages.
//!
//! Outside of a file, a row of such pages with the end mark is how a server sends pages as they are
//! stored: [`super::PageFrames`]. Only there are inner pages packed in a way of their own:
//! [`super::inner_page`].

use alloc::vec::Vec;

use super::error::{Error, StreamError};
use super::inner_page;
use super::io::{Input, Read};
use super::lz4_block::{decompress, max_block_len};
use super::lz4_frame::FrameDecoder;
use crate::types::{PageSize, Pgno};

const FLAG_BLOCK: u16 = 1 << 0;
const FLAG_INNER: u16 = 1 << 1;
const FLAG_FRAME: u16 = 0;
/// Bytes of a header without the size of what follows.
const SHORT_LEN: usize = 6;
const LONG_LEN: usize = 10;

/// What ends a row of page frames.
pub const END_OF_PAGES: [u8; SHORT_LEN] = [0; SHORT_LEN];

/// How a page is packed, and in how many bytes where that is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Frame,
    Block(u32),
    Inner(u32),
}

/// The header of a page, as it is stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct FrameHeader {
    pgno: Option<Pgno>,
    packing: Packing,
    bytes: [u8; LONG_LEN],
}

impl FrameHeader {
    /// The header that ends the pages.
    pub(super) const END: FrameHeader =
        FrameHeader { pgno: None, packing: Packing::Frame, bytes: [0; LONG_LEN] };

    /// The header of a page in an LZ4 frame.
    pub(super) const fn frame(pgno: Pgno) -> FrameHeader {
        FrameHeader::new(pgno, Packing::Frame)
    }

    /// The header of a page in an LZ4 block of so many bytes.
    pub(super) const fn block(pgno: Pgno, block_len: u32) -> FrameHeader {
        FrameHeader::new(pgno, Packing::Block(block_len))
    }

    const fn new(pgno: Pgno, packing: Packing) -> FrameHeader {
        let (flags, len) = match packing {
            Packing::Frame => (FLAG_FRAME, 0),
            Packing::Block(len) => (FLAG_BLOCK, len),
            Packing::Inner(len) => (FLAG_INNER, len),
        };
        let [a, b, c, d] = pgno.get().to_be_bytes();
        let [e, f] = flags.to_be_bytes();
        let [g, h, i, j] = len.to_be_bytes();
        FrameHeader { pgno: Some(pgno), packing, bytes: [a, b, c, d, e, f, g, h, i, j] }
    }

    /// Reads a header as it may be in a file.
    pub(super) fn read<R: Read>(
        input: &mut Input<R>,
    ) -> Result<FrameHeader, StreamError<R::Error>> {
        match FrameHeader::read_sent(input)? {
            FrameHeader { packing: Packing::Inner(_), .. } => Err(Error::BadPageFlags.into()),
            header => Ok(header),
        }
    }

    /// Reads a header as it may be sent.
    pub(super) fn read_sent<R: Read>(
        input: &mut Input<R>,
    ) -> Result<FrameHeader, StreamError<R::Error>> {
        let pgno = Pgno::new(input.read_u32()?);
        let flags = u16::from_be_bytes(input.read_array()?);
        let packing = match (pgno, flags) {
            (None, 0) => return Ok(FrameHeader::END),
            (None, _) => return Err(Error::BadPageHeader.into()),
            (Some(_), FLAG_FRAME) => Packing::Frame,
            (Some(_), FLAG_BLOCK) => Packing::Block(input.read_u32()?),
            (Some(_), FLAG_INNER) => Packing::Inner(input.read_u32()?),
            (Some(_), _) => return Err(Error::BadPageFlags.into()),
        };
        Ok(pgno.map_or(FrameHeader::END, |pgno| FrameHeader::new(pgno, packing)))
    }

    /// The page; `None` when this header ends the pages.
    pub(super) const fn pgno(&self) -> Option<Pgno> {
        self.pgno
    }

    /// The header as it lies in the file.
    pub(super) fn bytes(&self) -> &[u8] {
        let len = if self.packing == Packing::Frame { SHORT_LEN } else { LONG_LEN };
        self.bytes.get(..len).unwrap_or_default()
    }
}

/// Unpacks pages, and keeps its memory between them.
#[derive(Default)]
pub(super) struct PageReader {
    frame: FrameDecoder,
    packed: Vec<u8>,
}

impl PageReader {
    /// Reads what follows a header, exactly one page long, to `page`.
    pub(super) fn read<R: Read>(
        &mut self,
        input: &mut Input<R>,
        header: &FrameHeader,
        page: &mut [u8],
    ) -> Result<(), StreamError<R::Error>> {
        let len = self.read_within(input, header, page)?;
        if len == page.len() { Ok(()) } else { Err(Error::BadPageLength.into()) }
    }

    /// Reads what follows a header to the start of `page`; returns how many bytes.
    pub(super) fn read_within<R: Read>(
        &mut self,
        input: &mut Input<R>,
        header: &FrameHeader,
        page: &mut [u8],
    ) -> Result<usize, StreamError<R::Error>> {
        let (Packing::Block(len) | Packing::Inner(len)) = header.packing else {
            self.frame.begin(input, page.len() as u64)?;
            let len = self.frame.fill(input, page)?;
            self.frame.end(input)?;
            return Ok(len);
        };
        let len = len as usize;
        if len > max_block_len(page.len()) {
            return Err(Error::CompressedTooLong.into());
        }
        litevfs_hot::resize(&mut self.packed, len);
        input.read_exact(&mut self.packed)?;
        if let Packing::Inner(_) = header.packing {
            return Ok(inner_page::unpack_within(&self.packed, page)?);
        }
        Ok(decompress(&self.packed, &[], page)?)
    }
}

/// The frame of an inner page of a table, to be sent, if its packed form restores it byte for byte and
/// takes fewer bytes than `limit`, header included.
pub fn inner_page_frame(pgno: Pgno, page: &[u8], limit: usize) -> Option<Vec<u8>> {
    let packed = inner_page::pack(page)?;
    let len = u32::try_from(packed.len()).ok()?;
    let header = FrameHeader::new(pgno, Packing::Inner(len));
    let frame = [header.bytes(), &packed].concat();
    (frame.len() < limit).then_some(frame)
}

/// Decodes one page frame of a v3 file, header included, as an [`super::IndexEntry`] delimits it.
/// Nothing guards the data: the file checksum covers the file as a whole only.
pub fn decode_page_frame(frame: &[u8], page_size: PageSize) -> Result<(Pgno, Vec<u8>), Error> {
    let mut input = Input::new(frame);
    let header = FrameHeader::read(&mut input)?;
    let pgno = header.pgno().ok_or(Error::BadPageHeader)?;
    if pgno == page_size.lock_pgno() {
        return Err(Error::LockPage);
    }
    let mut page = alloc::vec![0; page_size.len_bytes()];
    PageReader::default().read(&mut input, &header, &mut page)?;
    input.expect_end()?;
    Ok((pgno, page))
}

/// Whether bytes begin as the frame of a page, header included, of just their length if it says one.
/// What is packed in it is not looked at.
pub fn starts_page_frame(frame: &[u8], pgno: Pgno) -> bool {
    let mut input = Input::new(frame);
    let Ok(header) = FrameHeader::read(&mut input) else {
        return false;
    };
    let rest = (frame.len() as u64).saturating_sub(input.offset());
    let len_fits = match header.packing {
        Packing::Frame => true,
        Packing::Block(len) | Packing::Inner(len) => u64::from(len) == rest,
    };
    header.pgno() == Some(pgno) && len_fits
}
