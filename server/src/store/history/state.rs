//! What is known about a database in memory: its files, its last transaction, and what was worked out.

use std::collections::HashMap;
use std::sync::Arc;

use litevfs::types::{Checksum, PageSize, Pgno, Pos, Txid};

use super::taken::Together;
use super::view::View;
use crate::store::bucket::file_index::FileIndex;
use crate::store::bucket::files::Files;
use crate::store::bucket::ltx_file::{LtxFile, SNAPSHOT_LEVEL};
use crate::store::bucket::mutant::{self, Mutant};
use crate::store::bucket::rules;

/// Bytes that a file takes in a list, about.
const FILE_BYTES: usize = 100;
/// Bytes that a checksum takes: of a hash table an eighth is free, and it has a byte more for each place.
const CHECKSUM_BYTES: usize = size_of::<(Pgno, Checksum)>() + 4;
/// Checksums of current pages that are remembered, at most.
const MAX_CHECKSUMS: usize = 1 << 13;

/// What is known about a database in memory; all of it can be rebuilt from its files.
#[derive(Debug)]
pub(in crate::store) struct State {
    /// Those that count.
    pub(in crate::store) files: Files,
    /// Commits' own files that do not count any more, and are still there.
    pub(in crate::store) dead: Vec<LtxFile>,
    pub(in crate::store) tip: Tip,
    /// The files of the current position, once they were looked for.
    plan: Option<Arc<[LtxFile]>>,
    /// The last file that changed the page size, if the current position was seen to begin with it.
    reshaped: Option<LtxFile>,
    /// Checksums of pages as they are now.
    checksums: HashMap<Pgno, Checksum>,
    /// Whether it is encrypted, once page 1 was looked at. It stays so.
    pub(in crate::store) encrypted: Option<bool>,
    /// The groups that it took in last.
    pub(in crate::store) together: Together,
}

/// The last transaction.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Tip {
    pub(in crate::store) pos: Pos,
    pub(in crate::store) page_size: PageSize,
    pub(in crate::store) commit: u32,
    pub(in crate::store) timestamp_ms: u64,
}

impl State {
    /// What the files of a database amount to.
    pub(in crate::store) fn new(files: Files, dead: Vec<LtxFile>, view: &View) -> State {
        let tip = Tip {
            pos: view.pos,
            page_size: view.page_size,
            commit: view.commit,
            timestamp_ms: view.timestamp_ms,
        };
        let reshaped = view.reshaped_by();
        State {
            files,
            dead,
            tip,
            plan: None,
            reshaped,
            checksums: HashMap::new(),
            encrypted: None,
            together: Together::default(),
        }
    }

    /// Takes in the file that follows a position, if that is the current one still. The checksums are
    /// its pages', if known.
    pub(in crate::store) fn append_after(
        &mut self,
        base: Pos,
        file: LtxFile,
        index: &FileIndex,
        checksums: &[Checksum],
    ) {
        if self.tip.pos != base {
            return;
        }
        self.files.insert(file);
        self.plan = self.plan.take().map(|plan| plan.iter().copied().chain([file]).collect());
        if index.page_size != self.tip.page_size {
            self.reshaped = Some(file);
        }
        let pos = index.pos();
        self.tip = Tip {
            pos,
            page_size: index.page_size,
            commit: index.commit,
            timestamp_ms: index.timestamp_ms,
        };
        if index.len() > MAX_CHECKSUMS {
            self.checksums.clear();
            return;
        }
        for pgno in index.pgnos() {
            self.checksums.remove(&pgno);
        }
        self.checksums.retain(|pgno, _| pgno.get() <= index.commit);
        self.remember(index.pgnos().zip(checksums.iter().copied()));
    }

    /// Takes in a file that was merged from others.
    pub(in crate::store) fn add(&mut self, file: LtxFile) {
        self.files.insert(file);
        self.plan = None;
    }

    /// Forgets files that are to be removed.
    pub(in crate::store) fn forget(&mut self, files: &[LtxFile]) {
        files.iter().for_each(|file| self.files.remove(file));
        self.dead.retain(|file| !files.contains(file));
        self.plan = None;
    }

    /// Takes note of a floor that was raised.
    pub(in crate::store) fn bury(&mut self, floor: Txid) {
        let dead: Vec<LtxFile> =
            self.files.level(0).filter(|file| !rules::counts(floor, file)).copied().collect();
        if !mutant::is(Mutant::FloorIgnoredByReaders) {
            dead.iter().for_each(|file| self.files.remove(file));
        }
        self.dead.extend(dead);
        self.plan = None;
    }

    /// Replaces the list of files by a newer one; the position stays.
    pub(in crate::store) fn relist(&mut self, files: Files, dead: Vec<LtxFile>) {
        (self.files, self.dead) = (files, dead);
        self.plan = None;
    }

    /// Whether the page size changed and there is no snapshot since.
    pub(in crate::store) fn lacks_snapshot(&self) -> bool {
        self.reshaped.is_some_and(|file| {
            !self.files.level(SNAPSHOT_LEVEL).any(|snapshot| snapshot.max_txid >= file.max_txid)
        })
    }

    /// Remembers checksums of current pages.
    pub(in crate::store) fn remember(
        &mut self,
        checksums: impl IntoIterator<Item = (Pgno, Checksum)>,
    ) {
        for (pgno, checksum) in checksums {
            if self.checksums.len() >= MAX_CHECKSUMS {
                self.checksums.clear();
            }
            self.checksums.insert(pgno, checksum);
        }
    }

    /// The checksum of a current page, if it is remembered.
    pub(in crate::store) fn checksum(&self, pgno: Pgno) -> Option<Checksum> {
        self.checksums.get(&pgno).copied()
    }

    /// Bytes of memory it takes, about.
    pub(in crate::store) fn memory(&self) -> usize {
        let files = self.files.len().saturating_add(self.dead.capacity());
        let plan = self.plan.as_ref().map_or(0, |plan| plan.len());
        let parts = [
            files.saturating_mul(FILE_BYTES),
            plan.saturating_mul(size_of::<LtxFile>()),
            self.checksums.capacity().saturating_mul(CHECKSUM_BYTES),
            self.together.memory(),
        ];
        parts.into_iter().fold(0, usize::saturating_add)
    }

    /// The files of the current position.
    pub(in crate::store) fn plan(&mut self) -> Option<Arc<[LtxFile]>> {
        if self.plan.is_none() {
            self.plan = self.files.plan(self.tip.pos.txid).map(Arc::from);
        }
        self.plan.clone()
    }
}
