//! What the control plane does to whole databases and clusters.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use litevfs::ltx::Header;
use litevfs::types::{ClusterName, Pgno, Pos};

use super::claim::now_ms;
use super::commit::By;
use super::convert::{Sound, Writer};
use super::database::Database;
use super::error::Error;
use super::import::sound_from_sqlite;
use super::layout::{self, Marks};
use super::points::At;
use super::view::View;
use super::{Slot, Store, convert};
use crate::key::DbKey;
use crate::offload::offload;
use crate::spool::Spool;

/// How many pages are read at a time.
const BATCH: usize = 256;

impl Store {
    /// Makes the content of an earlier position the current one, as a new transaction; returns the
    /// position after it, which is the current one when nothing differs.
    pub async fn restore(&self, key: &DbKey, at: At, lease_id: Option<&str>) -> Result<Pos, Error> {
        let slot = self.slot(key)?;
        self.check_lease(key, &slot, lease_id).await?;
        let database = self.fresh(key).await?.ok_or(Error::NoDatabase)?;
        let point = database.restore_point(at).await?;
        let (now, then) = (database.view(None).await?, database.view(Some(point.pos)).await?);
        let differing = database.differing(&now, &then).await?;
        if differing.is_empty() && now.commit == then.commit {
            return Ok(now.pos);
        }
        let sound = self.sound_from_view(&database, &now, &then, differing, now_ms()).await?;
        let _gate = slot.gate.lock().await;
        self.commit_gated(key, &slot, sound.header, Ok(sound), By::Client(lease_id)).await
    }

    /// Commits a SQLite file as the next transaction of a database, which may be new.
    pub async fn import(
        &self,
        key: &DbKey,
        file: Spool,
        lease_id: Option<&str>,
    ) -> Result<Pos, Error> {
        let slot = self.slot(key)?;
        self.check_lease(key, &slot, lease_id).await?;
        let existing = self.fresh(key).await?;
        let base = existing.as_ref().map_or(Pos::EMPTY, |database| database.pos());
        let last_ms = existing.map_or(0, |database| database.summary().timestamp_ms);
        let timestamp_ms = now_ms().max(last_ms);
        let scratch = self.scratch().to_owned();
        let len_bytes = usize::try_from(file.len()).unwrap_or(usize::MAX);
        let sound = move || sound_from_sqlite(&file, &scratch, base, timestamp_ms);
        let sound = offload(len_bytes, sound).await??;
        let _gate = slot.gate.lock().await;
        self.commit_gated(key, &slot, sound.header, Ok(sound), By::Client(lease_id)).await
    }

    /// The transaction that makes the content of one view out of another, at that time in ms or, should
    /// it be later, that of the last one.
    pub(super) async fn sound_from_view(
        &self,
        database: &Database,
        now: &View,
        then: &View,
        pgnos: Vec<Pgno>,
        at_ms: u64,
    ) -> Result<Sound, Error> {
        let txid = now.pos.txid.next();
        let timestamp_ms = at_ms.max(now.timestamp_ms);
        let header = Header {
            commit: then.commit,
            min_txid: txid,
            max_txid: txid,
            timestamp_ms,
            pre_apply_checksum: now.pos.post_apply_checksum,
            ..Header::new(then.page_size)
        };
        let marks = Marks {
            pre_apply_checksum: now.pos.post_apply_checksum,
            post_apply_checksum: then.pos.post_apply_checksum,
            client_timestamp_ms: timestamp_ms,
            span: 0,
            group: None,
        };
        let stored = layout::stored_header(&header, &marks, pgnos.iter().copied());
        let failed = |error: litevfs::ltx::StreamError<std::io::Error>| match error {
            litevfs::ltx::StreamError::Io(error) => Error::Io(error),
            litevfs::ltx::StreamError::Ltx(error) => Error::corrupt(&database.db, error),
        };
        let mut writer = Writer::new(stored, self.scratch()).map_err(failed)?;
        let mut checksums = Vec::with_capacity(pgnos.len());
        for batch in pgnos.chunks(BATCH) {
            for (&pgno, data) in batch.iter().zip(database.pages_of(then, batch).await?) {
                checksums.push(litevfs::ltx::page_checksum(pgno, &data));
                writer.page(pgno, &data).map_err(failed)?;
            }
        }
        let (index, file) = writer.finish().map_err(failed)?;
        Ok(convert::Sound { header, index, checksums, file })
    }

    /// Makes a transaction that changes nothing: it has page 1 as it is. Whatever commit was under way
    /// to the same place before has come to its end after this, or will fail.
    pub(super) async fn seal(&self, key: &DbKey, slot: &Arc<Slot>) -> Result<(), Error> {
        slot.look_again().await;
        let mut database = self.fresh(key).await?;
        if self.resolve(key, slot, None, Duration::ZERO).await? {
            database = self.fresh(key).await?;
        }
        let Some(database) = database else {
            return Ok(());
        };
        let view = database.view(None).await?;
        let page1 = vec![Pgno::ONE];
        let sound = self.sound_from_view(&database, &view, &view, page1, now_ms()).await?;
        match self.commit_gated(key, slot, sound.header, Ok(sound), By::Server).await {
            // Then that place is taken, which is as good.
            Ok(_) | Err(Error::PosMismatch(_)) => {
                slot.unsettled.store(false, Ordering::Release);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// The clusters, sorted: those that have databases, and those made by name.
    pub async fn clusters(&self) -> Result<Vec<ClusterName>, Error> {
        self.objects.clusters().await
    }

    /// Makes a cluster; whether it is new.
    pub async fn create_cluster(&self, cluster: &ClusterName) -> Result<bool, Error> {
        let exists = !self.objects.databases(cluster).await?.is_empty();
        let path = layout::clusters().join(cluster.as_str());
        let made = self.objects.create_small(&path, String::new()).await?;
        Ok(made && !exists)
    }

    /// Drops a cluster without databases.
    pub async fn drop_cluster(&self, cluster: &ClusterName) -> Result<(), Error> {
        if !self.databases(cluster).await?.is_empty() {
            return Err(Error::ClusterInUse);
        }
        let made = vec![layout::clusters().join(cluster.as_str())];
        self.objects.remove(made).await?;
        self.objects.remove_folder(&layout::cluster(cluster)).await;
        Ok(())
    }
}

impl Database {
    /// The pages of a view that another one lacks, or has otherwise.
    async fn differing(&self, now: &View, then: &View) -> Result<Vec<Pgno>, Error> {
        let mut differing = Vec::new();
        let pgnos: Vec<Pgno> = then.pgnos_from(1).collect();
        if now.page_size != then.page_size {
            return Ok(pgnos);
        }
        for batch in pgnos.chunks(BATCH) {
            let (kept, grown): (Vec<Pgno>, Vec<Pgno>) =
                batch.iter().partition(|pgno| pgno.get() <= now.commit);
            let old = then.locate(&self.db, &kept)?;
            let new = now.locate(&self.db, &kept)?;
            // A page in the same place of the same file is the same page.
            let moved = old.iter().zip(&new).filter(|(a, b)| then.file_of(a) != now.file_of(b));
            let moved: Vec<Pgno> = moved.map(|(a, _)| a.pgno).collect();
            let before = self.pages_of(then, &moved).await?;
            let after = self.pages_of(now, &moved).await?;
            let changed = before.iter().zip(&after).zip(&moved).filter(|((b, a), _)| b != a);
            differing.extend(changed.map(|(_, &pgno)| pgno));
            differing.extend(grown);
        }
        Ok(differing)
    }
}
