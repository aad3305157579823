//! Transactions that this server makes itself: another content for a database, or its end.

use std::sync::Arc;

use litevfs::ltx::{Header, page_checksum};
use litevfs::page1::is_encrypted;
use litevfs::types::{Checksum, PageSize, Pgno, Pos};

use super::convert::Sound;
use crate::random;
use crate::spool::Spool;
use crate::store::bucket::error::Error;
use crate::store::bucket::incarnation::Incarnation;
use crate::store::bucket::marks::{self, Marks};
use crate::store::history::database::Database;
use crate::store::history::shelf::Shelf;
use crate::store::history::view::View;
use crate::store::history::writer::Writer;

/// How many pages are read at a time.
const BATCH: usize = 256;

/// What a transaction makes the content of a database: that of a view, with another page 1 perhaps.
pub(in crate::store) struct Target<'a> {
    pub(in crate::store) view: &'a View,
    pub(in crate::store) page1: Option<Vec<u8>>,
    pub(in crate::store) is_break: bool,
}

impl Target<'_> {
    /// A view as it is.
    pub(in crate::store) fn of(view: &View) -> Target<'_> {
        Target { view, page1: None, is_break: false }
    }
}

impl Shelf {
    /// The transaction that makes the content of one view out of another, at that time in ms.
    pub(in crate::store) async fn sound_from_view(
        &self,
        database: &Database,
        now: &View,
        to: Target<'_>,
        pgnos: Vec<Pgno>,
        timestamp_ms: u64,
    ) -> Result<Sound, Error> {
        let Target { view: then, page1, is_break } = to;
        let txid = now.pos.txid.next().ok_or(Error::LastTxid)?;
        let header = Header {
            commit: then.commit,
            min_txid: txid,
            max_txid: txid,
            timestamp_ms,
            pre_apply_checksum: now.pos.post_apply_checksum,
            base_id: now.pos.commit_id,
            ..Header::new(then.page_size)
        };
        let mut post_apply_checksum = then.pos.post_apply_checksum;
        if let Some(page1) = &page1 {
            let stored = database.page1(then).await?;
            for page in [&stored, page1] {
                post_apply_checksum = post_apply_checksum.toggle(page_checksum(Pgno::ONE, page));
            }
        }
        let (before, id) = (now.pos.post_apply_checksum, random::commit_id().map_err(Error::Io)?);
        let marks = Marks::of_one(before, post_apply_checksum, id, timestamp_ms);
        let marks = Marks { is_break, ..marks };
        let stored = marks::stored_header(&header, &marks, pgnos.iter().copied());
        let failed = |error: litevfs::ltx::StreamError<std::io::Error>| match error {
            litevfs::ltx::StreamError::Io(error) => Error::Io(error),
            litevfs::ltx::StreamError::Ltx(error) => Error::corrupt(&database.db, error),
        };
        let mut writer = Writer::new(stored, self.scratch()).map_err(failed)?;
        let (mut checksums, mut encrypted) = (Vec::with_capacity(pgnos.len()), None);
        for batch in pgnos.chunks(BATCH) {
            for (&pgno, data) in batch.iter().zip(database.pages_of(then, batch).await?) {
                let data = page1.as_ref().filter(|_| pgno == Pgno::ONE).unwrap_or(&data);
                checksums.push(page_checksum(pgno, data));
                if pgno == Pgno::ONE {
                    encrypted = Some(is_encrypted(data));
                }
                writer.page(pgno, data).map_err(failed)?;
            }
        }
        let (index, file) = writer.finish().map_err(failed)?;
        Ok(Sound { header, index, checksums, file, encrypted })
    }

    /// The file of the transaction after a position that says that the database is dropped.
    pub(in crate::store) fn tombstone(
        &self,
        db: &Incarnation,
        page_size: PageSize,
        pos: Pos,
        timestamp_ms: u64,
    ) -> Result<Arc<Spool>, Error> {
        let txid = pos.txid.successor().ok_or(Error::LastTxid)?;
        let header = Header {
            commit: 0,
            min_txid: txid,
            max_txid: txid,
            timestamp_ms,
            no_checksum: true,
            ..Header::new(page_size)
        };
        let (before, id) = (pos.post_apply_checksum, random::commit_id().map_err(Error::Io)?);
        let marks = Marks::of_one(before, Checksum::EMPTY, id, timestamp_ms);
        let stored = marks::stored_header(&header, &marks, std::iter::empty());
        let made = Writer::new(stored, self.scratch()).and_then(Writer::finish);
        made.map(|(_, file)| file).map_err(|error| Error::corrupt(db, error))
    }
}
