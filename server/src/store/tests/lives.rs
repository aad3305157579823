//! Long histories of one name by seeds, through several servers: commits, drops, databases made anew,
//! restores, imports and merges, many at a time, on a store that holds requests for hours, does them once
//! more, or loses their answers. One history of contents must explain what everybody was told and what
//! every reader sees.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use litevfs::types::Txid;
use tokio::task::JoinHandle;

use super::explore::client::{point, read_all, told};
use super::explore::history::{Deed, Outcome, Point};
use super::faulty::Faults;
use super::guess::{Guess, Number};
use super::memory::Memory;
use super::model::Model;
use super::{MINUTE, MOMENT, block_on, key, merging, newest, open, spool};
use crate::store::bucket::rules::GRACE;
use crate::store::{At, Error, Store};

const HOUR: Duration = Duration::from_secs(3600);
const SERVERS: u32 = 3;
/// One in so many requests is held.
const ONE_IN: u32 = 8;
/// How much is done at a time, at most.
const AT_A_TIME: usize = 4;
/// How long all that is late takes, at most: requests that wait for each other, each held for hours.
const LONG: Duration = Duration::from_secs(30 * 24 * 3600);

/// What is asked of a server.
#[derive(Debug, Clone)]
enum Ask {
    Commit(Vec<u8>),
    Drop,
    Restore(Txid),
    Import(Vec<u8>),
}

struct Lives {
    inner: Arc<Memory>,
    faults: Arc<Faults>,
    servers: Vec<Arc<Store>>,
    /// Its requests are not held.
    calm: Arc<Store>,
    guess: Guess,
    under_way: Vec<(Number, JoinHandle<Outcome>)>,
    merges: Vec<JoinHandle<()>>,
    fill: u8,
    drops: u32,
    acknowledged: u32,
}

/// Asks a server, perhaps under a lease of its own.
async fn ask(number: Number, server: Arc<Store>, ask: Ask, leased: bool) -> Outcome {
    let name = key("db");
    let lease = match leased {
        true => match server.acquire_lease(&name, 30 * MOMENT).await {
            Ok((id, _)) => Some(id),
            Err(_) => return Outcome::Refused,
        },
        false => None,
    };
    let id = lease.as_deref();
    let done = match ask {
        Ask::Commit(ltx) => server.commit(&name, spool(&ltx), id).await.map(|_| ()),
        Ask::Drop => server.drop_database(&name, id).await,
        Ask::Restore(txid) => server.restore(&name, At::Txid(txid), id).await.map(|_| ()),
        Ask::Import(file) => server.import(&name, spool(&file), id).await.map(|_| ()),
    };
    assert!(!matches!(done, Err(Error::Corrupt { .. })), "{done:?}");
    if let Some(id) = id {
        let _ = server.release_lease(&name, id).await;
    }
    // For people.
    println!("{number}: {done:?}");
    match done {
        // It is gone with its database; before that it may have been there.
        Err(Error::Replaced) => Outcome::InDoubt,
        done => told(&done),
    }
}

impl Lives {
    async fn new(seed: u64) -> Lives {
        let (inner, faults) = (Arc::new(Memory::new()), Faults::new(seed));
        let mut servers = Vec::new();
        for _ in 0..SERVERS {
            servers.push(open(&inner, &faults, merging()).await);
        }
        let calm = open(&inner, &Faults::new(seed), merging()).await;
        let (guess, under_way, merges) = (Guess::default(), Vec::new(), Vec::new());
        let (fill, drops, acknowledged) = (0, 0, 0);
        Lives { inner, faults, servers, calm, guess, under_way, merges, fill, drops, acknowledged }
    }

    fn any(&self) -> Arc<Store> {
        Arc::clone(&self.servers[self.faults.below(SERVERS) as usize])
    }

    /// Pages with what nobody else ever writes.
    fn model_on(&mut self, base: &Point) -> (Model, Vec<(u32, u8)>, u32) {
        self.fill = self.fill.wrapping_add(1);
        let mut model = Model::new(512);
        (model.pages, model.pos) = (base.pages.to_vec(), base.pos);
        let old = model.pages.len() as u32;
        let commit = (old + self.faults.below(3)).saturating_sub(self.faults.below(2)).clamp(1, 6);
        let mut changes: Vec<u32> = (old + 1..=commit).chain([1]).collect();
        changes.push(1 + self.faults.below(commit));
        changes.sort_unstable();
        changes.dedup();
        (model, changes.into_iter().map(|pgno| (pgno, self.fill)).collect(), commit)
    }

    /// Chooses what is done next, on top of what is known.
    fn next(&mut self) -> (Ask, Deed) {
        let known = self.guess.tip();
        let which = self.faults.below(12);
        if let Some(known) = &known {
            match which {
                0 | 1 => {
                    self.drops += 1;
                    return (Ask::Drop, Deed::Drop(0));
                }
                2 => {
                    let txid = Txid(1 + u64::from(self.faults.below(known.pos.txid.0 as u32)));
                    return (Ask::Restore(txid), Deed::Restore(0, txid, None));
                }
                _ => {}
            }
        }
        let base = known.unwrap_or_else(Point::empty);
        let (mut model, changes, commit) = self.model_on(&base);
        if which == 3 {
            model.pages.clear();
            let all: Vec<(u32, u8)> = (1..=commit).map(|pgno| (pgno, self.fill)).collect();
            model.commit(&all, commit);
            return (Ask::Import(model.file()), Deed::Import(0, Arc::new(model.pages), None));
        }
        let ltx = model.commit(&changes, commit);
        let after = Point { pos: model.pos, pages: Arc::new(model.pages) };
        (Ask::Commit(ltx), Deed::Commit(vec![(0, base, after)]))
    }

    /// Takes in what was answered meanwhile.
    async fn collect(&mut self) {
        let (over, under_way) = std::mem::take(&mut self.under_way)
            .into_iter()
            .partition::<Vec<_>, _>(|(_, asked)| asked.is_finished());
        self.under_way = under_way;
        for (number, asked) in over {
            let outcome = asked.await.unwrap();
            self.acknowledged += u32::from(outcome == Outcome::Acknowledged);
            self.guess.told(number, outcome);
        }
    }

    /// What a server shows is explained by what was asked for.
    async fn look(&mut self, server: &Arc<Store>) {
        self.collect().await;
        let seen = async {
            match newest(server, &key("db")).await? {
                Some(database) => point(&database, None).await.map(Some),
                None => Ok(None),
            }
        };
        match seen.await {
            Ok(seen) => self.guess.seen(seen.as_ref()),
            // It was dropped, or merged, in between.
            Err(Error::Replaced | Error::Gone(_) | Error::NoTxid(_)) => {}
            Err(error) => panic!("it can't be read: {error}"),
        }
    }

    async fn step(&mut self) {
        let server = self.any();
        match self.faults.below(8) {
            0..=3 => {
                let (asked, deed) = self.next();
                let number = self.guess.begin(deed);
                let leased = self.faults.below(4) == 0;
                self.under_way.push((number, tokio::spawn(ask(number, server, asked, leased))));
            }
            4 | 5 => self.merges.push(tokio::spawn(async move {
                let _ = server.try_compact(&key("db")).await;
            })),
            6 => self.look(&server).await,
            _ if self.faults.below(4) == 0 => {
                // The old one goes on, frozen for as long as its requests are held.
                let which = self.faults.below(SERVERS) as usize;
                self.faults.held.store(0, Ordering::SeqCst);
                self.servers[which] = open(&self.inner, &self.faults, merging()).await;
            }
            _ => {}
        }
        let pauses = [Duration::ZERO, MOMENT, 20 * MOMENT, GRACE + MOMENT, 10 * MINUTE, 3 * HOUR];
        tokio::time::sleep(pauses[self.faults.below(pauses.len() as u32) as usize]).await;
        while self.under_way.len() >= AT_A_TIME {
            tokio::time::sleep(HOUR).await;
            self.collect().await;
        }
        let calm = Arc::clone(&self.calm);
        self.look(&calm).await;
    }

    async fn run(mut self, steps: u32) -> (u32, u32, u32) {
        for _ in 0..steps {
            self.faults.held.store(ONE_IN, Ordering::SeqCst);
            self.step().await;
        }
        self.faults.held.store(0, Ordering::SeqCst);
        tokio::time::sleep(LONG).await;
        self.collect().await;
        assert!(self.under_way.is_empty() && self.merges.iter().all(JoinHandle::is_finished));
        let anew = open(&self.inner, &Faults::new(9), merging()).await;
        let mut all = self.servers.clone();
        all.extend([Arc::clone(&self.calm), anew]);
        for swept in [false, true] {
            for server in &all {
                if swept {
                    let _ = server.try_compact(&key("db")).await.unwrap();
                    tokio::time::sleep(3 * HOUR).await;
                }
                self.look(server).await;
                let seen = read_all(server, "db").await.unwrap();
                let points = seen.map(|(now, points)| points.into_iter().chain([now]));
                points.into_iter().flatten().for_each(|point| self.guess.has_been(&point));
            }
        }
        let held = self.faults.injected.load(Ordering::SeqCst);
        (self.acknowledged, self.drops, held)
    }
}

#[test]
fn one_history_explains_what_everybody_was_told_over_many_lives_of_a_name() {
    let seeds = std::env::var("CHAOS_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(80);
    let (mut acknowledged, mut drops, mut held) = (0, 0, 0);
    for seed in 0..seeds {
        println!("seed {seed}");
        let (a, d, h) = block_on(async { Lives::new(seed).await.run(100).await });
        (acknowledged, drops, held) = (acknowledged + a, drops + d, held + h);
    }
    println!("{acknowledged} acknowledged, {drops} drops, {held} requests held");
    assert!(u64::from(acknowledged) > seeds * 10 && u64::from(held) > seeds * 10);
}
