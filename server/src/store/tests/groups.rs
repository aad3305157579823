//! Groups through several servers on a store that fails, with servers that die between any two steps,
//! against a model: never half a group, none lost that was acknowledged, none that was refused.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use litevfs::types::{ClusterName, DbName, Pgno, Pos};

use super::faulty::Faults;
use super::memory::Memory;
use super::model::{Model, Tx};
use super::{eager, key, newest, open, spool};
use crate::key::DbKey;
use crate::store::bucket::rules;
use crate::store::compact::Schedule;
use crate::store::{Error, GroupError, GroupId, GroupTx, Outcome, Positions, Store};

const DBS: [&str; 3] = ["a", "b", "c"];
const SERVERS: usize = 3;
const SECOND: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(300);

fn cluster() -> ClusterName {
    key("a").cluster
}

fn id(number: u32) -> GroupId {
    format!("{:08x}{}", number.wrapping_mul(0x9e37_79b9), "0c".repeat(12)).parse().unwrap()
}

fn group(txs: &[(DbName, Tx)]) -> Vec<GroupTx> {
    let group_tx = |(db, tx): &(DbName, Tx)| GroupTx {
        db: db.clone(),
        lease_id: None,
        upload: spool(&tx.ltx()),
    };
    txs.iter().map(group_tx).collect()
}

async fn push(store: &Store, number: u32, txs: &[(DbName, Tx)]) -> Result<Positions, GroupError> {
    store.commit_group(&cluster(), &id(number), group(txs)).await
}

/// Gives work up after so many steps, as a server does that dies; `None` then.
async fn dying<T>(steps: u32, work: impl Future<Output = T>) -> Option<T> {
    let (mut work, mut left) = (pin!(work), steps);
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        work.as_mut().poll(context).map(Some)
    })
    .await
}

/// Whether an error says that nothing was applied, or will be.
fn is_definite(error: &Error) -> bool {
    use Error as E;
    matches!(error, E::PosMismatch(_) | E::GroupAborted | E::Replaced)
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let builder = &mut tokio::runtime::Builder::new_current_thread();
    builder.enable_all().start_paused(true).build().unwrap().block_on(work)
}

fn shown(tx: &Tx, pos: Pos) -> bool {
    pos.txid >= tx.header.max_txid && pos.post_apply_checksum == tx.post
}

/// A group of which it is not known what became of it.
struct Open {
    id: GroupId,
    txs: Vec<(DbName, Tx)>,
}

struct Chaos {
    inner: Arc<Memory>,
    faults: Arc<Faults>,
    servers: Vec<Arc<Store>>,
    models: BTreeMap<DbName, Model>,
    /// The transactions of each group that was committed.
    groups: Vec<Vec<(DbName, Tx)>>,
    open: Option<Open>,
    number: u32,
    refused: u32,
    died: u32,
}

impl Chaos {
    async fn new(seed: u64) -> Chaos {
        let (inner, faults) = (Arc::new(Memory::new()), Faults::new(seed));
        let mut servers = Vec::new();
        for _ in 0..SERVERS {
            servers.push(open(&inner, &faults, eager(3600 * SECOND)).await);
        }
        let models = DBS.iter().map(|db| (db.parse().unwrap(), Model::new(512))).collect();
        Chaos {
            inner,
            faults,
            servers,
            models,
            groups: Vec::new(),
            open: None,
            number: 0,
            refused: 0,
            died: 0,
        }
    }

    fn any(&self) -> Arc<Store> {
        Arc::clone(&self.servers[self.faults.below(SERVERS as u32) as usize])
    }

    async fn restart(&mut self, which: usize) {
        let rate = self.faults.set_rate(0);
        self.servers[which] = open(&self.inner, &self.faults, eager(3600 * SECOND)).await;
        self.faults.set_rate(rate);
    }

    fn next_tx(&mut self, db: &DbName) -> Tx {
        self.number += 1;
        let fill = (self.number % 251) as u8;
        let model = &self.models[db];
        let (old, grown) = (model.pages.len() as u32, self.faults.below(3));
        let commit = (old + grown).clamp(1, 9);
        let mut changes = vec![(1, fill)];
        changes.extend((old.max(1) + 1..=commit).map(|pgno| (pgno, fill)));
        model.tx(&changes, commit)
    }

    fn apply(&mut self, txs: Vec<(DbName, Tx)>) {
        for (db, tx) in &txs {
            self.models.get_mut(db).unwrap().apply(tx);
        }
        self.groups.push(txs);
    }

    /// Commits a group, stubborn as a client is, through servers that may die.
    async fn write_group(&mut self) {
        self.settle().await;
        self.catch_up().await;
        let without = self.faults.below(6) as usize;
        let dbs: Vec<DbName> = DBS.iter().map(|db| db.parse().unwrap()).collect();
        let mut dbs: Vec<DbName> =
            dbs.into_iter().enumerate().filter(|(n, _)| *n != without).map(|(_, db)| db).collect();
        if self.faults.below(2) == 0 {
            dbs.reverse();
        }
        let txs: Vec<(DbName, Tx)> =
            dbs.into_iter().map(|db| (db.clone(), self.next_tx(&db))).collect();
        let id = id(self.number);
        for _ in 0..1 + self.faults.below(4) {
            let which = self.faults.below(SERVERS as u32) as usize;
            let server = Arc::clone(&self.servers[which]);
            let steps = if self.faults.below(3) == 0 { self.faults.below(60) } else { u32::MAX };
            match dying(steps, server.commit_group(&cluster(), &id, group(&txs))).await {
                Some(Ok(positions)) => {
                    let expected: Positions =
                        txs.iter().map(|(db, tx)| (db.clone(), after(tx))).collect();
                    assert_eq!(positions, expected);
                    return self.apply(txs);
                }
                Some(Err(GroupError { error, .. })) if is_definite(&error) => {
                    self.refused += 1;
                    return;
                }
                Some(Err(_)) => tokio::time::sleep(PAUSE).await,
                None => {
                    self.died += 1;
                    self.restart(which).await;
                }
            }
        }
        self.open = Some(Open { id, txs });
    }

    /// Has the last group decided, if that is not known, and goes by it.
    async fn settle(&mut self) {
        let Some(Open { id, txs }) = self.open.take() else {
            return;
        };
        loop {
            match self.any().abort_group(&cluster(), &id).await {
                Ok(Outcome::Committed) => return self.apply(txs),
                Ok(outcome) => return assert_eq!(outcome, Outcome::Aborted),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// A transaction by a client that knows nothing of groups; the file is sent until it is clear what
    /// became of it.
    async fn write_plain(&mut self) {
        self.catch_up().await;
        let db: DbName = DBS[self.faults.below(3) as usize].parse().unwrap();
        let open = self.open.as_ref().is_some_and(|open| open.txs.iter().any(|(of, _)| *of == db));
        let tx = self.next_tx(&db);
        let key = DbKey { cluster: cluster(), db: db.clone() };
        loop {
            match self.any().commit(&key, spool(&tx.ltx()), None).await {
                Ok(pos) => {
                    assert_eq!(pos, after(&tx));
                    // An open group that was to be there is decided against.
                    if open {
                        self.assert_aborted().await;
                    }
                    self.models.get_mut(&db).unwrap().apply(&tx);
                    return;
                }
                Err(Error::PosMismatch(_)) => return,
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// The open group can never be committed any more.
    async fn assert_aborted(&mut self) {
        let before = self.groups.len();
        self.settle().await;
        assert_eq!(self.groups.len(), before, "two transactions took one place");
    }

    /// What a server tells of all databases at one moment; `None` when it failed.
    async fn look(&mut self, server: &Arc<Store>) -> Option<BTreeMap<DbName, Pos>> {
        let told: BTreeMap<DbName, Pos> = if self.faults.below(2) == 0 {
            let told: BTreeMap<_, _> =
                server.databases(&cluster()).await.ok()?.into_iter().collect();
            for db in DBS {
                // What could not be read is left out, as if it were damaged.
                let is_open = server.slot(&key(db)).database.lock().await.is_some();
                if is_open && !told.contains_key(&key(db).db) {
                    return None;
                }
            }
            told
        } else {
            let asked = DBS.iter().map(|db| (db.parse().unwrap(), Pos::EMPTY)).collect();
            let found = server.read_together(&cluster(), &asked).await.ok()?;
            found.into_iter().map(|(db, pos, _)| (db, pos)).collect()
        };
        let pos = |db: &DbName| told.get(db).copied().unwrap_or(Pos::EMPTY);
        for txs in &self.groups {
            let has: Vec<bool> =
                txs.iter().map(|(db, tx)| pos(db).txid >= tx.header.max_txid).collect();
            assert!(has.iter().all(|&one| one == has[0]), "half a group: {has:?}");
        }
        if let Some(open) = &self.open {
            let has: Vec<bool> = open.txs.iter().map(|(db, tx)| shown(tx, pos(db))).collect();
            assert!(has.iter().all(|&one| one == has[0]), "half of an open group: {has:?}");
            if has[0] {
                let Open { txs, .. } = self.open.take().unwrap();
                self.apply(txs);
            }
        }
        Some(told)
    }

    /// The newest that there is: the models', but for transactions that change nothing.
    async fn catch_up(&mut self) {
        loop {
            let server = self.any();
            for db in DBS {
                server.slot(&key(db)).look_again().await;
            }
            let Some(told) = self.look(&server).await else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            for (db, model) in &mut self.models {
                let pos = told.get(db).copied().unwrap_or(Pos::EMPTY);
                if pos.txid > model.pos.txid {
                    assert_eq!(pos.post_apply_checksum, model.pos.post_apply_checksum, "a ghost");
                    model.pos = pos;
                    model.history.push((pos, model.pages.clone()));
                }
                assert_eq!(pos, model.pos, "{db}");
            }
            return;
        }
    }

    /// The pages of a position that a server has just told.
    async fn read(&mut self) {
        let server = self.any();
        let Some(told) = self.look(&server).await else {
            return;
        };
        for (db, pos) in told {
            let known = self.models[&db].history.iter().find(|(known, _)| *known == pos).cloned();
            let Some((_, pages)) = known else {
                assert!(pos.txid > self.models[&db].pos.txid, "{db} was never at {pos}");
                continue;
            };
            let key = DbKey { cluster: cluster(), db };
            let pgnos: Vec<Pgno> = (1..=pages.len() as u32).filter_map(Pgno::new).collect();
            if let Ok(Some(database)) = server.database(&key).await
                && let Ok(found) = database.pages(pos, &pgnos).await
            {
                assert!(found == pages, "wrong pages at {pos}");
            }
        }
    }

    async fn run(mut self, steps: u32, one_in: u32) -> (usize, u32, u32) {
        for _ in 0..steps {
            self.faults.set_rate(one_in);
            match self.faults.below(12) {
                0..=3 => self.write_group().await,
                4..=5 => self.write_plain().await,
                6..=8 => self.read().await,
                9 => {
                    let db = DBS[self.faults.below(3) as usize];
                    let _ = self.any().try_compact(&key(db)).await;
                }
                10 => {
                    let which = self.faults.below(SERVERS as u32) as usize;
                    self.restart(which).await;
                }
                _ => tokio::time::sleep(SECOND * self.faults.below(90)).await,
            }
        }
        self.faults.set_rate(0);
        // Whatever is late arrives.
        tokio::time::sleep(120 * SECOND).await;
        self.settle().await;
        for server in self.servers.clone() {
            self.catch_up().await;
            for (db, model) in &self.models {
                let key = DbKey { cluster: cluster(), db: db.clone() };
                let Some(database) = newest(&server, &key).await.unwrap() else {
                    assert_eq!(model.pos, Pos::EMPTY);
                    continue;
                };
                for (pos, pages) in &model.history {
                    let pgnos: Vec<Pgno> = (1..=pages.len() as u32).filter_map(Pgno::new).collect();
                    assert!(&database.pages(*pos, &pgnos).await.unwrap() == pages);
                }
            }
        }
        (self.groups.len(), self.refused, self.died)
    }
}

fn after(tx: &Tx) -> Pos {
    tx.pos()
}

#[test]
fn no_group_is_ever_seen_in_half_lost_or_doubled_whatever_fails() {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse().ok());
    let (first, seeds) = (number("CHAOS_FIRST").unwrap_or(0), number("CHAOS_SEEDS").unwrap_or(30));
    let (mut committed, mut refused, mut died) = (0, 0, 0);
    for seed in first..first + seeds {
        let (c, r, d) = block_on(async { Chaos::new(seed).await.run(100, 6).await });
        (committed, refused, died) = (committed + c as u64, refused + r, died + d);
    }
    println!("{committed} committed, {refused} refused, {died} servers died");
    assert!(committed > seeds * 5 && u64::from(refused + died) > seeds);
}

/// Two servers, and databases `a` and `b` of one page; a group is to change both and to make `c`.
async fn started() -> (Arc<Store>, Arc<Store>, Vec<(DbName, Tx)>) {
    let (inner, faults) = (Arc::new(Memory::new()), Faults::new(1));
    let one = open(&inner, &faults, Schedule::default()).await;
    let other = open(&inner, &faults, Schedule::default()).await;
    let mut txs = Vec::new();
    for db in DBS {
        let mut model = Model::new(512);
        if db != "c" {
            one.commit(&key(db), spool(&model.commit(&[(1, 1)], 1)), None).await.unwrap();
        }
        txs.push((db.parse().unwrap(), model.tx(&[(1, 2)], 1)));
    }
    (one, other, txs)
}

#[test]
fn a_server_may_die_at_any_step() {
    let (mut committed, mut aborted) = (0, 0);
    for steps in 0.. {
        let done = block_on(async {
            let (one, other, txs) = started().await;
            let work = push(&one, 1, &txs);
            let done = dying(steps, work).await.is_some();
            let seen = other.databases(&cluster()).await.unwrap();
            let shows = |(db, tx): &(DbName, Tx)| {
                seen.iter().any(|(of, pos)| of == db && *pos == after(tx))
            };
            let all = txs.iter().all(shows);
            assert!(all || !txs.iter().any(shows), "half a group after {steps} steps");
            assert!(all || !done, "acknowledged, and not seen");
            // The next writer goes on, after it or without it.
            let mut model = Model::new(512);
            model.commit(&[(1, 1)], 1);
            if all {
                model.apply(&txs[0].1);
            }
            let next = model.tx(&[(1, 3)], 1);
            match other.commit(&key("a"), spool(&next.ltx()), None).await {
                Ok(pos) => assert_eq!(pos, after(&next)),
                Err(Error::PosMismatch(pos)) => {
                    // The file that was in its place changes nothing now.
                    model.pos.txid.0 += 1;
                    assert_eq!(pos, Pos { commit_id: pos.commit_id, ..model.pos });
                }
                Err(error) => panic!("{error}"),
            }
            let outcome = other.abort_group(&cluster(), &id(1)).await.unwrap();
            assert_eq!(outcome, if all { Outcome::Committed } else { Outcome::Aborted });
            let again = push(&other, 1, &txs).await;
            match (all, again.map_err(|failure| failure.error)) {
                (true, Ok(_)) => committed += 1,
                (false, Err(Error::GroupAborted)) => aborted += 1,
                (_, again) => panic!("{again:?} after {steps} steps"),
            }
            done
        });
        if done {
            break;
        }
    }
    assert!(committed > 0 && aborted > 5, "{committed}, {aborted}");
}

#[test]
fn a_client_may_go_on_through_another_server_while_the_first_is_at_it() {
    block_on(async {
        let (one, other, txs) = started().await;
        let (a, b) = tokio::join!(push(&one, 1, &txs), push(&other, 1, &txs),);
        let expected: Positions = txs.iter().map(|(db, tx)| (db.clone(), after(tx))).collect();
        assert_eq!((a.unwrap(), b.unwrap()), (expected.clone(), expected));
    });
}

#[test]
fn of_two_groups_that_want_the_same_place_one_is_committed_at_most() {
    block_on(async {
        let (one, other, txs) = started().await;
        let mut reversed = txs.clone();
        reversed.reverse();
        for (_, tx) in &mut reversed {
            tx.header.timestamp_ms += 1;
        }
        let (a, b) = tokio::join!(push(&one, 1, &txs), push(&other, 2, &reversed),);
        assert!(a.is_err() || b.is_err());
        for failure in [a, b].into_iter().filter_map(Result::err) {
            assert!(is_definite(&failure.error), "{failure:?}");
        }
    });
}

#[test]
fn decisions_go_when_no_file_is_left_that_needs_them() {
    block_on(async {
        let inner = Arc::new(Memory::new());
        let store = open(&inner, &Faults::new(1), eager(Duration::ZERO)).await;
        let mut models: Vec<Model> = DBS.iter().map(|_| Model::new(512)).collect();
        let mut last = 0;
        for number in 1..9 {
            let txs: Vec<(DbName, Tx)> = DBS
                .iter()
                .zip(&models)
                .map(|(db, model)| (db.parse().unwrap(), model.tx(&[(1, number)], 1)))
                .collect();
            push(&store, number.into(), &txs).await.unwrap();
            models.iter_mut().zip(&txs).for_each(|(model, (_, tx))| model.apply(tx));
            last = u32::from(number);
        }
        store.abort_group(&cluster(), &id(99)).await.unwrap();
        let known =
            async |number| store.group_outcome(&cluster(), &id(number)).await.unwrap().is_some();
        store.sweep_decisions().await.unwrap();
        assert!(known(1).await && known(99).await, "they are young");
        tokio::time::sleep(31 * 24 * 3600 * SECOND).await;
        for db in DBS {
            store.try_compact(&key(db)).await.unwrap();
            tokio::time::sleep(rules::GRACE + SECOND).await;
            store.try_compact(&key(db)).await.unwrap();
        }
        store.sweep_decisions().await.unwrap();
        assert!(!known(1).await);
        assert!(known(99).await, "a commit of it may be late");
        assert!(known(last).await, "the last files are there still");
        let anew = open(&inner, &Faults::new(2), Schedule::default()).await;
        for (db, model) in DBS.iter().zip(&models) {
            assert_eq!(newest(&anew, &key(db)).await.unwrap().unwrap().pos(), model.pos);
        }
    });
}
