//! What is kept of many names in memory.

use std::sync::Arc;

use super::faulty::Faults;
use super::memory::Memory;
use super::model::Model;
use super::{block_on, key, newest, open, spool};
use crate::key::DbKey;
use crate::store::compact::Schedule;
use crate::store::{Database, Store};

async fn store() -> Arc<Store> {
    open(&Arc::new(Memory::new()), &Faults::new(1), Schedule::default()).await
}

/// The databases that are open.
fn opened(store: &Store) -> Vec<Arc<Database>> {
    let slots = store.slots.all();
    slots.iter().filter_map(|slot| slot.database.try_lock().ok()?.clone()).collect()
}

fn name(n: usize) -> DbKey {
    key(&format!("db{n:05}"))
}

#[test]
fn databases_that_were_not_used_for_longest_are_closed_and_all_are_told() {
    const COUNT: usize = 400;
    block_on(async {
        let store = store().await;
        for n in 0..COUNT {
            let ltx = Model::new(512).commit(&[(1, 1)], 1);
            store.commit(&name(n), spool(&ltx), None).await.unwrap();
        }
        let open = opened(&store);
        assert!((100..300).contains(&open.len()), "{} are open", open.len());
        let is_open = |n: usize| open.iter().any(|database| database.db.key == name(n));
        assert!(is_open(COUNT - 1) && !is_open(0), "those used last stay");
        drop(open);
        let told = store.databases(&name(0).cluster).await.unwrap();
        assert_eq!(told.len(), COUNT);
    });
}

#[test]
fn what_is_remembered_of_pages_counts() {
    block_on(async {
        let store = store().await;
        let all = |fill| (1..=400).map(|pgno| (pgno, fill)).collect::<Vec<(u32, u8)>>();
        for n in 0..240 {
            let mut model = Model::new(512);
            for fill in 1..3 {
                let ltx = model.commit(&all(fill), 400);
                store.commit(&name(n), spool(&ltx), None).await.unwrap();
            }
        }
        let bytes: Vec<usize> = opened(&store).iter().map(|database| database.memory()).collect();
        let (sum, most) = (bytes.iter().sum::<usize>(), bytes.iter().max().unwrap());
        assert!(*most > 10_000, "checksums take {most} bytes only");
        // Some more may be open than when they were weighed last.
        assert!(sum <= (1 << 20) + 66 * most && bytes.len() < 220, "{sum}, {}", bytes.len());
    });
}

#[test]
fn names_of_nothing_are_forgotten_and_databases_stay_open() {
    block_on(async {
        let store = store().await;
        let ltx = Model::new(512).commit(&[(1, 1)], 1);
        store.commit(&name(0), spool(&ltx), None).await.unwrap();
        let first = newest(&store, &name(0)).await.unwrap().unwrap();
        let first = Arc::downgrade(&first);
        for n in 1..10_000 {
            drop(store.slot(&name(n)));
        }
        assert!(store.slots.all().len() <= 4100, "{}", store.slots.all().len());
        let again = newest(&store, &name(0)).await.unwrap().unwrap();
        assert!(first.upgrade().is_some_and(|first| Arc::ptr_eq(&first, &again)), "it was closed");
    });
}
