//! One connection and what SQLite does with it, its page cache included.

use super::model::{Fate, Intent, Pages};
use super::world::{below, chance, is_calm, world};
use crate::db::tests::{PAGE_LEN, offset, page};
use crate::db::{Connection, Lock};
use crate::error::{ErrorKind, Result};
use crate::page1::SCHEMA_COOKIE;
use alloc::vec::Vec;

/// The database never has more pages.
const MAX_PAGES: u32 = 10;
/// Where a transaction signs on each page that it writes.
const STAMP_AT: usize = 200;

/// The transaction that wrote a page; 0 for the first version.
pub fn stamp_of(page: &[u8]) -> u64 {
    let bytes = page[STAMP_AT..STAMP_AT + 8].try_into().unwrap();
    if page[STAMP_AT + 8] == b'!' { u64::from_be_bytes(bytes) } else { 0 }
}

fn number_at(page: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(page[at..at + 4].try_into().unwrap())
}

/// SQLite's cache of pages, which it keeps from one transaction to the next.
#[derive(Default)]
struct PageCache {
    /// Bytes 24 to 39 of page 1 as they were when it was read or written.
    version: [u8; 16],
    /// The schema cookie that page 1 had when it was read. Versions are compared without it: where the
    /// history is another one than before, it is shown otherwise than it is stored.
    cookie: Vec<u8>,
    pages: Pages,
}

/// A transaction that reads, so far.
struct Reading {
    /// What its process had shown before it began: it may not show what is older.
    floor: usize,
    pages: Pages,
    /// Pages to read yet.
    pages_left: u64,
    will_write: bool,
}

struct Writing {
    stamp: u64,
    /// Pages to write yet.
    plan: Vec<u32>,
    /// Pages written and, where they were read before, what they were.
    undo: Vec<(u32, Option<Vec<u8>>)>,
    old_commit: u32,
    is_written: bool,
}

impl Reading {
    /// The pages are of one state that was committed, and not older than what the process showed
    /// before. The oldest version that they may be of.
    fn check(&self) -> usize {
        let agree = world(|world| world.model.that_agree(self.floor, &self.pages));
        let stamps =
            |pages: &Pages| pages.iter().map(|(n, p)| (*n, stamp_of(p))).collect::<Vec<_>>();
        let Some(oldest) = agree.first() else {
            let versions =
                world(|world| world.model.versions.iter().map(stamps).collect::<Vec<_>>());
            panic!(
                "read {:?}, which is no version from {} on of {versions:?}",
                stamps(&self.pages),
                self.floor
            );
        };
        *oldest
    }
}

enum Doing {
    Nothing,
    Reading(Reading),

    Writing(Writing),
}

/// See the module.
pub struct Client {
    pub machine: usize,
    connection: Connection,
    cache: PageCache,
    doing: Doing,
}

impl Client {
    pub fn new(machine: usize, connection: Connection) -> Client {
        Client { machine, connection, cache: PageCache::default(), doing: Doing::Nothing }
    }

    /// The same, of an application that knows nothing of leases.
    pub fn with_auto_lease(machine: usize, mut connection: Connection) -> Client {
        connection.set_auto_lease(true).expect("no transaction is open");
        Client::new(machine, connection)
    }

    /// Goes on with what it does. An error ends a transaction.
    pub fn step(&mut self) {
        match core::mem::replace(&mut self.doing, Doing::Nothing) {
            Doing::Nothing => self.begin(),
            Doing::Reading(reading) if reading.pages_left > 0 => self.go_on_reading(reading),
            Doing::Reading(reading) if reading.will_write => self.start_writing(reading.pages),
            Doing::Reading(reading) => self.end_reading(&reading),
            Doing::Writing(writing) => self.go_on_writing(writing),
        }
    }

    /// Its process is dead.
    pub fn die(self) {
        if let Doing::Writing(writing) = &self.doing {
            world(|world| world.model.learns(writing.stamp, Fate::Refused));
        }
    }

    /// With nothing in the way, a new transaction sees the newest state.
    pub fn must_see_the_newest(&mut self) {
        assert!(matches!(self.doing, Doing::Nothing), "a transaction does not come to its end");
        let mut pages = self.first_page().expect("the server is there");
        for n in 1..=number_at(&pages[&1], 28) {
            pages.insert(n, self.page(n).expect("the server is there"));
        }
        self.connection.unlock(Lock::None);
        let newest = world(|world| world.model.versions.last().cloned());
        assert!(newest == Some(pages), "this is not the newest state");
    }

    fn begin(&mut self) {
        if is_calm() || chance(250) {
            return self.connection.release_lease().expect("no transaction is open");
        }
        let will_write = chance(600);
        // Now and then SQLite does not tell what it will do.
        if will_write && !chance(50) {
            if self.connection.auto_lease() {
                self.connection.expect_write();
            } else if self.connection.acquire_lease().is_err() {
                return;
            }
        }
        let floor = world(|world| *world.floor(self.machine));
        match self.first_page() {
            Ok(pages) => {
                let reading = Reading { floor, pages, pages_left: below(4), will_write };
                reading.check();
                self.doing = Doing::Reading(reading);
            }
            Err(_) => self.connection.unlock(Lock::None),
        }
    }

    fn go_on_reading(&mut self, mut reading: Reading) {
        let commit = number_at(&reading.pages[&1], 28);
        let n = 1 + below(u64::from(commit)) as u32;
        let Ok(page) = self.page(n) else {
            return self.connection.unlock(Lock::None);
        };
        reading.pages.insert(n, page);
        reading.pages_left -= 1;
        reading.check();
        self.doing = Doing::Reading(reading);
    }

    /// Begins to read as SQLite does: only when the version bytes are what they were it goes on using
    /// the pages that it has.
    fn first_page(&mut self) -> Result<Pages> {
        self.connection.lock(Lock::Shared)?;
        let mut version = [0; 16];
        self.connection.read_at(24, &mut version)?;
        if version != self.cache.version {
            self.cache.pages.clear();
        }
        let page1 = self.page(1)?;
        let size = u64::from(number_at(&page1, 28)) * PAGE_LEN as u64;
        assert_eq!(self.connection.size_bytes()?, size);
        Ok(Pages::from([(1, page1)]))
    }

    fn page(&mut self, n: u32) -> Result<Vec<u8>> {
        if let Some(page) = self.cache.pages.get(&n) {
            return Ok(page.clone());
        }
        let page = self.read(n)?;
        if n == 1 {
            self.cache.version.copy_from_slice(&page[24..40]);
        }
        self.cache.pages.insert(n, page.clone());
        Ok(page)
    }

    fn read(&mut self, n: u32) -> Result<Vec<u8>> {
        let mut page = alloc::vec![0; PAGE_LEN];
        assert_eq!(self.connection.read_at(offset(n), &mut page)?, PAGE_LEN);
        if n == 1 {
            self.cache.cookie = page[SCHEMA_COOKIE].to_vec();
            page[SCHEMA_COOKIE].fill(0);
        }
        Ok(page)
    }

    /// SQLite writes the cookie back that it read. So what is stored keeps the one that it had, 0.
    fn write_page(&mut self, n: u32, page: &[u8]) -> Result<()> {
        let mut page = page.to_vec();
        if n == 1 {
            page[SCHEMA_COOKIE].copy_from_slice(&self.cache.cookie);
        }
        self.connection.write_at(offset(n), &page)
    }

    fn end_reading(&mut self, reading: &Reading) {
        self.connection.unlock(Lock::None);
        let oldest = reading.check();
        world(|world| {
            let floor = world.floor(self.machine);
            *floor = oldest.max(*floor);
            world.model.counts.reads += 1;
        });
    }

    fn start_writing(&mut self, pages: Pages) {
        if self.connection.lock(Lock::Reserved).is_err() {
            return self.connection.unlock(Lock::None);
        }
        let old_commit = number_at(&pages[&1], 28);
        let commit = match below(10) {
            0 if old_commit < MAX_PAGES => old_commit + 1,
            1 if old_commit + 2 <= MAX_PAGES => old_commit + 2,
            2 | 3 if old_commit > 2 => old_commit - 1,
            _ => old_commit,
        };
        let stamp = world(|world| world.model.intents.len() as u64 + 1);
        let mut plan: Vec<u32> = (old_commit + 1..=commit).collect();
        plan.extend((0..below(4)).map(|_| 2 + below(u64::from(commit) - 1) as u32));
        plan.sort_unstable();
        plan.dedup();
        let mut writes: Pages =
            plan.iter().map(|&n| (n, signed(page(n, stamp as u8, 0, 0), stamp))).collect();
        let counter = number_at(&pages[&1], 24) + 1;
        writes.insert(1, signed(page(1, 1, counter, commit), stamp));
        let intent = Intent { reads: pages, writes, commit, fate: Fate::Open, version: None };
        world(|world| world.model.intents.insert(stamp, intent));
        let is_written = false;
        self.doing =
            Doing::Writing(Writing { stamp, plan, undo: Vec::new(), old_commit, is_written });
    }

    fn go_on_writing(&mut self, mut writing: Writing) {
        let stamp = writing.stamp;
        if (is_calm() || chance(20)) && !writing.is_written {
            return self.roll_back(writing, Fate::Refused);
        }
        let outcome = match writing.plan.pop() {
            Some(n) => self.write(&mut writing, n),
            None if !writing.is_written => {
                writing.is_written = true;
                self.write(&mut writing, 1)
            }
            None => return self.commit(writing),
        };
        if outcome.is_err() {
            return self.roll_back(writing, Fate::Refused);
        }
        // What was written is what is read; nobody else sees it, which their checks tell.
        if chance(200) {
            let (n, written) = world(|world| {
                let intent = &world.model.intents[&stamp];
                let (n, image) = intent.writes.iter().next_back().expect("page 1 at least");
                (*n, image.clone())
            });
            if writing.undo.iter().any(|(undo, _)| *undo == n) {
                assert!(self.read(n).is_ok_and(|page| page == written), "not what was written");
            }
        }
        self.doing = Doing::Writing(writing);
    }

    fn write(&mut self, writing: &mut Writing, n: u32) -> Result<()> {
        self.connection.lock(Lock::Exclusive)?;
        let mut before = None;
        // Pages from the list of free ones are overwritten unread.
        if n <= writing.old_commit && (n == 1 || !chance(200)) {
            let page = self.page(n)?;
            world(|world| {
                let intent = world.model.intents.get_mut(&writing.stamp).expect("just made");
                intent.reads.insert(n, page.clone());
            });
            before = Some(page);
        }
        let image = world(|world| world.model.intents[&writing.stamp].writes[&n].clone());
        self.write_page(n, &image)?;
        writing.undo.push((n, before));
        Ok(())
    }

    fn commit(&mut self, writing: Writing) {
        let (machine, stamp) = (self.machine, writing.stamp);
        world(|world| world.model.learns(stamp, Fate::Committing));
        let outcome = self.connection.prepare_commit();
        let Err(error) = outcome else {
            if !is_calm() && chance(50) {
                // SQLite fails by itself, and rolls back what is prepared.
                return self.roll_back(writing, Fate::Refused);
            }
            return self.finish(&writing);
        };
        let fate = match error.kind() {
            _ if world(|world| world.is_doomed(machine)) => Fate::Unknown,
            // Plain busy: SQLite keeps the transaction, and COMMIT may be called again.
            ErrorKind::LeaseHeld | ErrorKind::Busy => Fate::Open,
            _ => Fate::Refused,
        };
        if fate == Fate::Open && !is_calm() && chance(500) {
            world(|world| world.model.learns(stamp, Fate::Open));
            self.doing = Doing::Writing(writing);
        } else {
            let fate = if fate == Fate::Open { Fate::Refused } else { fate };
            self.roll_back(writing, fate);
        }
    }

    /// The second phase. When it fails, SQLite writes nothing back, and gives up what it knows.
    fn finish(&mut self, writing: &Writing) {
        let Err(error) = self.connection.confirm_commit() else {
            return self.committed(writing);
        };
        let is_doomed = world(|world| world.is_doomed(self.machine));
        let is_unknown = is_doomed || error.message().contains("not known");
        let fate = if is_unknown { Fate::Unknown } else { Fate::Refused };
        world(|world| world.model.learns(writing.stamp, fate));
        self.cache.pages.clear();
        self.connection.unlock(Lock::Shared);
        self.connection.unlock(Lock::None);
    }

    fn committed(&mut self, writing: &Writing) {
        let (machine, stamp) = (self.machine, writing.stamp);
        let (writes, commit) = world(|world| {
            world.model.learns(stamp, Fate::Acknowledged);
            let intent = &world.model.intents[&stamp];
            let (writes, commit) = (intent.writes.clone(), intent.commit);
            let version = intent.version.expect("it was acknowledged");
            let floor = world.floor(machine);
            *floor = version.max(*floor);
            (writes, commit)
        });
        if commit < writing.old_commit {
            self.connection.truncate(offset(commit + 1)).expect("under the lock");
        }
        self.cache.version.copy_from_slice(&writes[&1][24..40]);
        self.cache.pages.extend(writes);
        self.cache.pages.retain(|&n, _| n <= commit);
        self.connection.unlock(Lock::Shared);
        self.connection.unlock(Lock::None);
    }

    /// As SQLite does with a journal, where it read what it overwrote; else as it does without.
    fn roll_back(&mut self, writing: Writing, fate: Fate) {
        world(|world| world.model.learns(writing.stamp, fate));
        let old: Option<Vec<_>> = writing
            .undo
            .iter()
            .filter(|(n, _)| *n <= writing.old_commit)
            .map(|(n, before)| before.as_ref().map(|before| (*n, before)))
            .collect();
        if let Some(old) = old.filter(|_| !writing.undo.is_empty() && !chance(300)) {
            let restored = old.iter().try_for_each(|(n, page)| self.write_page(*n, page));
            if restored.is_ok() {
                self.connection.truncate(offset(writing.old_commit + 1)).expect("under the lock");
                // It compares page 1 with the stored one; if that is not to be had, SQLite gives up what
                // it knows.
                if self.connection.prepare_commit().is_err() {
                    assert!(!is_calm(), "the end of a rollback fails");
                    self.cache.pages.clear();
                }
            }
        }
        self.connection.unlock(Lock::Shared);
        self.connection.unlock(Lock::None);
    }
}

fn signed(mut page: Vec<u8>, stamp: u64) -> Vec<u8> {
    page[STAMP_AT..STAMP_AT + 8].copy_from_slice(&stamp.to_be_bytes());
    page[STAMP_AT + 8] = b'!';
    page
}
