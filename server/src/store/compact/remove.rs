//! Removes files that were kept for long enough: first they are dead for everybody, then they go.

use crate::store::bucket::error::Error;
use crate::store::bucket::ltx_file::LtxFile;
use crate::store::bucket::moment::now_ms;
use crate::store::bucket::mutant::{self, Mutant};
use crate::store::bucket::rules;
use crate::store::history::database::Database;
use crate::store::history::shelf::Shelf;
use crate::store::objects::clock::Time;

impl Shelf {
    /// Whether there is something to remove, or to be removed later.
    pub(in crate::store) fn is_removal_due(&self, database: &Database) -> bool {
        !self.removable(database, now_ms()).is_empty() || !self.dead(database).is_empty()
    }

    /// The files that may go by their age.
    fn removable(&self, database: &Database, now_ms: u64) -> Vec<LtxFile> {
        self.queue.schedule.removable(&database.state.read().files, now_ms)
    }

    /// The commits' own files that do not count any more, as far as they may go: not while somebody reads
    /// them.
    fn dead(&self, database: &Database) -> Vec<LtxFile> {
        let pinned = database.pinned();
        let (floor, _) = database.old_floor();
        let state = database.state.read();
        let dead = state.dead.iter().filter(|file| rules::may_remove_commit(floor, file));
        dead.filter(|file| !pinned.contains(&file.identity())).copied().collect()
    }

    pub(in crate::store) async fn remove_old(&self, database: &Database) -> Result<(), Error> {
        if !self.is_removal_due(database) {
            return Ok(());
        }
        database.reload().await?;
        // What needs no room comes first.
        self.remove_files(database, self.dead(database)).await?;
        if self.removable(database, now_ms()).is_empty() {
            return Ok(());
        }
        if let Some(time) = self.clock.agreed_time(&self.objects, &self.metrics).await? {
            // The one takes a little room, which the other makes.
            let buried = self.bury_commits(database, time).await;
            self.remove_merged(database, time).await?;
            buried?;
        }
        self.remove_files(database, self.dead(database)).await
    }

    /// Raises the floor over commits' own files that are old.
    async fn bury_commits(&self, database: &Database, time: Time) -> Result<(), Error> {
        if mutant::is(Mutant::RemoveBeforeFloor) {
            return self.remove_files(database, self.removable(database, time.now_ms)).await;
        }
        if time.steady_for < self.queue.schedule.level0_keep.min(rules::STEADY) {
            return Ok(());
        }
        let old = self.removable(database, time.now_ms);
        let to = rules::floor_over(&database.state.read().files, &old);
        let Some(to) = to.filter(|&to| to > database.head().floor) else {
            return Ok(());
        };
        let head = match self.objects.raise_floor(&database.head(), to).await? {
            Some(head) => head,
            // It had moved before.
            None => self.objects.head(&database.db.key).await?,
        };
        database.note(&head)?;
        database.state.write().bury(head.floor);
        Ok(())
    }

    /// Removes old merged files.
    async fn remove_merged(&self, database: &Database, time: Time) -> Result<(), Error> {
        let pinned = database.pinned();
        let mut merged = self.removable(database, time.now_ms);
        merged.retain(|file| file.level > 0 && !pinned.contains(&file.identity()));
        let steady = time.steady_for >= rules::STEADY;
        if !steady || !rules::may_remove_merged(&database.state.read().files, &merged) {
            return Ok(());
        }
        self.remove_files(database, merged).await
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
}
