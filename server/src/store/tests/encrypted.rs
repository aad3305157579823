//! Databases that a codec encrypted: which uploads pass for one, and what clients are told of a restore.

use std::sync::Arc;
use std::time::Duration;

use litevfs::ltx::{Encoder, Format, Header, page_checksum};
use litevfs::types::{Checksum, PageSize, Pgno, Pos, Txid};

use super::faulty::Faults;
use super::memory::Memory;
use super::model::Model;
use super::{block_on, eager, key, newest, open, spool};
use crate::key::DbKey;
use crate::store::compact::Schedule;
use crate::store::history::read::Changes;
use crate::store::{At, Error, Store};

const HOUR: Duration = Duration::from_secs(3600);
const SIZE: u32 = 512;

/// Pages that say nothing.
type Pages = Vec<Vec<u8>>;

fn pages(fills: &[u8]) -> Pages {
    fills.iter().map(|&fill| vec![fill; SIZE as usize]).collect()
}

fn checksum(pages: &Pages) -> Checksum {
    let numbered = (1..).filter_map(Pgno::new).zip(pages);
    numbered.fold(Checksum::EMPTY, |sum, (pgno, page)| sum.toggle(page_checksum(pgno, page)))
}

/// The upload that makes all pages others after a position, with or without saying that they are encrypted.
fn upload(before: Pos, pages: &Pages, encrypted: bool) -> Vec<u8> {
    let txid = before.txid.next().unwrap();
    let header = Header {
        commit: pages.len() as u32,
        min_txid: txid,
        max_txid: txid,
        pre_apply_checksum: before.post_apply_checksum,
        encrypted,
        ..Header::new(PageSize::new(SIZE).unwrap())
    };
    let header = match before.is_empty() {
        true => Header { pre_apply_checksum: Checksum::NONE, ..header },
        false => header,
    };
    let mut encoder = Encoder::new(Vec::new(), Format::V1Lz4, header).unwrap();
    for (pgno, page) in (1..).filter_map(Pgno::new).zip(pages) {
        encoder.encode_page(pgno, page).unwrap();
    }
    encoder.finish(checksum(pages)).unwrap().out
}

async fn commit(store: &Arc<Store>, key: &DbKey, fills: &[u8]) -> Pos {
    let before = newest(store, key).await.unwrap().map_or(Pos::EMPTY, |database| database.pos());
    store.commit(key, spool(&upload(before, &pages(fills), true)), None).await.unwrap()
}

async fn changes(store: &Arc<Store>, key: &DbKey, since: Pos) -> Changes {
    newest(store, key).await.unwrap().unwrap().changes(since).await.unwrap().1
}

fn refusal<T: std::fmt::Debug>(done: Result<T, Error>) -> String {
    match done {
        Err(Error::BadPage1(text)) => text,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn only_what_is_said_to_be_encrypted_is_taken_for_it_and_it_stays_so() {
    block_on(async {
        let (inner, key, plain) = (Arc::new(Memory::new()), key("db"), key("plain"));
        let store = open(&inner, &Faults::new(1), Schedule::default()).await;
        let unsaid = upload(Pos::EMPTY, &pages(&[1, 2]), false);
        assert!(refusal(store.commit(&key, spool(&unsaid), None).await).contains("codec"));
        let pos = commit(&store, &key, &[1, 2]).await;
        let mut model = Model::new(SIZE);
        let tx = model.commit(&[(1, 1), (2, 2)], 2);
        store.commit(&plain, spool(&tx), None).await.unwrap();
        for server in [&store, &open(&inner, &Faults::new(2), Schedule::default()).await] {
            let mut other = model.clone();
            other.pos = pos;
            let to_plain = spool(&other.commit(&[(1, 1), (2, 3)], 2));
            assert!(refusal(server.commit(&key, to_plain, None).await).contains("is encrypted"));
            let to_other = spool(&upload(model.pos, &pages(&[1, 2]), true));
            let text = refusal(server.commit(&plain, to_other, None).await);
            assert!(text.contains("is not encrypted"), "{text}");
        }
        assert_eq!(newest(&store, &key).await.unwrap().unwrap().pos(), pos);
        let view = store.fresh(&key).await.unwrap().unwrap().view(None).await.unwrap();
        assert_eq!((view.commit, view.page_size.bytes()), (2, SIZE));
    });
}

#[test]
fn a_restore_is_told_however_late_and_merged() {
    block_on(async {
        let (inner, key) = (Arc::new(Memory::new()), key("db"));
        let store = open(&inner, &Faults::new(1), eager(HOUR)).await;
        let first = commit(&store, &key, &[1, 2, 3]).await;
        let second = commit(&store, &key, &[1, 4, 3]).await;
        let restored = store.restore(&key, At::Txid(Txid(1)), None).await.unwrap();
        assert_eq!(store.restore(&key, At::Txid(Txid(1)), None).await.unwrap(), restored);
        let smaller = commit(&store, &key, &[5, 6]).await;
        let last = commit(&store, &key, &[7, 8]).await;
        let all = || (1..=2).filter_map(Pgno::new).collect::<Vec<_>>();
        let assert_told = async |store: &Arc<Store>| {
            for since in [first, second] {
                assert_eq!(changes(store, &key, since).await, Changes::All);
            }
            assert_eq!(changes(store, &key, restored).await, Changes::Many);
            assert_eq!(changes(store, &key, smaller).await, Changes::Pages(all()));
            assert_eq!(changes(store, &key, last).await, Changes::Nothing);
        };
        assert_told(&store).await;
        for _ in 0..3 {
            store.try_compact(&key).await.unwrap();
        }
        let files: Vec<_> = newest(&store, &key)
            .await
            .unwrap()
            .unwrap()
            .state
            .read()
            .files
            .iter()
            .copied()
            .collect();
        assert!(
            files.iter().any(|file| file.level > 0 && file.min_txid < file.max_txid),
            "{files:?}"
        );
        let other = open(&inner, &Faults::new(2), Schedule::default()).await;
        assert_told(&other).await;
        let database = other.fresh(&key).await.unwrap().unwrap();
        for file in
            files.iter().filter(|file| (file.min_txid..=file.max_txid).contains(&restored.txid))
        {
            assert!(database.index(file).await.unwrap().marks.is_break, "{file:?}");
        }
    });
}
