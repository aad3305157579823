//! Removes decisions that nothing asks for any more.
//!
//! A client may ask for a while what became of its group. And a marked file needs its decision for as
//! long as it is there: the last file of an idle database stays for ever. A decision against a group stays
//! for good: a commit of it that comes late, however late, must find that it was decided.

use std::time::Duration;

use futures_util::TryStreamExt;
use litevfs::types::ClusterName;
use object_store::ObjectMeta;

use crate::key::DbKey;
use crate::store::bucket::decision::{Committed, Decision};
use crate::store::bucket::error::Error;
use crate::store::bucket::{layout, rules};
use crate::store::history::shelf::Shelf;

/// How long decisions are kept at least: as long as the past of a database.
const KEEP: Duration = Duration::from_secs(30 * 24 * 3600);

impl Shelf {
    /// Removes decisions that are old and stand for no file.
    pub(in crate::store) async fn sweep_decisions(&self) -> Result<(), Error> {
        let clusters: Vec<ClusterName> = self.objects.names(Some(&layout::all_groups())).await?;
        if clusters.is_empty() {
            return Ok(());
        }
        let Some(time) = self
            .clock
            .agreed_time(&self.objects, &self.metrics)
            .await?
            .filter(|time| time.steady_for >= rules::STEADY)
        else {
            return Ok(());
        };
        for cluster in clusters {
            self.sweep_cluster(&cluster, time.now_ms).await?;
        }
        Ok(())
    }

    async fn sweep_cluster(&self, cluster: &ClusterName, now_ms: u64) -> Result<(), Error> {
        let mut listed = self.objects.store.list(Some(&layout::groups(cluster)));
        while let Some(meta) = listed.try_next().await? {
            if self.is_swept(cluster, &meta, now_ms).await? {
                self.objects.delete(&meta.location).await?;
            }
        }
        Ok(())
    }

    async fn is_swept(
        &self,
        cluster: &ClusterName,
        meta: &ObjectMeta,
        now_ms: u64,
    ) -> Result<bool, Error> {
        let written_ms = u64::try_from(meta.last_modified.timestamp_millis()).unwrap_or(0);
        if Duration::from_millis(now_ms.saturating_sub(written_ms)) < KEEP {
            return Ok(false);
        }
        let bytes = self.objects.get(&meta.location).await?.unwrap_or_default();
        match serde_json::from_slice(&bytes) {
            Ok(Decision::Committed(group)) => Ok(!self.has_files(cluster, &group).await?),
            Ok(Decision::Aborted {}) => Ok(false),
            Err(error) => {
                tracing::warn!(file = %meta.location, %error, "not a decision: it stays");
                Ok(false)
            }
        }
    }

    /// Whether a file that a group made, or another of its name, is there: in the incarnation that lives,
    /// because those of others do not count any more.
    async fn has_files(&self, cluster: &ClusterName, group: &Committed) -> Result<bool, Error> {
        for member in &group.members {
            let key = DbKey { cluster: cluster.clone(), db: member.db.clone() };
            let head = self.objects.head(&key).await?;
            let path = self.objects.shape.named(&head.db, 0, member.txid, member.txid);
            if self.objects.exists(&path).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
