//! One open database: what is known of its files, and what a client may ask about it.
//!
//! Files are never changed once they are there, so whatever is looked up here stays right without a
//! lock while they are read. When a file was removed meanwhile, because a merged one replaces it, the
//! list of files is read again.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use litevfs::types::{PageSize, Pgno, Pos, Txid};
use parking_lot::{Mutex, RwLock};
use tokio::time::Instant;

use super::bucket::error::Error;
use super::bucket::file_index::FileIndex;
use super::bucket::head::Head;
use super::bucket::incarnation::Incarnation;
use super::bucket::layout;
use super::bucket::ltx_file::LtxFile;
use super::floors::Floors;
use super::group::doubt::Doubt;
use super::indexes::Indexes;
use super::learned::Learned;
use super::objects::reads::Objects;
use super::pins::{Identity, Pin, Pins};
use super::state::State;
use super::view::View;

/// More changed pages than this, and a client had better drop its whole cache.
const MAX_CHANGED: usize = 10_000;
/// How often the list of files is read again because one of them is gone.
pub(super) const RELOADS: usize = 4;
/// Bytes that an open database takes without its files, about.
const DATABASE_BYTES: usize = 5 << 10;

/// What changed between a client's position and the current one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes {
    /// Nothing: it is the current position.
    Nothing,
    /// These pages, ascending.
    Pages(Vec<Pgno>),
    /// Too many to tell, or pages are gone; by commits alone.
    Many,
    /// That cannot be told, or it was not by commits alone, and the pages do not say so.
    All,
}

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
    pub(super) db: Arc<Incarnation>,
    pub(super) objects: Objects,
    pub(super) indexes: Arc<Indexes>,
    pub(super) state: RwLock<State>,
    /// A file after the last transaction that does not count, or not yet.
    pub(super) doubt: Doubt,
    /// Its head as it was last read.
    head: Mutex<Head>,
    /// Floors, and when this server first saw each, oldest first.
    floors: Mutex<Floors>,
    /// When it was last made sure that there is no newer transaction. Held while that is done.
    pub(super) looked_at: tokio::sync::Mutex<Option<Instant>>,
    /// The files of the name that are being read.
    pins: Pins,
    /// It was dropped, and perhaps made anew, by another server.
    replaced: AtomicBool,
    /// Which pages clients ask for.
    pub(super) learned: Mutex<Learned>,
}

impl Database {
    pub(super) fn new(
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
    pub(super) fn memory(&self) -> usize {
        let learned = self.learned.lock().memory();
        let parts = [DATABASE_BYTES, learned, self.state.read().memory()];
        parts.into_iter().fold(0, usize::saturating_add)
    }

    /// Keeps this server from removing the files of a view while what is returned lives.
    pub(super) fn pin(&self, view: &View) -> Pin {
        self.pins.pin(&self.db, view.layers().iter().map(|layer| layer.file))
    }

    /// The files that must stay for now.
    pub(super) fn pinned(&self) -> HashSet<Identity> {
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

    /// The database at a position, or at the current one.
    pub async fn view(&self, pos: Option<Pos>) -> Result<View, Error> {
        let mut looked = !self.objects.is_shared();
        for _ in 0..RELOADS {
            match self.try_view(pos).await {
                // Another server may know more by now, or have merged files and removed them.
                Err(Error::PosMismatch(_)) if !looked => self.look(Duration::ZERO).await?,
                Err(Error::Gone(_)) => self.reload_at(pos).await?,
                done => return done,
            }
            looked = true;
        }
        self.try_view(pos).await
    }

    async fn try_view(&self, pos: Option<Pos>) -> Result<View, Error> {
        let (plan, current) = {
            let mut state = self.state.write();
            let current = state.tip.pos;
            let wanted = pos.unwrap_or(current);
            if wanted.txid > current.txid || wanted.is_empty() {
                return Err(Error::PosMismatch(current));
            }
            let plan = if wanted.txid == current.txid {
                state.plan()
            } else {
                state.files.plan(wanted.txid).map(Arc::from)
            };
            (plan, current)
        };
        let Some(plan) = plan else {
            return Err(match pos {
                Some(pos) if pos.txid != current.txid => Error::PosMismatch(current),
                _ => Error::corrupt(&self.db, "files with transactions in the middle are missing"),
            });
        };
        let view = View::new(&self.objects, &self.indexes, &self.db, &plan).await?;
        if pos.is_some_and(|pos| !pos.agrees(view.pos)) {
            return Err(Error::PosMismatch(current));
        }
        Ok(view)
    }

    /// The pages of a position, in the order asked for.
    #[cfg(test)]
    pub async fn pages(&self, pos: Pos, pgnos: &[Pgno]) -> Result<Vec<Vec<u8>>, Error> {
        let view = self.view(Some(pos)).await?;
        self.pages_of(&view, pgnos).await
    }

    /// The pages of a view, in the order asked for; from other files if its own were removed.
    pub async fn pages_of(&self, view: &View, pgnos: &[Pgno]) -> Result<Vec<Vec<u8>>, Error> {
        let mut pages = view.pages(&self.objects, &self.db, pgnos).await;
        for _ in 0..RELOADS {
            if !matches!(pages, Err(Error::Gone(_))) {
                break;
            }
            self.reload_at(Some(view.pos)).await?;
            let view = self.view(Some(view.pos)).await?;
            pages = view.pages(&self.objects, &self.db, pgnos).await;
        }
        pages
    }

    /// The current position, and what changed since another one.
    pub async fn changes(&self, since: Pos) -> Result<(Pos, Changes), Error> {
        for _ in 0..RELOADS {
            match self.try_changes(since).await {
                Err(Error::Gone(_)) => self.reload().await?,
                done => return done,
            }
        }
        self.try_changes(since).await
    }

    async fn try_changes(&self, since: Pos) -> Result<(Pos, Changes), Error> {
        let (pos, then, cover) = {
            let state = self.state.read();
            let pos = state.tip.pos;
            if since.agrees(pos) {
                return Ok((pos, Changes::Nothing));
            }
            let then = state.files.ending_at(since.txid).copied();
            (pos, then, state.files.cover(since.txid, pos.txid))
        };
        let (Some(then), Some(cover)) = (then, cover) else {
            return Ok((pos, Changes::All));
        };
        let then = self.index(&then).await?;
        if !then.pos().agrees(since) {
            return Ok((pos, Changes::All));
        }
        let (mut commit, mut changed, mut is_told) = (then.commit, Vec::new(), true);
        for file in cover {
            let index = self.index(&file).await?;
            // Pages of another size have nothing to do with these.
            if index.marks.is_break || index.page_size != then.page_size {
                return Ok((pos, Changes::All));
            }
            // Pages that went away, for good or not, are not worth telling.
            is_told &= index.commit >= commit
                && changed.len().saturating_add(index.len()) <= MAX_CHANGED.saturating_mul(8);
            commit = index.commit;
            if is_told {
                changed.extend(index.pgnos());
            }
        }
        changed.sort_unstable();
        changed.dedup();
        is_told &= changed.len() <= MAX_CHANGED;
        Ok((pos, if is_told { Changes::Pages(changed) } else { Changes::Many }))
    }

    pub(super) async fn index(&self, file: &LtxFile) -> Result<Arc<FileIndex>, Error> {
        self.indexes.get(&self.objects, &self.db, file).await
    }

    /// The level-0 file that decided the last transaction, or began with it.
    pub(super) fn last_committed(&self) -> Option<LtxFile> {
        self.state.read().files.level(0).next_back().copied()
    }

    /// Its head as it was last read.
    pub(super) fn head(&self) -> Head {
        self.head.lock().clone()
    }

    /// Takes note of its head; fails when that has moved on to another incarnation.
    pub(super) fn note(&self, head: &Head) -> Result<(), Error> {
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
    pub(super) fn old_floor(&self) -> (Txid, Option<Duration>) {
        self.floors.lock().old(self.objects.is_shared())
    }

    /// Whether another server dropped it, so that it must be opened anew.
    pub(super) fn is_replaced(&self) -> bool {
        self.replaced.load(Ordering::Acquire)
    }

    pub(super) fn set_replaced(&self) {
        self.replaced.store(true, Ordering::Release);
    }
}
