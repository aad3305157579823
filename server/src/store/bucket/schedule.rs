//! What is to be merged and what may go: decided from the list of files and the time alone.
//!
//! | level | made of | every | kept for |
//! | --- | --- | --- | --- |
//! | 0 | commits | | 5 min after they were merged |
//! | 1 | level 0 | 10 s | 1 h |
//! | 2 | level 1 | 5 min | 30 days |
//! | 3 | level 2 | 1 h | 30 days |
//! | 9, snapshots | everything | 1 day | 30 days |
//!
//! Whenever a position would be made of too many files, the longest run of one level among them is
//! merged out of turn, within its level; what it was merged from stays for as long as its level says,
//! because each file is a restore point.

use std::time::Duration;

use litevfs::types::Txid;

use super::files::Files;
use super::ltx_file::{LtxFile, SNAPSHOT_LEVEL};

/// From so many files on, the longest run is merged; below fifty with what is committed meanwhile.
pub const LONGEST_PLAN: usize = 32;
/// The most files to merge at once.
const MAX_INPUTS: usize = 1000;

/// How often files of a level are made, and for how long they stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// The time from a file's being there to its being merged into this level.
    pub every: Duration,
    /// How long files of this level stay.
    pub keep: Duration,
}

/// When what is merged, and for how long what stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// How long a commit's own file stays after it was merged.
    pub level0_keep: Duration,
    /// Levels 1 to 3.
    pub levels: [Level; 3],
    /// Snapshots.
    pub snapshots: Level,
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

impl Default for Schedule {
    fn default() -> Schedule {
        let level = |every, keep| Level {
            every: Duration::from_secs(every),
            keep: Duration::from_secs(keep),
        };
        Schedule {
            level0_keep: Duration::from_secs(5 * MINUTE),
            levels: [level(10, HOUR), level(5 * MINUTE, 30 * DAY), level(HOUR, 30 * DAY)],
            snapshots: level(DAY, 30 * DAY),
        }
    }
}

/// Files to merge into one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merge {
    /// Ascending, without a gap.
    pub inputs: Vec<LtxFile>,
    /// The level of the result.
    pub level: u8,
}

impl Schedule {
    /// Levels 1 to 3 with their numbers.
    fn levels(&self) -> impl Iterator<Item = (u8, &Level)> {
        (1..).zip(&self.levels)
    }

    /// What to merge now.
    pub fn next_merge(&self, files: &Files, now_ms: u64) -> Option<Merge> {
        for (level, settings) in self.levels() {
            let inputs = unmerged(files, level);
            if inputs.first().is_some_and(|oldest| age(oldest, now_ms) >= settings.every) {
                return Some(Merge { inputs, level });
            }
        }
        let plan = files.plan(files.tip())?;
        if plan.len() >= LONGEST_PLAN
            && let Some(merge) = longest_run(&plan)
        {
            return Some(merge);
        }
        let newest = newest_snapshot(files);
        let stale = newest.is_none_or(|snapshot| snapshot.max_txid < files.tip());
        let oldest = || (0..SNAPSHOT_LEVEL).filter_map(|level| files.level(level).next());
        let since = newest.or_else(|| oldest().min_by_key(|file| file.written_ms));
        let due = since.is_some_and(|file| age(file, now_ms) >= self.snapshots.every);
        (stale && due).then_some(Merge { inputs: plan, level: SNAPSHOT_LEVEL })
    }

    /// The files that may go now: each is merged into another, and was kept for long enough.
    pub fn removable(&self, files: &Files, now_ms: u64) -> Vec<LtxFile> {
        let old = |keep: Duration| move |file: &&LtxFile| age(file, now_ms) > keep;
        let mut removable = Vec::new();
        // The newest commit's file stays: by it servers see that the database is the one they know.
        let newest = files.level(0).next_back().map_or(Txid::ZERO, |file| file.min_txid);
        let merged = merged(files).filter(old(self.level0_keep)).map(|file| file.max_txid).max();
        let merged = merged.unwrap_or(Txid::ZERO);
        let commits = files.level(0).filter(|f| f.max_txid <= merged && f.min_txid < newest);
        removable.extend(commits.filter(old(self.level0_keep)));
        // The oldest snapshot that points within the time kept may be restored from.
        let snapshots = || files.level(SNAPSHOT_LEVEL);
        let base = snapshots().filter(old(self.snapshots.keep)).map(|file| file.max_txid).max();
        let base = base.unwrap_or(Txid::ZERO);
        for (level, settings) in self.levels() {
            let above = self.levels().find(|&(above, _)| above == level.saturating_add(1));
            let slack = above.map_or(self.snapshots.every, |(_, above)| above.every);
            let merged = above.map_or(base, |(above, _)| merged_into(files, above));
            let keep = settings.keep.saturating_add(slack);
            let covered = files.level(level).filter(|file| file.max_txid <= merged);
            removable.extend(covered.filter(old(keep)));
        }
        removable.extend(snapshots().filter(|file| file.max_txid < base));
        removable
    }

    /// When to look again, in ms from now; `None` when nothing is left to do before the next commit
    /// but what can wait for the hourly round.
    pub fn next_look(&self, files: &Files, now_ms: u64) -> Option<Duration> {
        let left = |file: &LtxFile, whole: Duration| whole.saturating_sub(age(file, now_ms));
        let merges = self.levels().filter_map(|(level, settings)| {
            unmerged(files, level).first().map(|oldest| left(oldest, settings.every))
        });
        let newest = files.level(0).next_back().map_or(Txid::ZERO, |file| file.min_txid);
        let oldest = files.level(0).next().filter(|file| file.min_txid < newest);
        let removals = oldest.and_then(|oldest| {
            let over = merged(files).filter(|file| file.max_txid >= oldest.max_txid);
            over.map(|file| left(file, self.level0_keep)).min()
        });
        let folds = self.levels().filter_map(|(level, settings)| {
            let first = files.level(level).next()?;
            (settings.keep < Duration::from_secs(HOUR)).then(|| left(first, settings.keep))
        });
        let snapshot = newest_snapshot(files).filter(|newest| newest.max_txid < files.tip());
        let snapshot = snapshot.map(|newest| left(newest, self.snapshots.every));
        merges.chain(removals).chain(folds).chain(snapshot).min()
    }
}

/// The files of the level below that are not merged into a level yet.
fn unmerged(files: &Files, level: u8) -> Vec<LtxFile> {
    files.run(level.saturating_sub(1), merged_into(files, level), MAX_INPUTS)
}

/// The last transaction that was merged into a level. All of its files may be gone again, merged into
/// those above.
fn merged_into(files: &Files, level: u8) -> Txid {
    let levels = level..SNAPSHOT_LEVEL;
    levels.map(|level| files.last_txid(level)).max().unwrap_or(Txid::ZERO)
}

/// The files that were merged.
fn merged(files: &Files) -> impl Iterator<Item = &LtxFile> {
    (1..SNAPSHOT_LEVEL).flat_map(|level| files.level(level))
}

fn newest_snapshot(files: &Files) -> Option<&LtxFile> {
    files.level(SNAPSHOT_LEVEL).max_by_key(|file| file.max_txid)
}

/// The longest run of files of one level in a plan.
fn longest_run(plan: &[LtxFile]) -> Option<Merge> {
    let runs = plan.chunk_by(|a, b| a.level == b.level && b.min_txid.follows(a.max_txid));
    let longest = runs.filter(|run| run.len() > 1).max_by_key(|run| run.len())?;
    let level = longest.first()?.level.max(1);
    Some(Merge { inputs: longest.to_vec(), level })
}

fn age(file: &LtxFile, now_ms: u64) -> Duration {
    Duration::from_millis(now_ms.saturating_sub(file.written_ms))
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;

    const SECOND: u64 = 1000;
    const DAY_MS: u64 = DAY * SECOND;

    fn file(level: u8, min: u64, max: u64, written_ms: u64) -> LtxFile {
        let (min_txid, max_txid) = (Txid(min), Txid(max));
        LtxFile { level, min_txid, max_txid, len: 1, version: 0, written_ms }
    }

    /// Plays a schedule: a commit every `pause` for `total`; returns the files, and the most that a
    /// position was made of after each round.
    fn play(pause_ms: u64, total_ms: u64) -> (Files, usize, u64) {
        let schedule = Schedule::default();
        let (mut files, mut most, mut now, mut txid) = (Files::default(), 0, 0, 0);
        while now < total_ms {
            txid += 1;
            files.insert(file(0, txid, txid, now));
            now += pause_ms;
            // Now and then, as the background does; more often would not change what is there.
            if txid % 8 == 0 || pause_ms >= 60_000 {
                while let Some(merge) = schedule.next_merge(&files, now) {
                    let (first, last) = (merge.inputs[0], merge.inputs[merge.inputs.len() - 1]);
                    assert!(
                        merge
                            .inputs
                            .windows(2)
                            .all(|w| w[1].min_txid <= w[0].max_txid.next().unwrap())
                    );
                    files.insert(file(merge.level, first.min_txid.0, last.max_txid.0, now));
                }
                for gone in schedule.removable(&files, now) {
                    files.remove(&gone);
                }
            }
            let plan = files.plan(Txid(txid)).expect("the newest position can always be read");
            most = most.max(plan.len());
        }
        (files, most, now)
    }

    #[test]
    fn a_position_is_made_of_fewer_than_fifty_files_whatever_the_history() {
        for (pause_ms, total_ms) in
            [(500, DAY_MS / 24), (20_000, 2 * DAY_MS), (900_000, 40 * DAY_MS)]
        {
            let (_, most, _) = play(pause_ms, total_ms);
            assert!(most < 50, "{most} files with a commit every {pause_ms} ms");
        }
    }

    #[test]
    fn there_is_a_restore_point_every_five_minutes_for_thirty_days() {
        let (files, _, now) = play(150_000, 32 * DAY_MS);
        let points: Vec<u64> = files
            .boundaries(usize::MAX)
            .iter()
            .filter(|file| files.plan(file.max_txid).is_some())
            .map(|file| file.max_txid.0 * 150_000)
            .collect();
        let within: Vec<u64> =
            points.iter().copied().filter(|&at| at > now - 30 * DAY_MS).collect();
        let widest = within.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!(widest <= 10 * 60_000, "{widest} ms");
        assert!(within[0] <= now - 30 * DAY_MS + 10 * 60_000);
        // And what is older goes, but for what a snapshot needs.
        assert!(points[0] > now - 32 * DAY_MS, "{}", now - points[0]);
    }

    #[test]
    fn an_hour_has_a_point_every_ten_seconds() {
        let (files, _, now) = play(1000, 3 * HOUR * SECOND);
        let ends = files.boundaries(usize::MAX);
        let recent: Vec<u64> = ends
            .iter()
            .map(|file| file.max_txid.0 * 1000)
            .filter(|&at| at > now - HOUR * SECOND)
            .collect();
        let widest = recent.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!(widest <= 20_000, "{widest}");
    }

    #[test]
    fn a_commit_stays_for_a_while_after_it_was_merged_however_late_that_was() {
        let schedule = Schedule::default();
        let late = HOUR * SECOND;
        let mut files = Files::default();
        (1..=3).for_each(|txid| files.insert(file(0, txid, txid, txid)));
        files.insert(file(1, 1, 3, late));
        assert_eq!(schedule.removable(&files, late + MINUTE * SECOND), []);
        let looked = schedule.next_look(&files, late + MINUTE * SECOND).unwrap();
        assert_eq!(looked, Duration::from_secs(4 * MINUTE));
        let gone = schedule.removable(&files, late + 5 * MINUTE * SECOND + 1);
        assert_eq!(gone.iter().map(|file| file.max_txid.0).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn a_database_that_was_idle_goes_on_being_merged_every_ten_seconds() {
        let (schedule, now) = (Schedule::default(), 2 * HOUR * SECOND);
        let mut files = Files::default();
        files.insert(file(2, 1, 10, 0));
        files.insert(file(0, 10, 10, 0));
        files.insert(file(0, 11, 11, now - 10 * SECOND));
        let merge = schedule.next_merge(&files, now).unwrap();
        assert_eq!((merge.level, merge.inputs.len(), merge.inputs[0].min_txid), (1, 1, Txid(11)));
    }
}
