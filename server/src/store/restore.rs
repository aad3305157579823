//! Whole databases put in place of what is there: a SQLite file, or what the database was before.
//!
//! Both are commits like any other, one transaction that holds every page: a client's cache learns of
//! it as of any commit, and what it replaces stays in the history.

use std::io::Write;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use litevfs::types::{Pos, Txid};

use super::database::{Database, State};
use super::error::Error;
use super::history::Step;
use super::import::{Base, sound_from_sqlite};
use super::{Snapshot, Store};
use crate::key::DbKey;
use crate::lease::LeaseError;
use crate::offload::offload;
use crate::spool::{Spool, SpoolWriter};

/// The most restore points that are named unless all are asked for.
const MAX_POINTS: usize = 100;

/// A moment in a database's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// After that transaction.
    Txid(Txid),
    /// At that time, in ms since the Unix epoch.
    Time(u64),
    /// At exactly that position.
    Pos(Pos),
}

/// A position that can be gone back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestorePoint {
    /// The position.
    pub pos: Pos,
    /// When it was reached, in ms since the Unix epoch.
    pub timestamp_ms: u64,
}

impl RestorePoint {
    const fn after(step: &Step) -> RestorePoint {
        RestorePoint { pos: step.pos(), timestamp_ms: step.timestamp_ms }
    }
}

impl Database {
    /// The last restore point not after a moment.
    #[expect(clippy::unused_async, reason = "older history is read from the store")]
    pub async fn restore_point(&self, at: At) -> Result<RestorePoint, Error> {
        let history = &self.state.read().history;
        let steps = (0..history.len()).rev().filter_map(|number| history.step(number));
        let mut points = steps.map(RestorePoint::after);
        match at {
            At::Txid(txid) if txid > history.pos().txid => Err(Error::NoTxid),
            At::Txid(txid) => points.find(|point| point.pos.txid <= txid).ok_or(Error::NoTxid),
            At::Time(ms) => points.find(|at| at.timestamp_ms <= ms).ok_or(Error::NoTimestamp),
            At::Pos(pos) => {
                let mismatch = || Error::PosMismatch(history.pos());
                points.find(|point| point.pos == pos).ok_or_else(mismatch)
            }
        }
    }

    /// The restore points, newest first; the last hundred unless all are asked for.
    #[expect(clippy::unused_async, reason = "older history is read from the store")]
    pub async fn restore_points(&self, all: bool) -> Result<Vec<RestorePoint>, Error> {
        let history = &self.state.read().history;
        let count = if all { usize::MAX } else { MAX_POINTS };
        let steps = (0..history.len()).rev().filter_map(|number| history.step(number));
        Ok(steps.take(count).map(RestorePoint::after).collect())
    }
}

impl Store {
    /// Commits a SQLite file as the next transaction of a database, which may be new.
    ///
    /// `fence` is asked as by [`Store::commit`].
    pub async fn import<F>(&self, key: &DbKey, file: Spool, fence: F) -> Result<Pos, Error>
    where
        F: Fn() -> Result<(), LeaseError>,
    {
        let slot = self.slot(key)?;
        fence()?;
        let _gate = slot.gate.lock().await;
        let existing = self.open(key, &slot).await?;
        let base = Base {
            pos: existing.as_ref().map_or(Pos::EMPTY, |database| database.pos()),
            page_size: existing.as_ref().map(|database| database.page_size()),
        };
        let scratch = self.scratch().to_owned();
        let len_bytes = usize::try_from(file.len()).unwrap_or(usize::MAX);
        let sound = move || sound_from_sqlite(&file, &scratch, base, now_ms());
        let (page_size, sound) = offload(len_bytes, sound).await??;
        fence()?;
        let database = existing.unwrap_or_else(|| {
            let state = State::new(page_size);
            Arc::new(Database::with_state(&self.objects, key, state))
        });
        self.publish(key, &slot, database, sound).await
    }

    /// Makes a database, in a new transaction, what it was at a moment.
    pub async fn restore<F>(&self, key: &DbKey, at: At, fence: F) -> Result<Pos, Error>
    where
        F: Fn() -> Result<(), LeaseError>,
    {
        let database = self.database(key).await?.ok_or(Error::NoDatabase)?;
        let point = database.restore_point(at).await?;
        let mut snapshot = Snapshot::new(Arc::clone(&database), Some(point.pos))?;
        let mut file = SpoolWriter::new(self.scratch());
        let page_len = database.page_size().len_bytes();
        let mut last = 0_u32;
        loop {
            let pages = snapshot.next_pages().await?;
            if pages.is_empty() {
                break;
            }
            for (pgno, data) in pages {
                if pgno.get() > last.saturating_add(1) {
                    file.write_all(&vec![0; page_len])?;
                }
                file.write_all(&data)?;
                last = pgno.get();
            }
        }
        if last < snapshot.header().commit {
            file.write_all(&vec![0; page_len])?;
        }
        self.import(key, file.finish()?, fence).await
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
