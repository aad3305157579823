//! Whole files, read and written.

use crate::ltx::{
    Crc64, Decoder, Encoder, Error, Finished, Format, Header, PageIndex, Trailer, Version,
};
use crate::types::{Checksum, Pgno};

/// Bytes of pages that are kept of one file.
const MOST: usize = 32 << 20;

/// Every format.
pub const FORMATS: [Format; 4] = [Format::V1Raw, Format::V1Lz4, Format::V3Frame, Format::V3Block];

/// A page with its contents.
pub type Page = (Pgno, Vec<u8>);

/// What is in a file.
pub type Content = (Header, Vec<Page>, Trailer);

/// Every file that others made.
pub fn examples() -> Vec<Vec<u8>> {
    let mut files = crate::fuzzing::files("tests/data/ltx");
    files.retain(|file| file.starts_with(b"LTX1"));
    files
}

/// Reads a file; one that is larger than is of use here counts as none.
pub fn decode(file: &[u8], version: Version) -> Result<Content, Error> {
    let mut decoder = Decoder::new(file, version).map_err(Error::from)?;
    let header = *decoder.header();
    let (mut pages, mut page, mut len) = (Vec::new(), Vec::new(), 0);
    while let Some(pgno) = decoder.next_page(&mut page).map_err(Error::from)? {
        assert_eq!(page.len(), header.page_size.len_bytes());
        len += page.len();
        if len > MOST {
            return Err(Error::Truncated);
        }
        pages.push((pgno, page.clone()));
    }
    let trailer = decoder.finish().map_err(Error::from)?;
    Ok((header, pages, trailer))
}

/// Writes a file.
pub fn encode(
    header: Header,
    format: Format,
    pages: &[Page],
    post_apply: Checksum,
) -> Result<Finished<Vec<u8>>, Error> {
    let mut encoder = Encoder::new(Vec::new(), format, header).map_err(Error::from)?;
    for (pgno, page) in pages {
        encoder.encode_page(*pgno, page).map_err(Error::from)?;
    }
    encoder.finish(post_apply).map_err(Error::from)
}

/// The file checksum that a file should have, worked out by itself; `None` when its pages can't be read.
pub fn checksum(file: &[u8], version: Version) -> Option<u64> {
    let (content, _) = file.split_last_chunk::<8>()?;
    let (_, post_apply) = content.split_last_chunk::<8>()?;
    let mut decoder = Decoder::new(file, version).ok()?;
    let (mut crc, mut page, mut len) = (Crc64::new(), Vec::new(), 0);
    crc.update(file.get(..100)?);
    let index = PageIndex::decode(file, file.len() as u64).ok();
    let mut entries = index.iter().flat_map(|index| index.entries());
    while let Some(pgno) = decoder.next_page(&mut page).ok()? {
        len += page.len();
        if len > MOST {
            return None;
        }
        match version {
            Version::V1 => crc.update(&pgno.get().to_be_bytes()),
            Version::V3 => {
                let frame = file.get(entries.next()?.offset as usize..)?;
                let header_len = if frame.get(4..6)? == [0, 0] { 6 } else { 10 };
                crc.update(frame.get(..header_len)?);
            }
        }
        crc.update(&page);
    }
    match version {
        Version::V1 => crc.update(&[0; 4]),
        Version::V3 => {
            let tail = PageIndex::tail_len(file).ok()?;
            let begin = (file.len() as u64).checked_sub(tail)?;
            crc.update(&[0; 6]);
            crc.update(file.get(begin as usize..file.len() - 16)?);
        }
    }
    crc.update(post_apply);
    Some(crc.finish() | Checksum::FLAG)
}
