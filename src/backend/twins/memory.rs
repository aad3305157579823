//! A server in memory: positions with history, leases, and the commit rules.

use crate::backend::{
    Backend, Change, ChangedPages, Granted, GroupError, GroupOutcome, GroupTx, Moment, Opening,
    Page, PushError, Pushed,
};
use crate::error::{Error, ErrorKind, Result};
use crate::ltx::{self, page_checksum};
use crate::sys::{Mutex, Tick};
use crate::types::{Checksum, CommitId, DbName, Pgno, Pos};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

type Pages = BTreeMap<Pgno, Vec<u8>>;

/// A database as it was at each position.
#[derive(Default)]
struct History {
    versions: Vec<(Pos, Pages)>,
    lease: Option<(String, Tick, u64)>,
    /// Who was refused the lease, in order, and when he asked last.
    waiters: Vec<(String, Tick)>,
    files: Vec<Vec<u8>>,
}

/// How long a waiter keeps his place.
const PLACE_MS: u64 = 300;

impl History {
    fn waiters(&self) -> u32 {
        self.waiters.iter().filter(|(_, asked)| asked.age_ms() < PLACE_MS).count() as u32
    }

    fn pushed(&mut self, prolonged_ms: u64) -> Pushed {
        let lease = self.lease.as_mut().filter(|_| prolonged_ms > 0);
        let lease_ms = lease.map(|(_, since, ms)| {
            (*since, *ms) = (Tick::now(), prolonged_ms);
            prolonged_ms
        });
        Pushed { waiters: self.waiters(), lease_ms }
    }
}

/// See the module.
#[derive(Default)]
pub struct MemoryBackend {
    databases: Mutex<BTreeMap<DbName, History>>,
    groups: Mutex<BTreeMap<String, GroupOutcome>>,
    /// What was asked of it: the method's name and, for pages, how many.
    pub calls: Mutex<Vec<(&'static str, usize)>>,
    /// Whether it knows the calls that only some servers have.
    pub is_fast: AtomicBool,
    /// Whether it is of a make that tells no commit ids.
    pub lacks_commit_ids: AtomicBool,
    /// The last commit id that it gave.
    last_id: AtomicU64,
    /// Whether it names the position when it grants a lease.
    pub tells_pos: AtomicBool,
    /// For how many ms a commit prolongs its lease; 0 for not at all.
    pub prolongs_ms: AtomicU64,
}

impl MemoryBackend {
    /// How often a method was called since the last time this was asked.
    pub fn take_calls(&self, method: &str) -> usize {
        let calls = core::mem::take(&mut *self.calls.lock());
        calls.iter().filter(|(name, _)| *name == method).count()
    }

    /// The newest position and pages.
    pub fn newest(&self, db: &DbName) -> (Pos, Pages) {
        let databases = self.databases.lock();
        databases.get(db).and_then(|db| db.versions.last().cloned()).unwrap_or_default()
    }

    /// The versions that came after a position that was the newest once.
    pub fn history_after(&self, db: &DbName, pos: Pos) -> Vec<(Pos, Pages)> {
        let databases = self.databases.lock();
        let versions = databases.get(db).map_or(&[][..], |db| &db.versions);
        let newer = versions.iter().filter(|(version, _)| version.txid > pos.txid);
        newer.cloned().collect()
    }

    /// Commits as another client would: changes pages of the newest version through `edit`.
    pub fn commit_elsewhere(&self, db: &DbName, edit: impl FnOnce(&mut Pages)) {
        let (pos, mut pages) = self.newest(db);
        edit(&mut pages);
        let sum = database_checksum(&pages);
        let pos = Pos {
            txid: pos.txid.next().expect("few are made"),
            post_apply_checksum: sum,
            commit_id: self.fresh_id(),
        };
        self.databases.lock().entry(db.clone()).or_default().versions.push((pos, pages));
    }

    /// Forgets all positions but the newest.
    pub fn forget_history(&self, db: &DbName) {
        if let Some(db) = self.databases.lock().get_mut(db) {
            let newest = db.versions.pop();
            db.versions.clear();
            db.versions.extend(newest);
        }
    }

    /// Forgets which files it was sent.
    pub fn forget_files(&self, db: &DbName) {
        if let Some(db) = self.databases.lock().get_mut(db) {
            db.files.clear();
        }
    }

    /// Deletes the database and makes it anew.
    pub fn begin_anew(&self, db: &DbName, edit: impl FnOnce(&mut Pages)) {
        self.databases.lock().remove(db);
        self.commit_elsewhere(db, edit);
    }

    /// Takes the lease away from whoever has it.
    pub fn break_lease(&self, db: &DbName) {
        if let Some(db) = self.databases.lock().get_mut(db) {
            db.lease = None;
        }
    }

    fn fresh_id(&self) -> CommitId {
        let id = self.last_id.fetch_add(1, Relaxed).wrapping_add(1);
        if self.has_commit_ids() { CommitId(id) } else { CommitId::NONE }
    }

    fn note(&self, method: &'static str, count: usize) {
        self.calls.lock().push((method, count));
    }
}

fn database_checksum(pages: &Pages) -> Checksum {
    pages.iter().fold(Checksum::EMPTY, |sum, (&pgno, page)| sum.toggle(page_checksum(pgno, page)))
}

impl Backend for MemoryBackend {
    fn host(&self) -> &str {
        "memory"
    }

    fn changes(&self, since: &[(DbName, Pos)], _hurry: bool) -> Result<Vec<Change>> {
        self.note("changes", since.len());
        let databases = self.databases.lock();
        let change = |(name, since): &(DbName, Pos)| {
            let none = Vec::new();
            let versions = databases.get(name).map_or(&none, |db| &db.versions);
            let pos = versions.last().map_or(Pos::EMPTY, |(pos, _)| *pos);
            let old = versions.iter().find(|(pos, _)| pos.agrees(*since));
            let pages = match (old, versions.last()) {
                (Some((_, old)), Some((_, new))) => {
                    let all: BTreeSet<_> = old.keys().chain(new.keys()).copied().collect();
                    let differs = |pgno: &Pgno| old.get(pgno) != new.get(pgno);
                    ChangedPages::Some(all.into_iter().filter(differs).collect())
                }
                _ => ChangedPages::All,
            };
            Change { pos, pages }
        };
        Ok(since.iter().map(change).collect())
    }

    fn pages(&self, db: &DbName, pos: Pos, pgnos: &[Pgno]) -> Result<Vec<Page>> {
        self.note("pages", pgnos.len());
        let databases = self.databases.lock();
        let version =
            databases.get(db).and_then(|db| db.versions.iter().find(|(p, _)| p.agrees(pos)));
        let Some((_, pages)) = version else {
            return Err(Error::new(ErrorKind::PosMismatch, format!("no position {pos}")));
        };
        let page = |pgno: &Pgno| (*pgno, pages.get(pgno).expect("no such page").clone());
        Ok(pgnos.iter().map(page).collect())
    }

    fn open(&self, db: &DbName, since: Pos, max_len: u32, _hurry: bool) -> Result<Option<Opening>> {
        if !self.has_bulk() {
            return Ok(None);
        }
        self.note("open", max_len as usize);
        let change = self.changes(&[(db.clone(), since)], false)?.remove(0);
        let (_, pages) = self.newest(db);
        let mut left = max_len as usize;
        let fits = |page: &Page| {
            let fits = page.0 == Pgno::ONE || left >= page.1.len();
            left = left.saturating_sub(page.1.len());
            fits
        };
        let changed = |(pgno, _): &Page| match &change.pages {
            ChangedPages::All | ChangedPages::ByCommits => true,
            ChangedPages::Some(changed) => changed.contains(pgno),
        };
        let pages = pages.into_iter().filter(changed).take_while(fits).collect();
        Ok(Some(Opening { change, pages }))
    }

    fn has_bulk(&self) -> bool {
        self.is_fast.load(Relaxed)
    }

    fn has_commit_ids(&self) -> bool {
        !self.lacks_commit_ids.load(Relaxed)
    }

    fn page1_then(&self, db: &DbName, moment: &Moment) -> Result<(Pos, Vec<u8>)> {
        self.note("page1_then", 1);
        let databases = self.databases.lock();
        let versions = databases.get(db).map(|db| &db.versions);
        let is_it = |(pos, _): &&(Pos, Pages)| *moment == Moment::Txid(pos.txid);
        let found = versions.and_then(|versions| versions.iter().find(is_it));
        let (pos, pages) = found.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, format!("the history does not hold {moment}"))
        })?;
        Ok((*pos, pages.get(&Pgno::ONE).expect("no page 1").clone()))
    }

    fn size_pages(&self, db: &DbName, pos: Pos) -> Result<u32> {
        self.note("size_pages", 1);
        let databases = self.databases.lock();
        let version =
            databases.get(db).and_then(|db| db.versions.iter().find(|(p, _)| p.agrees(pos)));
        let (_, pages) = version.ok_or_else(|| Error::new(ErrorKind::PosMismatch, "not held"))?;
        Ok(pages.len() as u32)
    }

    fn push(&self, db: &DbName, file: &[u8], id: &str) -> core::result::Result<Pushed, PushError> {
        self.note("push", file.len());
        let mut databases = self.databases.lock();
        let db = databases.entry(db.clone()).or_default();
        if db.files.iter().any(|held| held == file) {
            return Ok(db.pushed(0));
        }
        let version = db.after(file, id)?;
        db.append(file, version);
        Ok(db.pushed(self.prolongs_ms.load(Relaxed)))
    }

    fn push_group(&self, id: &str, txs: &[GroupTx<'_>]) -> core::result::Result<(), GroupError> {
        self.note("push_group", txs.len());
        let mut databases = self.databases.lock();
        let mut groups = self.groups.lock();
        match groups.get(id) {
            Some(GroupOutcome::Committed) => return Ok(()),
            Some(GroupOutcome::Aborted) => {
                let error = Error::new(ErrorKind::Refused, "decided against");
                return Err(GroupError::Aborted(error));
            }
            None => {}
        }
        groups.insert(id.into(), GroupOutcome::Aborted);
        let mut versions = Vec::new();
        for tx in txs {
            let db = databases.entry(tx.db.clone()).or_default();
            let version = db.after(tx.ltx, tx.lease_id).map_err(|error| match error {
                PushError::PosMismatch(error) => GroupError::PosMismatch(error),
                PushError::Lease(error) => GroupError::Lease(Some(tx.db.clone()), error),
                PushError::Unknown(error) | PushError::Failed(error) => GroupError::Failed(error),
            })?;
            versions.push(version);
        }
        for (tx, version) in txs.iter().zip(versions) {
            databases.entry(tx.db.clone()).or_default().append(tx.ltx, version);
        }
        groups.insert(id.into(), GroupOutcome::Committed);
        Ok(())
    }

    fn abort_group(&self, id: &str) -> Result<GroupOutcome> {
        self.note("abort_group", 1);
        Ok(*self.groups.lock().entry(id.into()).or_insert(GroupOutcome::Aborted))
    }

    fn acquire_lease(
        &self,
        db: &DbName,
        duration_ms: u64,
        waiter: Option<&str>,
    ) -> Result<Granted> {
        self.note("acquire_lease", 1);
        let mut databases = self.databases.lock();
        let db = databases.entry(db.clone()).or_default();
        let is_held = db.lease.as_ref().is_some_and(|(_, since, ms)| since.age_ms() < *ms);
        db.waiters.retain(|(_, asked)| asked.age_ms() < PLACE_MS);
        let is_next = |waiter| db.waiters.first().is_none_or(|(first, _)| first == waiter);
        if is_held || !waiter.is_none_or(is_next) {
            if let Some(waiter) = waiter {
                match db.waiters.iter_mut().find(|(known, _)| known == waiter) {
                    Some((_, asked)) => *asked = Tick::now(),
                    None => db.waiters.push((waiter.into(), Tick::now())),
                }
            }
            return Err(Error::new(ErrorKind::LeaseHeld, "somebody else has it"));
        }
        db.waiters.retain(|(known, _)| waiter != Some(known));
        let id = format!("lease-{}", self.calls.lock().len());
        db.lease = Some((id.clone(), Tick::now(), duration_ms));
        let pos = db.versions.last().map_or(Pos::EMPTY, |(pos, _)| *pos);
        Ok(Granted { id, pos: self.tells_pos.load(Relaxed).then_some(pos) })
    }

    fn refresh_lease(&self, db: &DbName, lease_id: &str, duration_ms: u64) -> Result<u32> {
        self.note("refresh_lease", 1);
        let mut databases = self.databases.lock();
        let db = databases.entry(db.clone()).or_default();
        let waiters = db.waiters();
        match db.lease.as_mut() {
            Some((id, since, ms)) if id == lease_id && since.age_ms() < *ms => {
                (*since, *ms) = (Tick::now(), duration_ms);
                Ok(waiters)
            }
            _ => Err(Error::new(ErrorKind::LeaseHeld, "not your lease")),
        }
    }

    fn release_lease(&self, db: &DbName, lease_id: &str) -> Result<()> {
        self.note("release_lease", 1);
        if let Some(db) = self.databases.lock().get_mut(db) {
            db.lease.take_if(|(id, ..)| id == lease_id);
        }
        Ok(())
    }
}

impl History {
    /// The version after a transaction.
    fn after(&self, file: &[u8], id: &str) -> core::result::Result<(Pos, Pages), PushError> {
        let live = |(held, since, ms): &(String, Tick, u64)| held == id && since.age_ms() < *ms;
        if !self.lease.as_ref().is_some_and(live) {
            return Err(PushError::Lease(Error::new(ErrorKind::LeaseHeld, "not your lease")));
        }
        let (pos, mut pages) = self.versions.last().cloned().unwrap_or_default();
        let mut decoder = ltx::Decoder::new(file, ltx::Version::V1).expect("no LTX file");
        let header = *decoder.header();
        if !header.min_txid.follows(pos.txid)
            || header.pre_apply_checksum != pos.post_apply_checksum
            || !header.base_id.agrees(pos.commit_id)
        {
            let error = Error::new(ErrorKind::PosMismatch, format!("the server is at {pos}"));
            return Err(PushError::PosMismatch(error));
        }
        let mut page = Vec::new();
        while let Some(pgno) = decoder.next_page(&mut page).expect("bad page") {
            pages.insert(pgno, page.clone());
        }
        let trailer = decoder.finish().expect("bad file");
        pages.retain(|pgno, _| pgno.get() <= header.commit);
        assert_eq!(pages.len(), header.commit as usize, "pages are missing");
        let sum = database_checksum(&pages);
        assert_eq!(sum, trailer.post_apply_checksum, "wrong database checksum");
        let (txid, commit_id) = (header.max_txid, header.commit_id);
        Ok((Pos { txid, post_apply_checksum: sum, commit_id }, pages))
    }

    fn append(&mut self, file: &[u8], version: (Pos, Pages)) {
        self.files.push(file.to_vec());
        self.versions.push(version);
    }
}
