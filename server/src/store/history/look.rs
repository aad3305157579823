//! Sees what other servers did to a database: their commits, and files they merged or removed.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use litevfs::types::Pos;
use tokio::time::Instant;

use super::database::Database;
use super::span::complete_span;
use super::standing::{Standing, Waiting, standing};
use super::view::PARALLEL_FILES;
use crate::store::bucket::error::Error;
use crate::store::bucket::file_index::{FileIndex, is_tombstone};
use crate::store::bucket::head::Head;
use crate::store::bucket::ltx_file::LtxFile;
use crate::store::bucket::rules::{self, sort_out};
use crate::store::objects::dates::dated;

/// With more new commits than this, opening a database anew takes less: its files are merged.
const MAX_NEW: usize = 512;

impl Database {
    /// Takes in what other servers committed, unless that was done within `max_age`.
    pub(in crate::store) async fn look(&self, max_age: Duration) -> Result<(), Error> {
        if !self.objects.is_shared() {
            return Ok(());
        }
        let mut looked_at = self.looked_at.lock().await;
        if looked_at.is_some_and(|at| at.elapsed() < max_age) {
            return Ok(());
        }
        let began = Instant::now();
        match self.take_in_new_files().await {
            Ok(()) => {
                *looked_at = Some(began);
                Ok(())
            }
            // Merged and removed since they were listed.
            Err(Error::Gone(_)) => Err(self.replaced()),
            Err(error) => Err(error),
        }
    }

    /// It must be opened anew.
    fn replaced(&self) -> Error {
        self.set_replaced();
        Error::Replaced
    }

    async fn take_in_new_files(&self) -> Result<(), Error> {
        let last = self.last_committed().ok_or_else(|| self.replaced())?;
        let (listed, date) = dated(self.objects.committed_from(&self.db, last.min_txid)).await;
        let mut listed = listed?;
        listed.sort_unstable_by_key(|file| (file.min_txid, file.max_txid));
        let known =
            |file: &&LtxFile| file.min_txid == last.min_txid && file.max_txid == last.max_txid;
        if listed.iter().find(known).is_none_or(|file| file.version != last.version) {
            return Err(self.replaced());
        }
        let head = self.newest_head(date).await?;
        if !rules::is_newest_known(head.floor, Some(&last)) {
            return Err(self.replaced());
        }
        let pos = self.pos();
        let new: Vec<LtxFile> = listed.into_iter().filter(|f| f.max_txid > pos.txid).collect();
        if new.len() > MAX_NEW {
            return Err(self.replaced());
        }
        let looks: Vec<_> = new.into_iter().map(|file| self.look_into(file).boxed()).collect();
        let new: Vec<(LtxFile, Arc<FileIndex>)> =
            stream::iter(looks).buffered(PARALLEL_FILES).try_collect().await?;
        *self.doubt.lock() = None;
        for (file, index) in new {
            self.follow(file, &index).await?;
        }
        Ok(())
    }

    async fn look_into(&self, file: LtxFile) -> Result<(LtxFile, Arc<FileIndex>), Error> {
        Ok((file, self.index(&file).await?))
    }

    /// Takes in a file that another server made, if it is the next.
    async fn follow(&self, file: LtxFile, index: &Arc<FileIndex>) -> Result<(), Error> {
        let tip = self.state.read().tip;
        if file.max_txid <= tip.pos.txid {
            return Ok(());
        }
        let follows = file.min_txid.follows(tip.pos.txid)
            && index.marks.follows(tip.pos.post_apply_checksum)
            && (index.page_size == tip.page_size || index.is_whole() || is_tombstone(index));
        if !follows {
            // A listing is not made at once. Whoever opens it finds out whether it is damaged.
            return Err(self.replaced());
        }
        if is_tombstone(index) {
            return Err(self.replaced());
        }
        let group = match standing(&self.objects, &self.db.key, index).await? {
            Standing::Plain => None,
            Standing::Counts(group) => Some(Arc::new(group)),
            Standing::Open => {
                *self.doubt.lock() = Some(Waiting { db: Arc::clone(&self.db), file });
                return Ok(());
            }
        };
        if index.marks.span == 0 {
            let mut state = self.state.write();
            state.append_after(tip.pos, file, index, &[]);
            if let Some(group) = group {
                state.together.note(file.min_txid, &group);
            }
            return Ok(());
        }
        let (whole, index) = complete_span(&self.objects, &self.indexes, &self.db, &file).await?;
        let mut state = self.state.write();
        state.files.insert(file);
        state.append_after(tip.pos, whole, &index, &[]);
        Ok(())
    }

    /// The head by which an answer of that date is given; fails when its name has another database by
    /// then.
    pub(in crate::store) async fn newest_head(&self, dated: Option<u64>) -> Result<Head, Error> {
        let known = self.head();
        let known_at = known.known_at;
        let now = self.objects.newest_head(known, dated).await?;
        if now.known_at != known_at {
            self.note(&now)?;
        }
        Ok(now)
    }

    /// Reads the list of files again for somebody who reads at a position: says whether the database is gone,
    /// or only that position.
    pub(in crate::store) async fn reload_at(&self, pos: Option<Pos>) -> Result<(), Error> {
        let Err(error) = self.reload().await else {
            return Ok(());
        };
        let is_there =
            async || Ok::<_, Error>(self.objects.head(&self.db.key).await?.db == self.db);
        match (pos, error) {
            (Some(pos), Error::Replaced) if is_there().await? => Err(Error::NotHeld(pos)),
            (_, error) => Err(error),
        }
    }

    /// Reads the list of files again.
    pub(in crate::store) async fn reload(&self) -> Result<(), Error> {
        let listed = self.objects.ltx_files(&self.db).await?;
        // After the list: what does not count by then may have been replaced before it was listed.
        let head = self.objects.head(&self.db.key).await?;
        self.note(&head)?;
        {
            let mut state = self.state.write();
            let tip = state.tip.pos.txid;
            let listed = listed.into_iter().filter(|file| file.max_txid <= tip).collect();
            let (mut files, dead) = sort_out(listed, &head);
            if !rules::is_newest_known(head.floor, files.level(0).next_back()) {
                return Err(self.replaced());
            }
            // What was committed here while the list was read may not be in it.
            let (listed_tip, held) = (files.tip(), state.files.level(0));
            let newer = held.filter(|file| file.min_txid > listed_tip).copied();
            newer.collect::<Vec<_>>().into_iter().for_each(|file| files.insert(file));
            if files.plan(tip).is_none() {
                return Err(self.replaced());
            }
            state.relist(files, dead);
        }
        self.look(Duration::ZERO).await
    }
}
