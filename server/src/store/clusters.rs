//! Clusters made and dropped by name, and databases dropped.
//!
//! A cluster is there when it has a database or a marker: those that come into being with their first
//! commit need none.

use litevfs::types::ClusterName;

use super::error::Error;
use super::objects::Created;
use super::{Store, layout};
use crate::key::DbKey;

impl Store {
    /// Every cluster, in order.
    pub async fn clusters(&self) -> Result<Vec<ClusterName>, Error> {
        let mut clusters = self.objects.names(None).await?;
        clusters.extend(self.objects.names(Some(&layout::clusters())).await?);
        clusters.sort_unstable();
        clusters.dedup();
        Ok(clusters)
    }

    /// Makes an empty cluster; whether it is new.
    pub async fn create_cluster(&self, cluster: &ClusterName) -> Result<bool, Error> {
        if self.clusters().await?.contains(cluster) {
            return Ok(false);
        }
        let marker = layout::cluster_marker(cluster);
        let created = self.objects.create_small(&marker, String::new()).await?;
        Ok(created == Created::New)
    }

    /// Drops an empty cluster.
    pub async fn drop_cluster(&self, cluster: &ClusterName) -> Result<(), Error> {
        if !self.databases(cluster).await?.is_empty() {
            return Err(Error::ClusterInUse);
        }
        self.objects.delete(&layout::cluster_marker(cluster)).await
    }

    /// Drops a database with its history.
    pub async fn drop_database(&self, key: &DbKey) -> Result<(), Error> {
        let slot = self.slot(key)?;
        let _gate = slot.gate.lock().await;
        if self.open(key, &slot).await?.is_none() {
            return Err(Error::NoDatabase);
        }
        slot.forget().await;
        self.objects.delete_all(&layout::level0(key)).await
    }
}
