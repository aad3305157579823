//! LZ4 frames: the layer that the LZ4 package's frame feature would bring along with `std`.
//!
//! Integers are little-endian here, unlike in the rest of an LTX file.
//!
//! | bytes | field |
//! | --- | --- |
//! | 4 | magic `0x184D2204` |
//! | 1 | flags: bits 7-6 version 01, 5 blocks are independent, 4 block checksums, 3 content size, 2 content checksum, 1 reserved, 0 dictionary |
//! | 1 | bits 6-4 largest block: 4 to 7 for 64 KiB, 256 KiB, 1 MiB, 4 MiB; the others reserved |
//! | 0 or 8 | content size |
//! | 1 | second byte of the xxHash32 of the three fields above |
//! | | blocks |
//! | 4 | zero: the end mark |
//! | 0 or 4 | xxHash32 of the content |
//!
//! | bytes | field of a block |
//! | --- | --- |
//! | 4 | its size; the top bit says that it is not compressed |
//! | size | LZ4 block, or plain bytes |
//! | 0 or 4 | xxHash32 of the bytes before |

mod decode;
mod encode;
#[cfg(test)]
mod tests;

pub(super) use decode::FrameDecoder;
pub(super) use encode::{ContentChecksum, FrameEncoder};

const MAGIC: u32 = 0x184d_2204;
const VERSION: u8 = 0b0100_0000;
const VERSION_MASK: u8 = 0b1100_0000;
const FLAG_INDEPENDENT: u8 = 1 << 5;
const FLAG_BLOCK_CHECKSUM: u8 = 1 << 4;
const FLAG_CONTENT_SIZE: u8 = 1 << 3;
const FLAG_CONTENT_CHECKSUM: u8 = 1 << 2;
const FLAG_RESERVED: u8 = 1 << 1;
const FLAG_DICTIONARY: u8 = 1 << 0;

/// The code of 64 KiB blocks, in its place.
const BLOCK_64_KIB: u8 = 4 << 4;
const BLOCK_RESERVED_MASK: u8 = 0b1000_1111;

/// In a block's size: the block is not compressed.
const BLOCK_PLAIN: u32 = 1 << 31;
/// How far back a block may repeat earlier bytes.
const WINDOW_LEN: usize = 64 * 1024;

/// The byte that guards a descriptor.
fn descriptor_check(descriptor: &[u8]) -> u8 {
    let [_, second, _, _] = litevfs_hot::Xxh32::of(descriptor).to_le_bytes();
    second
}
