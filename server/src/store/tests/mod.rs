//! Several servers on one store that fails, against a model of what every position holds.

mod chaos;
mod explore;
mod faulty;
mod groups;
mod memory;
#[allow(dead_code, reason = "the tests through HTTP use the rest")]
#[path = "../../../tests/api/model.rs"]
mod model;
mod races;
mod reshape;
mod shared;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::compact::{Level, Schedule};
use super::layout::Shape;
use super::location::{Location, Settings};
use super::objects::Objects;
use super::{Database, Error, Store};
use crate::key::DbKey;
use crate::metrics::Metrics;
use crate::spool::{Spool, SpoolWriter};
use faulty::{Faults, Faulty};
use memory::Memory;

fn key(db: &str) -> DbKey {
    DbKey { cluster: "c".parse().unwrap(), db: db.parse().unwrap() }
}

/// A schedule that merges all the time, and keeps things for so long.
fn eager(keep: Duration) -> Schedule {
    let level = Level { every: Duration::ZERO, keep };
    Schedule { level0_keep: keep, levels: [level; 3], snapshots: level }
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
    let settings = Settings {
        location: Location::Directory(PathBuf::new()),
        scratch: None,
        disk_cache: 0,
        index_memory: 1 << 20,
        schedule,
    };
    Store::open_store(objects, &settings, metrics).await
}

fn spool(bytes: &[u8]) -> Spool {
    let mut writer = SpoolWriter::new(&std::env::temp_dir());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

/// A database as it is this moment, whatever was looked at before.
async fn newest(store: &Arc<Store>, key: &DbKey) -> Result<Option<Arc<Database>>, Error> {
    store.slot(key)?.look_again().await;
    store.fresh(key).await
}
