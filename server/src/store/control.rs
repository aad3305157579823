//! What operators see of a database.

use litevfs::types::{PageSize, Pos};

use super::database::Database;

/// A database at a glance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// The current position.
    pub pos: Pos,
    /// Pages of the database.
    pub commit: u32,
    /// Bytes of a page.
    pub page_size: PageSize,
    /// When the last transaction was committed, in ms since 1970; 0 when it does not say.
    pub timestamp_ms: u64,
    /// How many LTX files there are.
    pub files: usize,
    /// Bytes of their pages, compressed.
    pub stored_bytes: u64,
}

impl Database {
    /// The database at a glance.
    pub fn summary(&self) -> Summary {
        let state = self.state.read();
        let files = state.history.len();
        let pages = (0..files).flat_map(|file| state.index.pages_of(file));
        Summary {
            pos: state.history.pos(),
            commit: state.history.commit(),
            page_size: self.page_size,
            timestamp_ms: state.history.last().map_or(0, |step| step.timestamp_ms),
            files,
            stored_bytes: pages.map(|page| u64::from(page.len)).fold(0, u64::saturating_add),
        }
    }
}
