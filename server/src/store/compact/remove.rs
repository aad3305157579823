//! Removes files that were kept for long enough: first they are dead for everybody, then they go.

use std::time::Duration;

use super::CompactionClaim;
use crate::store::claim::now_ms;
use crate::store::database::Database;
use crate::store::error::Error;
use crate::store::files::LtxFile;
use crate::store::mutant::{self, Mutant};
use crate::store::{Store, rules};

impl Store {
    /// Whether there is something to remove, or to be removed later.
    pub(super) fn is_removal_due(&self, database: &Database) -> bool {
        !self.removable(database).is_empty() || !self.dead(database).is_empty()
    }

    /// The files that may go by their age, but for those that somebody is reading.
    fn removable(&self, database: &Database) -> Vec<LtxFile> {
        let pinned = database.pinned();
        let state = database.state.read();
        let mut removable = self.queue.schedule.removable(&state.files, now_ms());
        removable.retain(|file| !pinned.contains(&file.identity()));
        removable
    }

    /// The commits' own files that do not count any more, as far as they may go.
    fn dead(&self, database: &Database) -> Vec<LtxFile> {
        let pinned = database.pinned();
        let (floor, _) = database.old_floor();
        let state = database.state.read();
        let dead = state.dead.iter().filter(|file| rules::may_remove_commit(floor, file));
        dead.filter(|file| !pinned.contains(&file.identity())).copied().collect()
    }

    pub(super) async fn remove_old(
        &self,
        database: &Database,
        claim: &mut CompactionClaim,
    ) -> Result<(), Error> {
        if !self.is_removal_due(database) {
            return Ok(());
        }
        if self.objects.is_shared() {
            database.reload().await?;
        }
        if !self.removable(database).is_empty() && self.clock_agrees(claim).await? {
            self.remove_by_age(database).await?;
        }
        self.remove_files(database, self.dead(database)).await
    }

    /// Raises the floor over commits' own files that are old, and removes old merged files.
    async fn remove_by_age(&self, database: &Database) -> Result<(), Error> {
        if mutant::is(Mutant::RemoveBeforeFloor) {
            return self.remove_files(database, self.removable(database)).await;
        }
        let to = rules::floor_over(&database.state.read().files, &self.removable(database));
        if let Some(to) = to.filter(|&to| to > database.head().floor)
            && let Some(head) = self.objects.raise_floor(&database.head(), to).await?
        {
            database.note(&head)?;
            database.state.write().bury(to);
        }
        let mut merged = self.removable(database);
        merged.retain(|file| file.level > 0);
        let may = rules::may_remove_merged(&database.state.read().files, &merged);
        self.remove_files(database, if may { merged } else { Vec::new() }).await
    }

    async fn remove_files(&self, database: &Database, files: Vec<LtxFile>) -> Result<(), Error> {
        if files.is_empty() {
            return Ok(());
        }
        let path = |file: &LtxFile| self.objects.shape.file(&database.db, file);
        let paths = files.iter().map(path).collect();
        // First out of memory, so that nobody begins to read them.
        database.state.write().forget(&files);
        self.objects.remove(paths).await
    }

    /// Whether this server's clock may be trusted with how old files are.
    async fn clock_agrees(&self, claim: &mut CompactionClaim) -> Result<bool, Error> {
        let gap = claim.clock_gap(self).await?;
        self.metrics.clock_gap(gap);
        if !rules::may_remove_by_age(gap) {
            tracing::warn!(
                apart = %humantime::format_duration(Duration::from_secs(gap.as_secs())),
                "this server's clock and the store's are apart: no file is removed until they agree; \
                 set the clock of the one that is wrong"
            );
            return Ok(false);
        }
        let keep = self.queue.schedule.level0_keep;
        Ok(self.objects.is_shared() || self.clock.steady_for() >= keep.min(rules::STEADY))
    }
}
