//! What is known of a database late: lists that are older than the head, floors that came a moment ago,
//! creations that took minutes. Nobody is told that his commit is there when it is not, and no server
//! goes on from what was.

use std::sync::Arc;
use std::time::Duration;

use litevfs::ltx::Header;
use litevfs::types::{ClusterName, Pgno, Txid};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use tokio::time::Instant;

use super::faulty::{Ask, Faults};
use super::memory::Memory;
use super::model::Model;
use super::{MINUTE, MOMENT, block_on, key, merging, newest, open, pages_of, settings, spool};
use crate::metrics::Metrics;
use crate::store::bucket::incarnation::Incarnation;
use crate::store::bucket::marks::{Marks, stored_header};
use crate::store::bucket::moment::testing::ahead;
use crate::store::bucket::mutant::{self, Mutant};
use crate::store::bucket::rules::GRACE;
use crate::store::compact::Schedule;
use crate::store::history::open::list_living;
use crate::store::history::writer::Writer;
use crate::store::objects::location::Location;
use crate::store::{Error, GroupError, GroupId, GroupTx, Store};

/// The servers on one store, and what its database holds.
struct World {
    inner: Arc<Memory>,
    faults: Arc<Faults>,
    /// Its requests may be late.
    slow: Arc<Store>,
    other: Arc<Store>,
    model: Model,
    fill: u8,
}

/// The file of one transaction in a name's first incarnation.
fn place(store: &Store, txid: u64) -> Path {
    let first = Incarnation::first(key("db"));
    store.objects.shape.named(&first, 0, Txid(txid), Txid(txid))
}

impl World {
    async fn new(schedule: Schedule) -> World {
        let (inner, faults) = (Arc::new(Memory::new()), Faults::new(1));
        let slow = open(&inner, &faults, schedule.clone()).await;
        let other = open(&inner, &Faults::new(2), schedule).await;
        World { inner, faults, slow, other, model: Model::new(512), fill: 0 }
    }

    /// With so many commits, the last of which both servers know.
    async fn with_commits(count: u8) -> World {
        let mut world = World::new(merging()).await;
        world.go_on(count).await;
        newest(&world.slow, &key("db")).await.unwrap();
        world
    }

    /// Commits through the other server.
    async fn go_on(&mut self, count: u8) {
        for _ in 0..count {
            self.fill += 1;
            let ltx = self.model.commit(&[(1, self.fill)], 1);
            self.other.commit(&key("db"), spool(&ltx), None).await.unwrap();
        }
    }

    /// Has the other server merge, raise the floor, and remove what is below.
    async fn merge_and_remove(&self) {
        for _ in 0..3 {
            self.other.try_compact(&key("db")).await.unwrap();
            tokio::time::sleep(GRACE + MOMENT).await;
        }
        self.other.try_compact(&key("db")).await.unwrap();
    }

    async fn is_there(&self, txid: u64) -> bool {
        self.other.objects.exists(&place(&self.other, txid)).await.unwrap()
    }

    /// A commit of somebody else on top of what is known now, through the slow server.
    fn late_commit(&self) -> tokio::task::JoinHandle<Result<litevfs::types::Pos, Error>> {
        let (slow, ltx) = (Arc::clone(&self.slow), self.model.tx(&[(1, 99)], 1).ltx());
        tokio::spawn(async move { slow.commit(&key("db"), spool(&ltx), None).await })
    }

    /// All servers see what the model holds, at every restore point.
    async fn check(&self) {
        let anew = open(&self.inner, &Faults::new(4), merging()).await;
        for server in [&self.slow, &self.other, &anew] {
            let database = newest(server, &key("db")).await.unwrap().unwrap();
            assert_eq!(database.pos(), self.model.pos);
            assert_eq!(pages_of(&database, self.model.pos).await, self.model.pages);
            for point in database.restore_points(true).await.unwrap() {
                let known = self.model.history.iter().find(|(pos, _)| *pos == point.pos);
                let (pos, pages) = known.expect("a restore point that never was");
                assert_eq!(&pages_of(&database, *pos).await, pages);
            }
        }
    }
}

/// What a slow commit is told that lost its place, while its server is asked all the time.
fn a_slow_commit_that_lost() -> (World, Result<litevfs::types::Pos, Error>) {
    block_on(async {
        let mut world = World::with_commits(1).await;
        world.faults.delay(Ask::Put, "0002.ltx", 10 * MINUTE, Duration::ZERO);
        let late = world.late_commit();
        tokio::time::sleep(MOMENT).await;
        let slow = Arc::clone(&world.slow);
        let readers = tokio::spawn(async move {
            loop {
                newest(&slow, &key("db")).await.unwrap();
                tokio::time::sleep(5 * MOMENT).await;
            }
        });
        world.go_on(5).await;
        world.merge_and_remove().await;
        assert!(!world.is_there(2).await, "its place is free again");
        let late = late.await.unwrap();
        readers.abort();
        assert!(world.is_there(2).await, "its file was made");
        (world, late)
    })
}

#[test]
fn a_slow_commit_that_lost_is_told_so_although_its_server_is_asked_all_the_time() {
    let (world, late) = a_slow_commit_that_lost();
    assert!(matches!(late, Err(Error::Overtaken)), "{late:?}");
    block_on(world.check());
}

#[test]
fn without_the_floor_of_a_young_head_it_would_be_told_otherwise() {
    mutant::set(Some(Mutant::YoungHeadFloorIgnored));
    let (_, late) = a_slow_commit_that_lost();
    mutant::set(None);
    assert!(late.is_ok(), "it is not found: {late:?}");
}

#[test]
fn a_server_that_opened_a_database_by_an_old_list_does_not_commit_to_it() {
    // With nothing in the list, and with some.
    for before in [0, 1] {
        block_on(async {
            let mut world = World::new(merging()).await;
            world.go_on(before).await;
            world.faults.delay(Ask::List, "c/db", Duration::ZERO, 10 * MINUTE);
            let late = world.late_commit();
            tokio::time::sleep(MOMENT).await;
            world.go_on(5).await;
            world.merge_and_remove().await;
            assert!(!world.is_there(u64::from(before) + 1).await, "its place is free again");
            let late = late.await.unwrap();
            assert!(matches!(late, Err(Error::PosMismatch(_))), "{late:?}");
            world.check().await;
        });
    }
}

/// What comes of a list that arrives long after more was committed, merged and removed.
fn an_old_list(before: u8) -> Result<(), Error> {
    block_on(async {
        let mut world = World::new(merging()).await;
        world.go_on(before).await;
        world.other.try_compact(&key("db")).await.unwrap();
        world.faults.delay(Ask::List, "c/db", Duration::ZERO, 10 * MINUTE);
        let slow = Arc::clone(&world.slow);
        let listing = tokio::spawn(async move { list_living(&slow.objects, &key("db")).await });
        tokio::time::sleep(MOMENT).await;
        world.go_on(5).await;
        world.merge_and_remove().await;
        listing.await.unwrap().map(|_| ())
    })
}

#[test]
fn an_old_list_is_not_taken_for_what_there_is_by_a_younger_head() {
    for before in [0, 2] {
        let listed = an_old_list(before);
        assert!(matches!(listed, Err(Error::Gone(_))), "{listed:?}");
    }
}

#[test]
fn an_old_list_that_is_believed_shows() {
    for before in [0, 2] {
        mutant::set(Some(Mutant::OldListBelieved));
        let listed = an_old_list(before);
        mutant::set(None);
        assert!(listed.is_ok(), "it is not found: {listed:?}");
    }
}

#[test]
fn a_server_that_looked_by_an_old_list_does_not_commit_on_it() {
    block_on(async {
        let mut world = World::with_commits(2).await;
        tokio::time::sleep(10 * MOMENT).await;
        world.faults.delay(Ask::List, "c/db", Duration::ZERO, 10 * MINUTE);
        let late = world.late_commit();
        tokio::time::sleep(MOMENT).await;
        world.go_on(5).await;
        world.merge_and_remove().await;
        assert!(!world.is_there(3).await, "its place is free again");
        let late = late.await.unwrap();
        assert!(matches!(late, Err(Error::PosMismatch(_))), "{late:?}");
        world.check().await;
    });
}

#[test]
fn a_server_that_listed_its_files_late_sees_what_is_committed_afterwards() {
    block_on(async {
        let mut world = World::with_commits(3).await;
        let database = newest(&world.slow, &key("db")).await.unwrap().unwrap();
        // Merged files have all that it knows, so nothing is missing in an old list.
        world.other.try_compact(&key("db")).await.unwrap();
        world.faults.delay(Ask::List, "c/db", Duration::ZERO, 10 * MINUTE);
        let listing = tokio::spawn(async move { database.restore_points(true).await });
        tokio::time::sleep(MOMENT).await;
        world.go_on(5).await;
        world.merge_and_remove().await;
        // It says what was, or that it must be asked again.
        let listed = listing.await.unwrap();
        assert!(matches!(listed, Ok(_) | Err(Error::Replaced)), "{listed:?}");
        world.go_on(1).await;
        world.check().await;
    });
}

#[test]
fn a_commit_that_lost_is_not_followed_by_a_server_that_was_idle() {
    block_on(async {
        let mut world = World::with_commits(2).await;
        let idle = newest(&world.slow, &key("db")).await.unwrap().unwrap();
        let known = idle.pos();
        let faults = Faults::new(5);
        let third = open(&world.inner, &faults, merging()).await;
        newest(&third, &key("db")).await.unwrap();
        faults.delay(Ask::Put, "0003.ltx", 10 * MINUTE, Duration::ZERO);
        let late = tokio::spawn({
            let (third, ltx) = (Arc::clone(&third), world.model.tx(&[(1, 99)], 1).ltx());
            async move { third.commit(&key("db"), spool(&ltx), None).await }
        });
        tokio::time::sleep(MOMENT).await;
        // Somebody reads at the position that the idle server knows: its file stays, the next ones go.
        let read = newest(&world.other, &key("db")).await.unwrap().unwrap();
        let view = read.view(Some(known)).await.unwrap();
        let _pin = read.pin(&view);
        world.go_on(4).await;
        world.merge_and_remove().await;
        assert!(world.is_there(2).await && !world.is_there(3).await);
        let late = late.await.unwrap();
        assert!(matches!(late, Err(Error::Overtaken)), "{late:?}");
        assert!(world.is_there(3).await, "its file was made");
        let looked = idle.look(Duration::ZERO).await;
        assert!(matches!(looked, Err(Error::Replaced)), "{looked:?}");
        assert_eq!(idle.pos(), known, "it followed what does not count");
        world.check().await;
    });
}

#[test]
fn files_stay_for_a_while_after_the_floor_is_there_however_long_that_took() {
    block_on(async {
        let world = World::with_commits(4).await;
        let began = Instant::now();
        world.faults.delay(Ask::Put, "/heads/", GRACE - 5 * MOMENT, Duration::ZERO);
        world.slow.try_compact(&key("db")).await.unwrap();
        tokio::time::sleep(MOMENT).await;
        world.slow.try_compact(&key("db")).await.unwrap();
        assert!(began.elapsed() > GRACE - 5 * MOMENT, "no floor was raised");
        tokio::time::sleep(10 * MOMENT).await;
        world.slow.try_compact(&key("db")).await.unwrap();
        assert!(world.is_there(1).await, "it is removed, and the floor is ten seconds old");
        tokio::time::sleep(GRACE).await;
        world.slow.try_compact(&key("db")).await.unwrap();
        assert!(!world.is_there(1).await);
    });
}

#[test]
fn files_stay_for_a_while_after_the_floor_is_there_whatever_the_servers_clock_says() {
    block_on(async {
        let world = World::with_commits(4).await;
        world.slow.try_compact(&key("db")).await.unwrap();
        tokio::time::sleep(MOMENT).await;
        world.slow.try_compact(&key("db")).await.unwrap();
        let name = key("db");
        ahead(60 * MINUTE, world.slow.try_compact(&name)).await.unwrap();
        assert!(world.is_there(1).await, "it is removed, and the floor is there since just now");
        tokio::time::sleep(GRACE).await;
        world.slow.try_compact(&name).await.unwrap();
        assert!(!world.is_there(1).await);
    });
}

#[test]
fn what_spans_several_transactions_opens_whatever_clock_it_was_made_by() {
    block_on(async {
        let mut world = World::with_commits(1).await;
        let faults = Faults::new(5);
        let behind = open(&world.inner, &faults, merging()).await;
        newest(&behind, &key("db")).await.unwrap();
        let tx = world.model.tx_spanning(5, &[(1, 7), (2, 7)], 2);
        world.model.apply(&tx);
        let (name, upload) = (key("db"), spool(&tx.ltx()));
        ahead(60 * MINUTE, world.slow.commit(&name, upload, None)).await.unwrap();
        world.check().await;
        // Another release makes its second file at this moment, with another time.
        let store = &world.other;
        let db = Arc::new(Incarnation::first(name));
        let listed = store.objects.committed_from(&db, Txid(2)).await.unwrap();
        let [guard, whole] = listed.as_slice() else { panic!("{listed:?}") };
        let index = store.indexes.get(&store.objects, &db, guard).await.unwrap();
        let header = Header { timestamp_ms: 1, no_checksum: true, ..tx.header };
        let marks = Marks { span: 0, ..index.marks };
        let stored = stored_header(&header, &marks, index.pgnos());
        let mut writer = Writer::new(stored, store.scratch()).unwrap();
        for (pgno, page) in &tx.pages {
            writer.page(Pgno::new(*pgno).unwrap(), page).unwrap();
        }
        let bytes = writer.finish().unwrap().1.in_memory().unwrap();
        let path = store.objects.shape.file(&db, whole);
        assert_ne!(store.objects.get(&path).await.unwrap().unwrap(), bytes);
        store.objects.delete(&path).await.unwrap();
        faults.delay(Ask::List, "c/db", Duration::ZERO, MOMENT);
        let name = key("db");
        let (opened, put) = tokio::join!(newest(&behind, &name), async {
            tokio::time::sleep(MOMENT / 2).await;
            world.inner.put(&path, bytes.into()).await
        });
        put.unwrap();
        assert_eq!(opened.unwrap().unwrap().pos(), world.model.pos);
        world.check().await;
    });
}

#[test]
fn on_a_directory_the_floor_goes_on_rising_after_it_was_raised_unseen() {
    block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(Location::Directory(dir.path().to_owned()), merging());
        let metrics = Metrics::default();
        let taken = settings.location.take(&settings, &metrics).unwrap();
        let store = Store::open_store(taken.objects.clone(), &settings, metrics).await.unwrap();
        let (name, mut model) = (key("db"), Model::new(512));
        for fill in 1..6 {
            store.commit(&name, spool(&model.commit(&[(1, fill)], 1)), None).await.unwrap();
        }
        let database = store.fresh(&name).await.unwrap().unwrap();
        // As by one who held the database when it was forgotten and opened anew.
        store.objects.raise_floor(&database.head(), Txid(2)).await.unwrap().unwrap();
        for _ in 0..4 {
            store.try_compact(&name).await.unwrap();
            tokio::time::sleep(MOMENT).await;
        }
        for txid in 1..5 {
            let there = store.objects.exists(&place(&store, txid)).await.unwrap();
            assert!(!there, "{txid} stays");
        }
        assert_eq!(pages_of(&database, model.pos).await, model.pages);
    });
}

fn group_id() -> GroupId {
    "0c".repeat(16).parse().unwrap()
}

#[test]
fn a_group_whose_file_lost_its_place_is_not_told_that_it_is_there() {
    block_on(async {
        let mut world = World::with_commits(1).await;
        let cluster: ClusterName = key("db").cluster;
        let push = |server: &Arc<Store>| {
            let of = |db: &str, model: &Model| GroupTx {
                db: db.parse().unwrap(),
                lease_id: None,
                upload: spool(&model.tx(&[(1, 99)], 1).ltx()),
            };
            let txs = vec![of("db", &world.model), of("other", &Model::new(512))];
            let (server, cluster) = (Arc::clone(server), cluster.clone());
            tokio::spawn(async move { server.commit_group(&cluster, &group_id(), txs).await })
        };
        // The same group is sent through two servers: one file takes the place that became free, whose
        // server is frozen then; the other finds it.
        let faults = Faults::new(5);
        let frozen = open(&world.inner, &faults, merging()).await;
        faults.delay(Ask::Put, "0002.ltx", 9 * MINUTE, 600 * MINUTE);
        world.faults.delay(Ask::Put, "0002.ltx", 10 * MINUTE, Duration::ZERO);
        let first = push(&frozen);
        // At another time: the file has other bytes.
        tokio::time::sleep(MOMENT).await;
        let second = push(&world.slow);
        tokio::time::sleep(MOMENT).await;
        world.go_on(5).await;
        world.merge_and_remove().await;
        assert!(!world.is_there(2).await, "its place is free again");
        let pushed = second.await.unwrap();
        assert!(world.is_there(2).await, "its file was made");
        let lost = |pushed: &Result<_, GroupError>| pushed.as_ref().is_err();
        assert!(lost(&pushed), "{pushed:?}");
        assert!(newest(&world.other, &key("other")).await.unwrap().is_none());
        world.check().await;
        let pushed = first.await.unwrap();
        assert!(lost(&pushed), "{pushed:?}");
        world.check().await;
    });
}
