//! Merges LTX files into one that does what they did.

use std::sync::Arc;

use litevfs::ltx::{Header, StreamError, page_checksum};
use litevfs::types::{Checksum, Pgno};

use super::schedule::Merge;
use crate::offload::offload;
use crate::store::Store;
use crate::store::claim::now_ms;
use crate::store::convert::Writer;
use crate::store::create::Created;
use crate::store::database::Database;
use crate::store::error::Error;
use crate::store::files::LtxFile;
use crate::store::layout::{self, Marks};
use crate::store::view::View;

/// About how many bytes of pages are read at a time.
const BATCH_BYTES: usize = 1 << 20;

impl Store {
    /// Merges files into one and stores it; `None` when there is one of its name.
    ///
    /// A file that holds the whole database is checked against the checksum of its position: damage is
    /// not carried on.
    pub(super) async fn merge(
        &self,
        database: &Database,
        merge: &Merge,
    ) -> Result<Option<LtxFile>, Error> {
        let view = View::of_run(&self.objects, &self.indexes, &database.key, &merge.inputs).await?;
        let pgnos = pages_of(&view);
        let (header, whole) = header(&view, &pgnos)?;
        let path =
            self.objects.shape.named(&database.key, merge.level, header.min_txid, header.max_txid);
        let failed = |error: StreamError<std::io::Error>| match error {
            StreamError::Io(error) => Error::Io(error),
            StreamError::Ltx(error) => Error::corrupt(&path, error),
        };
        let mut writer = Writer::new(header, self.scratch()).map_err(failed)?;
        let mut checksum = Checksum::EMPTY;
        let batch = BATCH_BYTES.checked_div(view.page_size.len_bytes()).unwrap_or(1).max(1);
        for batch in pgnos.chunks(batch) {
            let pages = view.pages(&self.objects, &database.key, batch).await?;
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
            return Err(Error::corrupt(&database.key, what));
        }
        let (index, content) = writer.finish().map_err(failed)?;
        let version = match self.objects.put_merged(&path, &content, header.timestamp_ms).await? {
            Created::New(version) => version,
            Created::Exists => return Ok(None),
        };
        self.metrics.compaction(merge.level, content.len());
        let file = LtxFile {
            level: merge.level,
            min_txid: header.min_txid,
            max_txid: header.max_txid,
            len: content.len(),
            version,
            written_ms: now_ms(),
        };
        self.indexes.put(&database.key, &file, Arc::clone(&index));
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

/// The header of the merged file, and whether it holds the whole database.
fn header(view: &View, pgnos: &[Pgno]) -> Result<(Header, bool), Error> {
    let (first, last) = match view.layers() {
        [first, .., last] => (first, last),
        [only] => (only, only),
        [] => return Err(Error::NoDatabase),
    };
    let header = Header {
        page_size: view.page_size,
        commit: view.commit,
        min_txid: first.file.min_txid,
        max_txid: last.file.max_txid,
        timestamp_ms: view.timestamp_ms,
        pre_apply_checksum: Checksum::NONE,
        wal_offset: 0,
        wal_size: 0,
        wal_salt: [0; 2],
        node_id: 0,
        no_checksum: true,
    };
    let marks = Marks {
        pre_apply_checksum: first.index.marks.pre_apply_checksum,
        post_apply_checksum: view.pos.post_apply_checksum,
        client_timestamp_ms: 0,
        span: 0,
    };
    let header = layout::stored_header(&header, &marks, pgnos.iter().copied());
    Ok((header, header.is_snapshot()))
}
