//! Uploads that span several transactions: the second of their files is made from the first.

use std::sync::Arc;

use litevfs::ltx::Header;
use litevfs::types::{Pgno, Txid};

use super::indexes::Indexes;
use super::rewrite::rewrite;
use super::view::View;
use crate::store::bucket::error::Error;
use crate::store::bucket::file_index::FileIndex;
use crate::store::bucket::incarnation::Incarnation;
use crate::store::bucket::ltx_file::LtxFile;
use crate::store::bucket::marks::{self, Marks};
use crate::store::objects::create::Created;
use crate::store::objects::reads::Objects;

/// Makes the second file of an upload that spans several transactions, from the first; another server
/// may make the same. Returns it with its index.
pub(in crate::store) async fn complete_span(
    objects: &Objects,
    indexes: &Indexes,
    db: &Arc<Incarnation>,
    guard: &LtxFile,
) -> Result<(LtxFile, Arc<FileIndex>), Error> {
    let index = indexes.get(objects, db, guard).await?;
    let max_txid = guard.min_txid.0.checked_add(index.marks.span).map(Txid);
    let max_txid = max_txid.ok_or_else(|| {
        Error::corrupt(objects.shape.file(db, guard), "it spans more than there can be")
    })?;
    let header = Header {
        commit: index.commit,
        min_txid: guard.min_txid,
        max_txid,
        timestamp_ms: index.timestamp_ms,
        no_checksum: true,
        ..Header::new(index.page_size)
    };
    let marks = Marks { span: 0, ..index.marks };
    let header = marks::stored_header(&header, &marks, index.pgnos());
    let pgnos: Vec<Pgno> = index.pgnos().collect();
    let view = View::of_file(*guard, index);
    let (index, spool) = rewrite(objects, db, &view, &pgnos, header).await?;
    let whole = objects.shape.named(db, 0, guard.min_txid, max_txid);
    let version = match objects.create(&whole, &spool, header.timestamp_ms).await? {
        Created::New(version) => version,
        Created::Exists => return same_span(objects, indexes, db, guard, max_txid, &index).await,
    };
    let file = LtxFile::stored(0, (guard.min_txid, max_txid), spool.len(), version);
    indexes.put(db, &file, Arc::clone(&index));
    Ok((file, index))
}

/// The second file of an upload that is there already, perhaps with other bytes: another release of this
/// server may have packed the same pages.
async fn same_span(
    objects: &Objects,
    indexes: &Indexes,
    db: &Arc<Incarnation>,
    guard: &LtxFile,
    max_txid: Txid,
    ours: &FileIndex,
) -> Result<(LtxFile, Arc<FileIndex>), Error> {
    let whole = objects.shape.named(db, 0, guard.min_txid, max_txid);
    let listed = objects.committed_from(db, guard.min_txid).await?;
    let named = |file: &LtxFile| (file.min_txid, file.max_txid) == (guard.min_txid, max_txid);
    let file = listed.into_iter().find(named).ok_or_else(|| Error::Gone(whole.to_string()))?;
    let index = indexes.get(objects, db, &file).await?;
    let same = index.post_apply_checksum() == ours.post_apply_checksum()
        && (index.commit, index.page_size) == (ours.commit, ours.page_size)
        && index.pgnos().eq(ours.pgnos());
    // Another file of that name would have other content for the same transactions.
    let other = || Error::corrupt(whole, "it is not the file before it, whole");
    if same { Ok((file, index)) } else { Err(other()) }
}
