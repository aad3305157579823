//! Opens a database: reads its head, lists its files, and looks into those that make up its last position.

use std::sync::Arc;

use tokio::time::Instant;

use super::database::Database;
use super::indexes::Indexes;
use super::pins::Pins;
use super::span::complete_span;
use super::standing::{Doubt, Standing, Waiting, standing};
use super::state::State;
use super::taken::Together;
use super::view::View;
use crate::key::DbKey;
use crate::store::bucket::error::Error;
use crate::store::bucket::file_index::is_tombstone;
use crate::store::bucket::files::Files;
use crate::store::bucket::head::Head;
use crate::store::bucket::layout;
use crate::store::bucket::ltx_file::LtxFile;
use crate::store::bucket::rules::{self, sort_out};
use crate::store::objects::dates::dated;
use crate::store::objects::reads::Objects;

/// What there is of a name.
#[derive(Debug)]
pub(in crate::store) enum Opened {
    /// A database.
    Database(Arc<Database>),
    /// No file that counts: the next commit is the first.
    Vacant(Head),
    /// The incarnation that its head names was dropped; the head is to move on.
    Dropped(Head),
}

/// Why a name has no database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Vacancy {
    /// The incarnation that its head names has none yet.
    Vacant,
    /// It was dropped, and the head did not move on.
    Dropped,
}

/// The head of a name, and the files of the incarnation that lives.
///
/// A listing may be as late as any answer. So the head is read again after one that took long: what does
/// not count by then may have been removed and replaced before it was listed.
pub(in crate::store) async fn list_living(
    objects: &Objects,
    key: &DbKey,
) -> Result<(Head, Files, Vec<LtxFile>), Error> {
    let mut head = objects.head(key).await?;
    objects.settle(&objects.shape.level(&head.db, 0)).await?;
    let (listed, date) = dated(objects.ltx_files(&head.db)).await;
    let listed = listed?;
    if !rules::may_rely(&head, date) {
        let now = objects.head(key).await?;
        if now.db != head.db {
            return Err(Error::Gone(head.db.to_string()));
        }
        head = now;
    }
    let (files, dead) = sort_out(listed, &head);
    if !rules::is_newest_known(head.floor, files.level(0).next_back()) {
        return Err(Error::Gone(head.db.to_string()));
    }
    Ok((head, files, dead))
}

/// Makes sure that a name without a head and without a database never had a head: a copy may lack it.
async fn check_vacant(objects: &Objects, head: &Head) -> Result<(), Error> {
    let key = &head.db.key;
    if !head.is_first() || objects.files_of_name(key).await?.iter().all(|(id, _)| id.is_none()) {
        return Ok(());
    }
    if objects.head(key).await?.is_first() {
        let what = "it is missing, and the database was made anew once: put it back from where the \
                    files come from";
        return Err(Error::corrupt(layout::head(key), what));
    }
    Err(Error::Gone(key.to_string()))
}

impl Database {
    /// Opens the database of a name from its files.
    ///
    /// Fails when the files are not one history without a gap: better no database than a wrong one.
    pub(in crate::store) async fn open(
        objects: &Objects,
        indexes: &Arc<Indexes>,
        key: &DbKey,
        doubt: &Doubt,
        pins: &Pins,
    ) -> Result<Opened, Error> {
        let began = Instant::now();
        let (head, mut files, dead) = list_living(objects, key).await?;
        let db = &head.db;
        let mut group = None;
        *doubt.lock() = None;
        let (last, index) = loop {
            let Some(last) = files.level(0).next_back().copied() else {
                return if files.is_empty() {
                    check_vacant(objects, &head).await?;
                    Ok(Opened::Vacant(head))
                } else {
                    Err(Error::corrupt(db, "the files of its last transactions are missing"))
                };
            };
            let index = indexes.get(objects, db, &last).await?;
            match standing(objects, key, &index).await? {
                Standing::Plain => break (last, index),
                Standing::Counts(committed) => {
                    group = Some(Arc::new(committed));
                    break (last, index);
                }
                Standing::Open => {
                    files.remove(&last);
                    *doubt.lock() = Some(Waiting { db: Arc::clone(db), file: last });
                }
            }
        };
        if is_tombstone(&index) {
            check_vacant(objects, &head).await?;
            return Ok(Opened::Dropped(head));
        }
        if index.marks.span > 0 {
            files.insert(complete_span(objects, indexes, db, &last).await?.0);
        }
        let missing = || Error::corrupt(db, "files with transactions in the middle are missing");
        let plan = files.plan(files.tip()).ok_or_else(missing)?;
        let view = View::new(objects, indexes, db, &plan).await?;
        let mut state = State::new(files, dead, &view);
        state.together = Together::when_opened(view.timestamp_ms);
        if let Some(group) = group {
            state.together.note(last.min_txid, &group);
        }
        let mut database = Database::new(&head, objects, indexes, state, doubt, pins);
        *database.looked_at.get_mut() = Some(began);
        Ok(Opened::Database(Arc::new(database)))
    }
}
