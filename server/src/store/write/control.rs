//! Makes an earlier state of a database, or a SQLite file, its next transaction.

use litevfs::page1::{Page1, differ_in_counts_only, is_encrypted};
use litevfs::types::{Pgno, Pos};

use super::commit::By;
use super::import::sound_from_sqlite;
use super::own::Target;
use crate::key::DbKey;
use crate::offload::offload;
use crate::spool::Spool;
use crate::store::bucket::error::Error;
use crate::store::bucket::page1;
use crate::store::history::database::Database;
use crate::store::history::points::At;
use crate::store::history::shelf::Shelf;
use crate::store::history::view::View;

/// How many pages are read at a time.
const BATCH: usize = 256;

impl Shelf {
    /// Makes the content of an earlier position the current one, as a new transaction; returns the
    /// position after it, which is the current one when nothing differs.
    pub(in crate::store) async fn restore(
        &self,
        key: &DbKey,
        at: At,
        lease_id: Option<&str>,
    ) -> Result<Pos, Error> {
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
    pub(in crate::store) async fn import(
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
