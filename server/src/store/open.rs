//! Opens a database: lists its files, and looks into those that make up its last position.

use std::sync::Arc;

use tokio::time::Instant;

use super::database::{Database, State};
use super::error::Error;
use super::files::Files;
use super::group::doubt::Doubt;
use super::group::together::Together;
use super::group::{Standing, standing};
use super::indexes::Indexes;
use super::look::{complete_span, is_tombstone};
use super::objects::Objects;
use super::view::View;
use crate::key::DbKey;

impl Database {
    /// Opens a database from its files; `None` when it has none that counts, or was dropped.
    ///
    /// Fails when the files are not one history without a gap: better no database than a wrong one.
    pub(super) async fn open(
        objects: &Objects,
        indexes: &Arc<Indexes>,
        key: &DbKey,
        doubt: &Doubt,
    ) -> Result<Option<Database>, Error> {
        let began = Instant::now();
        let key = Arc::new(key.clone());
        objects.settle(&objects.shape.level(&key, 0)).await?;
        let mut files = Files::default();
        objects.ltx_files(&key).await?.into_iter().for_each(|file| files.insert(file));
        let mut group = None;
        *doubt.lock() = None;
        let (last, index) = loop {
            let Some(last) = files.level(0).next_back().copied() else {
                return if files.is_empty() {
                    Ok(None)
                } else {
                    Err(Error::corrupt(&key, "the files of its last transactions are missing"))
                };
            };
            let index = indexes.get(objects, &key, &last).await?;
            match standing(objects, &key, &index).await? {
                Standing::Plain => break (last, index),
                Standing::Counts(committed) => {
                    group = Some(Arc::new(committed));
                    break (last, index);
                }
                Standing::Open => {
                    files.remove(&last);
                    *doubt.lock() = Some(last);
                }
            }
        };
        if is_tombstone(&index) {
            return Ok(None);
        }
        if index.marks.span > 0 {
            files.insert(complete_span(objects, indexes, &key, &last).await?.0);
        }
        let missing = || Error::corrupt(&key, "files with transactions in the middle are missing");
        let plan = files.plan(files.tip()).ok_or_else(missing)?;
        let view = View::new(objects, indexes, &key, &plan).await?;
        let mut state = State::new(files, &view);
        state.together = Together::when_opened(view.timestamp_ms);
        if let Some(group) = group {
            state.together.note(last.min_txid, &group);
        }
        let mut database = Database::new(key, objects, indexes, state, doubt);
        *database.looked_at.get_mut() = Some(began);
        Ok(Some(database))
    }
}
