//! The LTX files of a database, and which of them make up a position.
//!
//! Files of different levels overlap: a merged file has what several others have, and these stay for
//! a while. So a position is made of a *plan*: the fewest files that cover every transaction from the
//! first to its own, each beginning no later than where the one before ends.

use std::collections::BTreeMap;

use litevfs::types::Txid;

use super::ltx_file::{LtxFile, SNAPSHOT_LEVEL};

/// All files of a database.
#[derive(Debug, Clone, Default)]
pub struct Files {
    /// Within a level by first and last transaction.
    levels: BTreeMap<u8, BTreeMap<(Txid, Txid), LtxFile>>,
}

impl Files {
    /// Takes a file in.
    pub fn insert(&mut self, file: LtxFile) {
        self.levels.entry(file.level).or_default().insert((file.min_txid, file.max_txid), file);
    }

    /// Forgets a file.
    pub fn remove(&mut self, file: &LtxFile) {
        if let Some(level) = self.levels.get_mut(&file.level) {
            level.remove(&(file.min_txid, file.max_txid));
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.levels.values().all(BTreeMap::is_empty)
    }

    /// The files of a level, by first transaction.
    pub fn level(&self, level: u8) -> impl DoubleEndedIterator<Item = &LtxFile> {
        self.levels.get(&level).into_iter().flat_map(BTreeMap::values)
    }

    /// Every file.
    pub fn iter(&self) -> impl Iterator<Item = &LtxFile> {
        self.levels.values().flat_map(BTreeMap::values)
    }

    /// How many files there are.
    pub fn len(&self) -> usize {
        self.levels.values().map(BTreeMap::len).fold(0, usize::saturating_add)
    }

    /// How many files there are, and the bytes of all.
    pub fn totals(&self) -> (usize, u64) {
        self.iter().fold((0_usize, 0_u64), |(count, bytes), file| {
            (count.saturating_add(1), bytes.saturating_add(file.len))
        })
    }

    /// The last transaction of a level; zero without files.
    pub fn last_txid(&self, level: u8) -> Txid {
        // Of files that overlap, one that begins earlier may end later.
        let last = self.level(level).rev().take(MAX_OVERLAP);
        last.map(|file| file.max_txid).max().unwrap_or(Txid::ZERO)
    }

    /// The files of higher levels than one.
    pub fn above(&self, level: u8) -> Files {
        let levels = self.levels.iter().filter(|(other, _)| **other > level);
        Files { levels: levels.map(|(level, files)| (*level, files.clone())).collect() }
    }

    /// The last transaction there is.
    pub fn tip(&self) -> Txid {
        self.levels.keys().map(|&level| self.last_txid(level)).max().unwrap_or(Txid::ZERO)
    }

    /// The level-0 file that decided a transaction.
    pub fn committed(&self, min_txid: Txid) -> Option<&LtxFile> {
        self.levels.get(&0)?.get(&(min_txid, min_txid))
    }

    /// A file that ends with that transaction, the smallest there is.
    pub fn ending_at(&self, txid: Txid) -> Option<&LtxFile> {
        let candidates = self.levels.values().flat_map(|level| {
            level.range(..=(txid, Txid(u64::MAX))).rev().take(MAX_OVERLAP).map(|(_, file)| file)
        });
        let ending = candidates.filter(|file| file.max_txid == txid);
        ending.max_by_key(|file| (file.min_txid, std::cmp::Reverse(file.level)))
    }

    /// Every transaction at which a file ends, ascending, with a file that ends there; of the commits
    /// themselves the last `commits`.
    pub fn boundaries(&self, commits: usize) -> Vec<LtxFile> {
        let mut ends: BTreeMap<Txid, LtxFile> = BTreeMap::new();
        // The smallest file is the cheapest to look into, and the one written closest to its time.
        let merged = self.levels.range(1..).flat_map(|(_, level)| level.values());
        for file in merged.chain(self.level(0).rev().take(commits)) {
            let known = ends.entry(file.max_txid).or_insert(*file);
            if (file.level, file.len) < (known.level, known.len) {
                *known = *file;
            }
        }
        ends.into_values().collect()
    }

    /// The fewest merged or committed files that cover the transactions after `from` up to `to`, none
    /// of which has earlier ones, ascending; `None` when there are none that do, and end there.
    pub fn cover(&self, from: Txid, to: Txid) -> Option<Vec<LtxFile>> {
        self.chain(from, to, from.successor()?)
    }

    /// The files that make up a position: a snapshot, if there is one, and what follows it.
    pub fn plan(&self, txid: Txid) -> Option<Vec<LtxFile>> {
        let snapshots = self.level(SNAPSHOT_LEVEL).filter(|file| file.min_txid.0 == 1);
        let base = snapshots.filter(|file| file.max_txid <= txid).max_by_key(|file| file.max_txid);
        let Some(base) = base else {
            return self.chain(Txid::ZERO, txid, Txid::ZERO);
        };
        let rest = self.chain(base.max_txid, txid, Txid::ZERO)?;
        Some(std::iter::once(*base).chain(rest).collect())
    }

    /// Files without snapshots that lead from one transaction to another and begin with `first` at
    /// the earliest.
    fn chain(&self, from: Txid, to: Txid, first: Txid) -> Option<Vec<LtxFile>> {
        let mut plan = Vec::new();
        let mut at = from;
        while at < to {
            let levels = self.levels.range(..SNAPSHOT_LEVEL).map(|(_, level)| level);
            let next = levels.filter_map(|level| farthest(level, at, to, first));
            let next = next.max_by_key(|file| (file.max_txid, file.min_txid))?;
            plan.push(*next);
            at = next.max_txid;
        }
        Some(plan)
    }

    /// The files of one level that follow a transaction without a gap, at most so many.
    pub fn run(&self, level: u8, from: Txid, limit: usize) -> Vec<LtxFile> {
        let mut run = Vec::new();
        let mut at = from;
        let (Some(level), Some(first)) = (self.levels.get(&level), from.successor()) else {
            return run;
        };
        while run.len() < limit
            && let Some(next) = farthest(level, at, Txid(u64::MAX), first)
        {
            run.push(*next);
            at = next.max_txid;
        }
        run
    }
}

/// The file of a level that leads farthest from `at`, not past `to`, and begins with `first` at the
/// earliest.
fn farthest(
    level: &BTreeMap<(Txid, Txid), LtxFile>,
    at: Txid,
    to: Txid,
    first: Txid,
) -> Option<&LtxFile> {
    // Files of one level overlap only where runs of them were merged: past a file that ends before
    // `at`, nothing further back reaches `at` but such a merged file, which begins where its run does.
    let reachable =
        level.range((first, Txid::ZERO)..=(at.successor().unwrap_or(at), Txid(u64::MAX))).rev();
    let mut best: Option<&LtxFile> = None;
    for (_, file) in reachable.take(MAX_OVERLAP) {
        let leads = file.max_txid > at && file.max_txid <= to;
        if leads && best.is_none_or(|best| file.max_txid > best.max_txid) {
            best = Some(file);
        }
    }
    best
}

/// How many files of one level may begin before a place that one of them reaches: runs that are
/// merged are shorter.
const MAX_OVERLAP: usize = 64;

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;

    fn files(list: &[(u8, u64, u64)]) -> Files {
        let mut files = Files::default();
        for &(level, min, max) in list {
            files.insert(LtxFile {
                level,
                min_txid: Txid(min),
                max_txid: Txid(max),
                len: max - min + 1,
                version: 0,
                written_ms: 0,
            });
        }
        files
    }

    fn plan(files: &Files, txid: u64) -> Option<Vec<(u8, u64, u64)>> {
        let plan = files.plan(Txid(txid))?;
        Some(plan.iter().map(|f| (f.level, f.min_txid.0, f.max_txid.0)).collect())
    }

    #[test]
    fn a_plan_is_a_snapshot_and_the_fewest_files_after_it() {
        let files = files(&[
            (0, 1, 1),
            (0, 2, 2),
            (0, 3, 3),
            (0, 4, 4),
            (0, 5, 5),
            (0, 6, 6),
            (1, 1, 2),
            (1, 3, 4),
            (2, 1, 4),
            (9, 1, 2),
        ]);
        assert_eq!(plan(&files, 6), Some(vec![(9, 1, 2), (1, 3, 4), (0, 5, 5), (0, 6, 6)]));
        assert_eq!(plan(&files, 3), Some(vec![(9, 1, 2), (0, 3, 3)]));
        assert_eq!(plan(&files, 1), Some(vec![(0, 1, 1)]));
        assert_eq!(plan(&files, 7), None);
    }

    #[test]
    fn a_merged_run_in_its_own_level_is_preferred() {
        let files = files(&[(1, 1, 2), (1, 1, 6), (1, 3, 4), (1, 5, 6), (0, 7, 7)]);
        assert_eq!(plan(&files, 7), Some(vec![(1, 1, 6), (0, 7, 7)]));
        assert_eq!(plan(&files, 4), Some(vec![(1, 1, 2), (1, 3, 4)]));
    }

    #[test]
    fn a_gap_or_a_place_inside_a_file_is_no_position() {
        let files = files(&[(1, 1, 4), (0, 6, 6)]);
        assert_eq!(plan(&files, 6), None);
        assert_eq!(plan(&files, 3), None);
        assert_eq!(plan(&files, 4), Some(vec![(1, 1, 4)]));
    }

    #[test]
    fn an_upload_of_several_transactions_covers_its_guard() {
        let files = files(&[(0, 1, 1), (0, 2, 2), (0, 2, 5), (0, 6, 6)]);
        assert_eq!(plan(&files, 6), Some(vec![(0, 1, 1), (0, 2, 5), (0, 6, 6)]));
        assert_eq!(files.cover(Txid(1), Txid(6)).map(|plan| plan.len()), Some(2));
    }

    #[test]
    fn boundaries_are_told_once_each() {
        let files = files(&[(0, 1, 1), (0, 2, 2), (1, 1, 2), (9, 1, 2), (2, 1, 8)]);
        let ends: Vec<_> = files.boundaries(9).iter().map(|f| (f.level, f.max_txid.0)).collect();
        assert_eq!(ends, [(0, 1), (0, 2), (2, 8)]);
        assert_eq!(files.ending_at(Txid(2)).map(|file| file.level), Some(0));
    }

    #[test]
    fn what_came_after_is_told_without_what_was_before() {
        let files = files(&[(9, 1, 9), (1, 1, 4), (0, 3, 3), (0, 4, 4), (1, 5, 8), (0, 9, 9)]);
        let cover = |from: u64, to: u64| {
            let cover = files.cover(Txid(from), Txid(to))?;
            Some(cover.iter().map(|f| (f.level, f.min_txid.0)).collect::<Vec<_>>())
        };
        assert_eq!(cover(4, 9), Some(vec![(1, 5), (0, 9)]));
        assert_eq!(cover(2, 9), Some(vec![(0, 3), (0, 4), (1, 5), (0, 9)]));
        assert_eq!(cover(1, 9), None);
        assert_eq!(files.run(0, Txid(2), 9).len(), 2);
        assert_eq!(files.run(0, Txid(2), 1).len(), 1);
        assert_eq!(files.run(1, Txid::ZERO, 9).len(), 2);
    }
}
