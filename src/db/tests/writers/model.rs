//! What may be at the server, and what may be read of it.

use crate::types::{Pgno, Pos};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::AddAssign;

/// A page's number and contents.
pub type Pages = BTreeMap<u32, Vec<u8>>;

/// What the writer of a transaction knows of its fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// COMMIT was not called, or failed in a way that leaves it to be called again.
    Open,
    /// COMMIT runs.
    Committing,
    /// COMMIT returned success.
    Acknowledged,
    /// COMMIT failed, or was never called.
    Refused,
    /// COMMIT failed and said that it is not known; or the process died.
    Unknown,
}

/// A transaction as its writer meant it.
#[derive(Debug)]
pub struct Intent {
    /// Pages read, as they were.
    pub reads: Pages,
    /// Pages written, as they are to be.
    pub writes: Pages,
    /// Pages of the database afterwards.
    pub commit: u32,
    /// What its writer knows.
    pub fate: Fate,
    /// The version that it made.
    pub version: Option<usize>,
}

/// What happened.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counts {
    pub acknowledged: u64,
    pub refused: u64,
    pub unknown: u64,
    pub unknown_but_applied: u64,
    pub reads: u64,
    pub steps: u64,
    pub deaths: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.unknown += other.unknown;
        self.unknown_but_applied += other.unknown_but_applied;
        self.reads += other.reads;
        self.steps += other.steps;
        self.deaths += other.deaths;
    }
}

/// The database's history as it should be.
#[derive(Debug, Default)]
pub struct Model {
    /// Every state there was.
    pub versions: Vec<Pages>,
    /// The position of the last of them.
    pub pos: Pos,
    /// Transactions by their stamp.
    pub intents: BTreeMap<u64, Intent>,
    pub counts: Counts,
}

impl Model {
    /// Takes in a version that appeared at the server, which `stamp` on its first page signed.
    pub fn appears(&mut self, pos: Pos, pages: BTreeMap<Pgno, Vec<u8>>, stamp: u64) {
        let pages: Pages = pages.into_iter().map(|(pgno, page)| (pgno.get(), page)).collect();
        let number = self.versions.len();
        let before = self.versions.last().expect("the first version is given");
        let intent = self.intents.get_mut(&stamp).expect("a transaction that nobody made");
        assert_eq!(intent.version, None, "transaction {stamp} was applied twice");
        assert!(
            matches!(intent.fate, Fate::Committing | Fate::Unknown),
            "transaction {stamp} appears although it is {:?}",
            intent.fate
        );
        for (n, page) in &intent.reads {
            assert_eq!(before.get(n), Some(page), "transaction {stamp} read another page {n}");
        }
        let mut expected = before.clone();
        expected.extend(intent.writes.clone());
        expected.retain(|&n, _| n <= intent.commit);
        assert!(expected == pages, "transaction {stamp} is not what its writer meant");
        intent.version = Some(number);
        self.versions.push(pages);
        self.pos = pos;
    }

    /// Notes what a writer learned of its transaction.
    pub fn learns(&mut self, stamp: u64, fate: Fate) {
        let intent = self.intents.get_mut(&stamp).expect("a transaction");
        intent.fate = fate;
        let is_there = intent.version.is_some();
        match fate {
            Fate::Acknowledged => {
                assert!(is_there, "transaction {stamp} was acknowledged and is not there");
                self.counts.acknowledged += 1;
            }
            Fate::Refused => {
                assert!(!is_there, "transaction {stamp} was refused and is there");
                self.counts.refused += 1;
            }
            Fate::Unknown => self.counts.unknown += 1,
            Fate::Open => assert!(!is_there, "transaction {stamp} failed for now and is there"),
            Fate::Committing => {}
        }
    }

    /// The versions, from a floor on, of which all these pages may be.
    pub fn that_agree(&self, floor: usize, pages: &Pages) -> Vec<usize> {
        let agrees = |version: &usize| {
            let version = &self.versions[*version];
            pages.iter().all(|(n, page)| version.get(n) == Some(page))
        };
        (floor..self.versions.len()).filter(agrees).collect()
    }

    /// The episode is over and nothing is on its way any more.
    pub fn end(&mut self) {
        let intents = self.intents.values();
        let of_unknown = intents.filter(|i| i.fate == Fate::Unknown && i.version.is_some());
        self.counts.unknown_but_applied = of_unknown.count() as u64;
        let applied = self.intents.values().filter(|intent| intent.version.is_some()).count();
        assert_eq!(applied + 1, self.versions.len());
    }
}
