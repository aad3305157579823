//! Writes LZ4 frames of independent 64 KiB blocks.

use alloc::vec::Vec;
use litevfs_hot::Xxh32;

use super::super::error::StreamError;
use super::super::io::{Output, Write};
use super::super::lz4_block::Compressor;
use super::{
    BLOCK_64_KIB, BLOCK_PLAIN, FLAG_CONTENT_CHECKSUM, FLAG_INDEPENDENT, MAGIC, VERSION,
    descriptor_check,
};

const BLOCK_LEN: usize = 64 * 1024;

/// Whether a frame ends with the checksum of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ltx) enum ContentChecksum {
    No,
    Yes,
}

/// Writes frames one after the other: `begin`, `write` as often as needed, `end`.
pub(in crate::ltx) struct FrameEncoder {
    checksum: ContentChecksum,
    content: Xxh32,
    /// Content that does not fill a block yet.
    block: Vec<u8>,
    compressor: Compressor,
}

impl FrameEncoder {
    pub(in crate::ltx) fn new(checksum: ContentChecksum) -> FrameEncoder {
        FrameEncoder {
            checksum,
            content: Xxh32::new(),
            block: Vec::new(),
            compressor: Compressor::default(),
        }
    }

    pub(in crate::ltx) fn begin<W: Write>(
        &mut self,
        out: &mut Output<W>,
    ) -> Result<(), StreamError<W::Error>> {
        self.content = Xxh32::new();
        self.block.clear();
        let checksum = match self.checksum {
            ContentChecksum::No => 0,
            ContentChecksum::Yes => FLAG_CONTENT_CHECKSUM,
        };
        let descriptor = [VERSION | FLAG_INDEPENDENT | checksum, BLOCK_64_KIB];
        out.write(&MAGIC.to_le_bytes())?;
        out.write(&descriptor)?;
        out.write(&[descriptor_check(&descriptor)])
    }

    pub(in crate::ltx) fn write<W: Write>(
        &mut self,
        out: &mut Output<W>,
        bytes: &[u8],
    ) -> Result<(), StreamError<W::Error>> {
        if self.checksum == ContentChecksum::Yes {
            self.content.update(bytes);
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = BLOCK_LEN.saturating_sub(self.block.len());
            let (head, tail) = rest.split_at_checked(room).unwrap_or((rest, &[]));
            self.block.extend_from_slice(head);
            rest = tail;
            if self.block.len() == BLOCK_LEN {
                self.write_block(out)?;
            }
        }
        Ok(())
    }

    pub(in crate::ltx) fn end<W: Write>(
        &mut self,
        out: &mut Output<W>,
    ) -> Result<(), StreamError<W::Error>> {
        if !self.block.is_empty() {
            self.write_block(out)?;
        }
        out.write(&0_u32.to_le_bytes())?;
        match self.checksum {
            ContentChecksum::No => Ok(()),
            ContentChecksum::Yes => out.write(&self.content.finish().to_le_bytes()),
        }
    }

    fn write_block<W: Write>(&mut self, out: &mut Output<W>) -> Result<(), StreamError<W::Error>> {
        let packed = self.compressor.compress(&self.block)?;
        // A block has at most 64 KiB, so its length has room beside the flag.
        if packed.len() < self.block.len() {
            out.write(&(packed.len() as u32).to_le_bytes())?;
            out.write(packed)?;
        } else {
            out.write(&(self.block.len() as u32 | BLOCK_PLAIN).to_le_bytes())?;
            out.write(&self.block)?;
        }
        self.block.clear();
        Ok(())
    }
}
