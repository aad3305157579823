//! Turns an uploaded LTX v1 file into the v3 file that is stored; [`marks`] says how they differ.

use std::io;
use std::path::Path;
use std::sync::Arc;

use litevfs::ltx::{self, Decoder, Header, IoRead, StreamError, Trailer, Version, page_checksum};
use litevfs::types::{Checksum, CommitId, Pgno, Txid};

use crate::random;
use crate::spool::Spool;
use crate::store::bucket::error::Error;
use crate::store::bucket::file_index::FileIndex;
use crate::store::bucket::marks::{self, MAX_SPAN, Marks, Tag};
use crate::store::bucket::page1;
use crate::store::history::writer::Writer;

/// The most pages an upload may hold: a few dozen bytes of memory go to each, however small it is when
/// compressed.
const MAX_PAGES: usize = 1 << 24;

/// An upload that decodes.
#[derive(Debug)]
pub(in crate::store) struct Converted {
    pub(in crate::store) header: Header,
    /// What to store; or the rule it breaks that stands after the rules on page size and position,
    /// which are thus to be looked at first.
    pub(in crate::store) sound: Result<Sound, Error>,
}

/// A transaction whose file is ready to be stored.
#[derive(Debug)]
pub(in crate::store) struct Sound {
    /// Its header as the client sent it.
    pub(in crate::store) header: Header,
    /// What the stored file has, and where.
    pub(in crate::store) index: Arc<FileIndex>,
    /// The checksums of its pages.
    pub(in crate::store) checksums: Vec<Checksum>,
    pub(in crate::store) file: Arc<Spool>,
    /// Whether its page 1 is encrypted, if it has one.
    pub(in crate::store) encrypted: Option<bool>,
}

/// What is known of an upload after it was read once.
struct Survey {
    header: Header,
    trailer: Trailer,
    pgnos: Vec<Pgno>,
    checksums: Vec<Checksum>,
    /// What is wrong with page 1.
    disagreement: Option<String>,
}

/// Decodes, verifies and converts an upload that the server takes in now, in ms since the Unix epoch;
/// with a group's tag, into a file that counts only with the group.
pub(in crate::store) fn convert(
    upload: &Spool,
    scratch: &Path,
    now_ms: u64,
    group: Option<Tag>,
) -> Result<Converted, Error> {
    let decoder = decoder(upload).map_err(|error| decode_error(error, upload))?;
    let header = *decoder.header();
    if header.max_txid > Txid::LAST {
        return Err(Error::BadFormat(format!(
            "the LTX file ends with transaction {}, but {} is the last there can be",
            header.max_txid,
            Txid::LAST
        )));
    }
    let broken = |error| Ok(Converted { header, sound: Err(error) });
    let survey = match survey(decoder) {
        Ok(Some(survey)) => survey,
        Ok(None) => {
            return broken(Error::BadFormat(format!(
                "the LTX file holds more than {MAX_PAGES} pages: make several smaller transactions"
            )));
        }
        Err(StreamError::Ltx(ltx::Error::SnapshotGap)) => return broken(Error::MissingPages),
        Err(StreamError::Ltx(error @ ltx::Error::DatabaseChecksum)) => {
            return broken(Error::BadChecksum(error.to_string()));
        }
        Err(error) => return Err(decode_error(error, upload)),
    };
    if header.commit == 0 {
        let text =
            "the LTX file leaves no page of the database: to delete it, say so by DELETE /db";
        return broken(Error::BadPage1(text.into()));
    }
    if let Some(disagreement) = survey.disagreement {
        return broken(Error::BadPage1(disagreement));
    }
    if header.min_txid != Txid(1) && span(&header) > MAX_SPAN {
        let text =
            format!("the LTX file spans more than {MAX_SPAN} transactions: send fewer at once");
        return broken(Error::BadFormat(text));
    }
    let sound = store_form(upload, survey, scratch, now_ms, group);
    Ok(Converted { header, sound: Ok(sound.map_err(|error| decode_error(error, upload))?) })
}

/// How many transactions a valid header spans beyond the first.
fn span(header: &Header) -> u64 {
    header.max_txid.since(header.min_txid).unwrap_or_default()
}

fn decoder(
    upload: &Spool,
) -> Result<Decoder<IoRead<Box<dyn io::Read + '_>>>, StreamError<io::Error>> {
    let reader = upload.reader_for_work().map_err(StreamError::Io)?;
    Decoder::new(IoRead(reader), Version::V1)
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

/// Reads an upload to its end, which verifies it; `None` when it has too many pages.
fn survey<R: io::Read>(
    mut decoder: Decoder<IoRead<R>>,
) -> Result<Option<Survey>, StreamError<io::Error>> {
    let header = *decoder.header();
    let (mut pgnos, mut checksums) = (Vec::new(), Vec::new());
    let (mut disagreement, mut data) = (None, Vec::new());
    while let Some(pgno) = decoder.next_page(&mut data)? {
        if pgnos.len() == MAX_PAGES {
            return Ok(None);
        }
        if pgno == Pgno::ONE {
            disagreement = page1::disagreement(&data, &header);
        }
        pgnos.push(pgno);
        checksums.push(page_checksum(pgno, &data));
    }
    let trailer = decoder.finish()?;
    Ok(Some(Survey { header, trailer, pgnos, checksums, disagreement }))
}

/// Reads an upload once more and makes the file that decides its commit.
fn store_form(
    upload: &Spool,
    survey: Survey,
    scratch: &Path,
    now_ms: u64,
    group: Option<Tag>,
) -> Result<Sound, StreamError<io::Error>> {
    let Survey { header, trailer, pgnos, checksums, .. } = survey;
    let commit_id = match header.commit_id {
        CommitId::NONE => random::commit_id().map_err(StreamError::Io)?,
        chosen => chosen,
    };
    let marks = Marks {
        pre_apply_checksum: header.pre_apply_checksum,
        post_apply_checksum: trailer.post_apply_checksum,
        commit_id,
        client_timestamp_ms: header.timestamp_ms,
        span: span(&header),
        group,
        is_break: false,
    };
    let guard = Header { max_txid: header.min_txid, timestamp_ms: now_ms, ..header };
    let stored = marks::stored_header(&guard, &marks, pgnos.iter().copied());
    let mut writer = Writer::new(stored, scratch)?;
    let (mut decoder, mut data) = (decoder(upload)?, Vec::new());
    while let Some(pgno) = decoder.next_page(&mut data)? {
        writer.page(pgno, &data)?;
    }
    let (index, file) = writer.finish()?;
    let encrypted = index.find(Pgno::ONE).map(|_| header.encrypted);
    Ok(Sound { header, index, checksums, file, encrypted })
}

/// Whether an upload that is not v1 would pass as v3, to say so; large ones are not looked at.
fn is_v3(upload: &Spool) -> bool {
    let decodes = |bytes: &[u8]| {
        Decoder::new(bytes, Version::V3).is_ok_and(|decoder| decoder.finish().is_ok())
    };
    upload.in_memory().is_some_and(|bytes| decodes(&bytes))
}
