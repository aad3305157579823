//! A file is refused, or it is what its own pages encode to, in every format; and nothing less than all of it is.

use super::files::{self, Content, FORMATS};
use crate::ltx::{
    Error, Format, PageIndex, Version, decode_page_frame, detect, page_checksum, starts_page_frame,
};
use crate::types::Checksum;

/// The first byte says the version, whether the checksum is to be made right, and what to damage.
pub fn check(data: &[u8]) {
    let Some((&choice, file)) = data.split_first() else { return };
    let version = if choice & 1 == 0 { Version::V1 } else { Version::V3 };
    let mut file = file.to_vec();
    let mut decoded = files::decode(&file, version);
    if choice & 2 != 0
        && decoded == Err(Error::FileChecksum)
        && let Some(checksum) = files::checksum(&file, version)
        && let Some(place) = file.last_chunk_mut::<8>()
    {
        *place = checksum.to_be_bytes();
        decoded = files::decode(&file, version);
    }
    let detected = detect(&file);
    let Ok(content) = decoded else { return };
    assert_eq!(detected, Ok(version));
    assert_eq!(files::checksum(&file, version), Some(content.2.file_checksum.0));
    pages_are_in_order(&content);
    encodes_to_the_same(&file, version, &content);
    if version == Version::V3 {
        index_leads_to_each_page(&file, &content);
    }
    damage_shows(&file, version, &content, usize::from(choice));
}

fn pages_are_in_order((header, pages, trailer): &Content) {
    let mut last = 0;
    for (pgno, _) in pages {
        assert!(pgno.get() > last && pgno.get() <= header.commit);
        assert_ne!(*pgno, header.page_size.lock_pgno());
        last = pgno.get();
    }
    if header.is_snapshot() && !header.no_checksum {
        let sum =
            |sum: Checksum, (pgno, page): &files::Page| sum.toggle(page_checksum(*pgno, page));
        assert_eq!(pages.iter().fold(Checksum::EMPTY, sum), trailer.post_apply_checksum);
        assert!(pages.len() as u64 + 1 >= u64::from(header.commit));
    }
}

fn encodes_to_the_same(file: &[u8], version: Version, content: &Content) {
    let (header, pages, trailer) = content;
    for format in FORMATS {
        if header.no_checksum && format.version() == Version::V1 {
            continue;
        }
        let encoded = files::encode(*header, format, pages, trailer.post_apply_checksum).unwrap();
        let again = files::decode(&encoded.out, format.version()).unwrap();
        assert!(again.0 == *header && again.1 == *pages, "{format:?} changes it");
        assert_eq!(again.2, encoded.trailer);
        assert_eq!(again.2.post_apply_checksum, trailer.post_apply_checksum);
        if format == Format::V1Raw && version == Version::V1 && file.get(7) == Some(&0) {
            assert!(encoded.out == file, "there is another form of the same file");
        }
    }
}

fn index_leads_to_each_page(file: &[u8], (header, pages, _): &Content) {
    let index = PageIndex::decode(file, file.len() as u64).unwrap();
    assert_eq!(index.entries().len(), pages.len());
    for (entry, (pgno, page)) in index.entries().iter().zip(pages) {
        let frame = &file[entry.offset as usize..(entry.offset + entry.len) as usize];
        let found = decode_page_frame(frame, header.page_size).unwrap();
        assert!(found.0 == *pgno && found.1 == *page && entry.pgno == *pgno);
        assert!(starts_page_frame(frame, *pgno));
    }
}

fn damage_shows(file: &[u8], version: Version, content: &Content, choice: usize) {
    let at = ((choice >> 2) * 0x9e37 + file.len() * 31) % file.len();
    let mut damaged = file.to_vec();
    damaged[at] ^= 1 << (choice % 8);
    if let Ok(other) = files::decode(&damaged, version) {
        assert!(other == *content, "a flipped bit in byte {at} makes another sound file");
    }
    assert!(files::decode(&file[..at], version).is_err(), "{at} bytes of it are enough");
}
