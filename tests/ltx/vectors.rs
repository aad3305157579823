//! Files of other programs: read right, and written with the same checksums.

use std::collections::BTreeMap;

use litevfs::ltx::{
    Decoder, Error, Format, PageIndex, Version, decode_page_frame, detect, page_checksum,
    parse_file_name,
};
use litevfs::types::{Checksum, PageSize, Pgno};

use super::{Contents, all_files, decode, encode, read, v1_name};

/// A database as files are applied to it.
#[derive(Default)]
struct Database {
    pages: BTreeMap<Pgno, Vec<u8>>,
}

impl Database {
    fn apply(&mut self, contents: &Contents) {
        self.pages.extend(contents.pages.iter().cloned());
        self.pages.retain(|pgno, _| pgno.get() <= contents.header.commit);
    }

    fn checksum(&self) -> Checksum {
        let pages = self.pages.iter();
        pages.fold(Checksum::EMPTY, |sum, (pgno, data)| sum.toggle(page_checksum(*pgno, data)))
    }

    fn bytes(&self) -> Vec<u8> {
        self.pages.values().flatten().copied().collect()
    }
}

/// Page size, page numbers of transaction 2, post-apply checksums of transactions 1 and 2.
const V1_DATABASES: [(u32, &[u32], [u64; 2]); 3] = [
    (512, &[1, 4, 6, 12, 14, 15], [0xa069_759a_ea81_aa8b, 0x8421_f251_8f75_74a9]),
    (4096, &[1, 2, 3], [0xb9d6_5d21_d53f_67b0, 0xe14d_6ae5_bac3_8179]),
    (65_536, &[1, 2, 3], [0xc96f_30a4_e3a6_f0ea, 0xf3ea_fc45_0808_6869]),
];

/// Format, page size, file checksums of transactions 1 and 2.
const V1_FILES: [(Format, &str, u32, [u64; 2]); 5] = [
    (Format::V1Raw, "raw", 512, [0x9487_398b_eb56_dc37, 0xdd31_e9ac_09cc_0847]),
    (Format::V1Raw, "raw", 4096, [0xb3b3_d32a_1cbc_096d, 0x82ea_b7b3_8dce_f955]),
    (Format::V1Lz4, "lz4", 512, [0xeb68_4926_2b43_b688, 0xa2fc_7137_4a1e_6f89]),
    (Format::V1Lz4, "lz4", 4096, [0xe708_a6a0_6cb6_c84c, 0xd651_c239_fdc4_3874]),
    (Format::V1Lz4, "lz4", 65_536, [0xe381_1217_e996_383a, 0xbf30_78c1_5617_0e98]),
];

#[test]
fn v1_files_rebuild_their_databases() {
    for (_, packing, page_size, file_checksums) in V1_FILES {
        let (_, pgnos, post_apply) =
            V1_DATABASES.into_iter().find(|(size, ..)| *size == page_size).unwrap();
        let mut database = Database::default();
        for txid in [1, 2] {
            let name = v1_name(packing, page_size, txid);
            let contents = decode(&read(&name), Version::V1).unwrap();
            assert_eq!(contents.header.page_size, PageSize::new(page_size).unwrap());
            assert_eq!(contents.header.timestamp_ms, 1_700_000_000_123);
            assert_eq!((contents.header.min_txid.0, contents.header.max_txid.0), (txid, txid));
            if txid == 2 {
                assert_eq!(contents.header.pre_apply_checksum, database.checksum(), "{name}");
                let found: Vec<u32> = contents.pages.iter().map(|(pgno, _)| pgno.get()).collect();
                assert_eq!(found, pgnos, "{name}");
            }
            database.apply(&contents);
            let nth = txid as usize - 1;
            assert_eq!(contents.trailer.file_checksum.0, file_checksums[nth], "{name}");
            assert_eq!(contents.trailer.post_apply_checksum.0, post_apply[nth], "{name}");
            assert_eq!(database.checksum().0, post_apply[nth], "{name}");
            if page_size < 65_536 {
                let expected = read(&format!("db-{page_size}-{txid}.sqlite"));
                assert!(database.bytes() == expected, "{name}");
            }
        }
    }
}

#[test]
fn v1_encodes_to_the_same_checksums() {
    for (format, packing, page_size, file_checksums) in V1_FILES {
        for txid in [1, 2] {
            let name = v1_name(packing, page_size, txid);
            let original = read(&name);
            let contents = decode(&original, Version::V1).unwrap();
            let (file, trailer, index) = encode(&contents, format);
            assert_eq!(trailer.file_checksum.0, file_checksums[txid as usize - 1], "{name}");
            assert_eq!(decode(&file, Version::V1).unwrap(), contents, "{name}");
            assert!(index.entries().is_empty());
            if format == Format::V1Raw {
                assert!(file == original, "{name}");
            }
        }
    }
}

#[test]
fn litestream_replicas_rebuild_their_databases() {
    for replica in ["litestream-0.5.5", "litestream-0.5.17"] {
        let level_0 = format!("{replica}/ltx/0/");
        let mut database = Database::default();
        for (name, version) in all_files().iter().filter(|(name, _)| name.starts_with(&level_0)) {
            let contents = decode(&read(name), *version).unwrap();
            let (min_txid, max_txid) = parse_file_name(&name[level_0.len()..]).unwrap();
            assert_eq!((contents.header.min_txid, contents.header.max_txid), (min_txid, max_txid));
            assert!(contents.header.no_checksum);
            database.apply(&contents);
        }
        assert!(database.bytes() == read(&format!("{replica}/restored.sqlite")), "{replica}");

        let snapshot = read(&format!("{replica}/ltx/9/{:016x}-{:016x}.ltx", 1, 1));
        let first = read(&format!("{level_0}{:016x}-{:016x}.ltx", 1, 1));
        let pages = |file: &[u8]| decode(file, Version::V3).unwrap().pages;
        assert!(pages(&snapshot) == pages(&first), "{replica}");
    }
}

#[test]
fn every_format_brings_every_file_back() {
    for (name, version) in all_files() {
        let contents = decode(&read(&name), version).unwrap();
        for format in [Format::V1Raw, Format::V1Lz4, Format::V3Frame, Format::V3Block] {
            if contents.header.no_checksum && format.version() == Version::V1 {
                continue;
            }
            let (file, trailer, _) = encode(&contents, format);
            let decoded = decode(&file, format.version()).unwrap();
            assert_eq!(decoded.trailer, trailer, "{name} as {format:?}");
            assert_eq!(decoded.header, contents.header, "{name} as {format:?}");
            assert!(decoded.pages == contents.pages, "{name} as {format:?}");
            assert_eq!(detect(&file), Ok(format.version()), "{name} as {format:?}");
        }
    }
}

#[test]
fn the_page_index_finds_every_page_alone() {
    for (name, version) in all_files() {
        let contents = decode(&read(&name), version).unwrap();
        let page_size = contents.header.page_size;
        let mut files = vec![encode(&contents, Format::V3Frame).0];
        let (file, _, written) = encode(&contents, Format::V3Block);
        assert_eq!(PageIndex::decode(&file, file.len() as u64).as_ref(), Ok(&written), "{name}");
        files.push(file);
        if version == Version::V3 {
            files.push(read(&name));
        }
        for file in files {
            let needed = PageIndex::tail_len(&file[file.len() - 24..]).unwrap() as usize;
            let tail = &file[file.len() - needed..];
            let index = PageIndex::decode(tail, file.len() as u64).unwrap();
            let found: Vec<_> = index.entries().iter().map(|entry| entry.pgno).collect();
            let expected: Vec<_> = contents.pages.iter().map(|(pgno, _)| *pgno).collect();
            assert_eq!(found, expected, "{name}");
            for (pgno, data) in &contents.pages {
                let entry = index.get(*pgno).unwrap();
                let frame = &file[entry.offset as usize..(entry.offset + entry.len) as usize];
                assert!(decode_page_frame(frame, page_size) == Ok((*pgno, data.clone())), "{name}");
                for wrong in [&frame[..frame.len() - 1], &frame[1..], &[]] {
                    assert!(decode_page_frame(wrong, page_size).is_err(), "{name}");
                }
                let longer = [frame, &[0]].concat();
                assert_eq!(decode_page_frame(&longer, page_size), Err(Error::TrailingBytes));
            }
        }
    }
}

#[test]
fn the_version_of_every_file_is_told() {
    for (name, version) in all_files() {
        assert_eq!(detect(&read(&name)), Ok(version), "{name}");
    }
    assert_eq!(detect(b"LTX"), Err(Error::Truncated));
    assert_eq!(detect(b"SQLite format 3\0"), Err(Error::BadMagic));
}

#[test]
fn a_file_told_as_the_other_version_is_refused() {
    for (name, version) in all_files() {
        let other = if version == Version::V1 { Version::V3 } else { Version::V1 };
        assert!(decode(&read(&name), other).is_err(), "{name}");
    }
}

#[test]
fn finish_alone_verifies_a_file() {
    for (name, version) in all_files() {
        let file = read(&name);
        let trailer = Decoder::new(file.as_slice(), version).unwrap().finish().unwrap();
        assert_eq!(trailer, decode(&file, version).unwrap().trailer, "{name}");

        let mut longer = file.clone();
        longer.push(0);
        let finished = Decoder::new(longer.as_slice(), version).unwrap().finish();
        assert_eq!(finished.map_err(Error::from), Err(Error::TrailingBytes), "{name}");
    }
}
