//! Decides groups, and reads how they were decided.

use std::io;
use std::time::Duration;

use litevfs::types::ClusterName;
use tokio::time::Instant;

use super::reads::Objects;
use crate::store::bucket::decision::Decision;
use crate::store::bucket::error::Error;
use crate::store::bucket::layout;
use crate::store::bucket::marks::Tag;

/// How long it is tried to decide while it is not known what came of it.
const PATIENCE: Duration = Duration::from_secs(20);
/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(100);

impl Objects {
    /// The decision on a group; `None` when there is none yet.
    pub(in crate::store) async fn read_decision(
        &self,
        cluster: &ClusterName,
        tag: Tag,
    ) -> Result<Option<Decision>, Error> {
        let path = layout::decision(cluster, tag);
        let Some(bytes) = self.get(&path).await? else {
            return Ok(None);
        };
        self.settle(&layout::groups(cluster)).await?;
        let decision = serde_json::from_slice(&bytes)
            .map_err(|error| Error::corrupt(&path, format!("not a decision: {error}")))?;
        Ok(Some(decision))
    }

    /// Decides a group, unless it is decided; returns the decision that holds.
    ///
    /// After an error it is not known whether this one does, or will.
    pub(in crate::store) async fn decide(
        &self,
        cluster: &ClusterName,
        tag: Tag,
        decision: &Decision,
    ) -> Result<Decision, Error> {
        let path = layout::decision(cluster, tag);
        let text = serde_json::to_string(decision).map_err(io::Error::other)?;
        let began = Instant::now();
        loop {
            let made = self.create_small(&path, text.clone()).await;
            if matches!(made, Ok(true)) {
                self.settle(&layout::groups(cluster)).await?;
                return Ok(decision.clone());
            }
            // Whatever else the store said, what is there now stays.
            let failure = match self.read_decision(cluster, tag).await {
                Ok(Some(held)) => return Ok(held),
                Ok(None) => Error::Io(io::Error::other("the store lost a group's decision")),
                Err(error) => error,
            };
            if began.elapsed() >= PATIENCE || !self.is_shared() {
                return Err(made.err().unwrap_or(failure));
            }
            tracing::warn!(file = %path, error = %failure, "deciding it again");
            tokio::time::sleep(PAUSE).await;
        }
    }
}
