//! One open database: what is known of its files, and what a client may ask about it.
//!
//! Files are never changed once they are there, so whatever is looked up here stays right without a
//! lock while they are read. When a file was removed meanwhile, because a merged one replaces it, the
//! list of files is read again.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use litevfs::types::{PageSize, Pos, Txid};
use parking_lot::{Mutex, RwLock};
use tokio::time::Instant;

use super::floors::Floors;
use super::indexes::Indexes;
use super::learned::Learned;
use super::pins::{Identity, Pin, Pins};
use super::standing::Doubt;
use super::state::State;
use super::view::View;
use crate::store::bucket::error::Error;
use crate::store::bucket::file_index::FileIndex;
use crate::store::bucket::head::Head;
use crate::store::bucket::incarnation::Incarnation;
use crate::store::bucket::layout;
use crate::store::bucket::ltx_file::LtxFile;
use crate::store::objects::reads::Objects;

/// Bytes that an open database takes without its files, about.
const DATABASE_BYTES: usize = 5 << 10;

/// What a database is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Its position.
    pub pos: Pos,
    /// Pages.
    pub commit: u32,
    /// Bytes of a page.
    pub page_size: PageSize,
    /// When the last transaction was committed, in ms since the Unix epoch.
    pub timestamp_ms: u64,
    /// How many files it has.
    pub files: usize,
    /// Bytes of all of them.
    pub stored_bytes: u64,
}

/// One database, as its files have it.
#[derive(Debug)]
pub struct Database {
    pub(in crate::store) db: Arc<Incarnation>,
    pub(in crate::store) objects: Objects,
    pub(in crate::store) indexes: Arc<Indexes>,
    pub(in crate::store) state: RwLock<State>,
    /// A file after the last transaction that does not count, or not yet.
    pub(in crate::store) doubt: Doubt,
    /// Its head as it was last read.
    head: Mutex<Head>,
    /// Floors, and when this server first saw each, oldest first.
    floors: Mutex<Floors>,
    /// When it was last made sure that there is no newer transaction. Held while that is done: the fourth lock,
    /// see [`super::slots::Slot`].
    pub(in crate::store) looked_at: tokio::sync::Mutex<Option<Instant>>,
    /// The files of the name that are being read.
    pins: Pins,
    /// It was dropped, and perhaps made anew, by another server.
    replaced: AtomicBool,
    /// Which pages clients ask for.
    pub(in crate::store) learned: Mutex<Learned>,
}

impl Database {
    pub(in crate::store) fn new(
        head: &Head,
        objects: &Objects,
        indexes: &Arc<Indexes>,
        state: State,
        doubt: &Doubt,
        pins: &Pins,
    ) -> Database {
        Database {
            db: Arc::clone(&head.db),
            objects: objects.clone(),
            indexes: Arc::clone(indexes),
            state: RwLock::new(state),
            doubt: Arc::clone(doubt),
            head: Mutex::new(head.clone()),
            floors: Mutex::new(Floors::seen(head)),
            looked_at: tokio::sync::Mutex::new(Some(Instant::now())),
            pins: pins.clone(),
            replaced: AtomicBool::new(false),
            learned: Mutex::default(),
        }
    }

    /// Bytes of memory it takes, about.
    pub(in crate::store) fn memory(&self) -> usize {
        let learned = self.learned.lock().memory();
        let parts = [DATABASE_BYTES, learned, self.state.read().memory()];
        parts.into_iter().fold(0, usize::saturating_add)
    }

    /// Keeps this server from removing the files of a view while what is returned lives.
    pub(in crate::store) fn pin(&self, view: &View) -> Pin {
        self.pins.pin(&self.db, view.layers().iter().map(|layer| layer.file))
    }

    /// The files that must stay for now.
    pub(in crate::store) fn pinned(&self) -> HashSet<Identity> {
        self.pins.of(&self.db)
    }

    /// The folder of its files in the store.
    pub fn folder(&self) -> String {
        layout::folder(&self.db).to_string()
    }

    /// The current position.
    pub fn pos(&self) -> Pos {
        self.state.read().tip.pos
    }

    /// Bytes of a page.
    pub fn page_size(&self) -> PageSize {
        self.state.read().tip.page_size
    }

    /// What it is now.
    pub fn summary(&self) -> Summary {
        let state = self.state.read();
        let (files, stored_bytes) = state.files.totals();
        Summary {
            pos: state.tip.pos,
            commit: state.tip.commit,
            page_size: state.tip.page_size,
            timestamp_ms: state.tip.timestamp_ms,
            files,
            stored_bytes,
        }
    }

    /// How many files make up the current position.
    pub fn plan_len(&self) -> usize {
        self.state.write().plan().map_or(0, |plan| plan.len())
    }

    pub(in crate::store) async fn index(&self, file: &LtxFile) -> Result<Arc<FileIndex>, Error> {
        self.indexes.get(&self.objects, &self.db, file).await
    }

    /// The level-0 file that decided the last transaction, or began with it.
    pub(in crate::store) fn last_committed(&self) -> Option<LtxFile> {
        self.state.read().files.level(0).next_back().copied()
    }

    /// Its head as it was last read.
    pub(in crate::store) fn head(&self) -> Head {
        self.head.lock().clone()
    }

    /// Takes note of its head; fails when that has moved on to another incarnation.
    pub(in crate::store) fn note(&self, head: &Head) -> Result<(), Error> {
        if head.db != self.db {
            self.set_replaced();
            return Err(Error::Replaced);
        }
        self.floors.lock().note(head);
        *self.head.lock() = head.clone();
        Ok(())
    }

    /// The floor that this server has seen for long enough to remove what is below; and when it will be
    /// so with one that is higher.
    pub(in crate::store) fn old_floor(&self) -> (Txid, Option<Duration>) {
        self.floors.lock().old(self.objects.is_shared())
    }

    /// Whether another server dropped it, so that it must be opened anew.
    pub(in crate::store) fn is_replaced(&self) -> bool {
        self.replaced.load(Ordering::Acquire)
    }

    pub(in crate::store) fn set_replaced(&self) {
        self.replaced.store(true, Ordering::Release);
    }
}
