//! What a reader is pinned to, and what is known of where a database is.

use crate::sys;
use crate::types::{PageSize, Pos};

/// A position that a reader is pinned to, with what it must know of the database there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// The position; empty for a database without transactions.
    pub pos: Pos,
    /// Page size; `None` while there is no page.
    pub page_size: Option<PageSize>,
    /// Database size in pages.
    pub commit: u32,
    /// The history the position is of, see [`Place::epoch`].
    pub epoch: u64,
    /// See [`Place::handovers`].
    pub handovers: u64,
    /// See [`Place::rewrites`].
    pub rewrites: u64,
    /// See [`Place::breaks`].
    pub breaks: u64,
    /// A codec encrypted the pages: page 1 says nothing.
    pub is_encrypted: bool,
}

/// A view, and when the server confirmed that it is the newest; `None`: never in this process.
pub type ConfirmedView = (View, Option<sys::Tick>);

/// Where a database is, and since when that is known.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The position.
    pub pos: Pos,
    /// Counts how often the database turned out to have another history than before: deleted and made
    /// anew, or taken back. Transaction ids of two histories can't be compared.
    pub epoch: u64,
    /// Counts how often page 1 may have changed hands in another way than by commits on top of it:
    /// with every new epoch, and when nobody could tell which pages changed.
    pub handovers: u64,
    /// Counts how often every page may have changed, as after an import of a file; or after a commit to a
    /// few pages.
    pub rewrites: u64,
    /// Counts how often it was not known that commits alone led from one position to the next. A handover
    /// may be known for that; a break never is.
    pub breaks: u64,
    /// The number of the poll that answered with the position; commits of this process have
    /// led on from there, perhaps. 0 before the first. Positions with the same number are of one state.
    pub poll: u64,
    /// When the server last confirmed the position. `None`: never in this process.
    pub confirmed: Option<sys::Tick>,
}

impl View {
    /// Of a database without transactions.
    pub const EMPTY: View = View {
        pos: Pos::EMPTY,
        page_size: None,
        commit: 0,
        epoch: 0,
        handovers: 0,
        rewrites: 0,
        breaks: 0,
        is_encrypted: false,
    };

    /// Bytes of the database file.
    pub fn size_bytes(&self) -> u64 {
        self.page_size.map_or(0, |page_size| page_size.bytes_of(self.commit))
    }
}

/// Whether what was confirmed then is too old to begin a transaction at; 0 allows any age.
pub fn is_too_old(confirmed: Option<sys::Tick>, max_staleness_ms: u64) -> bool {
    let is_recent = |confirmed: sys::Tick| confirmed.age_ms() <= max_staleness_ms;
    max_staleness_ms != 0 && !confirmed.is_some_and(is_recent)
}
