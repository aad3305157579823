//! Commits an upload: the commit rules, in the protocol's order, then one conditional create.

use std::sync::Arc;

use litevfs::types::{Checksum, Pgno, Pos};

use super::convert::{self, Converted, Sound};
use super::database::{Database, State, grows_completely};
use super::error::Error;
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
        if let Some(claimed) = convert::peek(&upload)?
            && let Some(database) = self.open(key, &slot).await?
            && database.state.read().history.holds(&claimed)
        {
            return Ok(database.pos());
        }
        fence()?;
        let scratch = self.objects.scratch().to_owned();
        let len_bytes = usize::try_from(upload.len()).unwrap_or(usize::MAX);
        let converted = offload(len_bytes, move || convert::convert(&upload, &scratch)).await?;
        let Converted { header, sound } = converted?;

        let _gate = slot.gate.lock().await;
        let existing = self.open(key, &slot).await?;
        if let Some(database) = &existing
            && let Ok(sound) = &sound
            && database.state.read().history.holds(&sound.step)
        {
            return Ok(database.pos());
        }
        let database = existing.unwrap_or_else(|| {
            let state = State::new(header.page_size);
            Arc::new(Database::with_state(&self.objects, key, state))
        });
        database.state.read().history.check_next(&header)?;
        let sound = sound?;
        database.check(&sound).await?;
        fence()?;
        self.publish(key, &slot, database, sound).await
    }

    /// Makes the file and takes it in. The gate is held.
    ///
    /// Whenever the file is not known to be new, memory may be behind the files: it is forgotten, and
    /// whoever asks next reads the files again.
    async fn publish(
        &self,
        key: &DbKey,
        slot: &Slot,
        database: Arc<Database>,
        sound: Sound,
    ) -> Result<Pos, Error> {
        let Sound { step, pages, file } = sound;
        let path = layout::ltx_file(key, step.min_txid, step.max_txid);
        match self.objects.create(&path, file).await {
            Ok(Created::New) => {}
            Ok(Created::Exists) => {
                slot.forget().await;
                return match self.open(key, slot).await? {
                    Some(database) if database.state.read().history.holds(&step) => {
                        Ok(database.pos())
                    }
                    Some(database) => Err(Error::PosMismatch(database.pos())),
                    None => Err(Error::corrupt(&path, "it is there but not listed")),
                };
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
    /// The commit rules after page size and position: page set and checksum.
    async fn check(&self, sound: &Sound) -> Result<(), Error> {
        let Sound { step, pages, .. } = sound;
        let (pos, old_commit) = {
            let state = self.state.read();
            (state.history.pos(), state.history.commit())
        };
        let lock_pgno = self.page_size.lock_pgno();
        if !grows_completely(old_commit, step.commit, lock_pgno, pages) {
            return Err(Error::MissingPages);
        }
        let replaced = pages
            .iter()
            .map(|page| page.pgno)
            .take_while(|pgno| pgno.get() <= old_commit);
        let truncated = (step.commit.saturating_add(1)..=old_commit)
            .filter_map(Pgno::new)
            .filter(|&pgno| pgno != lock_pgno);
        let gone: Vec<Pgno> = replaced.chain(truncated).collect();
        let before = if pos.is_empty() {
            Checksum::EMPTY
        } else {
            pos.post_apply_checksum
        };
        let mut checksum = self.without_pages(before, &gone).await?;
        for page in pages {
            checksum = checksum.toggle(page.checksum);
        }
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
