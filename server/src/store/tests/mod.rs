//! Several servers on one store that fails, against a model of what every position holds.

mod bounds;
mod chaos;
mod encrypted;
mod ends;
mod explore;
mod faulty;
mod groups;
mod guess;
mod late;
mod lives;
mod memory;
#[allow(dead_code, reason = "the tests through HTTP use the rest")]
#[path = "../../../tests/api/model.rs"]
mod model;
mod pinned;
mod races;
mod reshape;
mod shared;

use std::io::Write;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use litevfs::types::{Pgno, Pos};

use super::bucket::layout::Shape;
use super::compact::{Level, Schedule};
use super::history::shelf::Shelf;
use super::objects::location::{Location, Settings};
use super::objects::reads::Objects;
use super::{Database, Error, Store};
use crate::key::DbKey;
use crate::metrics::Metrics;
use crate::spool::{Spool, SpoolWriter};
use faulty::{Faults, Faulty};
use memory::Memory;

/// Tests look behind the wall.
impl Deref for Store {
    type Target = Arc<Shelf>;

    fn deref(&self) -> &Arc<Shelf> {
        &self.shelf
    }
}

const MOMENT: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Runs with a clock that waits for nothing.
fn block_on<T>(work: impl Future<Output = T>) -> T {
    let builder = &mut tokio::runtime::Builder::new_current_thread();
    builder.enable_all().start_paused(true).build().unwrap().block_on(work)
}

fn settings(location: Location, schedule: Schedule) -> Settings {
    let (index_memory, database_memory) = (1 << 20, 1 << 20);
    Settings { location, scratch: None, disk_cache: 0, index_memory, database_memory, schedule }
}

/// All pages of a database at a position.
async fn pages_of(database: &Database, pos: Pos) -> Vec<Vec<u8>> {
    let view = database.view(Some(pos)).await.unwrap();
    let pgnos: Vec<Pgno> = view.pgnos_from(1).collect();
    database.pages_of(&view, &pgnos).await.unwrap()
}

fn key(db: &str) -> DbKey {
    DbKey { cluster: "c".parse().unwrap(), db: db.parse().unwrap() }
}

/// A schedule that merges all the time, and keeps things for so long.
fn eager(keep: Duration) -> Schedule {
    let level = Level { every: Duration::ZERO, keep };
    Schedule { level0_keep: keep, levels: [level; 3], snapshots: level }
}

/// Merges into level 1 at once, and removes what is merged a moment later.
fn merging() -> Schedule {
    let soon = Level { every: Duration::ZERO, keep: Duration::from_secs(30 * 86400) };
    let later = Level { every: Duration::from_secs(10 * 86400), keep: soon.keep };
    Schedule { level0_keep: Duration::ZERO, levels: [soon, later, later], snapshots: later }
}

async fn open(inner: &Arc<Memory>, faults: &Arc<Faults>, schedule: Schedule) -> Arc<Store> {
    let faulty = Faulty { inner: Arc::clone(inner), faults: Arc::clone(faults), lax: false };
    open_faulty(faulty, schedule).await.unwrap()
}

async fn open_faulty(faulty: Faulty, schedule: Schedule) -> Result<Arc<Store>, Error> {
    let scratch = std::env::temp_dir();
    let metrics = Metrics::default();
    let objects =
        Objects::shared(Arc::new(faulty), Shape::S3, "mem", &scratch, None, metrics.clone());
    let settings = settings(Location::Directory(PathBuf::new()), schedule);
    Store::open_store(objects, &settings, metrics).await
}

fn spool(bytes: &[u8]) -> Spool {
    let mut writer = SpoolWriter::new(&std::env::temp_dir());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

/// A database as it is this moment, whatever was looked at before.
async fn newest(store: &Arc<Store>, key: &DbKey) -> Result<Option<Arc<Database>>, Error> {
    store.slot(key).look_again().await;
    store.fresh(key).await
}

/// Has pages count past what they replace, as a restore and an import do, and say how many they are: no
/// connection takes what it has kept for what is there then.
fn succeed(pages: &mut [Vec<u8>], before: &[Vec<u8>]) {
    let size = u32::try_from(pages.len()).unwrap();
    if let (Some(page1), Some(old)) = (pages.first_mut(), before.first()) {
        let past = |at: usize, own: &[u8]| {
            let count = |page: &[u8]| u32::from_be_bytes(page[at..at + 4].try_into().unwrap());
            count(own).max(count(old)).wrapping_add(1).to_be_bytes()
        };
        let (counter, cookie) = (past(24, page1), past(40, page1));
        page1[24..28].copy_from_slice(&counter);
        page1[28..32].copy_from_slice(&size.to_be_bytes());
        page1[40..44].copy_from_slice(&cookie);
        page1[92..96].copy_from_slice(&counter);
    }
}
