//! Who reads slowly: his files stay, whatever is forgotten meanwhile, and what he is told when they could not.

use std::sync::Arc;
use std::time::Duration;

use litevfs::types::{Pgno, Txid};

use super::faulty::Faults;
use super::memory::Memory;
use super::model::Model;
use super::{MOMENT, block_on, key, merging, newest, open, spool};
use crate::store::bucket::incarnation::Incarnation;
use crate::store::bucket::rules::GRACE;
use crate::store::{Error, Frames, Snapshot, Store};

/// More than is read at a time.
const PAGES: u32 = 40;

/// Merges what was committed, and removes what is merged.
async fn merge_and_remove(store: &Arc<Store>) {
    for _ in 0..4 {
        store.try_compact(&key("db")).await.unwrap();
        tokio::time::sleep(GRACE + MOMENT).await;
    }
}

/// Whether the file of a transaction is there.
async fn is_there(store: &Store, txid: u64) -> bool {
    let first = Incarnation::first(key("db"));
    let path = store.objects.shape.named(&first, 0, Txid(txid), Txid(txid));
    store.objects.exists(&path).await.unwrap()
}

/// Commits every page with each of these fills.
async fn commit(store: &Arc<Store>, model: &mut Model, fills: std::ops::Range<u8>) {
    for fill in fills {
        let pages: Vec<(u32, u8)> = (1..=PAGES).map(|pgno| (pgno, fill)).collect();
        let ltx = model.commit(&pages, PAGES);
        store.commit(&key("db"), spool(&ltx), None).await.unwrap();
    }
}

#[test]
fn files_that_are_read_stay_although_a_commit_fails() {
    read_while(async |store, faults, model| {
        faults.lose("0004.ltx", Duration::ZERO);
        let ltx = model.commit(&[(1, 9)], PAGES);
        assert!(store.commit(&key("db"), spool(&ltx), None).await.is_err());
        faults.lose_no_more();
    });
}

#[test]
fn files_that_are_read_stay_although_names_are_forgotten() {
    read_while(async |store, _, _| {
        store.slot(&key("db")).forget().await;
        for n in 0..5000 {
            drop(store.slot(&key(&n.to_string())));
        }
    });
}

/// Reads a database while something becomes of what is known of it, and while its files are merged.
fn read_while(happens: impl AsyncFnOnce(&Arc<Store>, &Faults, &mut Model)) {
    block_on(async {
        let (inner, faults) = (Arc::new(Memory::new()), Faults::new(1));
        let mut model = Model::new(65536);
        let store = open(&inner, &faults, merging()).await;
        commit(&store, &mut model, 1..4).await;
        let database = newest(&store, &key("db")).await.unwrap().unwrap();
        let mut snapshot = Snapshot::new(Arc::clone(&database), None).await.unwrap();
        let view = database.view(None).await.unwrap();
        let frames = Frames::new(database, view);
        let (then, mut read) = (model.pages.clone(), snapshot.next_pages().await.unwrap());
        assert!(read.len() < PAGES as usize);
        happens(&store, &faults, &mut model).await;
        commit(&store, &mut model, 10..14).await;
        merge_and_remove(&store).await;
        loop {
            let pages = snapshot.next_pages().await.unwrap();
            if pages.is_empty() {
                break;
            }
            read.extend(pages);
        }
        assert!(read.into_iter().map(|(_, page)| page).eq(then));
        let all: Vec<Pgno> = (1..=PAGES).filter_map(Pgno::new).collect();
        assert_eq!(frames.each(&all).await.unwrap().len(), all.len());
        assert!(is_there(&store, 3).await);
        drop((snapshot, frames));
        merge_and_remove(&store).await;
        assert!(!is_there(&store, 3).await, "what nobody reads any more stays");
    });
}

#[test]
fn a_position_that_was_merged_away_is_told_from_a_database_that_was_dropped() {
    block_on(async {
        let (inner, mut model) = (Arc::new(Memory::new()), Model::new(512));
        let reader = open(&inner, &Faults::new(1), merging()).await;
        let other = open(&inner, &Faults::new(2), merging()).await;
        commit(&other, &mut model, 1..4).await;
        let idle = newest(&reader, &key("db")).await.unwrap().unwrap();
        let view = idle.view(None).await.unwrap();
        let frames = Frames::new(Arc::clone(&idle), idle.view(None).await.unwrap());
        commit(&other, &mut model, 4..8).await;
        merge_and_remove(&other).await;
        assert!(!is_there(&other, 3).await);
        let page1 = [Pgno::ONE];
        let told = [
            idle.pages_of(&view, &page1).await.map(drop).unwrap_err(),
            frames.each(&page1).await.map(drop).unwrap_err(),
        ];
        for error in told {
            assert!(matches!(error, Error::NotHeld(pos) if pos == view.pos), "{error:?}");
            assert!(error.to_string().contains("no longer held"), "{error}");
        }
        let idle = newest(&reader, &key("db")).await.unwrap().unwrap();
        let view = idle.view(None).await.unwrap();
        other.drop_database(&key("db"), None).await.unwrap();
        let error = idle.reload_at(Some(view.pos)).await.unwrap_err();
        assert!(matches!(error, Error::Replaced), "{error:?}");
    });
}
