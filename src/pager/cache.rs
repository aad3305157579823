//! Committed pages of one database, all as of one position.
//!
//! A page is good from the transaction it was read at (`since`) until the cache's position: when the
//! position moves, the pages that changed leave. So a reader at an older position may use a page
//! exactly when `since` is not after it.
//!
//! The index is in memory and, for a cache that outlives the process, in a log ([`IndexLog`]). A page
//! found there is trusted when its checksum holds. A disk that fails or fills turns the cache into a
//! small one in memory: never an error, only slower.

use super::index_log::{IndexLog, Record};
use super::storage::Storage;
use crate::ltx::{Crc64, page_checksum};
use crate::sys::{self, log::log};
use crate::types::{Checksum, PageSize, Pgno, Pos, Txid};
use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Pages kept in memory where there is no usable disk and no lower limit is set.
const MAX_MEMORY_PAGES: u32 = 2_000;
/// The log is rewritten when it has this many records more than four times what it needs.
const LOG_SLACK_RECORDS: u64 = 4_096;
/// Processes that may use one directory for one database, each with a cache of its own.
const MAX_CACHES_PER_DATABASE: u32 = 16;
/// Pages written between two looks at the free disk space.
const SPACE_CHECK_INTERVAL: u32 = 64;

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

/// Bounds of a cache.
#[derive(Debug, Clone, Copy)]
pub struct CacheLimits {
    /// Pages; 0 for any number.
    pub max_pages: u32,
    /// Bytes to leave free on the file system.
    pub min_available_space: u64,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    slot: u32,
    since: Txid,
    checksum: Checksum,
    /// Whether this process wrote the page or checked it.
    verified: bool,
}

/// A slot's user, and whether it was read since the last time the hand passed.
#[derive(Debug, Clone, Copy)]
struct Slot {
    pgno: Option<Pgno>,
    referenced: bool,
}

/// See the module.
pub struct Cache {
    pos: Pos,
    page_size: Option<PageSize>,
    entries: BTreeMap<Pgno, Entry>,
    slots: Vec<Slot>,
    free_slots: Vec<u32>,
    /// Where to look next for a page to evict.
    hand: usize,
    storage: Storage,
    log: Option<IndexLog>,
    unlogged: Vec<Record>,
    dir: Option<String>,
    limits: CacheLimits,
    writes_until_space_check: u32,
}

impl Cache {
    /// Opens the cache at a place, with what an earlier process left there, or an empty one.
    pub fn open(place: Option<&CachePlace>, limits: CacheLimits) -> Cache {
        let mut cache = Cache {
            pos: Pos::EMPTY,
            page_size: None,
            entries: BTreeMap::new(),
            slots: Vec::new(),
            free_slots: Vec::new(),
            hand: 0,
            storage: Storage::memory(),
            log: None,
            unlogged: Vec::new(),
            dir: None,
            limits,
            writes_until_space_check: 0,
        };
        if let Some(place) = place {
            match open_files(place) {
                Ok(Some((log_file, pages, identity))) => {
                    cache.storage = Storage::File(pages);
                    cache.dir = Some(place.dir.clone());
                    cache.adopt(log_file, identity, place.keep);
                }
                Ok(None) => log!(Warn, "{}: all caches are in use, going without", place.dir),
                Err(e) => log!(Warn, "{}: no cache: {e}", place.dir),
            }
        }
        cache
    }

    /// Takes over what the log says.
    fn adopt(&mut self, log_file: sys::File, identity: u64, keep: bool) {
        let (log, page_size, records) = IndexLog::open(log_file, identity);
        self.log = keep.then_some(log);
        self.page_size = page_size;
        let mut pos = Pos::EMPTY;
        let mut entries = BTreeMap::new();
        for record in records {
            match record {
                Record::Put { pgno, slot, since, checksum } => {
                    entries.insert(pgno, Entry { slot, since, checksum, verified: false });
                }
                Record::Drop(pgno) => {
                    entries.remove(&pgno);
                }
                Record::Pos(at) => pos = at,
            }
        }
        // Pages of a transaction whose position was not reached any more, and slots claimed twice.
        entries.retain(|_, entry| entry.since <= pos.txid);
        let mut used: Vec<(u32, Pgno)> = entries.iter().map(|(&pgno, e)| (e.slot, pgno)).collect();
        used.sort_unstable();
        for pair in used.windows(2) {
            if let [(slot, _), (next_slot, pgno)] = pair
                && slot == next_slot
            {
                entries.remove(pgno);
            }
        }
        used.dedup_by_key(|(slot, _)| *slot);
        for (slot, pgno) in used {
            while self.slots.len() < slot as usize {
                self.free_slots.push(u32::try_from(self.slots.len()).unwrap_or(u32::MAX));
                self.slots.push(Slot { pgno: None, referenced: false });
            }
            self.slots.push(Slot { pgno: Some(pgno), referenced: false });
        }
        self.pos = pos;
        self.entries = entries;
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
        self.entries.len()
    }

    /// The most pages that it takes.
    pub fn max_pages(&self) -> u32 {
        self.max_slots()
    }

    /// Whether a page is there for a reader at `view`.
    pub fn contains(&self, pgno: Pgno, view: Txid) -> bool {
        self.entries.get(&pgno).is_some_and(|entry| entry.since <= view)
    }

    /// Fills `page` for a reader at `view`; `false` when the page is not cached.
    pub fn read(&mut self, pgno: Pgno, view: Txid, page: &mut [u8]) -> bool {
        let Some(page_size) = self.page_size else {
            return false;
        };
        let Some(entry) = self.entries.get_mut(&pgno) else {
            return false;
        };
        if entry.since > view || page.len() != page_size.len_bytes() {
            return false;
        }
        let good = self.storage.read(entry.slot, page, page_size)
            && (entry.verified || page_checksum(pgno, page) == entry.checksum);
        if !good {
            log!(Info, "page {pgno} does not hold in the cache, dropped");
            self.drop_page(pgno);
            return false;
        }
        entry.verified = true;
        if let Some(slot) = self.slots.get_mut(entry.slot as usize) {
            slot.referenced = true;
        }
        true
    }

    /// The checksum of a page for a reader at `view`, if it is cached.
    pub fn checksum(&self, pgno: Pgno, view: Txid) -> Option<Checksum> {
        let entry = self.entries.get(&pgno).filter(|entry| entry.since <= view);
        entry.map(|entry| entry.checksum)
    }

    /// Forgets everything; further pages are of `pos`.
    pub fn reset(&mut self, pos: Pos) {
        self.entries.clear();
        self.slots.clear();
        self.free_slots.clear();
        self.unlogged.clear();
        self.hand = 0;
        if let Some(page_size) = self.page_size.take() {
            self.storage.truncate(0, page_size);
        }
        self.pos = pos;
    }

    /// Sets the page size after [`Cache::reset`], or when the first page of a database is known. A
    /// cache with pages of another size forgets them.
    pub fn set_page_size(&mut self, page_size: PageSize) {
        if self.page_size != Some(page_size) {
            self.reset(self.pos);
            self.page_size = Some(page_size);
            self.rewrite_log();
        }
    }

    /// Moves to a newer position at which `changed` pages differ: they leave.
    pub fn advance(&mut self, pos: Pos, changed: &[Pgno]) {
        for &pgno in changed {
            self.drop_page(pgno);
        }
        self.set_pos(pos);
    }

    /// Moves to the position of a transaction of ours, whose `changed` pages, as `read` answers, replace
    /// the old ones; pages past `commit` leave.
    pub fn apply<'a>(
        &mut self,
        pos: Pos,
        commit: u32,
        changed: &[(Pgno, Checksum)],
        mut read: impl FnMut(Pgno) -> Option<Cow<'a, [u8]>>,
    ) {
        let end = Pgno::new(commit.saturating_add(1)).unwrap_or(Pgno::ONE);
        let gone: Vec<Pgno> = self.entries.range(end..).map(|(&pgno, _)| pgno).collect();
        for pgno in gone {
            self.drop_page(pgno);
        }
        for &(pgno, checksum) in changed {
            // The old version must leave before anything can go wrong with the new one.
            self.drop_page(pgno);
            if let Some(page) = read(pgno) {
                self.insert_known(pgno, pos.txid, &page, checksum);
            }
        }
        self.set_pos(pos);
    }

    /// Adds a page that is as it was at `since`, and is so still at the cache's position.
    pub fn insert(&mut self, pgno: Pgno, since: Txid, page: &[u8]) {
        if !self.entries.contains_key(&pgno) {
            self.insert_known(pgno, since, page, page_checksum(pgno, page));
        }
    }

    /// The same where the page's checksum is known.
    pub fn insert_known(&mut self, pgno: Pgno, since: Txid, page: &[u8], checksum: Checksum) {
        let Some(page_size) = self.page_size.filter(|size| size.len_bytes() == page.len()) else {
            return;
        };
        if self.entries.contains_key(&pgno) {
            return;
        }
        self.watch_space();
        let Some(slot) = self.take_slot(pgno) else {
            return;
        };
        if !self.storage.write(slot, page, page_size) {
            log!(Warn, "the cache's disk does not take pages; keeping some in memory");
            self.fall_back_to_memory();
            return;
        }
        self.entries.insert(pgno, Entry { slot, since, checksum, verified: true });
        self.note(Record::Put { pgno, slot, since, checksum });
    }

    /// Writes the index records that are due. To be called after each batch of changes.
    pub fn flush(&mut self) {
        let (Some(log), Some(_)) = (&mut self.log, self.page_size) else {
            self.unlogged.clear();
            return;
        };
        let needed =
            (self.entries.len() as u64).saturating_mul(4).saturating_add(LOG_SLACK_RECORDS);
        if log.len_records() > needed {
            self.rewrite_log();
        } else if !self.unlogged.is_empty() {
            let written = log.append(&self.unlogged);
            self.unlogged.clear();
            if !written {
                // What is there is still true; what comes is not recorded any more.
                self.log = None;
            }
        }
    }

    /// Changes the bounds, and evicts what is too much.
    pub fn set_limits(&mut self, limits: CacheLimits) {
        self.limits = limits;
        let max = self.max_slots();
        if let (Some(page_size), true) = (self.page_size, self.slots.len() > max as usize) {
            let beyond = self.slots.get(max as usize..).unwrap_or_default();
            let gone: Vec<Pgno> = beyond.iter().filter_map(|slot| slot.pgno).collect();
            for pgno in gone {
                self.drop_page(pgno);
            }
            self.slots.truncate(max as usize);
            self.free_slots.retain(|&slot| slot < max);
            self.storage.truncate(max, page_size);
        }
        self.flush();
    }

    fn set_pos(&mut self, pos: Pos) {
        if self.pos != pos {
            self.pos = pos;
            self.note(Record::Pos(pos));
        }
    }

    fn note(&mut self, record: Record) {
        if self.log.is_some() {
            self.unlogged.push(record);
        }
    }

    fn drop_page(&mut self, pgno: Pgno) {
        if let Some(entry) = self.entries.remove(&pgno) {
            if let Some(slot) = self.slots.get_mut(entry.slot as usize) {
                slot.pgno = None;
            }
            self.free_slots.push(entry.slot);
            self.note(Record::Drop(pgno));
        }
    }

    fn rewrite_log(&mut self) {
        self.unlogged.clear();
        let (Some(log), Some(page_size)) = (&mut self.log, self.page_size) else {
            return;
        };
        let put = |(&pgno, entry): (&Pgno, &Entry)| Record::Put {
            pgno,
            slot: entry.slot,
            since: entry.since,
            checksum: entry.checksum,
        };
        let mut records: Vec<Record> = self.entries.iter().map(put).collect();
        records.push(Record::Pos(self.pos));
        if !log.rewrite(page_size, &records) {
            self.log = None;
        }
    }

    fn max_slots(&self) -> u32 {
        let default = match self.storage {
            Storage::File(_) => u32::MAX,
            Storage::Memory(_) => MAX_MEMORY_PAGES,
        };
        if self.limits.max_pages == 0 { default } else { self.limits.max_pages.min(default) }
    }

    /// A slot for one more page: a free one, a new one, or that of a page not used for long.
    fn take_slot(&mut self, pgno: Pgno) -> Option<u32> {
        let slot = match self.free_slots.pop() {
            Some(slot) => slot,
            None if self.slots.len() < self.max_slots() as usize => {
                self.slots.push(Slot { pgno: None, referenced: false });
                u32::try_from(self.slots.len().checked_sub(1)?).ok()?
            }
            None => self.evict()?,
        };
        *self.slots.get_mut(slot as usize)? = Slot { pgno: Some(pgno), referenced: true };
        Some(slot)
    }

    /// Frees a slot by the second-chance rule. Page 1 stays: every transaction reads it.
    fn evict(&mut self) -> Option<u32> {
        for _ in 0..self.slots.len().saturating_mul(2) {
            let at = self.hand;
            self.hand = at.checked_add(1).filter(|&next| next < self.slots.len()).unwrap_or(0);
            let slot = self.slots.get_mut(at)?;
            match slot.pgno {
                Some(pgno) if !slot.referenced && pgno != Pgno::ONE => {
                    self.drop_page(pgno);
                    return self.free_slots.pop();
                }
                _ => slot.referenced = false,
            }
        }
        None
    }

    /// Leaves the file when the disk has less room than must stay free.
    fn watch_space(&mut self) {
        let (Some(dir), Storage::File(_)) = (&self.dir, &self.storage) else {
            return;
        };
        self.writes_until_space_check = match self.writes_until_space_check.checked_sub(1) {
            Some(left) => left,
            None => SPACE_CHECK_INTERVAL,
        };
        if self.writes_until_space_check != SPACE_CHECK_INTERVAL {
            return;
        }
        let available = sys::available_space(dir);
        if available.is_some_and(|bytes| bytes < self.limits.min_available_space) {
            log!(Warn, "{dir}: too little free space for a cache; keeping some pages in memory");
            self.fall_back_to_memory();
        }
    }

    fn fall_back_to_memory(&mut self) {
        let (pos, page_size) = (self.pos, self.page_size);
        self.reset(pos);
        self.page_size = page_size;
        // An empty log with no room for a page in it says nothing wrong.
        self.rewrite_log();
        self.log = None;
        self.storage = Storage::memory();
    }
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
