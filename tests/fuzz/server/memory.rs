//! A store in memory, for the targets that need a whole one.

use super::Store;
use super::bucket::layout::Shape;
use super::compact::Schedule;
use super::objects::location::{Location, Settings};
use super::objects::reads::Objects;
use crate::metrics::Metrics;
use object_store::memory::InMemory;
use std::sync::Arc;

/// An empty one.
pub async fn store() -> Arc<Store> {
    let (metrics, scratch) = (Metrics::default(), std::env::temp_dir());
    let memory = Arc::new(InMemory::new());
    let objects =
        Objects::shared(memory, Shape::Folders, "memory", &scratch, None, metrics.clone());
    let settings = Settings {
        location: Location::Directory(scratch),
        scratch: None,
        disk_cache: 0,
        index_memory: 1 << 20,
        database_memory: 1 << 20,
        schedule: Schedule::default(),
    };
    Store::open_store(objects, &settings, metrics).await.unwrap()
}
