//! Merges LTX files into one that does what they did.

use std::sync::Arc;

use litevfs::ltx::Header;
use litevfs::types::{Pgno, Txid};

use crate::store::bucket::error::Error;
use crate::store::bucket::ltx_file::{LtxFile, SNAPSHOT_LEVEL};
use crate::store::bucket::marks::{self, Marks};
use crate::store::bucket::schedule::Merge;
use crate::store::history::database::Database;
use crate::store::history::rewrite::rewrite;
use crate::store::history::shelf::Shelf;
use crate::store::history::view::View;
use crate::store::objects::create::Created;

impl Shelf {
    /// Merges files into one and stores it; `None` when there is one of its name.
    ///
    /// Files of two page sizes can't be one. So those before such a change are merged, and the rest
    /// the next time.
    pub(in crate::store) async fn merge(
        &self,
        database: &Database,
        merge: &Merge,
    ) -> Result<Option<LtxFile>, Error> {
        let view = View::of_run(&self.objects, &self.indexes, &database.db, &merge.inputs).await?;
        let pgnos = pages_of(&view);
        let header = header(&view, &pgnos, merge.level)?;
        let path =
            self.objects.shape.named(&database.db, merge.level, header.min_txid, header.max_txid);
        let (index, content) = rewrite(&self.objects, &database.db, &view, &pgnos, header).await?;
        let version = match self.objects.create_merged(&path, &content, header.timestamp_ms).await?
        {
            Created::New(version) => version,
            Created::Exists => return Ok(None),
        };
        self.metrics.compaction(merge.level, content.len());
        let txids = (header.min_txid, header.max_txid);
        let file = LtxFile::stored(merge.level, txids, content.len(), version);
        self.indexes.put(&database.db, &file, Arc::clone(&index));
        Ok(Some(file))
    }
}

/// The pages that files leave when merged, ascending.
fn pages_of(view: &View) -> Vec<Pgno> {
    let mut pgnos: Vec<Pgno> = Vec::new();
    for layer in view.layers() {
        let count = pgnos.len();
        pgnos.extend(layer.index.pgnos().filter(|pgno| pgno.get() <= view.commit));
        // Most runs repeat the same pages: this keeps the list in proportion to what is left.
        if count > 0 && pgnos.len() >= count.saturating_mul(2) {
            pgnos.sort_unstable();
            pgnos.dedup();
        }
    }
    pgnos.sort_unstable();
    pgnos.dedup();
    pgnos
}

/// The header of the merged file.
fn header(view: &View, pgnos: &[Pgno], level: u8) -> Result<Header, Error> {
    let (first, last) = match view.layers() {
        [first, .., last] => (first, last),
        [only] => (only, only),
        [] => return Err(Error::NoDatabase),
    };
    let header = Header {
        commit: view.commit,
        // Of what was before the page size changed nothing is left.
        min_txid: if level == SNAPSHOT_LEVEL { Txid(1) } else { first.file.min_txid },
        max_txid: last.file.max_txid,
        timestamp_ms: view.timestamp_ms,
        no_checksum: true,
        ..Header::new(view.page_size)
    };
    let marks = Marks {
        pre_apply_checksum: first.index.marks.pre_apply_checksum,
        post_apply_checksum: view.pos.post_apply_checksum,
        commit_id: view.pos.commit_id,
        client_timestamp_ms: 0,
        span: 0,
        group: None,
        is_break: view.layers().iter().any(|layer| layer.index.marks.is_break),
    };
    Ok(marks::stored_header(&header, &marks, pgnos.iter().copied()))
}
