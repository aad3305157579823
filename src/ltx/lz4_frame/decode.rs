//! Reads LZ4 frames with any options but a dictionary, and verifies every checksum they carry.
//!
//! Holds one block, its compressed form, and for linked blocks the 64 KiB before it.

use alloc::vec::Vec;
use litevfs_hot::Xxh32;

use super::super::error::{Error, StreamError};
use super::super::io::{Input, Read};
use super::super::lz4_block::decompress;
use super::{
    BLOCK_PLAIN, BLOCK_RESERVED_MASK, FLAG_BLOCK_CHECKSUM, FLAG_CONTENT_CHECKSUM,
    FLAG_CONTENT_SIZE, FLAG_DICTIONARY, FLAG_INDEPENDENT, FLAG_RESERVED, MAGIC, VERSION,
    VERSION_MASK, WINDOW_LEN, descriptor_check,
};

/// Reads frames one after the other: `begin`, `read` as often as needed, `end`.
#[derive(Default)]
pub(in crate::ltx) struct FrameDecoder {
    frame: Frame,
    /// The current block as stored.
    packed: Vec<u8>,
    /// The current block, of which `taken` bytes were read.
    block: Vec<u8>,
    taken: usize,
    /// For linked blocks: what came before the current one.
    history: Vec<u8>,
}

/// Where the decoder is in the current frame, and what the frame says about itself.
#[derive(Default)]
struct Frame {
    linked: bool,
    block_checksums: bool,
    block_limit: usize,
    content: Option<Xxh32>,
    content_size: Option<u64>,
    /// Bytes of content that may still come.
    content_left: u64,
    ended: bool,
}

impl Frame {
    /// Reads what comes before the first block. Content beyond `content_limit` bytes is an error.
    fn read<R: Read>(
        input: &mut Input<R>,
        content_limit: u64,
    ) -> Result<Frame, StreamError<R::Error>> {
        if u32::from_le_bytes(input.read_array()?) != MAGIC {
            return Err(Error::BadFrameMagic.into());
        }
        let [flags, block_code] = input.read_array()?;
        let known = flags & VERSION_MASK == VERSION && flags & FLAG_RESERVED == 0;
        if !known || block_code & BLOCK_RESERVED_MASK != 0 {
            return Err(Error::BadFrameDescriptor.into());
        }
        if flags & FLAG_DICTIONARY != 0 {
            return Err(Error::FrameDictionary.into());
        }
        let block_limit = match block_code >> 4 {
            4 => 64 << 10,
            5 => 256 << 10,
            6 => 1 << 20,
            7 => 4 << 20,
            _ => return Err(Error::BadFrameDescriptor.into()),
        };
        let (content_size, check) = if flags & FLAG_CONTENT_SIZE == 0 {
            (None, descriptor_check(&[flags, block_code]))
        } else {
            let size: [u8; 8] = input.read_array()?;
            let [a, b, c, d, e, f, g, h] = size;
            let descriptor = [flags, block_code, a, b, c, d, e, f, g, h];
            (Some(u64::from_le_bytes(size)), descriptor_check(&descriptor))
        };
        if input.read_array()? != [check] {
            return Err(Error::FrameHeaderChecksum.into());
        }
        if content_size.is_some_and(|size| size > content_limit) {
            return Err(Error::FrameContentSize.into());
        }
        Ok(Frame {
            linked: flags & FLAG_INDEPENDENT == 0,
            block_checksums: flags & FLAG_BLOCK_CHECKSUM != 0,
            block_limit,
            content: (flags & FLAG_CONTENT_CHECKSUM != 0).then(Xxh32::new),
            content_size,
            content_left: content_size.unwrap_or(content_limit),
            ended: false,
        })
    }

    /// Reads the size of the next block and whether it is compressed; `None` after the last.
    fn next_block<R: Read>(
        &self,
        input: &mut Input<R>,
    ) -> Result<Option<(usize, bool)>, StreamError<R::Error>> {
        let field = u32::from_le_bytes(input.read_array()?);
        if field == 0 {
            return Ok(None);
        }
        let len = (field & !BLOCK_PLAIN) as usize;
        if len > self.block_limit {
            return Err(Error::FrameBlockTooLong.into());
        }
        Ok(Some((len, field & BLOCK_PLAIN == 0)))
    }

    /// Takes in the content of a block.
    fn count(&mut self, block: &[u8]) -> Result<(), Error> {
        let left = self.content_left.checked_sub(block.len() as u64);
        self.content_left = left.ok_or(Error::FrameContentSize)?;
        if let Some(content) = &mut self.content {
            content.update(block);
        }
        Ok(())
    }

    /// Reads what comes after the end mark.
    fn read_end<R: Read>(&mut self, input: &mut Input<R>) -> Result<(), StreamError<R::Error>> {
        if self.content_size.is_some() && self.content_left > 0 {
            return Err(Error::FrameContentSize.into());
        }
        if let Some(content) = &self.content
            && u32::from_le_bytes(input.read_array()?) != content.finish()
        {
            return Err(Error::FrameContentChecksum.into());
        }
        self.ended = true;
        Ok(())
    }
}

impl FrameDecoder {
    /// Begins a frame that must not hold more than `content_limit` bytes.
    pub(in crate::ltx) fn begin<R: Read>(
        &mut self,
        input: &mut Input<R>,
        content_limit: u64,
    ) -> Result<(), StreamError<R::Error>> {
        self.block.clear();
        self.taken = 0;
        self.history.clear();
        self.frame = Frame::read(input, content_limit)?;
        Ok(())
    }

    /// Fills all of `out` with the content that comes next.
    pub(in crate::ltx) fn read<R: Read>(
        &mut self,
        input: &mut Input<R>,
        out: &mut [u8],
    ) -> Result<(), StreamError<R::Error>> {
        if self.fill(input, out)? < out.len() {
            return Err(Error::FrameContentSize.into());
        }
        Ok(())
    }

    /// Fills `out` as far as the content goes, and returns how far that is.
    pub(in crate::ltx) fn fill<R: Read>(
        &mut self,
        input: &mut Input<R>,
        out: &mut [u8],
    ) -> Result<usize, StreamError<R::Error>> {
        let mut filled = 0_usize;
        while let Some(rest) = out.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let mut unread = self.block.get(self.taken..).unwrap_or_default();
            let Ok(count) = unread.read(rest);
            self.taken = self.taken.saturating_add(count);
            filled = filled.saturating_add(count);
            if count == 0 && !self.read_block(input)? {
                break;
            }
        }
        Ok(filled)
    }

    /// Reads the end of the frame; content that was not read is an error.
    pub(in crate::ltx) fn end<R: Read>(
        &mut self,
        input: &mut Input<R>,
    ) -> Result<(), StreamError<R::Error>> {
        // A block may be empty, so the end mark need not be the very next one.
        while self.taken == self.block.len() {
            if !self.read_block(input)? {
                return Ok(());
            }
        }
        Err(Error::FrameContentSize.into())
    }

    /// Reads the next block to `block`; false when the frame has ended.
    fn read_block<R: Read>(&mut self, input: &mut Input<R>) -> Result<bool, StreamError<R::Error>> {
        if self.frame.ended {
            return Ok(false);
        }
        let Some((len, compressed)) = self.frame.next_block(input)? else {
            self.frame.read_end(input)?;
            return Ok(false);
        };
        litevfs_hot::resize(&mut self.packed, len);
        input.read_exact(&mut self.packed)?;
        if self.frame.block_checksums
            && u32::from_le_bytes(input.read_array()?) != Xxh32::of(&self.packed)
        {
            return Err(Error::FrameBlockChecksum.into());
        }
        if self.frame.linked {
            self.remember();
        }
        self.taken = 0;
        if compressed {
            self.unpack()?;
        } else {
            core::mem::swap(&mut self.block, &mut self.packed);
        }
        self.frame.count(&self.block)?;
        Ok(true)
    }

    /// Unpacks `packed` to `block`.
    fn unpack(&mut self) -> Result<(), Error> {
        let left = usize::try_from(self.frame.content_left).unwrap_or(usize::MAX);
        litevfs_hot::resize(&mut self.block, self.frame.block_limit.min(left));
        let len = decompress(&self.packed, &self.history, &mut self.block)?;
        self.block.truncate(len);
        Ok(())
    }

    /// Adds the current block to the history, of which only the last 64 KiB can be repeated.
    fn remember(&mut self) {
        self.history.extend_from_slice(&self.block);
        let surplus = self.history.len().saturating_sub(WINDOW_LEN);
        self.history.drain(..surplus);
    }
}
