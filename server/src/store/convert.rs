//! Turns an uploaded LTX v1 file into the v3 file that is stored; [`layout`] says how they differ.

use std::io::{self, BufWriter};
use std::path::Path;

use litevfs::ltx::{
    self, Decoder, Encoder, Format, Header, IoRead, IoWrite, StreamError, TRAILER_LEN, Version,
    page_checksum,
};
use litevfs::types::{Checksum, Pgno};

use super::error::Error;
use super::history::Step;
use super::index::PageRef;
use super::layout;
use super::open::{page_refs, post_apply_field};
use super::page1;
use crate::spool::{Spool, SpoolWriter};

/// The most pages an upload may hold: about a hundred bytes of memory go to each, however small it
/// is when compressed.
const MAX_PAGES: usize = 1 << 24;

/// An upload that decodes.
#[derive(Debug)]
pub(super) struct Converted {
    pub(super) header: Header,
    /// What to store; or the rule it breaks that stands after the rules on page size and position,
    /// which are thus to be looked at first.
    pub(super) sound: Result<Sound, Error>,
}

/// An upload whose file checksum holds, ready to be stored.
#[derive(Debug)]
pub(super) struct Sound {
    pub(super) step: Step,
    /// Its pages, with their checksums, and where they are in `file`.
    pub(super) pages: Vec<PageRef>,
    pub(super) file: Spool,
}

/// Decodes, verifies and converts an upload.
pub(super) fn convert(upload: &Spool, scratch: &Path) -> Result<Converted, Error> {
    // The stored header needs what the upload ends with; decoding tells whether that is its trailer.
    let claimed = match upload.tail::<TRAILER_LEN>()? {
        Some(trailer) => post_apply_field(&trailer).unwrap_or(Checksum::NONE),
        None => Checksum::NONE,
    };
    let decoder = Decoder::new(IoRead(upload.reader()?), Version::V1)
        .map_err(|error| decode_error(error, upload))?;
    let header = *decoder.header();
    let sound = match convert_pages(decoder, claimed, scratch) {
        Ok(Some((sound, None))) => Ok(sound),
        Ok(Some((_, Some(disagreement)))) => Err(Error::BadPage1(disagreement)),
        Ok(None) => Err(Error::BadFormat(format!(
            "the LTX file holds more than {MAX_PAGES} pages: make several smaller transactions"
        ))),
        Err(StreamError::Ltx(ltx::Error::SnapshotGap)) => Err(Error::MissingPages),
        Err(StreamError::Ltx(error @ ltx::Error::DatabaseChecksum)) => {
            Err(Error::BadChecksum(error.to_string()))
        }
        Err(error) => return Err(decode_error(error, upload)),
    };
    Ok(Converted { header, sound })
}

fn decode_error(error: StreamError<io::Error>, upload: &Spool) -> Error {
    match error {
        StreamError::Io(error) => Error::Io(error),
        StreamError::Ltx(error @ ltx::Error::FileChecksum) => Error::BadChecksum(error.to_string()),
        StreamError::Ltx(error) if is_v3(upload) => {
            Error::BadFormat(format!("this is an LTX v3 file, uploads must be LTX v1 ({error})"))
        }
        StreamError::Ltx(error) => Error::BadFormat(error.to_string()),
    }
}

/// Converts the pages, and says what is wrong with page 1; `None` when there are too many.
fn convert_pages<R: io::Read>(
    mut decoder: Decoder<IoRead<R>>,
    claimed: Checksum,
    scratch: &Path,
) -> Result<Option<(Sound, Option<String>)>, StreamError<io::Error>> {
    let header = *decoder.header();
    let out = IoWrite(BufWriter::new(SpoolWriter::new(scratch)));
    let stored = layout::stored_header(&header, claimed);
    let mut encoder = Encoder::new(out, Format::V3Block, stored)?;
    let mut checksums: Vec<Checksum> = Vec::new();
    let mut disagreement = None;
    let mut data = Vec::new();
    while let Some(pgno) = decoder.next_page(&mut data)? {
        if checksums.len() == MAX_PAGES {
            return Ok(None);
        }
        if pgno == Pgno::ONE {
            disagreement = page1::disagreement(&data, &header);
        }
        encoder.encode_page(pgno, &data)?;
        checksums.push(page_checksum(pgno, &data));
    }
    let trailer = decoder.finish()?;
    if trailer.post_apply_checksum != claimed {
        return Err(ltx::Error::TrailingBytes.into());
    }
    let finished = encoder.finish(Checksum::NONE)?;
    let checksum = |number| checksums.get(number).copied().unwrap_or(Checksum::NONE);
    let pages = page_refs(&finished.index, header.page_size, checksum)
        .ok_or(ltx::Error::CompressedTooLong)?;
    let writer =
        finished.out.0.into_inner().map_err(|error| StreamError::Io(error.into_error()))?;
    let file = writer.finish().map_err(StreamError::Io)?;
    let step = Step::new(&header, trailer.post_apply_checksum);
    Ok(Some((Sound { step, pages, file }, disagreement)))
}

/// Whether an upload that is not v1 would pass as v3, to say so; large ones are not looked at.
fn is_v3(upload: &Spool) -> bool {
    let decodes = |bytes: &[u8]| {
        Decoder::new(bytes, Version::V3).is_ok_and(|decoder| decoder.finish().is_ok())
    };
    upload.in_memory().is_some_and(|bytes| decodes(&bytes))
}
