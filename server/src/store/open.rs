//! Opens a database: reads what its files say about themselves, not their pages.

use futures_util::{StreamExt, TryStreamExt, stream};
use litevfs::ltx::{HEADER_LEN, Header, PageIndex, TRAILER_LEN, Version};
use litevfs::types::{Checksum, PageSize};
use object_store::path::Path;

use super::database::State;
use super::error::Error;
use super::history::Step;
use super::index::PageRef;
use super::layout;
use super::objects::{Listed, Objects};
use crate::key::DbKey;

/// How many files are read at the same time.
const PARALLEL: usize = 16;
/// Bytes read from the end of a file at first: the page index of most transactions fits.
const TAIL: u64 = 16 << 10;
/// The shortest file: a header, an index size and a trailer.
const MIN_LEN: u64 = (HEADER_LEN + 8 + TRAILER_LEN) as u64;

const NO_CHECKSUM: &str = "it was not written by this server: the database's checksum is not in it; \
    restore the database with the program that wrote it, and push it to this server anew";

/// Reads the state of a database from its files; `None` when it has none.
///
/// Fails when the files are not one history without a gap: better no database than a wrong one.
pub(super) async fn open(objects: &Objects, key: &DbKey) -> Result<Option<State>, Error> {
    let folder = layout::level0(key);
    objects.settle(&folder).await?;
    let listed = objects.ltx_files(&folder).await?;
    let mut files = stream::iter(listed)
        .map(async |listed| {
            let path = layout::ltx_file(key, listed.min_txid, listed.max_txid);
            let file = open_file(objects, &path, listed).await?;
            Ok::<_, Error>((path, file))
        })
        .buffered(PARALLEL);
    let mut state: Option<State> = None;
    while let Some((path, file)) = files.try_next().await? {
        let mut header = file.header;
        let state = state.get_or_insert_with(|| State::new(header.page_size));
        if header.no_checksum {
            header.pre_apply_checksum = state.history.pos().post_apply_checksum;
        }
        state
            .history
            .check_next(&header)
            .map_err(|error| Error::corrupt(&path, format!("it does not follow: {error}")))?;
        state
            .push(Step::new(&header, file.post_apply_checksum), file.pages)
            .map_err(|error| Error::corrupt(&path, error))?;
    }
    Ok(state)
}

/// What a file says about itself.
struct OpenFile {
    header: Header,
    post_apply_checksum: Checksum,
    pages: Vec<PageRef>,
}

async fn open_file(objects: &Objects, path: &Path, listed: Listed) -> Result<OpenFile, Error> {
    let len = listed.len;
    if len < MIN_LEN {
        return Err(Error::corrupt(path, "it is too short for an LTX file"));
    }
    let tail_at = len.saturating_sub(TAIL);
    let parts = objects.read(path, &[0..HEADER_LEN as u64, tail_at..len]).await?;
    let [head, tail] = parts.as_slice() else {
        return Err(Error::corrupt(path, "it could not be read"));
    };
    let corrupt = |error: litevfs::ltx::Error| Error::corrupt(path, error);
    let head = head.first_chunk().ok_or_else(|| Error::corrupt(path, "it has no header"))?;
    let (header, _) = Header::decode(head, Version::V3).map_err(corrupt)?;
    let post_apply_checksum = post_apply_field(tail)
        .and_then(|trailer| layout::post_apply_checksum(&header, trailer))
        .ok_or_else(|| Error::corrupt(path, NO_CHECKSUM))?;
    if (header.min_txid, header.max_txid) != (listed.min_txid, listed.max_txid) {
        return Err(Error::corrupt(path, "its name and its header differ"));
    }
    let needed = PageIndex::tail_len(tail).map_err(corrupt)?;
    let index = if needed <= tail.len() as u64 {
        PageIndex::decode(tail, len).map_err(corrupt)?
    } else {
        let from = len.checked_sub(needed).ok_or_else(|| Error::corrupt(path, "bad index size"))?;
        let parts = objects.read(path, std::slice::from_ref(&(from..len))).await?;
        let tail = parts.first().ok_or_else(|| Error::corrupt(path, "it could not be read"))?;
        PageIndex::decode(tail, len).map_err(corrupt)?
    };
    let pages = page_refs(&index, header.page_size, |_| Checksum::NONE)
        .ok_or_else(|| Error::corrupt(path, "a page frame is longer than a page can become"))?;
    Ok(OpenFile { header, post_apply_checksum, pages })
}

/// The trailer's post-apply checksum, from the last bytes of a file.
pub(super) fn post_apply_field(tail: &[u8]) -> Option<Checksum> {
    let trailer = tail.last_chunk::<TRAILER_LEN>()?;
    Some(Checksum(u64::from_be_bytes(*trailer.first_chunk()?)))
}

/// A file's page index with page checksums; `None` when a frame is longer than any page's can be.
pub(super) fn page_refs(
    index: &PageIndex,
    page_size: PageSize,
    checksum: impl Fn(usize) -> Checksum,
) -> Option<Vec<PageRef>> {
    // LZ4 adds less than half a percent to what it cannot compress, headers a few dozen bytes.
    let max_len = page_size.bytes().saturating_mul(2);
    let page = |(number, entry): (usize, &litevfs::ltx::IndexEntry)| {
        Some(PageRef {
            pgno: entry.pgno,
            offset: entry.offset,
            len: u32::try_from(entry.len).ok().filter(|&len| len <= max_len)?,
            checksum: checksum(number),
        })
    };
    index.entries().iter().enumerate().map(page).collect()
}
