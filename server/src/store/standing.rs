//! Whether the last file of a database counts, which a file of a group does not before that is decided.

use std::sync::Arc;

use parking_lot::Mutex;

use super::bucket::decision::Committed;
use super::bucket::error::Error;
use super::bucket::file_index::FileIndex;
use super::bucket::incarnation::Incarnation;
use super::bucket::ltx_file::LtxFile;
use super::objects::reads::Objects;
use crate::key::DbKey;

/// A file that waits for the decision on its group.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    /// Whose it is.
    pub(super) db: Arc<Incarnation>,
    /// The file.
    pub(super) file: LtxFile,
}

/// The file after the last transaction that counts, as it was when somebody last looked.
pub(super) type Doubt = Arc<Mutex<Option<Waiting>>>;

/// Whether a file counts.
pub(super) enum Standing {
    /// It belongs to no group.
    Plain,
    /// Its group was decided for.
    Counts(Committed),
    /// Its group was decided against, or not at all.
    Open,
}

/// Finds out whether a file counts.
pub(super) async fn standing(
    objects: &Objects,
    key: &DbKey,
    index: &FileIndex,
) -> Result<Standing, Error> {
    let Some(tag) = index.marks.group else {
        return Ok(Standing::Plain);
    };
    let decision = objects.read_decision(&key.cluster, tag).await?;
    let committed = decision.and_then(|decision| decision.admits(&key.db, index));
    Ok(committed.map_or(Standing::Open, Standing::Counts))
}
