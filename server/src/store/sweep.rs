//! Removes what dropped databases left: everything of a name that is not in the folder of the incarnation
//! that lives. That includes what comes late, whoever had begun it.

use std::collections::BTreeMap;
use std::time::Duration;

use litevfs::types::Txid;
use object_store::path::Path;

use super::Store;
use super::error::Error;
use super::files::LtxFile;
use super::incarnation::{Incarnation, IncarnationId};
use super::layout;
use super::moment::Moment;
use super::rules;
use crate::key::DbKey;

impl Store {
    /// Removes the files of a name's dead incarnations as far as that may be done now; returns when to
    /// go on, if something is left.
    pub(super) async fn sweep(&self, key: &DbKey) -> Result<Option<Duration>, Error> {
        // First the files, then the head: what was listed and is not its incarnation's is dead.
        let mut listed: BTreeMap<Option<IncarnationId>, Vec<LtxFile>> = BTreeMap::new();
        for (id, file) in self.objects.files_of_name(key).await? {
            listed.entry(id).or_default().push(file);
        }
        let head = self.objects.head(key).await?;
        let shared = self.objects.is_shared();
        let mut left = None;
        for (id, files) in listed {
            let db = Incarnation { key: key.clone(), id };
            if db == *head.db {
                continue;
            }
            let seen = *self.buried.lock().entry(db.clone()).or_insert_with(Moment::now);
            let commits = files.iter().filter(|file| file.level == 0);
            let last = commits.map(|file| file.min_txid).max().unwrap_or(Txid::ZERO);
            let (mut gone, mut kept) = (Vec::new(), 0_usize);
            for file in &files {
                let is_last = file.level == 0 && file.min_txid == last;
                if rules::may_remove_dead(&head, &db, is_last, seen.age(), shared) {
                    gone.push(self.objects.shape.file(&db, file));
                } else {
                    kept = kept.saturating_add(1);
                }
            }
            self.remove_dead(&db, gone).await?;
            if kept == 0 {
                self.buried.lock().remove(&db);
            } else {
                left = Some(rules::GRACE.saturating_sub(seen.age()));
            }
        }
        Ok(left)
    }

    /// The last files first, so that what an interruption leaves is a history still.
    async fn remove_dead(&self, db: &Incarnation, mut files: Vec<Path>) -> Result<(), Error> {
        if files.is_empty() {
            return Ok(());
        }
        files.sort_unstable_by(|a, b| b.cmp(a));
        self.objects.remove(files).await?;
        for level in 0..=layout::SNAPSHOT_LEVEL {
            self.objects.settle(&self.objects.shape.level(db, level)).await?;
        }
        self.objects.remove_folder(&self.objects.shape.files(db)).await;
        if db.id.is_some() {
            self.objects.remove_folder(&layout::folder(db)).await;
        }
        Ok(())
    }
}
