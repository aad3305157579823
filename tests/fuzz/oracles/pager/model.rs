//! Commits, fetches, limits, and processes that end at any moment, against a list of what each page was when.

use super::{Files, limits};
use crate::fuzzing::Source;
use crate::ltx::page_checksum;
use crate::pager::Cache;
use crate::types::{Checksum, CommitId, PageSize, Pgno, Pos, Txid};
use std::collections::BTreeMap;

const PAGES: u32 = 1100;
const MOST_STEPS: usize = 60;
/// What a disk writes at once.
const SECTOR: usize = 4096;

/// The transaction that each page is of.
type Versions = BTreeMap<u32, u64>;

pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    for seed in 0..8_u32 {
        let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
        let byte = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        seeds.push((0..300).map(byte).collect());
    }
    seeds.push(vec![0, 7, 1, 2, 3, 4, 5, 6, 7, 6, 8, 3, 2, 1, 2, 6, 9, 5, 1, 0, 1, 10, 1]);
    seeds
}

/// Each byte is a step, or says something of one.
pub fn check(data: &[u8]) {
    let mut source = Source(data);
    let mut run = Run::new();
    for _ in 0..MOST_STEPS {
        if source.is_empty() {
            break;
        }
        run.step(&mut source);
    }
    let Run { mut cache, now, txid, .. } = run;
    holds(&mut cache, &now, txid);
}

struct Run {
    files: Files,
    cache: Cache,
    txid: u64,
    now: Versions,
    history: BTreeMap<u64, Versions>,
    /// What was in the files at some time.
    old: Option<[Vec<u8>; 2]>,
}

fn pos(txid: u64) -> Pos {
    let post_apply_checksum = Checksum(Checksum::FLAG | txid);
    Pos { txid: Txid(txid), post_apply_checksum, commit_id: CommitId(!txid) }
}

fn page_size() -> PageSize {
    PageSize::new(512).unwrap()
}

/// A page as a transaction left it.
fn content(pgno: u32, txid: u64) -> Vec<u8> {
    let mut state = u64::from(pgno).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        ^ txid.wrapping_mul(0xff51_afd7_ed55_8ccd)
        | 1;
    let byte = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    (0..512).map(byte).collect()
}

/// A page, those near the ends of groups more often.
fn page(source: &mut Source) -> Pgno {
    let byte = source.byte();
    Pgno::new(match byte >> 6 {
        0 => u32::from(byte & 63) + 1,
        1 => 250 + u32::from(byte & 15),
        2 => 505 + u32::from(byte & 63),
        _ => 1020 + u32::from(byte & 63),
    })
    .unwrap()
}

impl Run {
    fn new() -> Run {
        let files = Files::new();
        let mut cache = files.open(0);
        cache.reset(pos(1));
        cache.set_page_size(page_size());
        let now: Versions = (1..=PAGES).map(|number| (number, 1)).collect();
        let history = BTreeMap::from([(1, now.clone())]);
        Run { files, cache, txid: 1, now, history, old: None }
    }

    fn step(&mut self, source: &mut Source) {
        match source.byte() % 13 {
            0 | 1 => {
                for _ in 0..source.byte() % 8 {
                    let pgno = page(source);
                    self.insert(pgno, self.now[&pgno.get()]);
                }
            }
            2 => self.insert(page(source), self.txid),
            3 | 4 => {
                let mut changed = self.change(source);
                // What a server may say, too, and what it can't know.
                changed.extend(Pgno::new(u32::MAX - u32::from(source.byte())));
                self.cache.advance(pos(self.txid), &changed);
            }
            5 => self.commit(source),
            6 => self.cache.flush(),
            7 => self.cache.set_limits(limits(u32::from(source.byte() % 32))),
            8 => self.old = Some(self.files.read()),
            9 => self.restart(source),
            _ => self.look(page(source)),
        }
    }

    fn insert(&mut self, pgno: Pgno, since: u64) {
        let page = content(pgno.get(), self.now[&pgno.get()]);
        self.cache.insert(pgno, Txid(since), &page);
    }

    /// A transaction changes some pages.
    fn change(&mut self, source: &mut Source) -> Vec<Pgno> {
        self.txid += 1;
        let mut changed: Vec<Pgno> = (0..=source.byte() % 6).map(|_| page(source)).collect();
        changed.sort();
        changed.dedup();
        self.now.extend(changed.iter().map(|pgno| (pgno.get(), self.txid)));
        self.history.insert(self.txid, self.now.clone());
        changed
    }

    /// One of ours.
    fn commit(&mut self, source: &mut Source) {
        let changed = self.change(source);
        let removed_from = Some(page(source)).filter(|_| source.byte() & 7 == 0);
        let txid = self.txid;
        let sum = |pgno: &Pgno| (*pgno, page_checksum(*pgno, &content(pgno.get(), txid)));
        let changed: Vec<(Pgno, Checksum)> = changed.iter().map(sum).collect();
        let read = |pgno: Pgno| Some(content(pgno.get(), txid).into());
        self.cache.apply(pos(txid), removed_from, &changed, read);
    }

    /// The process ends, its files become what a power cut may leave, and another one goes on.
    fn restart(&mut self, source: &mut Source) {
        let how = source.byte();
        if how & 1 == 0 {
            self.cache.flush();
        }
        // The files are locked as long as the cache lives.
        self.cache = Cache::open(None, limits(0));
        let mut files = self.files.read();
        damage(&mut files, self.old.as_ref(), how >> 1 & 7, source);
        self.files.write(&files);
        self.cache = self.files.open(0);
        let at = self.cache.pos();
        if self.cache.page_size().is_none() || at.is_empty() {
            self.cache.reset(pos(self.txid));
            self.cache.set_page_size(page_size());
            return;
        }
        let then = self.history.get(&at.txid.0).expect("a position that never was");
        assert_eq!(at, pos(at.txid.0));
        holds(&mut self.cache, then, at.txid.0);
        let is_other = |(number, version): &(&u32, &u64)| then[*number] != **version;
        let changed = self.now.iter().filter(is_other).filter_map(|(number, _)| Pgno::new(*number));
        let changed: Vec<Pgno> = changed.collect();
        self.cache.advance(pos(self.txid), &changed);
    }

    fn look(&mut self, pgno: Pgno) {
        let wanted = content(pgno.get(), self.now[&pgno.get()]);
        is_page(&mut self.cache, pgno, self.txid, &wanted);
    }
}

/// Pages that are there are what they should be, and so are their checksums.
fn holds(cache: &mut Cache, versions: &Versions, txid: u64) {
    let numbers = (1..=60).step_by(7).chain(248..260).chain(505..512).chain(1018..1024);
    for number in numbers {
        let pgno = Pgno::new(number).unwrap();
        is_page(cache, pgno, txid, &content(number, versions[&number]));
    }
}

fn is_page(cache: &mut Cache, pgno: Pgno, txid: u64, wanted: &[u8]) {
    if let Some(checksum) = cache.checksum(pgno, Txid(txid)) {
        assert_eq!(checksum, page_checksum(pgno, wanted), "the checksum of page {pgno}");
    }
    let mut page = vec![0; wanted.len()];
    if cache.read(pgno, Txid(txid), &mut page) {
        assert!(page == wanted, "page {pgno} is not what it was at {txid}");
    }
}

/// What a power cut, or a disk, may make of the files.
fn damage(
    [index, pages]: &mut [Vec<u8>; 2],
    old: Option<&[Vec<u8>; 2]>,
    how: u8,
    source: &mut Source,
) {
    match (how, old) {
        (1, Some([_, old])) => {
            for _ in 0..=source.byte() % 4 {
                let at = source.u32() as usize % (pages.len() / SECTOR + 1) * SECTOR;
                if let Some(sector) = pages.get_mut(at..at + SECTOR) {
                    sector.copy_from_slice(old.get(at..at + SECTOR).unwrap_or(&[0; SECTOR]));
                }
            }
        }
        (2, Some([old, _])) => index.clone_from(old),
        (3, _) => flip(index, source),
        (4, _) => flip(pages, source),
        (5, _) => index.truncate(source.u32() as usize % (index.len() + 1)),
        (6, _) => pages.truncate(source.u32() as usize % (pages.len() + 1)),
        (7, Some(old)) => [*index, *pages] = old.clone(),
        _ => {}
    }
}

fn flip(bytes: &mut [u8], source: &mut Source) {
    let at = source.u32() as usize % bytes.len().max(1);
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << (source.byte() % 8);
    }
}
