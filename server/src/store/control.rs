//! What the control plane does to whole databases and clusters.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use litevfs::ltx::{Header, page_checksum};
use litevfs::page1::{Page1, differ_in_counts_only, is_encrypted};
use litevfs::types::{ClusterName, Pgno, Pos};

use super::base::Base;
use super::bucket::error::Error;
use super::bucket::layout::{self, Marks};
use super::bucket::page1;
use super::commit::By;
use super::convert::{self, Sound};
use super::database::Database;
use super::import::sound_from_sqlite;
use super::points::At;
use super::shelf::Shelf;
use super::slots::Slot;
use super::view::View;
use super::writer::Writer;
use crate::key::DbKey;
use crate::offload::offload;
use crate::random;
use crate::spool::Spool;

/// How many pages are read at a time.
const BATCH: usize = 256;

/// What a transaction makes the content of a database: that of a view, with another page 1 perhaps.
pub(super) struct Target<'a> {
    view: &'a View,
    page1: Option<Vec<u8>>,
    is_break: bool,
}

impl Target<'_> {
    /// A view as it is.
    pub(super) fn of(view: &View) -> Target<'_> {
        Target { view, page1: None, is_break: false }
    }
}

impl Shelf {
    /// Makes the content of an earlier position the current one, as a new transaction; returns the
    /// position after it, which is the current one when nothing differs.
    pub async fn restore(&self, key: &DbKey, at: At, lease_id: Option<&str>) -> Result<Pos, Error> {
        let slot = self.slot(key);
        self.check_lease(key, &slot, lease_id).await?;
        let database = self.fresh(key).await?.ok_or(Error::NoDatabase)?;
        let point = database.restore_point(at).await?;
        let (now, then) = (database.view(None).await?, database.view(Some(point.pos)).await?);
        let mut differing = database.differing(&now, &then).await?;
        let (old, mut page1) = (database.page1(&now).await?, database.page1(&then).await?);
        // In an encrypted one nothing can be counted: clients are told of the break instead.
        let is_break = is_encrypted(&page1);
        let is_same = match is_break {
            true => old == page1,
            false => differ_in_counts_only(&old, &page1),
        };
        let only_counts = is_same && differing.iter().all(|&pgno| pgno == Pgno::ONE);
        if only_counts && now.commit == then.commit {
            return Ok(now.pos);
        }
        if let Ok(before) = Page1::decode(&old) {
            page1::succeed(&mut page1, before, then.commit);
        }
        if differing.first() != Some(&Pgno::ONE) {
            differing.insert(0, Pgno::ONE);
        }
        let to = Target { view: &then, page1: Some(page1), is_break };
        let at_ms = self.time_of_next(&slot).await?;
        let sound = self.sound_from_view(&database, &now, to, differing, at_ms).await?;
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
        let slot = self.slot(key);
        self.check_lease(key, &slot, lease_id).await?;
        let existing = self.fresh(key).await?;
        let base = existing.as_ref().map_or(Pos::EMPTY, |database| database.pos());
        let before = match existing {
            Some(database) => {
                let view = database.view(Some(base)).await?;
                // What can't be read has not been seen by SQLite either.
                Page1::decode(&database.page1(&view).await?).ok()
            }
            None => None,
        };
        let timestamp_ms = self.time_of_next(&slot).await?;
        let scratch = self.scratch().to_owned();
        let len_bytes = file.len_of_work();
        let sound = move || sound_from_sqlite(&file, &scratch, base, before, timestamp_ms);
        let sound = offload(len_bytes, sound).await??;
        let _gate = slot.gate.lock().await;
        self.commit_gated(key, &slot, sound.header, Ok(sound), By::Client(lease_id)).await
    }

    /// The transaction that makes the content of one view out of another, at that time in ms.
    pub(super) async fn sound_from_view(
        &self,
        database: &Database,
        now: &View,
        to: Target<'_>,
        pgnos: Vec<Pgno>,
        timestamp_ms: u64,
    ) -> Result<Sound, Error> {
        let Target { view: then, page1, is_break } = to;
        let txid = now.pos.txid.next().ok_or(Error::LastTxid)?;
        let header = Header {
            commit: then.commit,
            min_txid: txid,
            max_txid: txid,
            timestamp_ms,
            pre_apply_checksum: now.pos.post_apply_checksum,
            ..Header::new(then.page_size)
        };
        let mut post_apply_checksum = then.pos.post_apply_checksum;
        if let Some(page1) = &page1 {
            let stored = database.page1(then).await?;
            for page in [&stored, page1] {
                post_apply_checksum = post_apply_checksum.toggle(page_checksum(Pgno::ONE, page));
            }
        }
        let marks = Marks {
            pre_apply_checksum: now.pos.post_apply_checksum,
            post_apply_checksum,
            commit_id: random::commit_id().map_err(Error::Io)?,
            client_timestamp_ms: timestamp_ms,
            span: 0,
            group: None,
            is_break,
        };
        let stored = layout::stored_header(&header, &marks, pgnos.iter().copied());
        let failed = |error: litevfs::ltx::StreamError<std::io::Error>| match error {
            litevfs::ltx::StreamError::Io(error) => Error::Io(error),
            litevfs::ltx::StreamError::Ltx(error) => Error::corrupt(&database.db, error),
        };
        let mut writer = Writer::new(stored, self.scratch()).map_err(failed)?;
        let (mut checksums, mut encrypted) = (Vec::with_capacity(pgnos.len()), None);
        for batch in pgnos.chunks(BATCH) {
            for (&pgno, data) in batch.iter().zip(database.pages_of(then, batch).await?) {
                let data = page1.as_ref().filter(|_| pgno == Pgno::ONE).unwrap_or(&data);
                checksums.push(page_checksum(pgno, data));
                if pgno == Pgno::ONE {
                    encrypted = Some(is_encrypted(data));
                }
                writer.page(pgno, data).map_err(failed)?;
            }
        }
        let (index, file) = writer.finish().map_err(failed)?;
        Ok(convert::Sound { header, index, checksums, file, encrypted })
    }

    /// Makes a transaction that changes nothing: it has page 1 as it is. Whatever commit was under way
    /// to the same place before has come to its end after this, or will fail.
    ///
    /// Where there is no database, its first commit may be under way: the first place is taken by what
    /// says that it was dropped.
    pub(super) async fn seal(&self, key: &DbKey, slot: &Arc<Slot>) -> Result<(), Error> {
        slot.look_again().await;
        let database = match self.base(key, slot, None).await? {
            Base::Database(database) => database,
            vacant @ Base::Vacant(_) => {
                self.end_vacant(slot, &vacant).await?;
                slot.unsettled.store(false, Ordering::Release);
                return Ok(());
            }
        };
        let view = database.view(None).await?;
        if view.pos.txid.next().is_none() {
            // No commit can be under way to a place that there is not.
            slot.unsettled.store(false, Ordering::Release);
            return Ok(());
        }
        let (page1, at_ms) = (vec![Pgno::ONE], self.time_of_next(slot).await?);
        let sound = self.sound_from_view(&database, &view, Target::of(&view), page1, at_ms).await?;
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
