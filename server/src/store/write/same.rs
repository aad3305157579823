//! Whether a stored file is what an upload was made into: the same transaction, sent again.

use std::sync::Arc;

use litevfs::ltx::page_checksum;
use litevfs::types::Pgno;

use super::convert::Sound;
use crate::store::bucket::error::Error;
use crate::store::bucket::file_index::{FileIndex, is_tombstone};
use crate::store::bucket::incarnation::Incarnation;
use crate::store::bucket::ltx_file::LtxFile;
use crate::store::history::view::View;
use crate::store::objects::reads::Objects;

/// How many pages are compared at the same time.
const BATCH: usize = 256;

impl Sound {
    /// Whether it is that file, page for page. It is not when the file was merged and removed meanwhile:
    /// that is too late to tell.
    ///
    /// An equal database checksum does not prove it: it is linear, so that the same change
    /// made to two pages cancels out, and one writer's transaction could pass for another's. Nor do
    /// equal pages without the commit's id, or, of clients that choose none, its time, or the group: the same
    /// change made by two clients to the same base would be one transaction, acknowledged to both.
    pub(in crate::store) async fn is_file(
        &self,
        objects: &Objects,
        db: &Incarnation,
        file: LtxFile,
        held: &Arc<FileIndex>,
    ) -> Result<bool, Error> {
        let upload = &self.index;
        let same = held.marks.client_timestamp_ms == upload.marks.client_timestamp_ms
            && (!self.header.commit_id.is_set() || held.marks.commit_id == self.header.commit_id)
            && held.marks.group == upload.marks.group
            && held.marks.post_apply_checksum == upload.marks.post_apply_checksum
            && held.marks.span == upload.marks.span
            && held.marks.follows(upload.marks.pre_apply_checksum)
            && held.commit == upload.commit
            && held.page_size == upload.page_size
            && !is_tombstone(held)
            && held.pgnos().eq(upload.pgnos());
        if !same {
            return Ok(false);
        }
        let pgnos: Vec<Pgno> = held.pgnos().collect();
        let view = View::of_file(file, Arc::clone(held));
        for (batch, ours) in pgnos.chunks(BATCH).zip(self.checksums.chunks(BATCH)) {
            let pages = match view.pages(objects, db, batch).await {
                Err(Error::Gone(_)) => return Ok(false),
                pages => pages?,
            };
            let theirs = batch.iter().zip(&pages).map(|(&pgno, data)| page_checksum(pgno, data));
            if !theirs.eq(ours.iter().copied()) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
