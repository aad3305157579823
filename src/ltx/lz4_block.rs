//! LZ4 blocks: the thin layer over the package that compresses, with our limits and errors.

use alloc::vec;
use alloc::vec::Vec;

use litevfs_hot::{CompressTable, DecompressError, compress, get_maximum_output_size};

use super::error::Error;

/// The longest block that `len` bytes can become when no writer wastes any: all literals.
pub(super) const fn max_block_len(len: usize) -> usize {
    len.saturating_add(len / 255).saturating_add(16)
}

/// Compresses blocks one by one, and keeps its memory between them.
#[derive(Default)]
pub(super) struct Compressor {
    table: CompressTable,
    packed: Vec<u8>,
}

impl Compressor {
    /// `data` as an LZ4 block.
    pub(super) fn compress(&mut self, data: &[u8]) -> Result<&[u8], Error> {
        let room = get_maximum_output_size(data.len());
        if self.packed.len() < room {
            // Not `resize`, which sets each byte by itself in a build that is made small.
            self.packed = vec![0; room];
        }
        let len = compress(data, &mut self.packed, &mut self.table)
            .map_err(|_| Error::CompressedTooLong)?;
        self.packed.get(..len).ok_or(Error::CompressedTooLong)
    }
}

/// Unpacks a block to the start of `out` and returns how many bytes it held. The block may repeat
/// bytes of `history`, which is what came just before it.
pub(super) fn decompress(block: &[u8], history: &[u8], out: &mut [u8]) -> Result<usize, Error> {
    litevfs_hot::decompress(block, history, out).map_err(|error| match error {
        DecompressError::OutputTooSmall { .. } => Error::DecompressedTooLong,
        _ => Error::BadLz4Block,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes without repetition, so that nothing can be compressed.
    fn noise(len: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        };
        (0..len).map(|_| next()).collect()
    }

    #[test]
    fn blocks_of_every_page_size_come_back() {
        let mut compressor = Compressor::default();
        for len in [65_536, 512, 4096, 65_535, 1024] {
            for data in [alloc::vec![3; len], noise(len)] {
                let block = compressor.compress(&data).unwrap();
                assert!(block.len() <= max_block_len(len));
                let mut out = alloc::vec![0; len];
                assert_eq!(decompress(block, &[], &mut out), Ok(len));
                assert!(out == data, "{len} bytes");
            }
        }
    }

    #[test]
    fn a_block_that_holds_more_than_fits_is_refused() {
        let mut compressor = Compressor::default();
        let block = compressor.compress(&[0; 600]).unwrap();
        assert_eq!(decompress(block, &[], &mut [0; 512]), Err(Error::DecompressedTooLong));
        assert_eq!(decompress(&[], &[], &mut [0; 512]), Err(Error::BadLz4Block));
    }
}
