//! What servers on one store see of each other, without faults.

use std::sync::Arc;
use std::time::Duration;

use litevfs::page1::differ_in_counts_only;
use litevfs::types::{Pos, Txid};

use super::faulty::{Faults, Faulty};
use super::memory::Memory;
use super::model::{Model, checksum};
use super::{eager, key, newest, open, open_faulty, spool};
use crate::lease::LeaseError;
use crate::store::compact::Schedule;
use crate::store::{At, Error, Snapshot, Store};

const SECOND: Duration = Duration::from_secs(1);

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(work)
}

async fn pair() -> (Arc<Memory>, Arc<Store>, Arc<Store>) {
    let (inner, faults) = (Arc::new(Memory::new()), Faults::new(1));
    let one = open(&inner, &faults, Schedule::default()).await;
    let other = open(&inner, &faults, Schedule::default()).await;
    (inner, one, other)
}

#[test]
fn a_store_that_ignores_conditions_is_refused_by_name() {
    block_on(async {
        let (inner, faults) = (Arc::new(Memory::new()), Faults::new(1));
        let lax = Faulty { inner, faults, lax: true };
        let error = open_faulty(lax, Schedule::default()).await.unwrap_err().to_string();
        assert!(error.starts_with("mem: ") && error.contains("commits would be lost"), "{error}");
    });
}

#[test]
fn of_two_writers_through_two_servers_one_wins() {
    block_on(async {
        let (_, one, other) = pair().await;
        let (key, mut model) = (key("db"), Model::new(512));
        one.commit(&key, spool(&model.commit(&[(1, 1)], 1)), None).await.unwrap();
        newest(&other, &key).await.unwrap();
        // The second spans several transactions: its file has another name.
        let first = model.tx(&[(1, 2)], 1);
        let second = model.tx_spanning(3, &[(1, 3)], 1);
        let (first_ltx, second_ltx) = (first.ltx(), second.ltx());
        let (a, b) = tokio::join!(
            one.commit(&key, spool(&first_ltx), None),
            other.commit(&key, spool(&second_ltx), None),
        );
        let winner = match (&a, &b) {
            (Ok(pos), Err(Error::PosMismatch(now))) | (Err(Error::PosMismatch(now)), Ok(pos)) => {
                assert_eq!(pos, now);
                *pos
            }
            other => panic!("{other:?}"),
        };
        for store in [&one, &other] {
            assert_eq!(newest(store, &key).await.unwrap().unwrap().pos(), winner);
        }
    });
}

#[test]
fn what_a_server_made_of_one_life_is_not_committed_to_another() {
    block_on(async {
        let (_, one, other) = pair().await;
        let (key, mut first, mut second) = (key("db"), Model::new(512), Model::new(512));
        for fill in [1, 2] {
            one.commit(&key, spool(&first.commit(&[(1, fill)], 1)), None).await.unwrap();
        }
        let slot = one.slot(&key);
        let gate = slot.gate.lock().await;
        let mut restore = std::pin::pin!(one.restore(&key, At::Txid(Txid(1)), None));
        // It looks at what is to change, and waits.
        assert!(tokio::time::timeout(SECOND, restore.as_mut()).await.is_err());
        other.drop_database(&key, None).await.unwrap();
        for fill in [1, 2] {
            let mut tx = second.tx(&[(1, fill)], 1);
            tx.header.commit_id.0 ^= 1;
            other.commit(&key, spool(&tx.ltx()), None).await.unwrap();
            second.apply(&tx);
        }
        assert_eq!(first.pos, Pos { commit_id: first.pos.commit_id, ..second.pos });
        // By the time it goes on, its server has seen what became of the name.
        assert_eq!(newest(&one, &key).await.unwrap().unwrap().pos(), second.pos);
        drop(gate);
        let restored = restore.await;
        assert!(
            matches!(restored, Err(Error::PosMismatch(now)) if now == second.pos),
            "{restored:?}"
        );
    });
}

#[test]
fn a_lease_is_honoured_by_the_others_and_can_move() {
    block_on(async {
        let (_, one, other) = pair().await;
        let (key, mut model) = (key("db"), Model::new(512));
        let (id, _) = one.acquire_lease(&key, SECOND).await.unwrap();
        let refused = other.acquire_lease(&key, SECOND).await;
        assert!(matches!(refused, Err(Error::Fenced(LeaseError::Held(_)))), "{refused:?}");
        let ltx = model.commit(&[(1, 1)], 1);
        let fenced = other.commit(&key, spool(&ltx), None).await;
        assert!(matches!(fenced, Err(Error::Fenced(LeaseError::Held(_)))), "{fenced:?}");
        let wrong = other.commit(&key, spool(&ltx), Some("wrong")).await;
        assert!(matches!(wrong, Err(Error::Fenced(LeaseError::Lost))), "{wrong:?}");
        other.commit(&key, spool(&ltx), Some(&id)).await.unwrap();
        other.refresh_lease(&key, &id, SECOND).await.unwrap();
        other.release_lease(&key, &id).await.unwrap();
        let late = one.commit(&key, spool(&model.commit(&[(1, 2)], 1)), Some("another")).await;
        assert!(matches!(late, Err(Error::Fenced(LeaseError::Lost))), "{late:?}");
        one.acquire_lease(&key, SECOND).await.unwrap();
    });
}

#[test]
fn a_lease_given_back_elsewhere_admits_nobody_any_more() {
    block_on(async {
        let (_, one, other) = pair().await;
        let (key, mut model) = (key("db"), Model::new(512));
        one.commit(&key, spool(&model.commit(&[(1, 1)], 1)), None).await.unwrap();
        let (id, _) = one.acquire_lease(&key, SECOND * 60).await.unwrap();
        other.release_lease(&key, &id).await.unwrap();
        let (next, _) = other.acquire_lease(&key, SECOND * 60).await.unwrap();
        tokio::time::sleep(SECOND * 11 / 10).await;
        let pos = newest(&one, &key).await.unwrap().unwrap().pos();
        model.pos = pos;
        let ltx = model.commit(&[(1, 2)], 1);
        let late = one.commit(&key, spool(&ltx), Some(&id)).await;
        assert!(matches!(late, Err(Error::Fenced(LeaseError::Lost))), "{late:?}");
        one.commit(&key, spool(&ltx), Some(&next)).await.unwrap();
    });
}

#[test]
fn a_lease_that_is_not_prolonged_is_free_for_others_soon_after() {
    block_on(async {
        let (_, one, other) = pair().await;
        let key = key("db");
        one.acquire_lease(&key, SECOND / 10).await.unwrap();
        tokio::time::sleep(SECOND / 2).await;
        // The claim behind it would last for seconds more.
        other.acquire_lease(&key, SECOND).await.unwrap();
    });
}

#[test]
fn giving_a_lease_back_through_another_server_shuts_the_first_out() {
    block_on(async {
        let (_, one, other) = pair().await;
        let (key, mut model) = (key("db"), Model::new(512));
        one.commit(&key, spool(&model.commit(&[(1, 1)], 1)), None).await.unwrap();
        let (id, _) = one.acquire_lease(&key, SECOND).await.unwrap();
        other.release_lease(&key, &id).await.unwrap();
        let now = newest(&other, &key).await.unwrap().unwrap().pos();
        assert_eq!(now.post_apply_checksum, model.pos.post_apply_checksum);
        assert!(now.txid.follows(model.pos.txid));
        // What was under way under that lease no longer fits.
        let late = one.commit(&key, spool(&model.commit(&[(1, 2)], 1)), Some(&id)).await;
        assert!(late.is_err());
    });
}

#[test]
fn a_dropped_database_is_gone_everywhere_and_its_name_free_at_once() {
    block_on(async {
        let (_, one, other) = pair().await;
        let (key, mut model) = (key("db"), Model::new(512));
        for fill in 1..6 {
            one.commit(&key, spool(&model.commit(&[(1, fill)], 1)), None).await.unwrap();
        }
        newest(&other, &key).await.unwrap().unwrap();
        one.drop_database(&key, None).await.unwrap();
        assert!(newest(&other, &key).await.unwrap().is_none());
        let next = model.commit(&[(1, 9)], 1);
        assert!(other.commit(&key, spool(&next), None).await.is_err());
        let mut anew = Model::new(4096);
        let made = other.commit(&key, spool(&anew.commit(&[(1, 1)], 1)), None).await.unwrap();
        for server in [&one, &other] {
            let database = newest(server, &key).await.unwrap().unwrap();
            assert_eq!(database.pos(), made);
            let page = database.pages(made, &[litevfs::types::Pgno::ONE]).await.unwrap();
            assert_eq!(page, anew.pages);
        }
    });
}

#[test]
fn a_snapshot_under_way_keeps_what_it_reads() {
    block_on(async {
        let (inner, faults) = (Arc::new(Memory::new()), Faults::new(1));
        let store = open(&inner, &faults, eager(Duration::ZERO)).await;
        let (key, mut model) = (key("db"), Model::new(65_536));
        let all: Vec<(u32, u8)> = (1..=40).map(|pgno| (pgno, 1)).collect();
        store.commit(&key, spool(&model.commit(&all, 40)), None).await.unwrap();
        store.commit(&key, spool(&model.commit(&[(1, 2)], 40)), None).await.unwrap();
        let database = newest(&store, &key).await.unwrap().unwrap();
        let mut snapshot = Snapshot::new(database, None).await.unwrap();
        let (pos, expected) = model.history[1].clone();
        assert_eq!(snapshot.pos(), pos);
        let mut pages = Vec::new();
        for fill in 3..9 {
            pages.extend(snapshot.next_pages().await.unwrap());
            // What this server knows of its files by its own clock, the list says by the store's.
            newest(&store, &key).await.unwrap().unwrap().reload().await.unwrap();
            store.commit(&key, spool(&model.commit(&[(1, fill)], 40)), None).await.unwrap();
            tokio::time::sleep(SECOND / 50).await;
            store.try_compact(&key).await.unwrap();
        }
        let pages: Vec<Vec<u8>> = pages.into_iter().map(|(_, data)| data).collect();
        assert!(pages == expected);
        drop(snapshot);
        store.commit(&key, spool(&model.commit(&[(1, 9)], 40)), None).await.unwrap();
        tokio::time::sleep(SECOND / 50).await;
        store.try_compact(&key).await.unwrap();
        let gone = newest(&store, &key).await.unwrap().unwrap().view(Some(pos)).await;
        assert!(matches!(gone, Err(Error::PosMismatch(_))), "{gone:?}");
    });
}

#[test]
fn the_past_can_be_restored_through_any_server() {
    block_on(async {
        let (inner, one, other) = pair().await;
        let (key, mut model) = (key("db"), Model::new(512));
        for fill in 1..40 {
            let changes = [(1, fill), (1 + u32::from(fill) % 5, fill)];
            let changes = if changes[1].0 == 1 { &changes[..1] } else { &changes[..] };
            let commit = (model.pages.len() as u32).max(5);
            let all: Vec<(u32, u8)> = (1..=5).map(|pgno| (pgno, fill)).collect();
            let changes = if fill == 1 { &all[..] } else { changes };
            one.commit(&key, spool(&model.commit(changes, commit)), None).await.unwrap();
        }
        let eager = open(&inner, &Faults::new(2), eager(SECOND * 3600)).await;
        eager.try_compact(&key).await.unwrap();
        for (pos, pages) in model.history.clone().iter().step_by(7) {
            let now = other.restore(&key, At::Txid(pos.txid), None).await.unwrap();
            let database = newest(&one, &key).await.unwrap().unwrap();
            assert_eq!(database.pos(), now);
            let pgnos: Vec<_> = (1..=5).filter_map(litevfs::types::Pgno::new).collect();
            let restored = database.pages(now, &pgnos).await.unwrap();
            assert_eq!(now.post_apply_checksum, checksum(&restored));
            assert!(differ_in_counts_only(&restored[0], &pages[0]) && restored[1..] == pages[1..]);
        }
        let lost = other.restore(&key, At::Txid(litevfs::types::Txid(9999)), None).await;
        assert!(matches!(lost, Err(Error::NoTxid(_))), "{lost:?}");
        assert!(matches!(other.restore(&key, At::Time(1), None).await, Err(Error::NoTimestamp(_))));
        let empty = Pos::EMPTY;
        assert!(other.restore(&key, At::Pos(empty), None).await.is_err());
    });
}
