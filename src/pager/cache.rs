//! Committed pages of one database, all as of one position.
//!
//! A page is good from the transaction it was read at (`since`) until the cache's position: when the
//! position moves, the pages that changed leave. So a reader at an older position may use a page
//! exactly when `since` is not after it.
//!
//! Pages lie in a file ([`PageFile`]), also for the next process where that is wanted. A disk that fails or
//! fills turns the cache into a small one in memory: never an error, only slower.

use super::block::Record;
use super::limits::CacheLimits;
use super::memory_pages::MemoryPages;
use super::page_file::PageFile;
use super::pages::Pages;
use crate::ltx::{Crc64, page_checksum};
use crate::sys::{self, log::log};
use crate::types::{Checksum, PageSize, Pgno, Pos, Txid};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use core::cell::RefCell;

/// Processes that may use one directory for one database, each with a cache of its own.
const MAX_CACHES_PER_DATABASE: u32 = 16;
/// Pages written between two looks at the free disk space.
const SPACE_CHECK_INTERVAL: u32 = 64;
/// Room for what is written beside pages between two looks.
const INDEX_RESERVE: u64 = 256 << 10;
/// A full cache evicts so much of itself at once: a 64th.
const EVICTED_SHARE_BITS: u32 = 6;

/// Where a cache keeps its files.
#[derive(Debug, Clone)]
pub struct CachePlace {
    /// Directory.
    pub dir: String,
    /// Server, cluster and database, as one text: caches of different databases never mix.
    pub identity: String,
    /// Whether the next process may use it. Otherwise the files have no name and go with this one.
    pub keep: bool,
}

/// See the module.
pub struct Cache {
    pos: Pos,
    page_size: Option<PageSize>,
    /// Asked by readers too, who may have a part of its index loaded.
    pages: RefCell<Box<dyn Pages>>,
    /// Page 1 and its record, since it was used: every transaction reads it more than once.
    page1: Option<(Record, Box<[u8]>)>,
    /// Where the file lies; `None` when the pages are in memory.
    dir: Option<String>,
    limits: CacheLimits,
    /// Whether nobody but caches takes space, so that evicting makes some.
    has_own_space: bool,
    writes_until_space_check: u32,
}

impl Cache {
    /// Opens the cache at a place, with what an earlier process left there, or an empty one.
    pub fn open(place: Option<&CachePlace>, limits: CacheLimits) -> Cache {
        let mut cache = Cache {
            pos: Pos::EMPTY,
            page_size: None,
            pages: RefCell::new(Box::new(MemoryPages::default())),
            page1: None,
            dir: None,
            limits,
            has_own_space: sys::HAS_OWN_SPACE,
            writes_until_space_check: 0,
        };
        if let Some(place) = place {
            match open_files(place) {
                Ok(Some((log_file, file, identity))) => {
                    let pages = PageFile::open(file, log_file, identity, place.keep);
                    (cache.pos, cache.page_size) = (pages.pos(), pages.page_size());
                    cache.pages = RefCell::new(Box::new(pages));
                    cache.dir = Some(place.dir.clone());
                }
                Ok(None) => log!(Warn, "{}: all caches are in use, going without", place.dir),
                Err(e) => log!(Warn, "{}: no cache: {e}", place.dir),
            }
        }
        cache.pages.get_mut().set_max(limits.max_pages);
        cache
    }

    /// The position that every page is good at.
    pub fn pos(&self) -> Pos {
        self.pos
    }

    /// The size of the pages, once one is known.
    pub fn page_size(&self) -> Option<PageSize> {
        self.page_size
    }

    /// Pages held.
    pub fn len_pages(&self) -> usize {
        self.page_size.map_or(0, |_| self.pages.borrow().len_pages())
    }

    /// The most pages that it takes.
    pub fn max_pages(&self) -> u32 {
        self.pages.borrow().max_pages()
    }

    /// Whether a page is there for a reader at `view`.
    pub fn contains(&self, pgno: Pgno, view: Txid) -> bool {
        self.record(pgno, view).is_some()
    }

    /// The checksum of a page for a reader at `view`, if it is cached.
    pub fn checksum(&self, pgno: Pgno, view: Txid) -> Option<Checksum> {
        self.record(pgno, view).map(|record| record.checksum)
    }

    fn record(&self, pgno: Pgno, view: Txid) -> Option<Record> {
        self.page_size?;
        self.pages.borrow_mut().record(pgno).filter(|record| record.since <= view)
    }

    /// Fills `page` for a reader at `view`; `false` when the page is not cached.
    pub fn read(&mut self, pgno: Pgno, view: Txid, page: &mut [u8]) -> bool {
        if self.page_size.is_none_or(|page_size| page_size.len_bytes() != page.len()) {
            return false;
        }
        if pgno != Pgno::ONE {
            return self.pages.get_mut().read(pgno, view, page);
        }
        if let Some((record, bytes)) = &self.page1
            && record.since <= view
            && bytes.len() == page.len()
        {
            page.copy_from_slice(bytes);
            return true;
        }
        let is_read = self.pages.get_mut().read(pgno, view, page);
        if is_read && let Some(record) = self.record(pgno, view) {
            self.page1 = Some((record, (&*page).into()));
        }
        is_read
    }

    /// Forgets everything; further pages are of `pos`.
    pub fn reset(&mut self, pos: Pos) {
        self.page1 = None;
        self.page_size = None;
        self.pos = pos;
    }

    /// Sets the page size after [`Cache::reset`], or when the first page of a database is known. A
    /// cache with pages of another size forgets them.
    pub fn set_page_size(&mut self, page_size: PageSize) {
        if self.page_size != Some(page_size) {
            self.reset(self.pos);
            self.page_size = Some(page_size);
            self.pages.get_mut().start(page_size);
        }
    }

    /// Moves to a newer position at which `changed` pages differ: they leave.
    pub fn advance(&mut self, pos: Pos, changed: &[Pgno]) {
        self.move_to(pos, changed.iter().copied());
    }

    fn move_to(&mut self, pos: Pos, changed: impl Iterator<Item = Pgno>) {
        for pgno in changed {
            self.drop_page(pgno);
        }
        self.pos = pos;
    }

    /// Moves to the position of a transaction of ours, whose `changed` pages, as `read` answers, replace
    /// the old ones; pages from `removed_from` on leave.
    pub fn apply<'a>(
        &mut self,
        pos: Pos,
        removed_from: Option<Pgno>,
        changed: &[(Pgno, Checksum)],
        mut read: impl FnMut(Pgno) -> Option<Cow<'a, [u8]>>,
    ) {
        self.page1 = None;
        if let (Some(_), Some(first)) = (self.page_size, removed_from) {
            self.pages.get_mut().remove_from(first);
        }
        self.move_to(pos, changed.iter().map(|&(pgno, _)| pgno));
        for &(pgno, checksum) in changed {
            if let Some(page) = read(pgno) {
                self.insert_known(pgno, pos.txid, &page, checksum);
            }
        }
    }

    /// Adds a page that is as it was at `since`, and is so still at the cache's position.
    pub fn insert(&mut self, pgno: Pgno, since: Txid, page: &[u8]) {
        if self.record(pgno, Txid(u64::MAX)).is_none() {
            self.insert_known(pgno, since, page, page_checksum(pgno, page));
        }
    }

    /// The same where the page's checksum is known.
    pub fn insert_known(&mut self, pgno: Pgno, since: Txid, page: &[u8], checksum: Checksum) {
        let fits = self.page_size.is_some_and(|size| size.len_bytes() == page.len());
        if !fits || self.pages.get_mut().record(pgno).is_some() {
            return;
        }
        self.watch_space();
        if !self.make_room() {
            return;
        }
        let record = Record { since, checksum };
        self.pages.get_mut().put(pgno, record, page);
        if pgno == Pgno::ONE {
            self.page1 = Some((record, page.into()));
        }
    }

    /// Puts on the disk what is due. To be called after each batch of changes.
    pub fn flush(&mut self) {
        if self.page_size.is_some() && !self.pages.get_mut().flush(self.pos) {
            log!(Warn, "the cache's disk does not take pages; keeping some in memory");
            self.fall_back_to_memory();
        }
    }

    /// Changes the bounds, and evicts what is too much.
    pub fn set_limits(&mut self, limits: CacheLimits) {
        self.limits = limits;
        let pages = self.pages.get_mut();
        pages.set_max(limits.max_pages);
        if self.page_size.is_some() {
            let beyond = pages.len_pages().saturating_sub(pages.max_pages() as usize);
            if beyond > 0 {
                pages.evict(u32::try_from(beyond).unwrap_or(u32::MAX));
            }
            self.flush();
        }
    }

    fn drop_page(&mut self, pgno: Pgno) {
        if pgno == Pgno::ONE {
            self.page1 = None;
        }
        if self.page_size.is_some() {
            self.pages.get_mut().remove(pgno);
        }
    }

    /// Makes room for one more page, or for some; `false` when there is none to be made.
    fn make_room(&mut self) -> bool {
        let pages = self.pages.get_mut();
        let max_pages = pages.max_pages();
        if pages.len_pages() >= max_pages as usize {
            pages.evict((max_pages >> EVICTED_SHARE_BITS).max(1));
        }
        pages.len_pages() < max_pages as usize
    }

    /// Looks now and then whether there is the room that there must be.
    fn watch_space(&mut self) {
        let Some(dir) = &self.dir else {
            return;
        };
        self.writes_until_space_check = match self.writes_until_space_check.checked_sub(1) {
            Some(left) => left,
            None => SPACE_CHECK_INTERVAL,
        };
        if self.writes_until_space_check != SPACE_CHECK_INTERVAL {
            return;
        }
        let Some(available) = sys::available_space(dir) else {
            return;
        };
        let is_enough = match self.page_size {
            Some(page_size) if self.has_own_space => self.fit(page_size, available),
            _ => available >= self.limits.min_available_space,
        };
        if !is_enough {
            log!(Warn, "too little free space for a cache; keeping some pages in memory");
            self.fall_back_to_memory();
        }
    }

    /// Where the space is ours: takes as many pages as there is room for, if that is worth a file.
    fn fit(&mut self, page_size: PageSize, available: u64) -> bool {
        let room = available.saturating_sub(room_until_next_look(page_size));
        let more = room >> page_size.bytes().trailing_zeros();
        let pages = self.pages.get_mut();
        let most = (pages.len_pages() as u64).saturating_add(more);
        let max_pages = u32::try_from(most).unwrap_or(u32::MAX);
        pages.set_max(match self.limits.max_pages {
            0 => max_pages,
            limit => max_pages.min(limit),
        });
        max_pages >= SPACE_CHECK_INTERVAL
    }

    fn fall_back_to_memory(&mut self) {
        self.page1 = None;
        self.dir = None;
        let mut pages = MemoryPages::default();
        pages.set_max(self.limits.max_pages);
        if let Some(page_size) = self.page_size {
            // An empty file with nothing said of it says nothing wrong.
            self.pages.get_mut().start(page_size);
            pages.start(page_size);
        }
        self.pages = RefCell::new(Box::new(pages));
    }
}

/// Bytes that two databases write between two looks, with what is known of the pages.
fn room_until_next_look(page_size: PageSize) -> u64 {
    let pages = u64::from(2 * SPACE_CHECK_INTERVAL);
    pages.saturating_mul(page_size.bytes().into()).saturating_add(INDEX_RESERVE)
}

/// The index file, locked for us, the page file, and the number that marks the log as this database's.
type CacheFiles = (sys::File, sys::File, u64);

/// Opens the first cache of the database that no other process uses; `None` when there are too many.
fn open_files(place: &CachePlace) -> Result<Option<CacheFiles>, String> {
    let text = |e| format!("{e}");
    sys::create_dir(&place.dir).map_err(text)?;
    let mut crc = Crc64::new();
    crc.update(place.identity.as_bytes());
    let identity = crc.finish();
    for n in 0..MAX_CACHES_PER_DATABASE {
        let base = format!("{}/{identity:016x}-{n}", place.dir);
        let (index_path, pages_path) = (format!("{base}.index"), format!("{base}.pages"));
        let Some(index) = sys::File::open_locked(&index_path).map_err(text)? else {
            continue;
        };
        // Somebody may have removed the index file of a process that goes on using the other.
        let Some(pages) = sys::File::open_locked(&pages_path).map_err(text)? else {
            continue;
        };
        if !place.keep {
            sys::File::unlink(&index_path);
            sys::File::unlink(&pages_path);
        }
        return Ok(Some((index, pages, identity)));
    }
    Ok(None)
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
