//! What the encoder takes decodes to the same in every format, page by page too; and the formats take the same.

use super::files::{self, FORMATS, Page};
use crate::fuzzing::Source;
use crate::ltx::{
    END_OF_PAGES, Error, Finished, Header, PageFrames, PageIndex, Version, decode_page_frame,
    detect, inner_page_frame, page_checksum, starts_page_frame,
};
use crate::types::{Checksum, CommitId, PageSize, Pgno, Txid};

/// Headers of several kinds, with some pages.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for kind in 0..32_u8 {
        let mut seed = vec![kind % 8, kind.wrapping_mul(7), 2, 9, 2, 3, 6, 0, 0, 0, 5, kind % 8, 4];
        seed.extend((0..40).map(|n: u8| n.wrapping_mul(kind) >> 2));
        seeds.push(seed);
    }
    seeds
}

/// Makes a file of the bytes.
pub fn check(data: &[u8]) {
    let mut source = Source(data);
    let page_size = PageSize::new(512 << (source.byte() % 8)).unwrap();
    let (mut header, is_odd) = header(&mut source, page_size);
    let pages = pages(&mut source, &header);
    let last = pages.last().map_or(0, |(pgno, _)| pgno.get());
    header.commit = match source.byte() % 4 {
        0 => last,
        1 => last.saturating_add(u32::from(source.byte())),
        2 => u32::MAX,
        _ => source.u32(),
    };
    let sum = |sum: Checksum, (pgno, page): &Page| sum.toggle(page_checksum(*pgno, page));
    let post_apply = match (header.no_checksum, is_odd) {
        (true, _) => Checksum::NONE,
        (false, true) => Checksum(source.number()),
        (false, false) => pages.iter().fold(Checksum::EMPTY, sum),
    };
    let results: Vec<_> = FORMATS
        .map(|format| {
            let made = files::encode(header, format, &pages, post_apply);
            made.map(|file| decodes(&file, &header, format.version(), &pages))
        })
        .into();
    assert_eq!(results[0], results[1]);
    assert_eq!(results[2], results[3]);
    if !header.no_checksum {
        assert_eq!(results[0], results[2]);
    }
}

/// A header, perhaps no valid one, and whether the checksum is to be an odd one.
fn header(source: &mut Source, page_size: PageSize) -> (Header, bool) {
    let flags = source.byte();
    let is_snapshot = flags & 2 != 0;
    let mut header = Header { no_checksum: flags & 1 != 0, ..Header::new(page_size) };
    header.min_txid = Txid(if is_snapshot { 1 } else { source.number() });
    let span = if flags & 4 != 0 { source.number() } else { 0 };
    header.max_txid = Txid(header.min_txid.0.saturating_add(span));
    header.timestamp_ms = source.number();
    header.pre_apply_checksum = match flags & 8 != 0 {
        true => Checksum(source.number()),
        false if is_snapshot || header.no_checksum => Checksum::NONE,
        false => Checksum(source.number() | Checksum::FLAG),
    };
    if flags & 16 != 0 {
        header.wal_offset = source.number();
        header.wal_size = source.number();
        header.wal_salt = [source.u32(), source.u32()];
    }
    header.node_id = source.number();
    header.commit_id = CommitId(source.number());
    (header, flags & 32 != 0)
}

fn pages(source: &mut Source, header: &Header) -> Vec<Page> {
    let lock = header.page_size.lock_pgno().get();
    let count = source.byte() % 5;
    let mut number = match source.byte() % 5 {
        _ if header.is_snapshot() => 0,
        0 => 0,
        1 => lock.saturating_sub(u32::from(source.byte() % 8)),
        2 => u32::MAX - u32::from(source.byte() % 8),
        _ => source.u32(),
    };
    let mut pages = Vec::new();
    for _ in 0..count {
        let step = if header.is_snapshot() { 1 } else { u32::from(source.byte() % 4) };
        number = number.saturating_add(step);
        if let Some(pgno) = Pgno::new(number) {
            pages.push((pgno, page(source, header.page_size.len_bytes())));
        }
    }
    pages
}

/// A page that is easy to compress, or hard, or in between.
fn page(source: &mut Source, len: usize) -> Vec<u8> {
    let mut page = vec![0; len];
    match source.byte() % 5 {
        0 => {}
        1 => {
            let mut state = u64::from(source.u32() | 1) << 20 | 0x9e37;
            for byte in &mut page {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                *byte = (state >> 32) as u8;
            }
        }
        2 => {
            let pattern: Vec<u8> = (0..=source.byte()).map(|_| source.byte()).collect();
            page.iter_mut().zip(pattern.iter().cycle()).for_each(|(to, from)| *to = *from);
        }
        3 => page.iter_mut().take(300).for_each(|byte| *byte = source.byte()),
        _ => {
            let at = source.u32() as usize % len;
            page[at..].iter_mut().take(64).for_each(|byte| *byte = source.byte());
        }
    }
    page
}

/// Checks a file that was made; its checksum.
fn decodes(
    file: &Finished<Vec<u8>>,
    header: &Header,
    version: Version,
    pages: &[Page],
) -> Checksum {
    let bytes = &file.out;
    let other = if version == Version::V1 { Version::V3 } else { Version::V1 };
    let decoded = files::decode(bytes, version).unwrap();
    assert!(decoded.0 == *header && decoded.1 == *pages);
    assert_eq!(decoded.2, file.trailer);
    assert!(pages.is_empty() || files::decode(bytes, other).is_err());
    assert_eq!(detect(bytes), Ok(version));
    if version == Version::V3 {
        decodes_by_page(file, header.page_size, pages);
    }
    file.trailer.post_apply_checksum
}

fn decodes_by_page(file: &Finished<Vec<u8>>, page_size: PageSize, pages: &[Page]) {
    let bytes = &file.out;
    let tail_len = PageIndex::tail_len(bytes).unwrap() as usize;
    let tail = &bytes[bytes.len() - tail_len..];
    assert_eq!(PageIndex::decode(tail, bytes.len() as u64).as_ref(), Ok(&file.index));
    let mut row = Vec::new();
    for (entry, (pgno, page)) in file.index.entries().iter().zip(pages) {
        let frame = &bytes[entry.offset as usize..(entry.offset + entry.len) as usize];
        let decoded = decode_page_frame(frame, page_size).unwrap();
        assert!(decoded.0 == *pgno && decoded.1 == *page && starts_page_frame(frame, *pgno));
        match inner_page_frame(*pgno, page, frame.len()) {
            Some(smaller) => row.extend(smaller),
            None => row.extend_from_slice(frame),
        }
    }
    row.extend(END_OF_PAGES);
    for size in [None, Some(page_size)] {
        let (mut frames, mut page) = (PageFrames::new(&row[..], size), Vec::new());
        for (pgno, wanted) in pages {
            assert_eq!(frames.next_page(&mut page).map_err(Error::from), Ok(Some(*pgno)));
            assert!(page == *wanted);
        }
        assert_eq!(frames.next_page(&mut page).map_err(Error::from), Ok(None));
    }
}
