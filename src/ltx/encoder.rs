//! Writes an LTX file: header, pages in ascending order, and what ends the file.

use super::Format;
use super::checksum::{Crc64, checksum_of};
use super::error::{Error, StreamError};
use super::header::{Header, Trailer};
use super::index::{IndexEntry, PageIndex};
use super::io::{Output, Write};
use super::lz4_block::Compressor;
use super::lz4_frame::{ContentChecksum, FrameEncoder};
use super::order::PageOrder;
use super::page_frame::FrameHeader;
use crate::types::{Checksum, Pgno};

/// Writes one LTX file: [`Encoder::new`], [`Encoder::encode_page`] for each page in ascending order,
/// [`Encoder::finish`]. After an error the file is of no use.
pub struct Encoder<W> {
    out: Output<W>,
    crc: Crc64,
    order: PageOrder,
    page_len: usize,
    block: PageBlock,
    index: PageIndex,
}

/// How pages are packed.
enum PageBlock {
    V1Raw,
    V1Lz4(FrameEncoder),
    V3Frame(FrameEncoder),
    V3Block(Compressor),
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
    /// Validates and writes the header.
    pub fn new(
        out: W,
        format: Format,
        header: Header,
    ) -> Result<Encoder<W>, StreamError<W::Error>> {
        header.validate(format.version())?;
        let block = match format {
            Format::V1Raw => PageBlock::V1Raw,
            Format::V1Lz4 => PageBlock::V1Lz4(FrameEncoder::new(ContentChecksum::No)),
            // Litestream takes a frame's end for eight bytes, the content checksum included.
            Format::V3Frame => PageBlock::V3Frame(FrameEncoder::new(ContentChecksum::Yes)),
            Format::V3Block => PageBlock::V3Block(Compressor::default()),
        };
        let mut encoder = Encoder {
            out: Output::new(out),
            crc: Crc64::new(),
            order: PageOrder::new(header),
            page_len: header.page_size.len_bytes(),
            block,
            index: PageIndex::default(),
        };
        encoder.put(&header.encode(format))?;
        if let PageBlock::V1Lz4(frame) = &mut encoder.block {
            frame.begin(&mut encoder.out)?;
        }
        Ok(encoder)
    }

    /// Writes the next page. Refuses what no LTX file may hold: a page that is not one page long,
    /// out of order, beyond the commit, the lock page, or in a snapshot after a gap.
    pub fn encode_page(&mut self, pgno: Pgno, data: &[u8]) -> Result<(), StreamError<W::Error>> {
        if data.len() != self.page_len {
            return Err(Error::BadPageLength.into());
        }
        self.order.next(pgno)?;
        self.order.data(pgno, data);
        let offset = self.out.offset();
        match &mut self.block {
            PageBlock::V1Raw => {
                self.out.write(&pgno.get().to_be_bytes())?;
                self.out.write(data)?;
                self.crc.update(&pgno.get().to_be_bytes());
            }
            PageBlock::V1Lz4(frame) => {
                frame.write(&mut self.out, &pgno.get().to_be_bytes())?;
                frame.write(&mut self.out, data)?;
                self.crc.update(&pgno.get().to_be_bytes());
            }
            PageBlock::V3Frame(frame) => {
                let header = FrameHeader::frame(pgno);
                self.out.write(header.bytes())?;
                self.crc.update(header.bytes());
                frame.begin(&mut self.out)?;
                frame.write(&mut self.out, data)?;
                frame.end(&mut self.out)?;
            }
            PageBlock::V3Block(compressor) => {
                let packed = compressor.compress(data)?;
                // At most some hundred bytes above 64 KiB.
                let header = FrameHeader::block(pgno, packed.len() as u32);
                self.out.write(header.bytes())?;
                self.crc.update(header.bytes());
                self.out.write(packed)?;
            }
        }
        self.crc.update(data);
        if let PageBlock::V3Frame(_) | PageBlock::V3Block(_) = self.block {
            let len = self.out.offset().saturating_sub(offset);
            self.index.push(IndexEntry { pgno, offset, len });
        }
        Ok(())
    }

    /// Writes the rest of the file. Refuses a snapshot without all its pages, and a post-apply
    /// checksum that cannot be right.
    pub fn finish(
        mut self,
        post_apply_checksum: Checksum,
    ) -> Result<Finished<W>, StreamError<W::Error>> {
        self.order.end()?;
        self.order.post_apply(post_apply_checksum)?;
        const V1_END: [u8; 4] = [0; 4];
        match &mut self.block {
            PageBlock::V1Raw => self.put(&V1_END)?,
            PageBlock::V1Lz4(frame) => {
                frame.write(&mut self.out, &V1_END)?;
                frame.end(&mut self.out)?;
                self.crc.update(&V1_END);
            }
            PageBlock::V3Frame(_) | PageBlock::V3Block(_) => {
                self.put(FrameHeader::END.bytes())?;
                let index = self.index.encode();
                self.put(&index)?;
            }
        }
        self.put(&post_apply_checksum.0.to_be_bytes())?;
        let file_checksum = checksum_of(&self.crc);
        self.out.write(&file_checksum.0.to_be_bytes())?;
        let trailer = Trailer { post_apply_checksum, file_checksum };
        Ok(Finished { out: self.out.into_inner(), trailer, index: self.index })
    }

    /// Writes bytes that the file checksum covers as they are.
    fn put(&mut self, bytes: &[u8]) -> Result<(), StreamError<W::Error>> {
        self.crc.update(bytes);
        self.out.write(bytes)
    }
}
