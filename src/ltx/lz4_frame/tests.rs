//! Frames of another program, frames of our own, and frames nobody should accept.

use alloc::vec;
use alloc::vec::Vec;
use litevfs_hot::Xxh32;

use super::super::error::{Error, StreamError};
use super::super::io::{Input, Output};
use super::{ContentChecksum, FrameDecoder, FrameEncoder};

const TEXT_LEN: usize = 150_000;

macro_rules! frame {
    ($name:literal) => {
        (include_bytes!(concat!("../../../tests/data/lz4/", $name, ".lz4")).as_slice(), $name)
    };
}

fn text() -> Vec<u8> {
    let mut text = Vec::new();
    for i in 0.. {
        text.extend_from_slice(alloc::format!("row {} of {}; ", i % 50, i % 7).as_bytes());
        if text.len() >= TEXT_LEN {
            break;
        }
    }
    text.truncate(TEXT_LEN);
    text
}

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

/// Decodes a frame that must hold exactly `len` bytes and be all of `bytes`.
fn decode(bytes: &[u8], len: usize) -> Result<Vec<u8>, Error> {
    let mut input = Input::new(bytes);
    let mut out = vec![0; len];
    let mut frame = FrameDecoder::default();
    frame.begin(&mut input, len as u64)?;
    // Odd pieces, so that reads begin and end inside blocks.
    for piece in out.chunks_mut(1009) {
        frame.read(&mut input, piece)?;
    }
    frame.end(&mut input)?;
    input.expect_end()?;
    Ok(out)
}

fn encode(content: &[u8], checksum: ContentChecksum) -> Vec<u8> {
    let mut out = Output::new(Vec::new());
    let mut frame = FrameEncoder::new(checksum);
    let written: Result<(), StreamError<_>> = (|| {
        frame.begin(&mut out)?;
        for piece in content.chunks(4099) {
            frame.write(&mut out, piece)?;
        }
        frame.end(&mut out)
    })();
    written.unwrap();
    out.into_inner()
}

#[test]
fn reads_frames_of_another_program() {
    let text = text();
    for (bytes, name) in [
        frame!("linked"),
        frame!("linked-all-checks"),
        frame!("linked-short-blocks"),
        frame!("independent-block-checksums"),
        frame!("independent-256k"),
        frame!("content-size-4m"),
        frame!("high-compression-1m"),
    ] {
        assert!(decode(bytes, TEXT_LEN).as_ref() == Ok(&text), "{name}");
    }
    assert_eq!(decode(frame!("empty").0, 0), Ok(Vec::new()));
    assert!(decode(frame!("plain-blocks").0, 5000) == Ok(noise(5000)));
}

#[test]
fn a_frame_comes_back_as_it_was_written() {
    for checksum in [ContentChecksum::No, ContentChecksum::Yes] {
        for len in [0, 1, 65_535, 65_536, 65_537, 200_000] {
            for content in [vec![9; len], noise(len)] {
                assert!(decode(&encode(&content, checksum), len) == Ok(content), "{len} bytes");
            }
        }
    }
}

#[test]
fn the_content_has_the_expected_length() {
    for (bytes, name) in [frame!("linked"), frame!("content-size-4m"), frame!("linked-all-checks")]
    {
        let longer = decode(bytes, TEXT_LEN + 1);
        assert_eq!(longer, Err(Error::FrameContentSize), "{name}");
        let shorter = decode(bytes, TEXT_LEN - 1);
        let refused = [Err(Error::FrameContentSize), Err(Error::DecompressedTooLong)];
        assert!(refused.contains(&shorter), "{name}");
    }
}

#[test]
fn a_cut_frame_is_refused() {
    for (bytes, name) in [frame!("linked-all-checks"), frame!("plain-blocks"), frame!("empty")] {
        let len = match name {
            "plain-blocks" => 5000,
            "empty" => 0,
            _ => TEXT_LEN,
        };
        for end in (0..bytes.len()).step_by(13) {
            assert_eq!(decode(&bytes[..end], len), Err(Error::Truncated), "{name}, {end} bytes");
        }
    }
}

#[test]
fn a_damaged_frame_names_its_damage() {
    let damage = |at: usize, bits: u8| {
        let (bytes, _) = frame!("linked-all-checks");
        let mut bytes = bytes.to_vec();
        bytes[at] ^= bits;
        decode(&bytes, TEXT_LEN).unwrap_err()
    };
    let len = frame!("linked-all-checks").0.len();
    assert_eq!(damage(0, 1), Error::BadFrameMagic);
    assert_eq!(damage(4, 0x80), Error::BadFrameDescriptor);
    assert_eq!(damage(4, 0x02), Error::BadFrameDescriptor);
    assert_eq!(damage(4, 0x01), Error::FrameDictionary);
    assert_eq!(damage(5, 0x80), Error::BadFrameDescriptor);
    assert_eq!(damage(5, 0x40), Error::BadFrameDescriptor);
    assert_eq!(damage(5, 0x10), Error::FrameHeaderChecksum);
    assert_eq!(damage(6, 1), Error::FrameHeaderChecksum);
    assert_eq!(damage(14, 1), Error::FrameHeaderChecksum);
    assert_eq!(damage(17, 0x7f), Error::FrameBlockTooLong);
    assert_eq!(damage(30, 1), Error::FrameBlockChecksum);
    assert_eq!(damage(len - 1, 1), Error::FrameContentChecksum);
}

#[test]
fn no_flipped_bit_changes_the_content_unnoticed() {
    let content = text().split_off(TEXT_LEN - 700);
    let bytes = encode(&content, ContentChecksum::Yes);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            let result = decode(&damaged, content.len());
            // Text that repeats itself can be repeated from more than one distance.
            assert!(result.is_err() || result.as_ref() == Ok(&content), "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn empty_blocks_end_where_the_frame_ends() {
    let empty_block = (1_u32 << 31).to_le_bytes();
    let (frame, _) = frame!("empty");
    let (head, end) = frame.split_at(7);
    let bytes = [head, &empty_block, &empty_block, end].concat();
    assert_eq!(decode(&bytes, 0), Ok(Vec::new()));
}

#[test]
fn a_block_cannot_repeat_what_an_independent_frame_does_not_have() {
    // A match 1 byte back at the very start, then the literals that must end a block.
    let block = [0x00, 0x01, 0x00, 0x50, b'a', b'b', b'c', b'd', b'e'];
    let descriptor = [0x60, 0x40];
    let [_, check, _, _] = Xxh32::of(&descriptor).to_le_bytes();
    let mut bytes = vec![0x04, 0x22, 0x4d, 0x18];
    bytes.extend(descriptor);
    bytes.push(check);
    bytes.extend((block.len() as u32).to_le_bytes());
    bytes.extend(block);
    bytes.extend([0; 4]);
    assert_eq!(decode(&bytes, 9), Err(Error::BadLz4Block));
}
