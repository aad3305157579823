//! Writes the pages of a view as one stored file, some at a time: however large, they are never all in
//! memory.

use std::sync::Arc;

use litevfs::ltx::{Header, StreamError, page_checksum};
use litevfs::types::{Checksum, Pgno};

use super::view::View;
use super::writer::Writer;
use crate::offload::offload;
use crate::spool::Spool;
use crate::store::bucket::error::Error;
use crate::store::bucket::file_index::FileIndex;
use crate::store::bucket::incarnation::Incarnation;
use crate::store::objects::reads::Objects;

/// About how many bytes of pages are read at a time.
const BATCH_BYTES: usize = 1 << 20;

/// Writes pages, ascending, under a header that [`crate::store::bucket::marks::stored_header`] made. Fails when they
/// are a whole database and do not add up to the checksum of the view's position: damage is not carried
/// on.
pub(in crate::store) async fn rewrite(
    objects: &Objects,
    db: &Incarnation,
    view: &View,
    pgnos: &[Pgno],
    header: Header,
) -> Result<(Arc<FileIndex>, Arc<Spool>), Error> {
    let failed = |error: StreamError<std::io::Error>| match error {
        StreamError::Io(error) => Error::Io(error),
        StreamError::Ltx(error) => Error::corrupt(db, error),
    };
    let whole = header.is_snapshot();
    let mut writer = Writer::new(header, objects.scratch()).map_err(failed)?;
    let mut checksum = Checksum::EMPTY;
    let batch = BATCH_BYTES.checked_div(view.page_size.len_bytes()).unwrap_or(1).max(1);
    for batch in pgnos.chunks(batch) {
        let pages = view.pages(objects, db, batch).await?;
        let len_bytes = view.page_size.len_bytes().saturating_mul(pages.len());
        let pgnos = batch.to_vec();
        let write = move || {
            for (&pgno, data) in pgnos.iter().zip(&pages) {
                if whole {
                    checksum = checksum.toggle(page_checksum(pgno, data));
                }
                writer.page(pgno, data)?;
            }
            Ok((writer, checksum))
        };
        (writer, checksum) = offload(len_bytes, write).await?.map_err(failed)?;
    }
    if whole && checksum != view.pos.post_apply_checksum {
        let what = format!("its pages do not add up to the checksum of {}", view.pos);
        return Err(Error::corrupt(db, what));
    }
    writer.finish().map_err(failed)
}
