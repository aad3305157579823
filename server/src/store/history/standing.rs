//! Whether the last file of a database counts, which a file of a group does not before that is decided.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::key::DbKey;
use crate::store::bucket::decision::Committed;
use crate::store::bucket::error::Error;
use crate::store::bucket::file_index::FileIndex;
use crate::store::bucket::incarnation::Incarnation;
use crate::store::bucket::ltx_file::LtxFile;
use crate::store::objects::reads::Objects;

/// A file that waits for the decision on its group.
#[derive(Debug, Clone)]
pub(in crate::store) struct Waiting {
    /// Whose it is.
    pub(in crate::store) db: Arc<Incarnation>,
    /// The file.
    pub(in crate::store) file: LtxFile,
}

/// The file after the last transaction that counts, as it was when somebody last looked.
pub(in crate::store) type Doubt = Arc<Mutex<Option<Waiting>>>;

/// Whether a file counts.
pub(in crate::store) enum Standing {
    /// It belongs to no group.
    Plain,
    /// Its group was decided for.
    Counts(Committed),
    /// Its group was decided against, or not at all.
    Open,
}

/// Finds out whether a file counts.
pub(in crate::store) async fn standing(
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
