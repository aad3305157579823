//! Random work through several servers on a store that fails, restarts and compaction in between.
//!
//! The client here does what the extension does: after a commit without a clear answer it sends it again,
//! and before it takes a commit for failed it gives its lease back. Then what the servers say must be
//! final: the model takes it over, and nothing else may ever appear.

use std::sync::Arc;
use std::time::Duration;

use litevfs::types::{Pgno, Pos};

use super::faulty::Faults;
use super::memory::Memory;
use super::model::{Model, Tx};
use super::{eager, key, newest, open, spool};
use crate::key::DbKey;
use crate::store::history::read::Changes;
use crate::store::{Error, Store};

const SERVERS: usize = 3;
const LEASE: Duration = Duration::from_secs(60);
/// Between two tries of a client.
const PAUSE: Duration = Duration::from_millis(300);

struct Chaos {
    inner: Arc<Memory>,
    faults: Arc<Faults>,
    keep: Duration,
    servers: Vec<Arc<Store>>,
    key: DbKey,
    model: Model,
    fill: u8,
    committed: u32,
    failed: u32,
}

impl Chaos {
    async fn new(seed: u64, keep: Duration) -> Chaos {
        let (inner, faults) = (Arc::new(Memory::new()), Faults::new(seed));
        let mut servers = Vec::new();
        for _ in 0..SERVERS {
            servers.push(open(&inner, &faults, eager(keep)).await);
        }
        let (key, model) = (key("db"), Model::new(512));
        Chaos { inner, faults, keep, servers, key, model, fill: 0, committed: 0, failed: 0 }
    }

    fn any(&self) -> Arc<Store> {
        Arc::clone(&self.servers[self.faults.below(SERVERS as u32) as usize])
    }

    fn next_tx(&mut self) -> Tx {
        self.fill = self.fill.wrapping_add(1);
        if !self.model.pages.is_empty() && self.faults.below(12) == 0 {
            let page_size = 512 << self.faults.below(3);
            return self.model.reshape(page_size, self.fill, 1 + self.faults.below(20));
        }
        let old = self.model.pages.len() as u32;
        let commit = match self.faults.below(8) {
            0 => (old + 1 + self.faults.below(6)).min(40),
            1 => old.saturating_sub(self.faults.below(6)).max(1),
            _ => old.max(1),
        };
        let mut changes: Vec<u32> = (old + 1..=commit).collect();
        for _ in 0..self.faults.below(4) {
            changes.push(1 + self.faults.below(commit));
        }
        changes.push(1);
        changes.retain(|&pgno| pgno <= commit);
        changes.sort_unstable();
        changes.dedup();
        let changes: Vec<(u32, u8)> = changes.into_iter().map(|pgno| (pgno, self.fill)).collect();
        let span = if self.faults.below(10) == 0 { 1 + u64::from(self.faults.below(9)) } else { 1 };
        self.model.tx_spanning(span, &changes, commit)
    }

    /// Takes the lease, commits, gives the lease back; stubborn as a client is.
    async fn write(&mut self) {
        let Ok((id, _)) = self.any().acquire_lease(&self.key, LEASE).await else {
            return;
        };
        for _ in 0..=self.faults.below(3) {
            let tx = self.next_tx();
            let ltx = tx.ltx();
            let mut sure = None;
            for _ in 0..6 {
                match self.any().commit(&self.key, spool(&ltx), Some(&id)).await {
                    Ok(pos) => {
                        assert_eq!(pos, after(&tx));
                        sure = Some(true);
                        break;
                    }
                    Err(Error::PosMismatch(_)) => break,
                    Err(_) => tokio::time::sleep(PAUSE).await,
                }
            }
            if sure.is_some() {
                self.model.apply(&tx);
                self.committed += 1;
                continue;
            }
            self.release(&id).await;
            self.settle(&tx, &id).await;
            return;
        }
        self.release(&id).await;
    }

    async fn release(&self, id: &str) {
        while self.any().release_lease(&self.key, id).await.is_err() {
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Finds out what became of a commit, with the lease given back: from now on that is final. What any
    /// server refuses then is not there.
    async fn settle(&mut self, tx: &Tx, id: &str) {
        let ltx = tx.ltx();
        let held = loop {
            match self.any().commit(&self.key, spool(&ltx), Some(id)).await {
                Ok(_) => break true,
                Err(Error::PosMismatch(_) | Error::Fenced(_)) => break false,
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        };
        let pos = loop {
            match newest(&self.any(), &self.key).await {
                Ok(database) => break database.map_or(Pos::EMPTY, |database| database.pos()),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        };
        if held {
            self.model.apply(tx);
            self.committed += 1;
        } else {
            self.failed += 1;
        }
        self.catch_up(pos);
    }

    /// A server may have taken a transaction for one that changes nothing.
    fn catch_up(&mut self, pos: Pos) {
        if pos.txid > self.model.pos.txid {
            assert_eq!(pos.post_apply_checksum, self.model.pos.post_apply_checksum, "a ghost");
            self.model.pos = pos;
            self.model.history.push((pos, self.model.pages.clone()));
        }
        assert_eq!(pos, self.model.pos);
    }

    /// The newest position that a server tells is the model's, but for seals.
    async fn look(&mut self) {
        let Ok(found) = newest(&self.any(), &self.key).await else {
            return;
        };
        self.catch_up(found.map_or(Pos::EMPTY, |database| database.pos()));
    }

    /// Pages at some position of the past, through some server.
    async fn read(&mut self) {
        let Ok(Some(database)) = self.any().database(&self.key).await else {
            return;
        };
        let recent = self.model.history.len().min(30) as u32;
        let which = self.model.history.len() - 1 - self.faults.below(recent.max(1)) as usize;
        let (pos, pages) = &self.model.history[which];
        let pgnos: Vec<Pgno> = (1..=pages.len() as u32).filter_map(Pgno::new).collect();
        if let Ok(found) = database.pages(*pos, &pgnos).await {
            assert!(&found == pages, "wrong pages at {pos}");
        }
        let Ok((now, changes)) = database.changes(*pos).await else {
            return;
        };
        let Some((_, current)) = self.model.history.iter().find(|(pos, _)| *pos == now) else {
            // A seal that the model has not seen yet.
            return;
        };
        if let Changes::Pages(changed) = changes {
            for (number, page) in (1_u32..).zip(current) {
                let told = changed.iter().any(|pgno| pgno.get() == number);
                assert!(
                    told || pages.get(number as usize - 1) == Some(page),
                    "page {number} of {pos}"
                );
            }
            assert!(current.len() >= pages.len());
        }
    }

    async fn restart(&mut self) {
        let which = self.faults.below(SERVERS as u32) as usize;
        self.faults.set_rate(0);
        self.servers[which] = open(&self.inner, &self.faults, eager(self.keep)).await;
    }

    async fn run(mut self, steps: u32, one_in: u32) -> (u32, u32, u32) {
        for _ in 0..steps {
            self.faults.set_rate(one_in);
            match self.faults.below(12) {
                0..=4 => self.write().await,
                5..=6 => self.look().await,
                7..=9 if !self.model.history.is_empty() => self.read().await,
                10 => {
                    let _ = self.any().try_compact(&self.key).await;
                }
                11 if self.faults.below(4) == 0 => self.restart().await,
                _ => {}
            }
        }
        self.faults.set_rate(0);
        // Whatever is late arrives.
        tokio::time::sleep(Duration::from_secs(120)).await;
        for server in self.servers.clone() {
            let database = newest(&server, &self.key).await.unwrap();
            self.catch_up(database.as_ref().map_or(Pos::EMPTY, |database| database.pos()));
            let Some(database) = database else {
                continue;
            };
            let _ = server.try_compact(&self.key).await.unwrap();
            assert!(!database.state.read().lacks_snapshot());
            assert_eq!(database.view(None).await.unwrap().reshaped_by(), None);
            let points = database.restore_points(true).await.unwrap();
            for point in points {
                let known = self.model.history.iter().find(|(pos, _)| pos.txid == point.pos.txid);
                let Some((pos, pages)) = known else {
                    // Inside an upload that spans several transactions, or a seal before the last.
                    continue;
                };
                assert_eq!(*pos, point.pos);
                let pgnos: Vec<Pgno> = (1..=pages.len() as u32).filter_map(Pgno::new).collect();
                assert!(&database.pages(*pos, &pgnos).await.unwrap() == pages);
            }
        }
        let injected = self.faults.injected.load(std::sync::atomic::Ordering::SeqCst);
        (self.committed, self.failed, injected)
    }
}

fn after(tx: &Tx) -> Pos {
    tx.pos()
}

fn run(seeds: std::ops::Range<u64>, steps: u32, one_in: u32, keep: Duration) -> (u32, u32, u32) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let (mut committed, mut failed, mut injected) = (0, 0, 0);
    for seed in seeds {
        let chaos = async { Chaos::new(seed, keep).await.run(steps, one_in).await };
        let (c, f, i) = runtime.block_on(chaos);
        (committed, failed, injected) = (committed + c, failed + f, injected + i);
    }
    (committed, failed, injected)
}

#[test]
fn no_commit_is_lost_or_doubled_whatever_the_store_does() {
    let seeds = std::env::var("CHAOS_SEEDS").ok().and_then(|n| n.parse().ok()).unwrap_or(40);
    let (committed, failed, injected) = run(0..seeds, 120, 4, Duration::from_secs(3600));
    println!("{committed} committed, {failed} failed, {injected} faults");
    assert!(u64::from(committed) > seeds * 10 && u64::from(injected) > seeds * 10);
}

#[test]
fn nothing_that_is_still_to_be_read_is_removed() {
    let (committed, failed, injected) = run(1000..1040, 120, 12, Duration::ZERO);
    println!("{committed} committed, {failed} failed, {injected} faults");
    assert!(committed > 400 && injected > 400);
}
