//! One open database: its history, where its pages are, and what a client may ask about them.
//!
//! Files are never changed once they are there, so whatever is looked up here stays right without
//! a lock while the files are read.

use litevfs::types::{PageSize, Pgno, Pos};
use parking_lot::RwLock;

use super::error::Error;
use super::history::{History, Step};
use super::index::{Index, PageRef};
use super::objects::Objects;
use super::open;
use crate::key::DbKey;

/// More changed pages than this, and a client had better drop its whole cache.
const MAX_CHANGED: usize = 10_000;

/// What changed between a client's position and the current one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes {
    /// Nothing: it is the current position.
    Nothing,
    /// These pages, ascending.
    Pages(Vec<Pgno>),
    /// That cannot be told, or it is too much to tell.
    All,
}

/// One database, as its files have it.
#[derive(Debug)]
pub struct Database {
    pub(super) key: DbKey,
    pub(super) objects: Objects,
    pub(super) page_size: PageSize,
    pub(super) state: RwLock<State>,
}

/// What is known about a database in memory; all of it can be rebuilt from its files.
#[derive(Debug)]
pub(super) struct State {
    pub(super) history: History,
    pub(super) index: Index,
}

impl State {
    /// A database without transactions.
    pub(super) fn new(page_size: PageSize) -> State {
        State { history: History::new(page_size), index: Index::default() }
    }

    /// Takes in the next file, which [`History::check_next`] has passed. Fails, and changes nothing,
    /// when the database grows by pages that the file does not have.
    pub(super) fn push(&mut self, step: Step, pages: Vec<PageRef>) -> Result<(), Error> {
        let lock_pgno = self.history.page_size().lock_pgno();
        if !grows_completely(self.history.commit(), step.commit, lock_pgno, &pages) {
            return Err(Error::MissingPages);
        }
        self.history.push(step);
        self.index.push(pages);
        Ok(())
    }
}

/// Whether every page that a database grows by is among `pages`, which ascend.
pub(super) fn grows_completely(
    old_commit: u32,
    new_commit: u32,
    lock_pgno: Pgno,
    pages: &[PageRef],
) -> bool {
    let grown = new_commit.saturating_sub(old_commit);
    let with_lock = (old_commit..new_commit).contains(&lock_pgno.get().saturating_sub(1));
    let expected = grown.saturating_sub(u32::from(with_lock)) as usize;
    let first_new = pages.partition_point(|page| page.pgno.get() <= old_commit);
    let new = pages.get(first_new..).unwrap_or_default();
    let in_place = |page: &PageRef| page.pgno.get() <= new_commit && page.pgno != lock_pgno;
    new.len() == expected && new.iter().all(in_place)
}

impl Database {
    /// Opens a database from its files; `None` when it has none.
    pub(super) async fn open(objects: &Objects, key: &DbKey) -> Result<Option<Database>, Error> {
        let state = open::open(objects, key).await?;
        Ok(state.map(|state| Database::with_state(objects, key, state)))
    }

    pub(super) fn with_state(objects: &Objects, key: &DbKey, state: State) -> Database {
        Database {
            key: key.clone(),
            objects: objects.clone(),
            page_size: state.history.page_size(),
            state: RwLock::new(state),
        }
    }

    /// The current position.
    pub fn pos(&self) -> Pos {
        self.state.read().history.pos()
    }

    /// Bytes of a page.
    pub const fn page_size(&self) -> PageSize {
        self.page_size
    }

    /// The current position, and what changed since another one.
    pub fn changes(&self, since: Pos) -> (Pos, Changes) {
        let state = self.state.read();
        let pos = state.history.pos();
        if since == pos {
            return (pos, Changes::Nothing);
        }
        let step = state.history.find(since);
        // Pages that went away and came back, or that went for good, are not worth telling apart.
        let step = step.filter(|&step| !state.history.shrank_since(step));
        let changed = step.and_then(|step| state.index.changed_since(step, MAX_CHANGED));
        (pos, changed.map_or(Changes::All, Changes::Pages))
    }

    /// The step that led to a position, by number.
    pub(super) fn step_at(&self, pos: Pos) -> Result<(usize, Step), Error> {
        let state = self.state.read();
        let number = state.history.find(pos);
        let step = number.and_then(|number| Some((number, *state.history.step(number)?)));
        step.ok_or_else(|| Error::PosMismatch(state.history.pos()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use litevfs::types::Checksum;

    #[test]
    fn a_growing_database_needs_every_new_page_but_the_lock_page() {
        let pages = |pgnos: &[u32]| -> Vec<PageRef> {
            let page = |&pgno| PageRef {
                pgno: Pgno::new(pgno).unwrap(),
                offset: 0,
                len: 0,
                checksum: Checksum::NONE,
            };
            pgnos.iter().map(page).collect()
        };
        let lock = Pgno::new(7).unwrap();
        let complete = |old, new, pgnos: &[u32]| grows_completely(old, new, lock, &pages(pgnos));
        assert!(complete(0, 2, &[1, 2]));
        assert!(complete(2, 4, &[1, 3, 4]));
        assert!(!complete(2, 4, &[1, 4]));
        assert!(complete(5, 8, &[6, 8]));
        assert!(complete(6, 7, &[]));
        assert!(!complete(5, 8, &[6, 7]));
        assert!(complete(4, 2, &[1]));
        assert!(!complete(4, 4, &[5]));
    }
}
