//! Reads a whole database at one position, some pages at a time, and checks that it is the one that
//! was committed.

use std::sync::Arc;

use litevfs::ltx::{Header, page_checksum};
use litevfs::types::{Checksum, Pgno, Pos, Txid};

use super::database::Database;
use super::pins::Pin;
use super::view::View;
use crate::store::bucket::error::Error;

/// About how many bytes of pages are read at a time: hundreds of clients may be slow.
const BATCH_BYTES: usize = 256 << 10;
/// The same from a store that takes a while for each read.
const SHARED_BATCH_BYTES: usize = 1 << 20;

/// All pages of a database at a position, in order.
#[derive(Debug)]
pub struct Snapshot {
    database: Arc<Database>,
    view: View,
    /// However long a client takes to read it, its files stay, as far as this server has a say.
    _pin: Pin,
    /// The last page handed out, 0 at first.
    last: u32,
    /// The database checksum of the pages handed out.
    checksum: Checksum,
}

impl Snapshot {
    /// A snapshot at a position, or at the current one.
    pub async fn new(database: Arc<Database>, pos: Option<Pos>) -> Result<Snapshot, Error> {
        let view = database.view(pos).await?;
        let pin = database.pin(&view);
        Ok(Snapshot { database, view, _pin: pin, last: 0, checksum: Checksum::EMPTY })
    }

    /// The header of the snapshot as an LTX file.
    pub fn header(&self) -> Header {
        Header {
            commit: self.view.commit,
            min_txid: Txid(1),
            max_txid: self.view.pos.txid,
            timestamp_ms: self.view.timestamp_ms,
            ..Header::new(self.view.page_size)
        }
    }

    /// Its position.
    pub const fn pos(&self) -> Pos {
        self.view.pos
    }

    /// The next pages, without the lock page; empty at the end. Only that end says that all pages were
    /// sound: it is an error instead when they do not add up to the position's checksum.
    pub async fn next_pages(&mut self) -> Result<Vec<(Pgno, Vec<u8>)>, Error> {
        let shared = self.database.objects.is_shared();
        let bytes = if shared { SHARED_BATCH_BYTES } else { BATCH_BYTES };
        let count = bytes.checked_div(self.view.page_size.len_bytes()).unwrap_or(1);
        let next = self.last.saturating_add(1);
        let pgnos: Vec<Pgno> = self.view.pgnos_from(next).take(count).collect();
        let Some(last) = pgnos.last() else {
            return self.verify().map(|()| Vec::new());
        };
        self.last = last.get();
        let pages = self.database.pages_of(&self.view, &pgnos).await?;
        let pages: Vec<_> = pgnos.into_iter().zip(pages).collect();
        for (pgno, data) in &pages {
            self.checksum = self.checksum.toggle(page_checksum(*pgno, data));
        }
        Ok(pages)
    }

    fn verify(&self) -> Result<(), Error> {
        if self.checksum == self.view.pos.post_apply_checksum {
            return Ok(());
        }
        let what = format!("its pages do not add up to the checksum of {}", self.view.pos);
        Err(Error::corrupt(&self.database.db, what))
    }
}
