//! What the server understands beyond the plain API, as far as this process has found out.

use crate::http::Response;
use crate::types::{CommitId, Pos};
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// The type of an answer that has pages as the server stores them.
pub const PAGE_FRAMES: &str = "application/vnd.litevfs.pages";
/// What asks for one, with inner pages of tables packed as only this project packs them.
pub const ACCEPT_PAGE_FRAMES: &str = "application/vnd.litevfs.pages;inner=1";

/// The position that an answer is from, and which commit that is.
const POS: &str = "Litevfs-Pos";
const COMMIT_ID: &str = "Litevfs-Commit-Id";

/// See the module.
#[derive(Default)]
pub struct Dialect {
    has_frames: AtomicBool,
    lacks_open: AtomicBool,
    has_commit_ids: AtomicBool,
}

impl Dialect {
    /// Whether it sends page frames, and so takes ranges of any length.
    pub fn has_frames(&self) -> bool {
        self.has_frames.load(Relaxed)
    }

    /// Takes note of an answer to a call that asked for page frames; whether it has some.
    pub fn note_answer<B>(&self, response: &Response<B>) -> bool {
        let content_type = response.header("Content-Type").unwrap_or_default();
        let has_frames = content_type.trim().starts_with(PAGE_FRAMES);
        self.has_frames.store(has_frames, Relaxed);
        has_frames
    }

    /// Takes note that ranges were refused: another server is there now.
    pub fn forget_frames(&self) {
        self.has_frames.store(false, Relaxed);
    }

    /// Whether it does not know `GET /db/open`.
    pub fn lacks_open(&self) -> bool {
        self.lacks_open.load(Relaxed)
    }

    /// Whether it tells, and is to be told, which commit a position is.
    pub fn has_commit_ids(&self) -> bool {
        self.has_commit_ids.load(Relaxed)
    }

    /// The position that an answer is from, if it says so; takes note when it says which commit that is.
    pub fn pos_of<B>(&self, answer: &Response<B>) -> Option<Pos> {
        let told = answer.header(COMMIT_ID).and_then(|id| id.trim().parse::<CommitId>().ok());
        self.has_commit_ids.fetch_or(told.is_some(), Relaxed);
        let pos: Pos = answer.header(POS)?.trim().parse().ok()?;
        Some(Pos { commit_id: told.unwrap_or(CommitId::NONE), ..pos })
    }

    /// Takes note that it does not.
    pub fn note_lack_of_open(&self) {
        self.lacks_open.store(true, Relaxed);
    }
}
