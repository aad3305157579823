//! Clusters: those that have databases, and those made by name.

use litevfs::types::ClusterName;

use crate::store::bucket::error::Error;
use crate::store::bucket::layout;
use crate::store::history::shelf::Shelf;

impl Shelf {
    /// The clusters, sorted: those that have databases, and those made by name.
    pub(in crate::store) async fn clusters(&self) -> Result<Vec<ClusterName>, Error> {
        self.objects.clusters().await
    }

    /// Makes a cluster; whether it is new.
    pub(in crate::store) async fn create_cluster(
        &self,
        cluster: &ClusterName,
    ) -> Result<bool, Error> {
        let exists = !self.objects.databases(cluster).await?.is_empty();
        let path = layout::clusters().join(cluster.as_str());
        let made = self.objects.create_small(&path, String::new()).await?;
        Ok(made && !exists)
    }

    /// Drops a cluster without databases.
    pub(in crate::store) async fn drop_cluster(&self, cluster: &ClusterName) -> Result<(), Error> {
        if !self.databases(cluster).await?.is_empty() {
            return Err(Error::ClusterInUse);
        }
        let made = vec![layout::clusters().join(cluster.as_str())];
        self.objects.remove(made).await?;
        self.objects.remove_folder(&layout::cluster(cluster)).await;
        Ok(())
    }
}
