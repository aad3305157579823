//! What is written in one way only: page indexes, headers, varints, names and positions.

use crate::ltx::varint::{put_varint, take_varint};
use crate::ltx::{Format, Header, PageIndex, Version, file_name, parse_file_name};
use crate::pager::header;
use crate::types::{ClusterName, DbName, Pos, Txid};
use core::fmt::Display;
use core::str::FromStr;

/// Bytes before the first frame, of the end mark, and of what follows the index.
const BEFORE: u64 = 100;
const END_MARK: u64 = 6;
const TRAILER: u64 = 16;

/// Tails of files, headers, and texts.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![
        b"\0\x01\x64\x20\x02\x84\x01\x20".to_vec(),
        b"\x010000000000000001-000000000000000a.ltx".to_vec(),
        b"\x010000000000000002/8000000000000001".to_vec(),
        b"\x01a.db-1_2".to_vec(),
        b"\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01".to_vec(),
        b"\x02\x80\x00".to_vec(),
    ];
    for file in super::files::examples() {
        let header = file.iter().copied().take(BEFORE as usize);
        seeds.push([3].into_iter().chain(header).collect());
        let tail = file.len().saturating_sub(200);
        seeds.push([&[0], &file[tail..]].concat());
    }
    seeds
}

/// The first byte says what the others are.
pub fn check(data: &[u8]) {
    let Some((&choice, bytes)) = data.split_first() else { return };
    match choice % 4 {
        0 => indexes(bytes),
        1 => {
            if let Ok(text) = core::str::from_utf8(bytes) {
                texts(text);
            }
        }
        2 => varints(bytes),
        _ => headers(bytes),
    }
}

fn indexes(bytes: &[u8]) {
    let len = bytes.len() as u64;
    for file_len in [0, len, len + 1000, 1 << 40, u64::MAX] {
        check_index(bytes, file_len);
    }
    // The same with what is around it made right.
    let mut tail = [bytes, &[0]].concat();
    let size = tail.len() as u64;
    tail.extend(size.to_be_bytes());
    tail.extend([0xee; TRAILER as usize]);
    let (mut rest, mut frames) = (bytes, 0_u64);
    while let (Some(_), Some(_), Some(len)) =
        (take_varint(&mut rest), take_varint(&mut rest), take_varint(&mut rest))
    {
        frames = frames.wrapping_add(len);
    }
    check_index(&tail, (BEFORE + END_MARK + tail.len() as u64).wrapping_add(frames));
}

fn check_index(tail: &[u8], file_len: u64) {
    let Ok(index) = PageIndex::decode(tail, file_len) else { return };
    let encoded = index.encode();
    assert!(tail[..tail.len() - TRAILER as usize].ends_with(&encoded), "another form of an index");
    let frames: u64 = index.entries().iter().map(|entry| entry.len).sum();
    assert_eq!(BEFORE + frames + END_MARK + encoded.len() as u64 + TRAILER, file_len);
    for entry in index.entries() {
        assert_eq!(index.get(entry.pgno), Some(*entry));
    }
}

fn texts(text: &str) {
    if let Some((min, max)) = parse_file_name(text) {
        assert_eq!(file_name(min, max), text);
        assert!(min > Txid::ZERO && min <= max);
    }
    reads_back::<Txid>(text);
    reads_back::<Pos>(text);
    reads_back::<ClusterName>(text);
    reads_back::<DbName>(text);
    if text.parse::<DbName>().is_ok() {
        assert!(!text.contains(['/', '\0']) && text != ".." && !text.is_empty());
    }
}

fn reads_back<T: FromStr + Display + PartialEq>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        let shown = value.to_string();
        assert!(shown.eq_ignore_ascii_case(text), "{text:?} is shown as {shown:?}");
        assert!(shown.parse().is_ok_and(|again: T| again == value));
    }
}

fn varints(bytes: &[u8]) {
    let mut rest = bytes;
    if let Some(value) = take_varint(&mut rest) {
        let mut again = Vec::new();
        put_varint(&mut again, value);
        assert_eq!(bytes.strip_suffix(rest), Some(&again[..]));
    }
    let value = bytes.iter().take(8).fold(0, |value, byte| value << 8 | u64::from(*byte));
    let mut written = Vec::new();
    put_varint(&mut written, value);
    let mut rest = &written[..];
    assert_eq!((take_varint(&mut rest), rest.len()), (Some(value), 0));
}

fn headers(bytes: &[u8]) {
    for version in [Version::V1, Version::V3] {
        let Some(bytes) = bytes.first_chunk() else { break };
        let Ok((header, is_lz4)) = Header::decode(bytes, version) else { continue };
        let format = match (version, is_lz4) {
            (Version::V1, false) => Format::V1Raw,
            (Version::V1, true) => Format::V1Lz4,
            (Version::V3, _) => Format::V3Frame,
        };
        assert_eq!(&header.encode(format), bytes);
        assert_eq!(header.validate(version), Ok(()));
    }
    let mut page = bytes.to_vec();
    if let Ok(header) = header::decode(&page) {
        assert!(page.len() >= 100 && header.size != Some(0));
    }
    header::show_as_rollback(&mut page);
    header::keep_as_wal(&mut page);
    header::set_change_counter(&mut page, 9);
    assert_eq!(page.len(), bytes.len());
}
