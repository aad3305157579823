//! What ends: databases that are dropped, leases that run out, groups that are given up, servers that die.
//! What was begun before does not come through afterwards, and nothing is stuck for good.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use litevfs::types::{ClusterName, Txid};
use object_store::{ObjectStore, ObjectStoreExt, PutMode};

use super::faulty::{Ask, Faults};
use super::memory::Memory;
use super::model::Model;
use super::{MINUTE, MOMENT, block_on, key, merging, newest, open, spool};
use crate::lease::LeaseError;
use crate::store::bucket::incarnation::Incarnation;
use crate::store::bucket::layout;
use crate::store::bucket::moment::testing::ahead;
use crate::store::bucket::rules::GRACE;
use crate::store::{Error, GroupError, GroupId, GroupTx, Outcome, Store};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Two servers on one store; the first one's requests may be late.
async fn pair() -> (Arc<Memory>, Arc<Faults>, Arc<Store>, Arc<Store>) {
    let (inner, faults) = (Arc::new(Memory::new()), Faults::new(1));
    let slow = open(&inner, &faults, merging()).await;
    let other = open(&inner, &Faults::new(2), merging()).await;
    (inner, faults, slow, other)
}

/// What a server that knows nothing yet finds.
async fn found(inner: &Arc<Memory>) -> Option<litevfs::types::Pos> {
    let anew = open(inner, &Faults::new(3), merging()).await;
    newest(&anew, &key("db")).await.unwrap().map(|database| database.pos())
}

async fn commit(store: &Arc<Store>, model: &mut Model, fill: u8) {
    let ltx = model.commit(&[(1, fill)], 1);
    store.commit(&key("db"), spool(&ltx), None).await.unwrap();
}

#[test]
fn a_server_that_is_a_moment_behind_does_not_commit_to_a_database_that_was_dropped() {
    block_on(async {
        let (inner, _, behind, other) = pair().await;
        let mut model = Model::new(512);
        commit(&other, &mut model, 1).await;
        newest(&behind, &key("db")).await.unwrap();
        let ltx = model.tx(&[(1, 99)], 1).ltx();
        commit(&other, &mut model, 2).await;
        other.drop_database(&key("db"), None).await.unwrap();
        other.try_compact(&key("db")).await.unwrap();
        let late = behind.commit(&key("db"), spool(&ltx), None).await;
        assert!(matches!(late, Err(Error::PosMismatch(_))), "{late:?}");
        assert_eq!(found(&inner).await, None);
    });
}

#[test]
fn a_first_commit_that_failed_does_not_appear_after_its_lease_was_given_back() {
    // Given back, and left to run out: then the next client's lease shuts it out.
    for given_back in [true, false] {
        block_on(async {
            let (inner, faults, slow, other) = pair().await;
            let name = key("db");
            let (id, _) = slow.acquire_lease(&name, 60 * MOMENT).await.unwrap();
            faults.lose("0001.ltx", HOUR);
            let ltx = Model::new(512).commit(&[(1, 1)], 1);
            let failed = slow.commit(&name, spool(&ltx), Some(&id)).await;
            assert!(failed.is_err(), "{failed:?}");
            faults.lose_no_more();
            if given_back {
                slow.release_lease(&name, &id).await.unwrap();
            } else {
                tokio::time::sleep(2 * MINUTE).await;
                slow.acquire_lease(&name, MOMENT).await.unwrap();
            }
            assert_eq!(found(&inner).await, None);
            tokio::time::sleep(2 * HOUR).await;
            assert_eq!(found(&inner).await, None, "a ghost");
            let again = other.commit(&name, spool(&ltx), Some(&id)).await;
            assert!(matches!(again, Err(Error::Fenced(LeaseError::Lost))), "{again:?}");
            other.commit(&name, spool(&ltx), None).await.unwrap();
            assert!(found(&inner).await.is_some());
        });
    }
}

#[test]
fn a_drop_that_looks_for_longer_than_its_lease_lasts_is_refused() {
    // Under the client's lease, and under the server's own.
    for own in [false, true] {
        block_on(async {
            let (inner, faults, slow, other) = pair().await;
            let (name, mut model) = (key("db"), Model::new(512));
            commit(&slow, &mut model, 1).await;
            let lease = match own {
                true => None,
                false => Some(slow.acquire_lease(&name, MOMENT).await.unwrap().0),
            };
            faults.delay(Ask::List, "c/db", 2 * MINUTE, Duration::ZERO);
            let dropping = tokio::spawn({
                let (slow, name) = (Arc::clone(&slow), name.clone());
                async move { slow.drop_database(&name, lease.as_deref()).await }
            });
            tokio::time::sleep(90 * MOMENT).await;
            let (id, _) = other.acquire_lease(&name, 60 * MOMENT).await.unwrap();
            model.pos = newest(&other, &name).await.unwrap().unwrap().pos();
            let ltx = model.commit(&[(1, 2)], 1);
            other.commit(&name, spool(&ltx), Some(&id)).await.unwrap();
            let dropped = dropping.await.unwrap();
            assert!(matches!(dropped, Err(Error::Fenced(_))), "{own}: {dropped:?}");
            assert_eq!(found(&inner).await, Some(model.pos), "{own}");
        });
    }
}

#[test]
fn a_drop_that_failed_does_not_come_under_another_clients_lease() {
    block_on(async {
        let (inner, faults, slow, other) = pair().await;
        let (name, mut model) = (key("db"), Model::new(512));
        commit(&slow, &mut model, 1).await;
        faults.lose("0002.ltx", HOUR);
        let dropping = tokio::spawn({
            let (slow, name) = (Arc::clone(&slow), name.clone());
            async move { slow.drop_database(&name, None).await }
        });
        tokio::time::sleep(19 * MOMENT).await;
        // The store is right again after the last try.
        tokio::time::sleep(MOMENT).await;
        let dropped = dropping.await.unwrap();
        faults.lose_no_more();
        assert!(dropped.is_err(), "{dropped:?}");
        tokio::time::sleep(2 * MINUTE).await;
        let (id, _) = other.acquire_lease(&name, 60 * MOMENT).await.unwrap();
        let told = newest(&other, &name).await.unwrap().unwrap().pos();
        tokio::time::sleep(2 * HOUR).await;
        assert_eq!(found(&inner).await, Some(told), "it is gone under a lease");
        other.release_lease(&name, &id).await.unwrap();
    });
}

fn group_id() -> GroupId {
    "0c".repeat(16).parse().unwrap()
}

/// A group that makes two databases.
fn group() -> Vec<GroupTx> {
    let of = |db: &str| GroupTx {
        db: db.parse().unwrap(),
        lease_id: None,
        upload: spool(&Model::new(512).commit(&[(1, 1)], 1)),
    };
    vec![of("db"), of("other")]
}

#[test]
fn a_group_that_was_given_up_is_not_decided_for_however_late() {
    block_on(async {
        let (inner, faults, slow, other) = pair().await;
        let cluster: ClusterName = key("db").cluster;
        faults.delay(Ask::Put, "/groups/", 80 * DAY, Duration::ZERO);
        let pushing = tokio::spawn({
            let (slow, cluster) = (Arc::clone(&slow), cluster.clone());
            async move { slow.commit_group(&cluster, &group_id(), group()).await }
        });
        tokio::time::sleep(MINUTE).await;
        let outcome = other.abort_group(&cluster, &group_id()).await.unwrap();
        assert_eq!(outcome, Outcome::Aborted);
        for _ in 0..70 {
            tokio::time::sleep(DAY).await;
            other.sweep_decisions().await.unwrap();
        }
        let pushed = pushing.await.unwrap();
        assert!(matches!(pushed, Err(GroupError { error: Error::GroupAborted, .. })), "{pushed:?}");
        assert_eq!(found(&inner).await, None);
    });
}

#[test]
fn what_was_decided_stays_when_a_servers_clock_is_ahead() {
    block_on(async {
        let (_, _, wrong, other) = pair().await;
        let cluster: ClusterName = key("db").cluster;
        wrong.commit_group(&cluster, &group_id(), group()).await.unwrap();
        let mut model = Model::new(512);
        model.commit(&[(1, 1)], 1);
        // Its files are merged and removed.
        for fill in 2..4 {
            let ltx = model.commit(&[(1, fill)], 1);
            for db in ["db", "other"] {
                other.commit(&key(db), spool(&ltx), None).await.unwrap();
            }
        }
        for _ in 0..4 {
            for db in ["db", "other"] {
                other.try_compact(&key(db)).await.unwrap();
            }
            tokio::time::sleep(GRACE + MOMENT).await;
        }
        let first = Incarnation::first(key("db"));
        let file = other.objects.shape.named(&first, 0, Txid(1), Txid(1));
        assert!(!other.objects.exists(&file).await.unwrap());
        ahead(40 * DAY, wrong.sweep_decisions()).await.unwrap();
        let outcome = other.group_outcome(&cluster, &group_id()).await.unwrap();
        assert_eq!(outcome, Some(Outcome::Committed));
        other.commit_group(&cluster, &group_id(), group()).await.unwrap();
        // It goes when it is old.
        tokio::time::sleep(40 * DAY).await;
        other.sweep_decisions().await.unwrap();
        assert_eq!(other.group_outcome(&cluster, &group_id()).await.unwrap(), None);
    });
}

#[test]
fn a_claim_of_a_dead_server_whose_clock_was_ahead_runs_out() {
    block_on(async {
        let (_, faults, wrong, other) = pair().await;
        let (name, mut model) = (key("db"), Model::new(512));
        commit(&other, &mut model, 1).await;
        ahead(40 * DAY, wrong.acquire_lease(&name, MOMENT)).await.unwrap();
        faults.cut.store(true, Ordering::SeqCst);
        let early = other.acquire_lease(&name, MOMENT).await;
        assert!(matches!(early, Err(Error::Fenced(LeaseError::Held(_)))), "{early:?}");
        tokio::time::sleep(62 * MOMENT).await;
        let (id, _) = other.acquire_lease(&name, MOMENT).await.unwrap();
        other.release_lease(&name, &id).await.unwrap();
        other.drop_database(&name, None).await.unwrap();
    });
}

#[test]
fn a_database_is_compacted_although_a_server_died_at_it_whose_clock_was_ahead() {
    block_on(async {
        let (_, faults, wrong, other) = pair().await;
        let (name, mut model) = (key("db"), Model::new(512));
        commit(&other, &mut model, 1).await;
        commit(&other, &mut model, 2).await;
        faults.delay(Ask::Put, "/0001/", 1000 * HOUR, Duration::ZERO);
        let dying = tokio::spawn({
            let (wrong, name) = (Arc::clone(&wrong), name.clone());
            async move { ahead(40 * DAY, wrong.try_compact(&name)).await }
        });
        tokio::time::sleep(MOMENT).await;
        let first = Incarnation::first(key("db"));
        let merged = other.objects.shape.named(&first, 1, Txid(1), Txid(2));
        other.try_compact(&name).await.unwrap();
        assert!(!other.objects.exists(&merged).await.unwrap());
        tokio::time::sleep(62 * MOMENT).await;
        other.try_compact(&name).await.unwrap();
        assert!(other.objects.exists(&merged).await.unwrap());
        dying.abort();
    });
}

/// Has some bytes of an object be others.
async fn damage(inner: &Memory, path: &object_store::path::Path) {
    let mut bytes = inner.get(path).await.unwrap().bytes().await.unwrap().to_vec();
    bytes[112..128].fill(0xff);
    let put = inner.put_opts(path, bytes.into(), PutMode::Overwrite.into()).await;
    put.unwrap();
}

#[test]
fn a_damaged_database_can_be_dropped_although_a_server_died_with_its_lease() {
    block_on(async {
        let (inner, faults, dying, other) = pair().await;
        let mut model = Model::new(512);
        for fill in 1..4 {
            commit(&other, &mut model, fill).await;
        }
        dying.acquire_lease(&key("db"), MOMENT).await.unwrap();
        faults.cut.store(true, Ordering::SeqCst);
        let first = Incarnation::first(key("db"));
        let gone = other.objects.shape.named(&first, 0, Txid(2), Txid(2));
        other.objects.delete(&gone).await.unwrap();
        tokio::time::sleep(2 * MINUTE).await;
        let anew = open(&inner, &Faults::new(3), merging()).await;
        assert!(matches!(anew.fresh(&key("db")).await, Err(Error::Corrupt { .. })));
        anew.drop_database(&key("db"), None).await.unwrap();
        assert_eq!(found(&inner).await, None);
    });
}

#[test]
fn a_damaged_database_can_be_dropped_although_a_group_is_in_the_way() {
    block_on(async {
        let (inner, faults, dying, other) = pair().await;
        let (cluster, mut model) = (key("db").cluster, Model::new(512));
        commit(&other, &mut model, 1).await;
        faults.delay(Ask::Put, "/groups/", 1000 * HOUR, Duration::ZERO);
        let mut txs = group();
        txs[0].upload = spool(&model.tx(&[(1, 2)], 1).ltx());
        let pushing =
            tokio::spawn(async move { dying.commit_group(&cluster, &group_id(), txs).await });
        tokio::time::sleep(MOMENT).await;
        let first = Incarnation::first(key("db"));
        damage(&inner, &other.objects.shape.named(&first, 0, Txid(1), Txid(1))).await;
        let anew = open(&inner, &Faults::new(3), merging()).await;
        anew.drop_database(&key("db"), None).await.unwrap();
        assert_eq!(found(&inner).await, None);
        pushing.abort();
    });
}

#[test]
fn a_name_whose_head_is_lost_is_not_taken_for_one_without_a_database() {
    // With what says that its first database was dropped, and after that was swept up.
    for swept in [false, true] {
        block_on(async {
            let (inner, _, one, other) = pair().await;
            let (name, mut anew) = (key("db"), Model::new(512));
            commit(&one, &mut Model::new(512), 1).await;
            one.drop_database(&name, None).await.unwrap();
            commit(&one, &mut anew, 2).await;
            for _ in 0..3 {
                one.try_compact(&name).await.unwrap();
                tokio::time::sleep(if swept { GRACE } else { Duration::ZERO }).await;
            }
            let head = other.objects.get(&layout::head(&name)).await.unwrap().unwrap();
            other.objects.delete(&layout::head(&name)).await.unwrap();
            let copy = open(&inner, &Faults::new(3), merging()).await;
            let opened = copy.fresh(&name).await;
            assert!(matches!(opened, Err(Error::Corrupt { .. })), "{opened:?}");
            let ltx = Model::new(512).commit(&[(1, 3)], 1);
            let made = copy.commit(&name, spool(&ltx), None).await;
            assert!(matches!(made, Err(Error::Corrupt { .. })), "{made:?}");
            // Put back, all is as it was.
            inner.put(&layout::head(&name), head.into()).await.unwrap();
            assert_eq!(found(&inner).await, Some(anew.pos));
        });
    }
}

#[test]
fn a_head_that_is_older_than_the_files_does_not_have_them_swept_up() {
    block_on(async {
        let (inner, _, one, other) = pair().await;
        let name = key("db");
        let head = layout::head(&name);
        let mut heads = Vec::new();
        for fill in 1..4 {
            commit(&one, &mut Model::new(512), fill).await;
            heads.push(other.objects.get(&head).await.unwrap());
            if fill < 3 {
                one.drop_database(&name, None).await.unwrap();
            }
        }
        let Some(now) = found(&inner).await else { panic!("nothing is found") };
        let [_, Some(old), Some(new)] = heads.as_slice() else { panic!("{heads:?}") };
        inner.put(&head, old.clone().into()).await.unwrap();
        let copy = open(&inner, &Faults::new(3), merging()).await;
        for _ in 0..4 {
            let _ = copy.try_compact(&name).await;
            tokio::time::sleep(2 * HOUR).await;
        }
        inner.put(&head, new.clone().into()).await.unwrap();
        assert_eq!(found(&inner).await, Some(now));
    });
}
