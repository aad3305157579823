//! Commits an upload: the commit rules, in the protocol's order, then one conditional create.

use std::sync::Arc;

use litevfs::types::{Checksum, Pgno, Pos};

use super::convert::{self, Converted, Sound};
use super::database::{Database, State, grows_completely};
use super::error::Error;
use super::history::Step;
use super::index::PageRef;
use super::objects::Created;
use super::{Slot, Store, layout};
use crate::key::DbKey;
use crate::lease::LeaseError;
use crate::offload::offload;
use crate::spool::Spool;

impl Store {
    /// Commits an LTX v1 file; returns the position of the database, with it durable.
    ///
    /// The same file again is told from a conflict and changes nothing. `fence` says whether the
    /// client may write; it is asked first and again just before the file is made. Between that and
    /// the end [`Store::hold`] waits, so no lease is granted in the middle.
    pub async fn commit<F>(&self, key: &DbKey, upload: Spool, fence: F) -> Result<Pos, Error>
    where
        F: Fn() -> Result<(), LeaseError>,
    {
        let slot = self.slot(key)?;
        let scratch = self.objects.scratch().to_owned();
        let len_bytes = usize::try_from(upload.len()).unwrap_or(usize::MAX);
        let converted = offload(len_bytes, move || convert::convert(&upload, &scratch)).await?;
        if let Ok(Converted { sound: Ok(sound), .. }) = &converted
            && let Some(pos) = self.held(key, &slot, &sound.step, &sound.pages).await?
        {
            return Ok(pos);
        }
        fence()?;
        let Converted { header, sound } = converted?;

        let _gate = slot.gate.lock().await;
        if let Ok(sound) = &sound
            && let Some(pos) = self.held(key, &slot, &sound.step, &sound.pages).await?
        {
            return Ok(pos);
        }
        let database = self.open(key, &slot).await?.unwrap_or_else(|| {
            let state = State::new(header.page_size);
            Arc::new(Database::with_state(&self.objects, key, state))
        });
        database.state.read().history.check_next(&header)?;
        let sound = sound?;
        database.check(&sound).await?;
        fence()?;
        self.publish(key, &slot, database, sound).await
    }

    /// The position of a database that holds an upload already.
    async fn held(
        &self,
        key: &DbKey,
        slot: &Slot,
        step: &Step,
        pages: &[PageRef],
    ) -> Result<Option<Pos>, Error> {
        match self.open(key, slot).await? {
            Some(database) if database.holds(step, pages).await? => Ok(Some(database.pos())),
            _ => Ok(None),
        }
    }

    /// Makes the file and takes it in. The gate is held.
    ///
    /// Whenever the file is not known to be new, memory may be behind the files: it is forgotten, and
    /// whoever asks next reads the files again.
    pub(super) async fn publish(
        &self,
        key: &DbKey,
        slot: &Slot,
        database: Arc<Database>,
        sound: Sound,
    ) -> Result<Pos, Error> {
        let Sound { step, pages, file } = sound;
        let path = layout::ltx_file(key, step.min_txid, step.max_txid);
        let mut created = self.objects.create(&path, file).await;
        if database.pos().is_empty()
            && let Ok(Created::New) = created
        {
            // The cluster's folder may be as new, made and not yet synced by another commit.
            let settled = self.objects.settle(&layout::level0(key)).await;
            created = settled.map(|()| Created::New);
        }
        match created {
            Ok(Created::New) => {}
            Ok(Created::Exists) => {
                slot.forget().await;
                if let Some(pos) = self.held(key, slot, &step, &pages).await? {
                    return Ok(pos);
                }
                let database = self.open(key, slot).await?;
                let pos = database.map_or(Pos::EMPTY, |database| database.pos());
                return Err(Error::PosMismatch(pos));
            }
            Err(error) => {
                // It may be there all the same: only the files can tell.
                slot.forget().await;
                return Err(error);
            }
        }
        database.state.write().push(step, pages)?;
        *slot.database.lock().await = Some(database);
        Ok(step.pos())
    }
}

impl Database {
    /// Whether an upload is in the history, page for page.
    ///
    /// Equal positions do not prove it: the database checksum is linear, so that the same change
    /// made to two pages cancels out, and one writer's transaction could pass for another's. Nor do
    /// equal pages: see [`History::find_repeated`].
    async fn holds(&self, step: &Step, pages: &[PageRef]) -> Result<bool, Error> {
        let (number, pgnos) = {
            let state = self.state.read();
            let Some(number) = state.history.find_repeated(step) else {
                return Ok(false);
            };
            let held = state.index.pages_of(number).iter();
            (number, held.map(|page| page.pgno).collect::<Vec<_>>())
        };
        if !pgnos.iter().eq(pages.iter().map(|page| &page.pgno)) {
            return Ok(false);
        }
        let checksums = self.checksums(number, &pgnos).await?;
        Ok(checksums.iter().eq(pages.iter().map(|page| &page.checksum)))
    }

    /// The commit rules after page size and position: page set and checksum.
    async fn check(&self, sound: &Sound) -> Result<(), Error> {
        let Sound { step, pages, .. } = sound;
        let (last, pos, old_commit) = {
            let history = &self.state.read().history;
            (history.len().checked_sub(1), history.pos(), history.commit())
        };
        let lock_pgno = self.page_size.lock_pgno();
        if !grows_completely(old_commit, step.commit, lock_pgno, pages) {
            return Err(Error::MissingPages);
        }
        let replaced =
            pages.iter().map(|page| page.pgno).take_while(|pgno| pgno.get() <= old_commit);
        let truncated = (step.commit.saturating_add(1)..=old_commit)
            .filter_map(Pgno::new)
            .filter(|&pgno| pgno != lock_pgno);
        let gone: Vec<Pgno> = replaced.chain(truncated).collect();
        let before = match last {
            Some(last) => self.checksums(last, &gone).await?,
            None => Vec::new(),
        };
        let start = if pos.is_empty() { Checksum::EMPTY } else { pos.post_apply_checksum };
        let after = pages.iter().map(|page| page.checksum);
        let checksum = before.into_iter().chain(after).fold(start, Checksum::toggle);
        if checksum == step.post_apply_checksum {
            Ok(())
        } else {
            Err(Error::BadChecksum(format!(
                "the post-apply checksum is {}, but the pages give {checksum}",
                step.post_apply_checksum
            )))
        }
    }
}
