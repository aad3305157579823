//! A change of the page size: the snapshot that begins what follows, and merging on either side of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use litevfs::page1::differ_in_counts_only;
use litevfs::types::{Pgno, Pos, Txid};

use super::faulty::Faults;
use super::memory::Memory;
use super::model::{Model, checksum};
use super::{eager, key, newest, open, spool};
use crate::key::DbKey;
use crate::store::bucket::ltx_file::SNAPSHOT_LEVEL;
use crate::store::compact::Schedule;
use crate::store::history::read::Changes;
use crate::store::{At, Store};

const HOUR: Duration = Duration::from_secs(3600);

/// Runs with a clock that waits for nothing.
fn block_on<T>(work: impl Future<Output = T>) -> T {
    let builder = &mut tokio::runtime::Builder::new_current_thread();
    builder.enable_all().start_paused(true).build().unwrap().block_on(work)
}

/// Commits what the model does: twice in pages of 512 bytes, whole in pages of 1024, then twice more.
async fn reshape(store: &Arc<Store>, key: &DbKey, model: &mut Model) {
    for fill in 1..3 {
        store.commit(key, spool(&model.commit(&[(1, fill)], 1)), None).await.unwrap();
    }
    let tx = model.reshape(1024, 3, 2);
    assert_eq!(store.commit(key, spool(&tx.ltx()), None).await.unwrap().txid, Txid(3));
    model.apply(&tx);
    for fill in 4..6 {
        store.commit(key, spool(&model.commit(&[(2, fill)], 2)), None).await.unwrap();
    }
}

async fn assert_reads(store: &Arc<Store>, key: &DbKey, model: &Model) {
    let database = newest(store, key).await.unwrap().unwrap();
    assert_eq!(database.pos(), model.pos);
    for (pos, pages) in &model.history {
        let pgnos: Vec<Pgno> = (1..=pages.len() as u32).filter_map(Pgno::new).collect();
        assert!(&database.pages(*pos, &pgnos).await.unwrap() == pages, "{pos}");
    }
    let (_, changes) = database.changes(model.history[1].0).await.unwrap();
    assert_eq!(changes, Changes::All);
    let (_, changes) = database.changes(model.history[2].0).await.unwrap();
    assert_eq!(changes, Changes::Pages(vec![Pgno::new(2).unwrap()]));
}

/// The plans for each position, as level and transactions.
async fn plans(store: &Arc<Store>, key: &DbKey, last: u64) -> Vec<Vec<(u8, u64, u64)>> {
    let database = newest(store, key).await.unwrap().unwrap();
    let state = database.state.read();
    let plan = |txid| {
        let plan = state.files.plan(Txid(txid)).unwrap();
        plan.iter().map(|file| (file.level, file.min_txid.0, file.max_txid.0)).collect()
    };
    (1..=last).map(plan).collect()
}

#[test]
fn a_snapshot_is_there_before_the_answer_and_begins_every_later_plan() {
    block_on(async {
        let (inner, key) = (Arc::new(Memory::new()), key("db"));
        let store = open(&inner, &Faults::new(1), Schedule::default()).await;
        let mut model = Model::new(512);
        reshape(&store, &key, &mut model).await;
        let anew = open(&inner, &Faults::new(2), Schedule::default()).await;
        for store in [&store, &anew] {
            assert_reads(store, &key, &model).await;
            let plans = plans(store, &key, 5).await;
            assert_eq!(plans[1], [(0, 1, 1), (0, 2, 2)]);
            assert_eq!(plans[2], [(9, 1, 3)]);
            assert_eq!(plans[4], [(9, 1, 3), (0, 4, 4), (0, 5, 5)]);
        }
    });
}

#[test]
fn a_missing_snapshot_is_made_up_for_and_missed_by_no_reader() {
    block_on(async {
        let (inner, key) = (Arc::new(Memory::new()), key("db"));
        let (faults, mut model) = (Faults::new(1), Model::new(512));
        faults.no_snapshots.store(true, Ordering::SeqCst);
        let dead = open(&inner, &faults, Schedule::default()).await;
        reshape(&dead, &key, &mut model).await;
        assert_reads(&dead, &key, &model).await;
        assert_eq!(plans(&dead, &key, 5).await[4].len(), 5);
        // It goes on without, in this server and in others, and is made when there is a chance.
        let other = open(&inner, &Faults::new(2), Schedule::default()).await;
        assert_reads(&other, &key, &model).await;
        assert_eq!(plans(&other, &key, 5).await[4].len(), 5);
        other.try_compact(&key).await.unwrap();
        assert_reads(&other, &key, &model).await;
        assert_eq!(plans(&other, &key, 5).await[4][0], (9, 1, 3));
        // The first server finds it there, and makes no other.
        faults.no_snapshots.store(false, Ordering::SeqCst);
        dead.try_compact(&key).await.unwrap();
        assert_reads(&dead, &key, &model).await;
        let database = newest(&dead, &key).await.unwrap().unwrap();
        assert_eq!(database.state.read().files.level(SNAPSHOT_LEVEL).count(), 1);
    });
}

#[test]
fn no_merged_file_reaches_over_a_change() {
    for no_snapshots in [false, true] {
        block_on(async {
            let (inner, key) = (Arc::new(Memory::new()), key("db"));
            let (faults, mut model) = (Faults::new(1), Model::new(512));
            faults.no_snapshots.store(no_snapshots, Ordering::SeqCst);
            let store = open(&inner, &faults, eager(HOUR)).await;
            reshape(&store, &key, &mut model).await;
            faults.no_snapshots.store(false, Ordering::SeqCst);
            for _ in 0..3 {
                store.try_compact(&key).await.unwrap();
            }
            let database = newest(&store, &key).await.unwrap().unwrap();
            let files: Vec<_> = database.state.read().files.iter().copied().collect();
            let merged = files.iter().filter(|file| (1..SNAPSHOT_LEVEL).contains(&file.level));
            let merged: Vec<_> = merged.map(|f| (f.level, f.min_txid.0, f.max_txid.0)).collect();
            assert!(merged.contains(&(1, 1, 2)) && merged.contains(&(1, 3, 5)), "{merged:?}");
            let over = |&&(_, min, max): &&(u8, u64, u64)| min < 3 && max >= 3;
            assert_eq!(merged.iter().find(over), None);
            assert_reads(&store, &key, &model).await;
            let anew = open(&inner, &Faults::new(2), Schedule::default()).await;
            assert_reads(&anew, &key, &model).await;
        });
    }
}

#[test]
fn another_server_follows_and_restores_what_was_before() {
    block_on(async {
        let (inner, key) = (Arc::new(Memory::new()), key("db"));
        let one = open(&inner, &Faults::new(1), Schedule::default()).await;
        let other = open(&inner, &Faults::new(2), Schedule::default()).await;
        let mut model = Model::new(512);
        one.commit(&key, spool(&model.commit(&[(1, 9)], 1)), None).await.unwrap();
        model.history.clear();
        newest(&other, &key).await.unwrap();
        let mut after = model.clone();
        let tx = model.reshape(1024, 3, 2);
        one.commit(&key, spool(&tx.ltx()), None).await.unwrap();
        after.apply(&tx);
        other.commit(&key, spool(&after.commit(&[(1, 5)], 2)), None).await.unwrap();
        let pos = other.restore(&key, At::Txid(Txid(1)), None).await.unwrap();
        assert_eq!(pos.txid, Txid(4));
        let database = newest(&one, &key).await.unwrap().unwrap();
        assert_eq!(database.page_size().bytes(), 512);
        let restored = database.pages(pos, &[Pgno::ONE]).await.unwrap();
        assert!(differ_in_counts_only(&restored[0], &model.pages[0]));
        assert_eq!(pos.post_apply_checksum, checksum(&restored));
        let before = Pos { txid: Txid(3), ..after.pos };
        assert!(database.pages(before, &[Pgno::ONE]).await.unwrap()[0] == after.pages[0]);
        assert_eq!(plans(&other, &key, 4).await[3], [(9, 1, 4)]);
    });
}
