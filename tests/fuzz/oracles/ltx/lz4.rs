//! LZ4: what is taken is what a plain reading of the format gives, and no more of it than was asked for.

use crate::ltx::io::Input;
use crate::ltx::lz4_frame::FrameDecoder;
use litevfs_hot::{CompressTable, Crc64, Xxh32, get_maximum_output_size};

const MAGIC: [u8; 4] = 0x184d_2204_u32.to_le_bytes();

/// Blocks of the package's own.
pub fn blocks() -> Vec<Vec<u8>> {
    let text: Vec<u8> = (0..3000_u32).map(|n| (n.wrapping_mul(n) >> 7) as u8 & 15).collect();
    let mut packed = vec![0; get_maximum_output_size(text.len())];
    let len = litevfs_hot::compress(&text, &mut packed, &mut CompressTable::default()).unwrap();
    vec![[&[3], &packed[..len]].concat(), [&[0x1b], &packed[..len]].concat(), vec![0, 0]]
}

/// The first byte says how long the output may be, and what came before.
pub fn check_block(data: &[u8]) {
    let Some((&choice, block)) = data.split_first() else { return };
    let most = 512_usize << (choice & 7);
    let history_len = if choice & 8 == 0 { 0 } else { usize::from(choice >> 4) * 4369 };
    let history: Vec<u8> = (0..history_len).map(|n| ((n * 7) ^ (n >> 8)) as u8).collect();
    let mut out = vec![0xcc; most];
    if let Ok(len) = litevfs_hot::decompress(block, &history, &mut out) {
        let plain = plain_block(block, &history, most);
        assert!(plain.as_deref() == Some(&out[..len]), "a damaged block, or another content");
    }
    let mut packed = vec![0; get_maximum_output_size(block.len())];
    let len = litevfs_hot::compress(block, &mut packed, &mut CompressTable::default()).unwrap();
    let mut again = vec![0; block.len()];
    assert_eq!(litevfs_hot::decompress(&packed[..len], &[], &mut again).ok(), Some(block.len()));
    assert!(again == block);
    checksums(block, block.len() * usize::from(choice) / 255);
}

/// Checksums in parts are those of the whole, and of a reading bit by bit.
fn checksums(bytes: &[u8], cut: usize) {
    let (mut whole, mut parts) = (Crc64::new(), Crc64::new());
    whole.update(bytes);
    parts.update(&bytes[..cut]);
    parts.update(&bytes[cut..]);
    assert_eq!(whole.finish(), parts.finish());
    let mut slow = !0_u64;
    for &byte in bytes {
        slow ^= u64::from(byte);
        for _ in 0..8 {
            slow = slow >> 1 ^ (slow & 1).wrapping_neg() & 0xd800_0000_0000_0000;
        }
    }
    assert_eq!(whole.finish(), !slow);
    let mut parts = Xxh32::new();
    parts.update(&bytes[..cut]);
    parts.update(&bytes[cut..]);
    assert_eq!(parts.finish(), Xxh32::of(bytes));
}

/// Unpacks a block as its format says, byte by byte.
fn plain_block(block: &[u8], history: &[u8], most: usize) -> Option<Vec<u8>> {
    let mut out = history.to_vec();
    let mut rest = block;
    let end = history.len() + most;
    loop {
        let token = *rest.split_off_first()?;
        let literals = length(&mut rest, token >> 4)?;
        out.extend_from_slice(rest.split_off(..literals)?);
        if out.len() > end {
            return None;
        }
        if rest.is_empty() {
            return Some(out.split_off(history.len()));
        }
        let back = usize::from(u16::from_le_bytes(*rest.first_chunk()?));
        rest = rest.get(2..)?;
        let len = length(&mut rest, token & 15)? + 4;
        if back == 0 || back > out.len() || out.len() + len > end {
            return None;
        }
        for _ in 0..len {
            out.push(out[out.len() - back]);
        }
    }
}

fn length(rest: &mut &[u8], half: u8) -> Option<usize> {
    let mut len = usize::from(half);
    let mut goes_on = half == 15;
    while goes_on {
        let byte = *rest.split_off_first()?;
        len += usize::from(byte);
        goes_on = byte == 255;
    }
    Some(len)
}

/// The first byte says how much may come, how it is read, and whether the header is to be made right.
pub fn check_frame(data: &[u8]) {
    let Some((&choice, bytes)) = data.split_first() else { return };
    let mut frame = bytes.to_vec();
    if choice & 1 != 0 {
        make_header_right(&mut frame, choice & 2 != 0);
    }
    let limit: usize = [512, 4096, 65_536, 1 << 20][usize::from(choice >> 2 & 3)];
    let whole = read(&frame, limit, limit + 1);
    let parts = read(&frame, limit, 37);
    assert_eq!(whole.as_ref().map(|(content, _)| content), parts.as_ref().map(|(c, _)| c));
    let Some((content, used)) = whole else { return };
    assert!(content.len() <= limit);
    assert!(plain_frame(&frame[..used]).as_ref() == Some(&content), "a damaged frame");
}

/// Reads a frame, so many bytes at a time; with how long it is.
fn read(frame: &[u8], limit: usize, step: usize) -> Option<(Vec<u8>, usize)> {
    let (mut decoder, mut input) = (FrameDecoder::default(), Input::new(frame));
    decoder.begin(&mut input, limit as u64).ok()?;
    let (mut content, mut part) = (Vec::new(), vec![0xcc; step]);
    loop {
        let len = decoder.fill(&mut input, &mut part).ok()?;
        content.extend_from_slice(&part[..len]);
        if len < step {
            break;
        }
    }
    decoder.end(&mut input).ok()?;
    Some((content, input.offset() as usize))
}

/// Without a dictionary, with a known size of blocks and the check of that; perhaps without checksums.
fn make_header_right(frame: &mut [u8], is_unchecked: bool) {
    if frame.len() < 7 {
        return;
    }
    frame[..4].copy_from_slice(&MAGIC);
    frame[4] = frame[4] & 0x3c | 0x40;
    if is_unchecked {
        frame[4] &= !0x14;
    }
    frame[5] = (4 + (frame[5] >> 4 & 3)) << 4;
    let end = if frame[4] & 8 != 0 { 14 } else { 6 };
    if frame.len() > end {
        frame[end] = Xxh32::of(&frame[4..end]).to_le_bytes()[1];
    }
}

/// Unpacks a frame of which is known that it is sound.
fn plain_frame(frame: &[u8]) -> Option<Vec<u8>> {
    let flags = *frame.get(4)?;
    let block_len = 1_usize << (8 + 2 * (frame.get(5)? >> 4));
    let mut rest = frame.get(if flags & 8 != 0 { 15 } else { 7 }..)?;
    let mut content = Vec::new();
    loop {
        let size = u32::from_le_bytes(*rest.first_chunk()?);
        rest = rest.get(4..)?;
        if size == 0 {
            break;
        }
        let block = rest.split_off(..(size & !(1 << 31)) as usize)?;
        let window =
            if flags & 0x20 == 0 { content.len().saturating_sub(65_536) } else { content.len() };
        match size >> 31 {
            0 => content.extend(plain_block(block, &content[window..], block_len)?),
            _ => content.extend_from_slice(block),
        }
        if flags & 0x10 != 0 {
            let check = rest.split_off(..4)?;
            assert_eq!(check, Xxh32::of(block).to_le_bytes());
        }
    }
    if flags & 4 != 0 {
        assert_eq!(rest.split_off(..4)?, Xxh32::of(&content).to_le_bytes());
    }
    rest.is_empty().then_some(content)
}
