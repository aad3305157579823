//! Removes what dropped databases left: everything of a name that is not in the folder of the incarnation
//! that lives. That includes what comes late, whoever had begun it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::key::DbKey;
use crate::store::bucket::error::Error;
use crate::store::bucket::file_index::is_tombstone;
use crate::store::bucket::files::Files;
use crate::store::bucket::head::Head;
use crate::store::bucket::incarnation::{Incarnation, IncarnationId};
use crate::store::bucket::ltx_file::{LtxFile, SNAPSHOT_LEVEL};
use crate::store::bucket::moment::Moment;
use crate::store::bucket::{layout, rules};
use crate::store::history::shelf::Shelf;

impl Shelf {
    /// Removes the files of a name's dead incarnations as far as that may be done now; returns when to
    /// go on, if something is left.
    pub(in crate::store) async fn sweep(&self, key: &DbKey) -> Result<Option<Duration>, Error> {
        // First the files, then the head: what was listed and is not its incarnation's is dead.
        let mut listed: BTreeMap<Option<IncarnationId>, Vec<LtxFile>> = BTreeMap::new();
        for (id, file) in self.objects.files_of_name(key).await? {
            listed.entry(id).or_default().push(file);
        }
        let head = self.objects.head(key).await?;
        let mut left = None;
        for (id, files) in listed {
            let db = Arc::new(Incarnation { key: key.clone(), id });
            if db != head.db {
                left = left.max(self.sweep_dead(&head, &db, files).await?);
            }
        }
        Ok(left)
    }

    /// The same for one incarnation, with all files there are of it.
    async fn sweep_dead(
        &self,
        head: &Head,
        db: &Arc<Incarnation>,
        listed: Vec<LtxFile>,
    ) -> Result<Option<Duration>, Error> {
        let mut files = Files::default();
        listed.iter().for_each(|file| files.insert(*file));
        let last = files.level(0).next_back().copied();
        if self.is_whole(db, &files, last.as_ref()).await? {
            let what = "no file says that it was dropped: it stays. Was its head lost, or is it older, \
                        as in a copy without .litevfs-cloud/heads?";
            tracing::warn!(database = %db, what);
            return Ok(None);
        }
        let seen = *self.buried.lock().entry(db.as_ref().clone()).or_insert_with(Moment::now);
        let shared = self.objects.is_shared();
        let may =
            |file: &LtxFile| rules::may_remove_dead(head, db, file, seen.running_for(), shared);
        let (gone, kept): (Vec<LtxFile>, Vec<LtxFile>) = listed.into_iter().partition(may);
        let path = |file: &LtxFile| self.objects.shape.file(db, file);
        let others = gone.iter().filter(|&file| Some(*file) != last);
        self.objects.remove(others.map(path).collect()).await?;
        // What says that it was dropped goes last, also after a power cut.
        for level in 0..=SNAPSHOT_LEVEL {
            self.objects.sync_folder(&self.objects.shape.level(db, level)).await?;
        }
        if !kept.is_empty() {
            return Ok(Some(rules::GRACE.saturating_sub(seen.running_for())));
        }
        self.objects.remove(last.iter().map(path).collect()).await?;
        self.buried.lock().remove(db.as_ref());
        self.objects.remove_folder(&self.objects.shape.files(db)).await;
        if db.id.is_some() {
            self.objects.remove_folder(&layout::folder(db)).await;
        }
        Ok(None)
    }

    /// Whether files are a database that nobody dropped.
    async fn is_whole(
        &self,
        db: &Arc<Incarnation>,
        files: &Files,
        last: Option<&LtxFile>,
    ) -> Result<bool, Error> {
        let Some(last) = last.filter(|_| files.plan(files.tip()).is_some()) else {
            return Ok(false);
        };
        match self.indexes.get(&self.objects, db, last).await {
            Ok(index) => Ok(!is_tombstone(&index)),
            // What can't be read can't be known.
            Err(Error::Gone(_) | Error::Corrupt { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }
}
