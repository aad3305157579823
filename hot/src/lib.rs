//! What unpacking and packing pages spends its time in. The extension is built small, and this built for
//! speed: cargo sets that for a crate as a whole, and inlined code goes by the crate that it ends up in.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod crc64;
mod xxh32;

use alloc::vec::Vec;
use lz4_flex::block::{
    CompressError, compress_into_with_table, decompress_into, decompress_into_with_dict,
};

pub use crc64::Crc64;
pub use lz4_flex::block::{CompressTable, DecompressError, get_maximum_output_size};
pub use xxh32::Xxh32;

/// Packs `data` to the start of `out` as an LZ4 block, and returns how many bytes that is.
#[inline(never)]
pub fn compress(
    data: &[u8],
    out: &mut [u8],
    table: &mut CompressTable,
) -> Result<usize, CompressError> {
    compress_into_with_table(data, out, table)
}

/// Unpacks an LZ4 block to the start of `out`, and returns how many bytes it held. The block may repeat
/// bytes of `history`, which is what came just before it.
#[inline(never)]
pub fn decompress(block: &[u8], history: &[u8], out: &mut [u8]) -> Result<usize, DecompressError> {
    match history {
        [] => decompress_into(block, out),
        _ => decompress_into_with_dict(block, out, history),
    }
}

/// Gives a buffer another length; what is added is zero.
#[inline(never)]
pub fn resize(bytes: &mut Vec<u8>, len: usize) {
    bytes.resize(len, 0);
}
