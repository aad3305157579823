//! Turns an uploaded SQLite file into the LTX file of the next transaction.
//!
//! That transaction holds every page, so that nothing of what was there before shows through. The file
//! is read twice: the stored header, which comes first, has the checksum of all pages in it. In memory
//! are one page, and for each page its checksum and its place.
//!
//! Page 1 is stored as the successor of the one that was there, if any ([`page1`]); and it says the size.

use std::io::{self, Read};
use std::path::Path;

use litevfs::ltx::{Header, StreamError, page_checksum};
use litevfs::page1::Page1;
use litevfs::types::{Checksum, PageSize, Pgno, Pos};

use super::convert::Sound;
use crate::random;
use crate::spool::Spool;
use crate::sqlite_file::{BadFile, START_LEN, SqliteFile};
use crate::store::bucket::error::Error;
use crate::store::bucket::marks::{self, Marks};
use crate::store::bucket::page1;
use crate::store::history::writer::Writer;

/// The most pages a file may hold: some dozen bytes of memory go to each.
const MAX_PAGES: u32 = 1 << 25;

/// Page size and size of a SQLite file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    page_size: PageSize,
    commit: u32,
}

/// The transaction that makes a database at `base` what a SQLite file is, with that file's page size.
///
/// Fails with [`Error::BadFormat`] on what is no whole SQLite file.
pub(in crate::store) fn sound_from_sqlite(
    file: &Spool,
    scratch: &Path,
    base: Pos,
    before: Option<Page1>,
    timestamp_ms: u64,
) -> Result<Sound, Error> {
    let (shape, mut start) = read_shape(file)?;
    match before {
        Some(before) => page1::succeed(&mut start, before, shape.commit),
        None => page1::keep_size(&mut start, shape.commit),
    }
    let txid = base.txid.next().ok_or(Error::LastTxid)?;
    let header = Header {
        commit: shape.commit,
        min_txid: txid,
        max_txid: txid,
        timestamp_ms,
        pre_apply_checksum: base.post_apply_checksum,
        base_id: base.commit_id,
        ..Header::new(shape.page_size)
    };
    encode(file, shape, &start, header, scratch).map_err(|error| match error {
        StreamError::Io(error) => Error::Io(error),
        StreamError::Ltx(error) => Error::BadFormat(error.to_string()),
    })
}

fn encode(
    file: &Spool,
    shape: Shape,
    start: &[u8],
    header: Header,
    scratch: &Path,
) -> Result<Sound, StreamError<io::Error>> {
    let mut checksums: Vec<Checksum> = Vec::new();
    each_page(file.reader_for_work().map_err(StreamError::Io)?, shape, start, |pgno, data| {
        checksums.push(page_checksum(pgno, data));
        Ok(())
    })?;
    let post_apply_checksum = checksums.iter().copied().fold(Checksum::EMPTY, Checksum::toggle);
    let (before, id) = (header.pre_apply_checksum, random::commit_id().map_err(StreamError::Io)?);
    let marks = Marks::of_one(before, post_apply_checksum, id, header.timestamp_ms);
    let lock_pgno = shape.page_size.lock_pgno();
    let pgnos = (1..=shape.commit).filter_map(Pgno::new).filter(|&pgno| pgno != lock_pgno);
    let stored = marks::stored_header(&header, &marks, pgnos);
    let mut writer = Writer::new(stored, scratch)?;
    let again = file.reader_for_work().map_err(StreamError::Io)?;
    each_page(again, shape, start, |pgno, data| writer.page(pgno, data))?;
    let (index, file) = writer.finish()?;
    Ok(Sound { header, index, checksums, file, encrypted: Some(false) })
}

/// Reads the pages in order, but for the lock page. The first begins with `start`.
fn each_page<R, F>(
    mut file: R,
    shape: Shape,
    start: &[u8],
    mut take: F,
) -> Result<(), StreamError<io::Error>>
where
    R: Read,
    F: FnMut(Pgno, &[u8]) -> Result<(), StreamError<io::Error>>,
{
    let mut page = vec![0; shape.page_size.len_bytes()];
    for pgno in (1..=shape.commit).filter_map(Pgno::new) {
        file.read_exact(&mut page).map_err(StreamError::Io)?;
        if pgno == Pgno::ONE
            && let Some(place) = page.get_mut(..start.len())
        {
            place.copy_from_slice(start);
        }
        if pgno != shape.page_size.lock_pgno() {
            take(pgno, &page)?;
        }
    }
    Ok(())
}

/// Reads the file's start, and holds it against its length.
fn read_shape(file: &Spool) -> Result<(Shape, Vec<u8>), Error> {
    let mut start = Vec::new();
    file.reader()?.take(START_LEN as u64).read_to_end(&mut start)?;
    let bad = |error: BadFile| Error::BadFormat(error.to_string());
    let header = SqliteFile::parse(&start).map_err(bad)?;
    let pages = header.pages(file.len()).map_err(bad)?;
    match u32::try_from(pages) {
        Ok(commit) if commit <= MAX_PAGES => {
            Ok((Shape { page_size: header.page_size, commit }, start))
        }
        _ => Err(Error::BadFormat(format!(
            "the SQLite file has more than {MAX_PAGES} pages: give it larger ones"
        ))),
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::spool::SpoolWriter;
    use litevfs::ltx::{Decoder, IoRead, Version};
    use litevfs::types::Txid;

    const NEW: Pos = Pos::EMPTY;

    fn spool(bytes: &[u8]) -> Spool {
        let mut writer = SpoolWriter::new(&std::env::temp_dir());
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    /// A real database.
    fn sqlite(page_size: u32, sql: &str) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let db = rusqlite::Connection::open(&path).unwrap();
        db.execute_batch(&format!("PRAGMA page_size = {page_size}; CREATE TABLE t (x); {sql}"))
            .unwrap();
        drop(db);
        std::fs::read(path).unwrap()
    }

    fn import(bytes: &[u8], base: Pos) -> Result<Sound, Error> {
        sound_from_sqlite(&spool(bytes), &std::env::temp_dir(), base, None, 7)
    }

    fn refusal(bytes: &[u8]) -> String {
        match import(bytes, NEW) {
            Err(Error::BadFormat(text)) => text,
            other => panic!("not refused: {other:?}"),
        }
    }

    fn pages_of(sound: &Sound) -> (Header, Vec<u8>) {
        let mut decoder = Decoder::new(IoRead(sound.file.reader().unwrap()), Version::V3).unwrap();
        let header = *decoder.header();
        let (mut pages, mut page) = (Vec::new(), Vec::new());
        while decoder.next_page(&mut page).unwrap().is_some() {
            pages.extend_from_slice(&page);
        }
        decoder.finish().unwrap();
        (header, pages)
    }

    #[test]
    fn every_page_size_comes_back_as_it_was() {
        for page_size in [512, 4096, 65_536] {
            let bytes = sqlite(page_size, "INSERT INTO t VALUES (zeroblob(300000));");
            let sound = import(&bytes, NEW).unwrap();
            let (header, pages) = pages_of(&sound);
            assert!(pages == bytes, "{page_size}");
            assert_eq!(header.page_size.bytes(), page_size);
            assert_eq!((header.min_txid, header.max_txid), (Txid(1), Txid(1)));
            assert_eq!(header.timestamp_ms, 7);
            let sums = (1..).zip(bytes.chunks(page_size as usize));
            let sum = sums.fold(Checksum::EMPTY, |sum, (pgno, page)| {
                sum.toggle(page_checksum(Pgno::new(pgno).unwrap(), page))
            });
            assert_eq!(sound.index.post_apply_checksum(), sum);
            assert_eq!(header.node_id, sum.0);
            assert_eq!(sound.index.len(), bytes.len() / page_size as usize);
        }
    }

    #[test]
    fn it_follows_the_database_that_is_there() {
        let pos =
            Pos { txid: Txid(9), post_apply_checksum: Checksum(5 | Checksum::FLAG), ..Pos::EMPTY };
        let step = import(&sqlite(4096, ""), pos).unwrap().header;
        assert_eq!((step.min_txid, step.max_txid), (Txid(10), Txid(10)));
        assert_eq!(step.pre_apply_checksum, pos.post_apply_checksum);
    }

    #[test]
    fn wal_mode_is_kept() {
        let bytes = sqlite(4096, "PRAGMA journal_mode = wal; INSERT INTO t VALUES (1);");
        assert_eq!(bytes[18..20], [2, 2]);
        assert!(pages_of(&import(&bytes, NEW).unwrap()).1 == bytes);
    }

    #[test]
    fn what_is_no_whole_database_is_told() {
        let whole = sqlite(4096, "INSERT INTO t VALUES (zeroblob(20000));");
        assert!(refusal(b"").contains("is empty"));
        assert!(refusal(b"SQLite").contains("not a SQLite file"));
        assert!(refusal(&[b'x'; 5000]).contains("not a SQLite file"));
        assert!(refusal(&whole[..50]).contains("cut short"), "{}", refusal(&whole[..50]));
        for len in [100, 4095, 4096, whole.len() - 4096, whole.len() - 1] {
            let text = refusal(&whole[..len]);
            assert!(text.contains("cut short"), "{len}: {text}");
        }
        let longer = [whole.as_slice(), &[0; 4096]].concat();
        assert!(refusal(&longer).contains("longer than"));
        let mut odd = whole.clone();
        odd[16..18].copy_from_slice(&[0x03, 0x01]);
        assert!(refusal(&odd).contains("page size"));
    }

    #[test]
    fn a_size_that_is_not_valid_is_taken_from_the_length_and_said() {
        let whole = sqlite(4096, "INSERT INTO t VALUES (zeroblob(20000));");
        let mut bytes = whole.clone();
        bytes[28..32].copy_from_slice(&1_u32.to_be_bytes());
        bytes[92..96].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(pages_of(&import(&bytes, NEW).unwrap()).1 == whole);
        bytes.truncate(bytes.len() - 1);
        assert!(refusal(&bytes).contains("cut short"));
    }

    #[test]
    fn the_lock_page_is_left_out() {
        // Page 16,385 of 65,536 bytes is the lock page; what lies there must not matter.
        let shape = Shape { page_size: PageSize::new(65_536).unwrap(), commit: 16_386 };
        let mut seen = Vec::new();
        each_page(io::repeat(0), shape, &[], |pgno, _| {
            seen.push(pgno.get());
            Ok(())
        })
        .unwrap();
        assert_eq!(seen.len(), 16_385);
        assert_eq!(seen[16_383..], [16_384, 16_386]);
    }
}
