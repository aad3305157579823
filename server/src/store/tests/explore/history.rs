//! What clients were told, and whether one history explains all of it.
//!
//! Each thing that a client did is recorded with when it began and was answered. One history of each
//! database must explain them: what was acknowledged is in it, between its beginning and its answer;
//! what was refused is not; what is in doubt may be, at any time after it began. What readers see is
//! what is there at that place of the history, with every restore point.

use std::sync::Arc;

use litevfs::page1;
use litevfs::types::{CommitId, Pos, Txid};

use crate::store::tests::model::checksum;
use crate::store::tests::succeed;

/// The pages of a database at a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    pub pos: Pos,
    pub pages: Arc<Vec<Vec<u8>>>,
}

impl Default for Point {
    fn default() -> Point {
        Point::empty()
    }
}

impl Point {
    pub fn empty() -> Point {
        Point { pos: Pos::EMPTY, pages: Arc::default() }
    }
}

/// What a client asked for, and what it must have been told.
#[derive(Debug, Clone)]
pub enum Deed {
    /// Transactions in databases by their numbers, together: the point before and the one after.
    Commit(Vec<(usize, Point, Point)>),
    Drop(usize),
    /// The content of a transaction made current again; where that led, if it is known.
    Restore(usize, Txid, Option<Pos>),
    /// The content of a file made current; where that led, if it is known.
    Import(usize, Arc<Vec<Vec<u8>>>, Option<Pos>),
    /// A lease that holds others off until it is given back, or that time in ms.
    Acquire(usize, String, u64),
    Release(usize, String),
    /// The current position, and the restore points.
    Read(usize, Option<(Point, Vec<Point>)>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Acknowledged,
    Refused,
    InDoubt,
}

#[derive(Debug, Clone)]
pub struct Record {
    pub who: String,
    pub deed: Deed,
    pub outcome: Outcome,
    /// The lease under which it was done.
    pub lease: Option<String>,
    pub from: u64,
    /// When it was answered; what is in doubt may happen at any time.
    pub until: u64,
    /// The time at which it was answered, in ms since the Unix epoch.
    pub until_ms: u64,
}

/// A database at a moment of the history: its transactions, the last of which is current.
#[derive(Debug, Clone, Default)]
pub struct Life {
    pub points: Option<Vec<Point>>,
    lease: Option<(String, u64)>,
}

/// Whether one history explains all records, from that of databases that begin with those points.
pub fn explains(start: &[Option<Vec<Point>>], records: &[Record]) -> bool {
    let records: Vec<&Record> =
        records.iter().filter(|record| record.outcome != Outcome::Refused).collect();
    let lives = start.iter().map(|points| Life { points: points.clone(), lease: None }).collect();
    go_on(&records, 0, lives)
}

fn go_on(records: &[&Record], done: u64, lives: Vec<Life>) -> bool {
    let left = || (0..records.len()).filter(|at| done & (1 << at) == 0);
    let acknowledged = |at: &usize| records[*at].outcome == Outcome::Acknowledged;
    if !left().any(|at| acknowledged(&at)) {
        return true;
    }
    let first_end = left().filter(acknowledged).map(|at| records[at].until).min().unwrap_or(0);
    left().filter(|&at| records[at].from <= first_end).any(|at| {
        let mut lives = lives.clone();
        happen(records[at], &mut lives) && go_on(records, done | (1 << at), lives)
    })
}

/// Has something happen now; false when it can't.
pub fn happen(record: &Record, lives: &mut [Life]) -> bool {
    match &record.deed {
        Deed::Commit(members) => members.iter().all(|(db, before, after)| {
            let life = &mut lives[*db];
            let follows = life.reach(before.pos);
            follows && life.admits(record) && life.push(after.clone())
        }),
        Deed::Drop(db) => {
            let life = &mut lives[*db];
            life.points = None;
            life.admits(record)
        }
        Deed::Restore(db, txid, led_to) => {
            let life = &mut lives[*db];
            let Some(points) = &life.points else {
                return false;
            };
            let then = points.iter().rev().find(|point| point.pos.txid <= *txid);
            let pages = then.map(|then| Arc::clone(&then.pages)).unwrap_or_default();
            life.admits(record) && life.restore(&pages, *led_to)
        }
        Deed::Import(db, pages, led_to) => {
            let life = &mut lives[*db];
            life.admits(record) && life.import(pages, *led_to)
        }
        Deed::Acquire(db, id, ends_ms) => {
            let life = &mut lives[*db];
            let free = life.admits(record);
            life.lease = Some((id.clone(), *ends_ms));
            free
        }
        Deed::Release(db, id) => {
            lives[*db].lease.take_if(|(held, _)| held == id);
            true
        }
        Deed::Read(db, None) => lives[*db].points.is_none(),
        Deed::Read(db, Some((now, points))) => {
            let life = &mut lives[*db];
            life.points.is_some()
                && life.reach(now.pos)
                && points.iter().chain([now]).all(|point| life.holds(point))
        }
    }
}

/// Which commit a server made, where it is known.
fn id_of(led_to: Option<Pos>) -> CommitId {
    led_to.map_or(CommitId::NONE, |pos| pos.commit_id)
}

impl Life {
    fn tip(&self) -> Point {
        let points = self.points.as_ref().and_then(|points| points.last());
        points.cloned().unwrap_or_else(Point::empty)
    }

    /// Goes on to a position with transactions that change nothing, which servers make; false when that
    /// does not lead there.
    pub fn reach(&mut self, pos: Pos) -> bool {
        let tip = self.tip();
        let same = tip.pos.post_apply_checksum == pos.post_apply_checksum;
        if tip.pos.agrees(pos) {
            return true;
        }
        same && self.points.is_some()
            && pos.txid > tip.pos.txid
            && self.push(Point { pos, pages: tip.pages })
    }

    fn push(&mut self, point: Point) -> bool {
        self.points.get_or_insert_default().push(point);
        true
    }

    /// Makes other pages current as a restore does: unless they are, but for what counts.
    fn restore(&mut self, pages: &[Vec<u8>], led_to: Option<Pos>) -> bool {
        let tip = self.tip();
        let [first, rest @ ..] = pages else {
            return false;
        };
        let is_current = tip.pages.split_first().is_some_and(|(old, others)| {
            others == rest && page1::differ_in_counts_only(old, first)
        });
        if is_current {
            return led_to.is_none_or(|pos| self.reach(pos));
        }
        let txid = led_to.map_or_else(|| tip.pos.txid.next().unwrap(), |pos| pos.txid);
        let mut pages = pages.to_vec();
        succeed(&mut pages, &tip.pages);
        let pos = Pos { txid, post_apply_checksum: checksum(&pages), commit_id: id_of(led_to) };
        led_to.is_none_or(|led_to| led_to == pos)
            && txid > tip.pos.txid
            && self.push(Point { pos, pages: Arc::new(pages) })
    }

    /// Makes the pages of a file current, as an import does.
    fn import(&mut self, pages: &[Vec<u8>], led_to: Option<Pos>) -> bool {
        let (tip, mut pages) = (self.tip(), pages.to_vec());
        if tip.pages.is_empty() {
            let (size, counter) = (pages.len() as u32, pages[0][24..28].to_vec());
            pages[0][28..32].copy_from_slice(&size.to_be_bytes());
            pages[0][92..96].copy_from_slice(&counter);
        }
        succeed(&mut pages, &tip.pages);
        let txid = led_to.map_or_else(|| tip.pos.txid.next().unwrap(), |pos| pos.txid);
        let pos = Pos { txid, post_apply_checksum: checksum(&pages), commit_id: id_of(led_to) };
        led_to.is_none_or(|led_to| led_to == pos)
            && txid > tip.pos.txid
            && self.push(Point { pos, pages: Arc::new(pages) })
    }

    /// Makes so many transactions that change nothing.
    pub fn seal(&mut self, count: u64) -> bool {
        let tip = self.tip();
        let txid = Txid(tip.pos.txid.0 + count);
        let pos = Pos { txid, commit_id: CommitId::NONE, ..tip.pos };
        self.reach(pos)
    }

    fn admits(&self, record: &Record) -> bool {
        self.lease.as_ref().is_none_or(|(held, ends_ms)| {
            let late = record.outcome == Outcome::InDoubt || record.until_ms >= *ends_ms;
            late || record.lease.as_ref() == Some(held)
        })
    }

    /// Whether that was its content at that position.
    pub fn holds(&self, point: &Point) -> bool {
        let mut points = self.points.iter().flatten().rev();
        let then = points.find(|then| then.pos.txid <= point.pos.txid);
        then.is_some_and(|then| {
            then.pages == point.pages
                && then.pos.post_apply_checksum == point.pos.post_apply_checksum
        })
    }
}
