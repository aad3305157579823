//! The files that must stay because somebody reads them.
//!
//! They belong to a name, not to what is known of its database in memory: that is forgotten when a commit
//! fails, and when there is much of it, while slow clients read on.

use std::collections::HashSet;
use std::sync::{Arc, Weak};

use litevfs::types::Txid;
use parking_lot::Mutex;

use crate::store::bucket::incarnation::Incarnation;
use crate::store::bucket::ltx_file::LtxFile;

/// Tells files of one database apart: see [`LtxFile::identity`].
pub(in crate::store) type Identity = (u8, Txid, Txid, u64);

/// The files of one name that are being read.
#[derive(Debug, Clone, Default)]
pub(in crate::store) struct Pins(Arc<Mutex<Vec<Weak<Pinned>>>>);

#[derive(Debug)]
struct Pinned {
    db: Arc<Incarnation>,
    files: Vec<Identity>,
}

/// Keeps this server from removing some files while it lives.
#[derive(Debug, Clone)]
pub struct Pin(#[allow(dead_code, reason = "it is counted")] Arc<Pinned>);

impl Pins {
    /// Pins files of a database.
    pub(in crate::store) fn pin(
        &self,
        db: &Arc<Incarnation>,
        files: impl Iterator<Item = LtxFile>,
    ) -> Pin {
        let files = files.map(|file| file.identity()).collect();
        let pinned = Arc::new(Pinned { db: Arc::clone(db), files });
        let mut pins = self.0.lock();
        pins.retain(|pin| pin.strong_count() > 0);
        pins.push(Arc::downgrade(&pinned));
        Pin(pinned)
    }

    /// The files of a database that must stay for now.
    pub(in crate::store) fn of(&self, db: &Incarnation) -> HashSet<Identity> {
        let pins: Vec<_> = self.0.lock().iter().filter_map(Weak::upgrade).collect();
        let pins = pins.iter().filter(|pin| *pin.db == *db);
        pins.flat_map(|pin| pin.files.iter().copied()).collect()
    }

    /// Whether a database may pin files by it, beside its name.
    pub(in crate::store) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// Whether nothing is being read.
    pub(in crate::store) fn is_empty(&self) -> bool {
        self.0.lock().iter().all(|pin| pin.strong_count() == 0)
    }
}
