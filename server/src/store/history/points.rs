//! The past of a database: which of its transactions can be restored, and when they were committed.

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use litevfs::types::{Pos, Txid};

use super::database::Database;
use super::view::PARALLEL_FILES;
use crate::store::bucket::error::{Error, Nearest};
use crate::store::bucket::ltx_file::{LtxFile, SNAPSHOT_LEVEL};

/// How many commits that are not merged yet, or were just now, are restore points.
const MAX_COMMITS: usize = 1000;
/// How many restore points are listed when not all are asked for.
const LISTED: usize = 100;

/// A place in a database's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// After that transaction.
    Txid(Txid),
    /// At that time, in ms since the Unix epoch.
    Time(u64),
    /// At that position.
    Pos(Pos),
}

/// A position that can be restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestorePoint {
    /// The position.
    pub pos: Pos,
    /// When it was committed, in ms since the Unix epoch.
    pub timestamp_ms: u64,
    /// The first transaction of the commits, merged or not, whose file ends with it; `None` when only
    /// a snapshot does, or nobody looked.
    pub first: Option<Txid>,
}

impl Database {
    /// The restore point that is meant: that transaction's own, or the last one not after a time.
    pub async fn restore_point(&self, at: At) -> Result<RestorePoint, Error> {
        self.relist().await?;
        let view = match at {
            At::Pos(pos) => self.view(Some(pos)).await?,
            At::Txid(txid) => self.view(Some(self.pos_at(txid).await?)).await?,
            At::Time(ms) => {
                let txid = self.last_txid_at(ms).await?;
                self.view(Some(self.pos_at(txid).await?)).await?
            }
        };
        Ok(RestorePoint { pos: view.pos, timestamp_ms: view.timestamp_ms, first: None })
    }

    /// The restore points, newest first: all, or the latest hundred. Of single commits the last thousand.
    pub async fn restore_points(&self, all: bool) -> Result<Vec<RestorePoint>, Error> {
        self.relist().await?;
        let files = self.restorable(if all { usize::MAX } else { LISTED });
        let points = files.into_iter().map(|file| self.point_after(file).boxed());
        stream::iter(points.collect::<Vec<_>>())
            .buffered(PARALLEL_FILES)
            .try_filter_map(async |point| Ok(point))
            .try_collect()
            .await
    }

    /// Other servers remove files, too, and the store knows when each was written.
    async fn relist(&self) -> Result<(), Error> {
        self.reload().await
    }

    /// The restore point at the end of a file; `None` when it was removed meanwhile, as it was time.
    async fn point_after(&self, file: LtxFile) -> Result<Option<RestorePoint>, Error> {
        match self.index(&file).await {
            // What decided an upload of several transactions has no end of its own.
            Ok(index) if index.marks.span > 0 => Ok(None),
            Ok(index) => {
                let pos = index.pos();
                let first = Some(file.min_txid).filter(|_| file.level < SNAPSHOT_LEVEL);
                let timestamp_ms = file.commit_time(index.timestamp_ms);
                Ok(Some(RestorePoint { pos, timestamp_ms, first }))
            }
            Err(Error::Gone(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// For each of the last so many transactions that can be restored a file that ends with it, newest
    /// first.
    fn restorable(&self, limit: usize) -> Vec<LtxFile> {
        let ends = self.boundaries();
        let state = self.state.read();
        let restorable = |file: &LtxFile| state.files.plan(file.max_txid).is_some();
        ends.into_iter().rev().filter(restorable).take(limit).collect()
    }

    /// For each transaction that ends a file such a file, oldest first.
    fn boundaries(&self) -> Vec<LtxFile> {
        let state = self.state.read();
        let tip = state.tip.pos.txid;
        let mut ends = state.files.boundaries(MAX_COMMITS);
        ends.retain(|file| file.max_txid <= tip);
        ends
    }

    async fn pos_at(&self, txid: Txid) -> Result<Pos, Error> {
        let file = {
            let state = self.state.read();
            let files = &state.files;
            files.ending_at(txid).filter(|_| files.plan(txid).is_some()).copied()
        };
        let file = file.ok_or_else(|| self.no_txid(txid))?;
        match self.index(&file).await {
            Ok(index) if index.marks.span == 0 => Ok(index.pos()),
            // Or it is what decided an upload of several transactions, which has no end there.
            Ok(_) | Err(Error::Gone(_)) => Err(self.no_txid(txid)),
            Err(error) => Err(error),
        }
    }

    fn no_txid(&self, txid: Txid) -> Error {
        Error::NoTxid(self.nearest(txid))
    }

    /// The restorable transactions around one that is not.
    fn nearest(&self, txid: Txid) -> Nearest {
        let restorable = self.restorable(usize::MAX);
        let mut newest_first = restorable.iter().map(|file| file.max_txid).filter(|&t| t != txid);
        Nearest {
            after: newest_first.clone().take_while(|&other| other > txid).last(),
            before: newest_first.find(|&other| other < txid),
        }
    }

    /// The last restorable transaction that was committed at a time or before it. Times ascend with
    /// the transactions, so a few files need to be looked into.
    async fn last_txid_at(&self, ms: u64) -> Result<Txid, Error> {
        let files = self.boundaries();
        let (mut low, mut high) = (0, files.len());
        while low < high {
            let middle = low.midpoint(high);
            let Some(file) = files.get(middle) else {
                break;
            };
            if file.commit_time(self.index(file).await?.timestamp_ms) <= ms {
                low = middle.saturating_add(1);
            } else {
                high = middle;
            }
        }
        let state = self.state.read();
        let mut before = files.get(..low).into_iter().flatten().rev();
        let found = before.find(|file| state.files.plan(file.max_txid).is_some());
        let found = found.map(|file| file.max_txid);
        drop(state);
        found.ok_or_else(|| Error::NoTimestamp(self.nearest(Txid(0))))
    }
}
