//! Servers that get in each other's way: what is late at one must not harm what another does.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use litevfs::types::{Pgno, Pos, Txid};
use object_store::ObjectStoreExt;

use super::faulty::Faults;
use super::memory::Memory;
use super::model::Model;
use super::{eager, key, newest, open, spool};
use crate::lease::LeaseError;
use crate::metrics::Metrics;
use crate::store::bucket::incarnation::{Incarnation, IncarnationId};
use crate::store::compact::Schedule;
use crate::store::objects::location::{Location, Settings};
use crate::store::{Error, Store};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Runs with a clock that waits for nothing.
fn block_on<T>(work: impl Future<Output = T>) -> T {
    let builder = &mut tokio::runtime::Builder::new_current_thread();
    builder.enable_all().start_paused(true).build().unwrap().block_on(work)
}

/// Two servers on one store; the first one's requests can be made slow.
async fn pair(schedule: Schedule) -> (Arc<Memory>, Arc<Faults>, Arc<Store>, Arc<Store>) {
    let (inner, faults) = (Arc::new(Memory::new()), Faults::new(1));
    let slow = open(&inner, &faults, schedule.clone()).await;
    let other = open(&inner, &Faults::new(2), schedule).await;
    (inner, faults, slow, other)
}

/// What a server that knows nothing yet finds.
async fn found(inner: &Arc<Memory>) -> Option<Pos> {
    let anew = open(inner, &Faults::new(3), Schedule::default()).await;
    newest(&anew, &key("db")).await.unwrap().map(|database| database.pos())
}

#[test]
fn on_a_directory_a_lease_is_given_back_after_the_commit_under_it() {
    block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings {
            location: Location::Directory(dir.path().to_owned()),
            scratch: None,
            disk_cache: 0,
            index_memory: 1 << 20,
            database_memory: 1 << 20,
            schedule: Schedule::default(),
        };
        let metrics = Metrics::default();
        let taken = settings.location.take(&settings, &metrics).unwrap();
        let store = Store::open_store(taken.objects.clone(), &settings, metrics).await.unwrap();
        let key = key("db");
        let (id, _) = store.acquire_lease(&key, SECOND).await.unwrap();
        let slot = store.slot(&key);
        let under_way = slot.gate.lock().await;
        let release = tokio::time::timeout(SECOND, store.release_lease(&key, &id));
        assert!(release.await.is_err(), "given back while a commit was under way");
        drop(under_way);
        store.release_lease(&key, &id).await.unwrap();
    });
}

#[test]
fn a_commit_that_is_late_elsewhere_does_not_appear_after_its_lease_was_given_back() {
    // Given back in time, and after it ran out.
    for given_back_after in [SECOND, 20 * SECOND] {
        block_on(async {
            let (_, faults, slow, other) = pair(Schedule::default()).await;
            let (key, mut model) = (key("db"), Model::new(512));
            other.commit(&key, spool(&model.commit(&[(1, 1)], 1)), None).await.unwrap();
            let (id, _) = other.acquire_lease(&key, 3 * SECOND).await.unwrap();
            faults.slow_puts.store(60_000, Ordering::SeqCst);
            let ltx = model.commit(&[(1, 2)], 1);
            let late = tokio::spawn({
                let (slow, key, id) = (Arc::clone(&slow), key.clone(), id.clone());
                async move { slow.commit(&key, spool(&ltx), Some(&id)).await }
            });
            tokio::time::sleep(given_back_after).await;
            other.release_lease(&key, &id).await.unwrap();
            let told = newest(&other, &key).await.unwrap().unwrap().pos();
            tokio::time::sleep(200 * SECOND).await;
            let late = late.await.unwrap();
            assert!(late.is_err(), "{late:?}");
            assert_eq!(newest(&other, &key).await.unwrap().unwrap().pos(), told);
        });
    }
}

#[test]
fn a_file_that_is_there_is_not_refused_by_a_server_that_does_not_know_it_yet() {
    for given_back in [false, true] {
        block_on(async {
            let (_, _, one, other) = pair(Schedule::default()).await;
            let (key, mut model) = (key("db"), Model::new(512));
            one.commit(&key, spool(&model.commit(&[(1, 1)], 1)), None).await.unwrap();
            newest(&other, &key).await.unwrap();
            let (id, _) = one.acquire_lease(&key, 60 * SECOND).await.unwrap();
            let ltx = model.commit(&[(1, 2)], 1);
            let pos = one.commit(&key, spool(&ltx), Some(&id)).await.unwrap();
            if given_back {
                one.release_lease(&key, &id).await.unwrap();
            }
            // What the other one knows is old: it looks before it commits, or refuses to.
            other.slot(&key).look_again().await;
            let again = other.commit(&key, spool(&ltx), Some(&id)).await;
            assert!(matches!(again, Ok(held) if held == pos), "{given_back}: {again:?}");
        });
    }
}

#[test]
fn what_is_late_is_shut_out_before_the_lease_is_another_clients() {
    block_on(async {
        let (inner, faults, slow, other) = pair(Schedule::default()).await;
        let third_faults = Faults::new(3);
        let third = open(&inner, &third_faults, Schedule::default()).await;
        let (key, mut model) = (key("db"), Model::new(512));
        other.commit(&key, spool(&model.commit(&[(1, 1)], 1)), None).await.unwrap();
        let (id, _) = other.acquire_lease(&key, SECOND).await.unwrap();
        faults.slow_puts.store(8000, Ordering::SeqCst);
        let ltx = model.commit(&[(1, 2)], 1);
        let late = tokio::spawn({
            let (slow, key, id) = (Arc::clone(&slow), key.clone(), id.clone());
            async move { slow.commit(&key, spool(&ltx), Some(&id)).await }
        });
        // The claim has run out; the next client's server takes its time.
        tokio::time::sleep(13 * SECOND / 2).await;
        third_faults.slow_puts.store(4000, Ordering::SeqCst);
        let next = tokio::spawn({
            let (third, key) = (Arc::clone(&third), key.clone());
            async move { third.acquire_lease(&key, SECOND).await }
        });
        tokio::time::sleep(SECOND / 2).await;
        other.release_lease(&key, &id).await.unwrap();
        let told = newest(&other, &key).await.unwrap().unwrap().pos();
        let _ = next.await.unwrap();
        let late = late.await.unwrap();
        assert!(late.is_err(), "{late:?}");
        let now = newest(&other, &key).await.unwrap().unwrap().pos();
        assert_eq!(now.post_apply_checksum, told.post_apply_checksum);
    });
}

#[test]
fn a_claim_that_the_store_shows_but_takes_for_missing_changes_hands_all_the_same() {
    block_on(async {
        let (_, faults, one, other) = pair(Schedule::default()).await;
        let key = key("db");
        let (first, _) = other.acquire_lease(&key, SECOND).await.unwrap();
        other.release_lease(&key, &first).await.unwrap();
        faults.torn_claims.store(1, Ordering::SeqCst);
        let (id, _) = one.acquire_lease(&key, SECOND).await.unwrap();
        let refused = other.acquire_lease(&key, SECOND).await;
        assert!(matches!(refused, Err(Error::Fenced(LeaseError::Held(_)))), "{refused:?}");
        faults.torn_claims.store(1, Ordering::SeqCst);
        one.release_lease(&key, &id).await.unwrap();
        other.acquire_lease(&key, SECOND).await.unwrap();
    });
}

#[test]
fn a_lease_lives_on_whatever_servers_its_client_goes_through() {
    block_on(async {
        let (inner, _, one, other) = pair(Schedule::default()).await;
        let third = open(&inner, &Faults::new(3), Schedule::default()).await;
        let key = key("db");
        let (id, _) = one.acquire_lease(&key, SECOND).await.unwrap();
        for server in [&other, &one, &one, &one, &one, &one, &other, &other, &one, &other, &one] {
            tokio::time::sleep(SECOND * 3 / 10).await;
            server.refresh_lease(&key, &id, SECOND).await.unwrap();
            let refused = third.acquire_lease(&key, SECOND).await;
            assert!(matches!(refused, Err(Error::Fenced(LeaseError::Held(_)))), "{refused:?}");
        }
    });
}

/// The files there are of a name, by incarnation.
async fn incarnations(store: &Arc<Store>, db: &str) -> Vec<Option<IncarnationId>> {
    let files = store.objects.files_of_name(&key(db)).await.unwrap();
    let mut ids: Vec<_> = files.into_iter().map(|(id, _)| id).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

#[test]
fn sweeping_up_after_a_dropped_database_spares_the_next_one() {
    block_on(async {
        let (inner, faults, slow, other) = pair(Schedule::default()).await;
        let key = key("db");
        let mut model = Model::new(512);
        for fill in 1..9 {
            other.commit(&key, spool(&model.commit(&[(1, fill)], 1)), None).await.unwrap();
        }
        faults.slow_deletes.store(3000, Ordering::SeqCst);
        slow.drop_database(&key, None).await.unwrap();
        // Its files are swept up while another server makes the next of that name.
        let sweeping = tokio::spawn({
            let (slow, key) = (Arc::clone(&slow), key.clone());
            async move { slow.try_compact(&key).await }
        });
        tokio::time::sleep(SECOND).await;
        let mut next = Model::new(4096);
        let ltx = next.commit(&[(1, 1)], 1);
        let made = other.commit(&key, spool(&ltx), None).await.unwrap();
        assert!(sweeping.await.unwrap().unwrap().is_some());
        assert_eq!(found(&inner).await, Some(made));
        // Nor does it matter how late.
        tokio::time::sleep(HOUR).await;
        while let Some(left) = slow.try_compact(&key).await.unwrap() {
            tokio::time::sleep(left).await;
        }
        assert_eq!(found(&inner).await, Some(made));
        assert_eq!(incarnations(&slow, "db").await.len(), 1);
    });
}

#[test]
fn a_commit_whose_creation_took_hours_does_not_count_when_others_went_on() {
    block_on(async {
        let (inner, faults, slow, other) = pair(eager(Duration::ZERO)).await;
        let (key, mut model) = (key("db"), Model::new(512));
        other.commit(&key, spool(&model.commit(&[(1, 1)], 1)), None).await.unwrap();
        newest(&slow, &key).await.unwrap();
        let late = model.tx(&[(1, 99)], 1).ltx();
        faults.slow_puts.store(8 * 3_600_000, Ordering::SeqCst);
        let late = tokio::spawn({
            let (slow, key) = (Arc::clone(&slow), key.clone());
            async move { slow.commit(&key, spool(&late), None).await }
        });
        tokio::time::sleep(SECOND).await;
        for fill in 2..9 {
            other.commit(&key, spool(&model.commit(&[(1, fill)], 1)), None).await.unwrap();
        }
        for _ in 0..4 {
            tokio::time::sleep(HOUR).await;
            other.try_compact(&key).await.unwrap();
        }
        let place = Incarnation::first(key.clone());
        let place = other.objects.shape.named(&place, 0, Txid(2), Txid(2));
        assert!(!other.objects.exists(&place).await.unwrap(), "its place is free again");
        let late = late.await.unwrap();
        assert!(matches!(late, Err(Error::Overtaken)), "{late:?}");
        assert!(other.objects.exists(&place).await.unwrap(), "its file was made");
        for server in [&slow, &other, &open(&inner, &Faults::new(4), Schedule::default()).await] {
            let database = newest(server, &key).await.unwrap().unwrap();
            assert_eq!(database.pos(), model.pos);
            assert_eq!(database.pages(model.pos, &[Pgno::ONE]).await.unwrap(), model.pages);
            for point in database.restore_points(true).await.unwrap() {
                let (_, pages) = model.history.iter().find(|(pos, _)| *pos == point.pos).unwrap();
                assert_eq!(&database.pages(point.pos, &[Pgno::ONE]).await.unwrap(), pages);
            }
        }
        // What came late goes, too.
        other.try_compact(&key).await.unwrap();
        assert!(!other.objects.exists(&place).await.unwrap());
    });
}

#[test]
fn a_lease_that_is_granted_elsewhere_while_a_drop_waits_stops_it() {
    block_on(async {
        let (_, faults, slow, other) = pair(Schedule::default()).await;
        let (key, mut model) = (key("db"), Model::new(512));
        slow.commit(&key, spool(&model.commit(&[(1, 1)], 1)), None).await.unwrap();
        faults.slow_puts.store(4000, Ordering::SeqCst);
        let committing = tokio::spawn({
            let (slow, key, ltx) = (Arc::clone(&slow), key.clone(), model.commit(&[(1, 2)], 1));
            async move { slow.commit(&key, spool(&ltx), None).await }
        });
        tokio::time::sleep(SECOND).await;
        let dropping = tokio::spawn({
            let (slow, key) = (Arc::clone(&slow), key.clone());
            async move { slow.drop_database(&key, None).await }
        });
        tokio::time::sleep(SECOND).await;
        other.acquire_lease(&key, 60 * SECOND).await.unwrap();
        committing.await.unwrap().unwrap();
        let dropped = dropping.await.unwrap();
        assert!(matches!(dropped, Err(Error::Fenced(LeaseError::Held(_)))), "{dropped:?}");
        assert_eq!(newest(&other, &key).await.unwrap().unwrap().pos(), model.pos);
    });
}

#[test]
fn a_name_that_was_made_anew_is_told_by_servers_that_were_idle_for_days() {
    block_on(async {
        let (_, _, one, idle) = pair(Schedule::default()).await;
        let (key, mut old) = (key("db"), Model::new(512));
        one.commit(&key, spool(&old.commit(&[(1, 1)], 1)), None).await.unwrap();
        one.commit(&key, spool(&old.commit(&[(1, 2)], 1)), None).await.unwrap();
        let first = Incarnation::first(key.clone());
        let last = one.objects.shape.named(&first, 0, Txid(2), Txid(2));
        let bytes = one.objects.get(&last).await.unwrap().unwrap();
        newest(&idle, &key).await.unwrap();
        one.drop_database(&key, None).await.unwrap();
        while let Some(left) = one.try_compact(&key).await.unwrap() {
            tokio::time::sleep(left).await;
        }
        tokio::time::sleep(48 * HOUR).await;
        // The old commit is delivered once more, as it was, and its answer is lost.
        idle.objects.store.put(&last, bytes.into()).await.unwrap();
        assert!(newest(&idle, &key).await.unwrap().is_none(), "a ghost");
        let mut anew = Model::new(4096);
        let made = idle.commit(&key, spool(&anew.commit(&[(1, 1)], 1)), None).await.unwrap();
        assert_eq!(newest(&one, &key).await.unwrap().unwrap().pos(), made);
        let late = one.commit(&key, spool(&old.commit(&[(1, 3)], 1)), None).await;
        assert!(matches!(late, Err(Error::PosMismatch(_))), "{late:?}");
    });
}

#[test]
fn a_merged_file_that_comes_after_the_drop_is_swept_up() {
    block_on(async {
        let (inner, faults, slow, other) = pair(eager(HOUR)).await;
        let key = key("db");
        let mut model = Model::new(512);
        for fill in 1..9 {
            other.commit(&key, spool(&model.commit(&[(1, fill)], 1)), None).await.unwrap();
        }
        faults.slow_puts.store(9_000_000, Ordering::SeqCst);
        let merging = tokio::spawn({
            let (slow, key) = (Arc::clone(&slow), key.clone());
            async move { slow.try_compact(&key).await }
        });
        tokio::time::sleep(SECOND).await;
        other.drop_database(&key, None).await.unwrap();
        let mut next = Model::new(4096);
        let made = other.commit(&key, spool(&next.commit(&[(1, 1)], 1)), None).await.unwrap();
        assert!(merging.await.unwrap().is_err());
        assert_eq!(found(&inner).await, Some(made));
        assert_eq!(incarnations(&other, "db").await.len(), 2);
        tokio::time::sleep(2 * HOUR).await;
        other.try_compact(&key).await.unwrap();
        tokio::time::sleep(2 * HOUR).await;
        other.try_compact(&key).await.unwrap();
        assert_eq!(incarnations(&other, "db").await.len(), 1);
        assert_eq!(found(&inner).await, Some(made));
    });
}

#[test]
fn a_damaged_database_can_be_dropped_and_made_anew() {
    block_on(async {
        let (inner, _, one, other) = pair(Schedule::default()).await;
        let key = key("db");
        let mut model = Model::new(512);
        for fill in 1..9 {
            one.commit(&key, spool(&model.commit(&[(1, fill)], 1)), None).await.unwrap();
        }
        let first = Incarnation::first(key.clone());
        let gone = one.objects.shape.named(&first, 0, Txid(4), Txid(4));
        one.objects.delete(&gone).await.unwrap();
        let anew = open(&inner, &Faults::new(3), Schedule::default()).await;
        assert!(matches!(anew.fresh(&key).await, Err(Error::Corrupt { .. })));
        anew.drop_database(&key, None).await.unwrap();
        assert_eq!(found(&inner).await, None);
        tokio::time::sleep(30 * SECOND).await;
        let made = other.commit(&key, spool(&Model::new(4096).commit(&[(1, 1)], 1)), None).await;
        assert_eq!(found(&inner).await, Some(made.unwrap()));
    });
}

#[test]
fn a_database_of_any_age_can_come_as_one_upload() {
    block_on(async {
        let (inner, _, one, other) = pair(Schedule::default()).await;
        let (key, mut model) = (key("db"), Model::new(512));
        let pages: Vec<(u32, u8)> = (1..=40).map(|pgno| (pgno, 7)).collect();
        let tx = model.tx_spanning(3_000_000, &pages, 40);
        model.apply(&tx);
        assert_eq!(one.commit(&key, spool(&tx.ltx()), None).await.unwrap(), model.pos);
        one.commit(&key, spool(&model.commit(&[(1, 8)], 40)), None).await.unwrap();
        assert_eq!(found(&inner).await, Some(model.pos));
        let database = newest(&other, &key).await.unwrap().unwrap();
        for (pos, pages) in &model.history {
            let pgnos: Vec<_> = (1..=40).filter_map(Pgno::new).collect();
            assert!(&database.pages(*pos, &pgnos).await.unwrap() == pages);
        }
    });
}

#[test]
fn a_server_that_was_idle_for_long_catches_up() {
    block_on(async {
        let (_, _, one, other) = pair(eager(Duration::ZERO)).await;
        let (key, mut model) = (key("db"), Model::new(512));
        one.commit(&key, spool(&model.commit(&[(1, 1)], 1)), None).await.unwrap();
        newest(&other, &key).await.unwrap();
        for fill in 0..=255 {
            one.commit(&key, spool(&model.commit(&[(1, fill)], 1)), None).await.unwrap();
            if fill % 50 == 0 {
                one.try_compact(&key).await.unwrap();
            }
        }
        tokio::time::sleep(SECOND).await;
        one.try_compact(&key).await.unwrap();
        assert_eq!(newest(&other, &key).await.unwrap().unwrap().pos(), model.pos);
    });
}
