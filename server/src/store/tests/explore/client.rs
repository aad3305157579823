//! The clients of a script: what they do through their servers, recorded as they saw it.

use std::sync::Arc;
use std::time::Duration;

use litevfs::types::{ClusterName, PageSize, Pgno, Pos, Txid};
use tokio::time::Instant;

use super::history::{Deed, Outcome, Point, Record};
use super::run::World;
use crate::lease::LeaseError;
use crate::store::bucket::moment::now_ms;
use crate::store::history::read::Changes;
use crate::store::tests::model::{Model, Tx};
use crate::store::tests::{key, newest, spool};
use crate::store::{At, Database, Error, GroupError, GroupId, GroupTx, Store};

/// The databases of a script.
pub const DBS: [&str; 2] = ["db", "other"];
const PAGE_SIZE: u32 = 512;
/// Pages of a large database: enough to be sent in parts.
const LARGE: u32 = 16;
const LEASE: Duration = Duration::from_secs(30);

/// One thing that a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// A transaction on top of what the client knows: one page, or so many that it is sent in parts.
    Commit,
    LargeCommit,
    /// A transaction in both databases.
    Group,
    Drop,
    /// The first transaction of a database.
    MakeAnew,
    MakeAnewLarge,
    Restore(u64),
    /// A file in place of whatever there is, of one page or so many that it is sent in parts.
    Import,
    ImportLarge,
    Compact,
    Wait(Duration),
    /// Finds out where the database is.
    Look,
    /// Reads every restore point.
    LookBack,
    /// Its server's memory of the database is gone, as after a while or a restart.
    Forget,
    Acquire,
    Release,
    /// Of what is done before: a transaction that takes effect at any time of a run, or never.
    CommitLate,
}

/// A client and what it knows.
pub struct Client {
    world: Arc<World>,
    server: Arc<Store>,
    /// Names it; makes what it writes its own.
    number: usize,
    pub known: [Point; DBS.len()],
    /// Every point that it made.
    pub made: [Vec<Point>; DBS.len()],
    lease: Option<String>,
    acts: u8,
}

impl Client {
    pub fn new(
        world: &Arc<World>,
        server: Arc<Store>,
        number: usize,
        known: [Point; DBS.len()],
    ) -> Client {
        let (world, made) = (Arc::clone(world), Default::default());
        Client { world, server, number, known, made, lease: None, acts: 0 }
    }

    pub async fn act(&mut self, act: Act) {
        self.acts += 1;
        match act {
            Act::Commit => self.commit(1, false).await,
            Act::LargeCommit => self.commit(LARGE, false).await,
            Act::MakeAnew => self.commit(1, true).await,
            Act::MakeAnewLarge => self.commit(LARGE, true).await,
            Act::Group => self.commit_group().await,
            Act::Drop => {
                let from = self.world.moment();
                let done = self.server.drop_database(&key(DBS[0]), self.lease.as_deref()).await;
                // Another may have gone on from its own tombstone.
                let outcome = told(&done);
                self.record(from, Deed::Drop(0), outcome);
            }
            Act::Restore(txid) => self.restore(Txid(txid)).await,
            Act::Import => self.import(1).await,
            Act::ImportLarge => self.import(LARGE).await,
            Act::Compact => {
                let _ = self.server.try_compact(&key(DBS[0])).await;
            }
            Act::Wait(duration) => {
                let until = Instant::now() + duration;
                self.world.set_waits(self.number, Some(until));
                tokio::time::sleep_until(until).await;
                self.world.set_waits(self.number, None);
            }
            Act::Look => self.look().await,
            Act::LookBack => self.look_back().await,
            Act::Forget => {
                self.server.slot(&key(DBS[0])).forget().await;
            }
            Act::CommitLate => unreachable!("it is done when a run is prepared"),
            Act::Acquire => self.acquire().await,
            Act::Release => self.release().await,
        }
    }

    fn record(&self, from: u64, deed: Deed, outcome: Outcome) {
        let until = if outcome == Outcome::InDoubt { u64::MAX } else { self.world.moment() };
        let (who, lease) = (format!("client {}", self.number), self.lease.clone());
        let until_ms = now_ms();
        self.world.records.lock().push(Record { who, deed, outcome, lease, from, until, until_ms });
    }

    /// What nobody else ever writes.
    fn fill(&self) -> u8 {
        (self.number as u8 + 1) * 16 + self.acts
    }

    fn tx_on(&self, base: &Point, pages: u32) -> (Tx, Point) {
        let mut model = Model {
            page_size: PageSize::new(PAGE_SIZE).unwrap(),
            pages: base.pages.to_vec(),
            pos: base.pos,
            history: Vec::new(),
        };
        let commit = pages.max(base.pages.len() as u32);
        let changes: Vec<(u32, u8)> = (1..=pages).map(|pgno| (pgno, self.fill())).collect();
        let tx = model.tx(&changes, commit);
        model.apply(&tx);
        (tx, Point { pos: model.pos, pages: Arc::new(model.pages) })
    }

    async fn commit(&mut self, pages: u32, anew: bool) {
        let base = if anew { Point::empty() } else { self.known[0].clone() };
        let (tx, after) = self.tx_on(&base, pages);
        let (from, ltx, key) = (self.world.moment(), tx.ltx(), key(DBS[0]));
        let lease = self.lease.clone();
        let done = self.server.commit(&key, spool(&ltx), lease.as_deref()).await;
        self.world.undamaged(&done);
        let outcome = match (told(&done), lease) {
            (Outcome::InDoubt, Some(lease)) => self.settle(&ltx, lease, base.pos, after.pos).await,
            (outcome, _) => outcome,
        };
        self.record(from, Deed::Commit(vec![(0, base, after.clone())]), outcome);
        if outcome == Outcome::Acknowledged {
            self.made[0].push(after.clone());
            self.known[0] = after;
        }
    }

    /// What became of a commit under a lease, found out as the extension does: with the lease given back, it
    /// asks again, and a refusal means that the commit is not there, ever.
    async fn settle(&mut self, ltx: &[u8], lease: String, base: Pos, made: Pos) -> Outcome {
        let key = key(DBS[0]);
        self.lease = None;
        let released = Deed::Release(0, lease.clone());
        self.record(self.world.moment(), released, Outcome::Acknowledged);
        let fenced = self.server.release_lease(&key, &lease).await.is_ok();
        let again = self.server.commit(&key, spool(ltx), Some(&lease)).await;
        let refused = match again {
            Ok(_) => return Outcome::Acknowledged,
            Err(Error::PosMismatch(_) | Error::Fenced(_)) => fenced,
            Err(_) => false,
        };
        let now = current(&self.server, DBS[0]).await;
        let now = now.map(|now| now.map_or(Pos::EMPTY, |now| now.pos));
        let is_shut_out = |now: Pos| now.txid == made.txid && now != made;
        match now {
            Ok(now) if is_shut_out(now) || (refused && now == base) => Outcome::Refused,
            _ => Outcome::InDoubt,
        }
    }

    /// A transaction that nobody sends yet: what happens if it takes effect, and its file.
    pub fn late(&mut self) -> (Deed, Vec<u8>) {
        self.acts += 1;
        let base = self.known[0].clone();
        let (tx, after) = self.tx_on(&base, 1);
        (Deed::Commit(vec![(0, base, after)]), tx.ltx())
    }

    async fn import(&mut self, pages: u32) {
        let (_, file) = self.tx_on(&Point::empty(), pages);
        let (from, bytes, lease) =
            (self.world.moment(), file.pages.concat(), self.lease.as_deref());
        let done = self.server.import(&key(DBS[0]), spool(&bytes), lease).await;
        self.world.undamaged(&done);
        let led_to = done.as_ref().ok().copied();
        self.record(from, Deed::Import(0, file.pages, led_to), told(&done));
    }

    async fn look_back(&mut self) {
        let from = self.world.moment();
        if let Ok(seen) = read_all(&self.server, DBS[0]).await {
            self.record(from, Deed::Read(0, seen), Outcome::Acknowledged);
        }
    }

    async fn commit_group(&mut self) {
        let (mut members, mut txs) = (Vec::new(), Vec::new());
        for (number, db) in DBS.iter().enumerate() {
            let (tx, after) = self.tx_on(&self.known[number], 1);
            members.push((number, self.known[number].clone(), after));
            let upload = spool(&tx.ltx());
            txs.push(GroupTx { db: db.parse().unwrap(), lease_id: None, upload });
        }
        let id: GroupId = format!("{:08x}{}", self.fill(), "0c".repeat(12)).parse().unwrap();
        let cluster: ClusterName = key(DBS[0]).cluster;
        let from = self.world.moment();
        let done = self.server.commit_group(&cluster, &id, txs).await;
        let done = done.map_err(|GroupError { error, .. }| error);
        if done.is_ok() {
            for (db, _, after) in &members {
                self.made[*db].push(after.clone());
                self.known[*db] = after.clone();
            }
        }
        self.record(from, Deed::Commit(members), told(&done));
    }

    async fn restore(&mut self, txid: Txid) {
        let from = self.world.moment();
        let lease = self.lease.as_deref();
        let done = self.server.restore(&key(DBS[0]), At::Txid(txid), lease).await;
        let led_to = done.as_ref().ok().copied();
        self.record(from, Deed::Restore(0, txid, led_to), told(&done));
    }

    async fn look(&mut self) {
        let from = self.world.moment();
        let found = current(&self.server, DBS[0]).await;
        self.world.undamaged(&found);
        if let Ok(found) = found {
            self.known[0] = found.clone().unwrap_or_else(Point::empty);
            let seen = found.map(|now| (now, Vec::new()));
            self.record(from, Deed::Read(0, seen), Outcome::Acknowledged);
        }
    }

    async fn acquire(&mut self) {
        let (from, from_ms) = (self.world.moment(), now_ms());
        if let Ok((id, lasts)) = self.server.acquire_lease(&key(DBS[0]), LEASE).await {
            let ends_ms = from_ms + lasts.as_millis() as u64;
            self.record(from, Deed::Acquire(0, id.clone(), ends_ms), Outcome::Acknowledged);
            self.lease = Some(id);
            self.look().await;
        }
    }

    /// From when it begins to give its lease back, a client does not count on it.
    async fn release(&mut self) {
        if let Some(id) = self.lease.take() {
            let from = self.world.moment();
            self.record(from, Deed::Release(0, id.clone()), Outcome::Acknowledged);
            let _ = self.server.release_lease(&key(DBS[0]), &id).await;
        }
    }
}

pub fn told<T>(done: &Result<T, Error>) -> Outcome {
    use Error as E;
    match done {
        Ok(_) => Outcome::Acknowledged,
        Err(
            E::PosMismatch(_)
            | E::Fenced(LeaseError::Held(_) | LeaseError::Lost)
            | E::Replaced
            | E::NoDatabase
            | E::NoTxid(_)
            | E::GroupAborted
            | E::PageSize { .. }
            | E::MissingPages
            | E::BadChecksum(_),
        ) => Outcome::Refused,
        Err(_) => Outcome::InDoubt,
    }
}

pub async fn point(database: &Database, pos: Option<Pos>) -> Result<Point, Error> {
    let view = database.view(pos).await?;
    let pgnos: Vec<Pgno> = view.pgnos_from(1).collect();
    let pages = database.pages_of(&view, &pgnos).await?;
    Ok(Point { pos: view.pos, pages: Arc::new(pages) })
}

async fn current(server: &Arc<Store>, db: &str) -> Result<Option<Point>, Error> {
    match newest(server, &key(db)).await? {
        Some(database) => point(&database, None).await.map(Some),
        None => Ok(None),
    }
}

/// Reads all that a server has to tell of a database: where it is, every restore point, and what changed
/// since each.
pub async fn read_all(
    server: &Arc<Store>,
    db: &str,
) -> Result<Option<(Point, Vec<Point>)>, String> {
    let failed = |error: Error| format!("{db} can't be read: {error}");
    let Some(database) = newest(server, &key(db)).await.map_err(failed)? else {
        return Ok(None);
    };
    let now = point(&database, None).await.map_err(failed)?;
    let mut points = Vec::new();
    for known in database.restore_points(true).await.map_err(failed)? {
        points.push(point(&database, Some(known.pos)).await.map_err(failed)?);
    }
    for then in &points {
        let (pos, changes) = database.changes(then.pos).await.map_err(failed)?;
        let Changes::Pages(told) = changes else {
            continue;
        };
        let changed = (0..now.pages.len()).filter(|&at| then.pages.get(at) != now.pages.get(at));
        for at in changed {
            if !told.iter().any(|pgno| pgno.get() as usize == at + 1) {
                return Err(format!("{db}: page {} changed from {} to {pos}", at + 1, then.pos));
            }
        }
    }
    Ok(Some((now, points)))
}
