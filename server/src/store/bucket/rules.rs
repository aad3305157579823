//! What may be created, removed and acknowledged. Each rule is a predicate with its reason, and the one
//! place that does the thing asks it, in every build.
//!
//! What they rest on together: a request may take effect at any time after it was sent, or twice, and
//! its answer may come at any time after that. A server may be frozen between any two steps. So
//!
//! 1. names are used once: a commit's file is made only if there is none, in the folder of one incarnation;
//! 2. what is removed is dead before, by a head that never moves back: removing it again, later, or never
//!    makes no difference to anybody;
//! 3. what takes a removed file's place afterwards does not count, because it is dead by its name.
//!
//! Time comes in at one place: an answer is given without another look at the head while what is known of
//! it is younger than [`TRUST`], and files that stand in the way of late ones stay for [`GRACE`] after
//! they are dead. Both are time that passed on a process's own clocks: TRUST from before the head was
//! asked for, by the clock that says more, and by the dates of the store's answers; GRACE from after the answer, by the clock that nobody sets. See
//! [`super::moment`]. That clocks of different machines agree matters to what is kept for how long only.

use std::time::Duration;

use litevfs::types::Txid;

use super::error::Error;
use super::files::Files;
use super::head::Head;
use super::incarnation::Incarnation;
use super::ltx_file::{LtxFile, SNAPSHOT_LEVEL};
use super::mutant::{self, Mutant};

/// For how long a head that was read is relied on.
pub const TRUST: Duration = Duration::from_secs(15);
/// How long a file stays that stands in the way of late ones, after it was seen to be dead.
pub const GRACE: Duration = Duration::from_secs(60);
/// How far this server's clock and the store's may be apart for files to be removed by their age, and how
/// far the time that a file bears may be ahead of when it was stored.
pub const MAX_CLOCK_GAP: Duration = Duration::from_secs(60);
/// How long a clock must have gone on evenly for files of a directory to be removed by their age: a
/// machine that starts with a wrong clock sets it within that time.
pub const STEADY: Duration = Duration::from_secs(300);

// A request that began within TRUST of what it relies on must reach what GRACE keeps, whatever two
// clocks count in that time.
const _: () = assert!(GRACE.as_secs() >= 4 * TRUST.as_secs());

/// Whether a stored file counts: a commit's own file up to the floor does not. Its place may have been
/// free again, and taken by a commit that came late.
pub fn counts(floor: Txid, file: &LtxFile) -> bool {
    file.level > 0 || file.min_txid > floor
}

/// The files of an incarnation as a listing tells them: those that count, and those that do not any more.
pub fn sort_out(listed: Vec<LtxFile>, head: &Head) -> (Files, Vec<LtxFile>) {
    let (mut files, mut dead) = (Files::default(), Vec::new());
    for file in listed {
        let counts = counts(head.floor, &file);
        if counts || mutant::is(Mutant::FloorIgnoredByReaders) {
            files.insert(file);
        }
        if !counts {
            dead.push(file);
        }
    }
    (files, dead)
}

/// Whether a list of a database's commits may be as new as its head, by the newest of them that counts: a
/// floor is always below the newest commit's own file. A list that was made before the floor was raised
/// does not show what took the places after it.
pub fn is_newest_known(floor: Txid, newest: Option<&LtxFile>) -> bool {
    newest.map_or(floor == Txid::ZERO, |newest| newest.min_txid > floor)
        || mutant::is(Mutant::OldListBelieved)
}

/// Whether a file is the one that was listed under its name: another one may have come late for its place.
pub fn may_read(found: u64, listed: u64) -> bool {
    found == listed || mutant::is(Mutant::ReadsIgnoreVersion)
}

/// Whether a head may be relied on without asking again, in what an answer means that the store gave at that
/// date, in s since the Unix epoch, where it has dates: by them a machine notices that it was stopped with
/// all its clocks.
pub fn may_rely(head: &Head, answered: Option<u64>) -> bool {
    let dates = head.dated.zip(answered);
    let between = dates.map_or(0, |(then, now)| now.saturating_sub(then));
    let age = head.known_at.age().max(Duration::from_secs(between));
    age <= TRUST || mutant::is(Mutant::NoProofAfterSlowCreate)
}

/// Whether a client may be told that the file which was made for a transaction counts, by a head that was
/// read after it was made.
///
/// It does if its incarnation lives, and its place was never free again: files are removed below the floor
/// only. Below it, it is not known whose transaction was merged.
pub fn may_acknowledge(now: &Head, db: &Incarnation, txid: Txid) -> Result<(), Error> {
    if *now.db != *db {
        return Err(Error::Replaced);
    }
    if txid <= now.floor {
        return Err(Error::Overtaken);
    }
    Ok(())
}

/// Whether a head may move so: to an incarnation that it never had, or to a higher floor.
pub fn may_move(from: &Head, to: &Incarnation, floor: Txid) -> Result<(), Error> {
    let anew = to.id.is_some() && to.id != from.db.id && floor == Txid::ZERO;
    let raised = *to == *from.db && floor > from.floor;
    if to.key == from.db.key && (anew || raised) {
        Ok(())
    } else {
        Err(broken("a head moves on only"))
    }
}

/// The floor that may be set so that these commits' own files can be removed, as far as they are the
/// oldest of those that count; `None` when that is none of them.
///
/// The newest position can be read without them: merged files have what they had. And the newest
/// commit's own file stays above the floor: by that servers know their database, and a commit that comes
/// late for its place finds it taken. A file that waits for the decision on a group is newer still.
pub fn floor_over(files: &Files, removable: &[LtxFile]) -> Option<Txid> {
    let newest = files.level(0).next_back()?.min_txid;
    let oldest = files.level(0).take_while(|file| file.max_txid < newest);
    let oldest: Vec<LtxFile> = oldest.copied().take_while(|f| removable.contains(f)).collect();
    let to = oldest.iter().map(|file| file.max_txid).max()?;
    let below = |file: &LtxFile| file.level == 0 && file.min_txid <= to && file.max_txid > to;
    let splits = files.iter().any(below);
    (!splits && is_whole_without(files, &oldest)).then_some(to)
}

/// Whether a floor was seen for long enough to remove what is below: whoever relies on a head from before
/// has made his file by then, and found its place taken.
pub fn floor_holds(seen_for: Duration, shared: bool) -> bool {
    !shared || seen_for >= GRACE || mutant::is(Mutant::RemoveBeforeGrace)
}

/// Whether a commit's own file may be removed, by a floor that holds.
pub fn may_remove_commit(floor: Txid, file: &LtxFile) -> bool {
    file.level == 0 && file.max_txid <= floor
}

/// Whether merged files may be removed: files of higher levels have what each has, and stay. That remains
/// so, however late it is done, and whatever of the same or lower levels others remove meanwhile.
pub fn may_remove_merged(files: &Files, removable: &[LtxFile]) -> bool {
    let mut rest = files.clone();
    removable.iter().for_each(|file| rest.remove(file));
    removable.iter().all(|file| match file.level {
        0 => false,
        SNAPSHOT_LEVEL => rest.level(SNAPSHOT_LEVEL).any(|other| other.max_txid > file.max_txid),
        level => {
            let above = rest.above(level);
            above.tip() >= file.max_txid && above.plan(above.tip()).is_some()
        }
    })
}

/// Whether the newest position can be read without files.
fn is_whole_without(files: &Files, gone: &[LtxFile]) -> bool {
    let mut rest = files.clone();
    gone.iter().for_each(|file| rest.remove(file));
    rest.plan(files.tip()).is_some()
}

/// Whether a file of an incarnation may be removed because that is dead, by a head that was read after
/// the file was listed: a head never moves back to it, and no file of a later incarnation can have been
/// listed before the head moved there.
///
/// Commits' own files stay for longer, with the one that says that it was dropped: a commit for such a
/// place, from before, must find it taken.
pub fn may_remove_dead(
    now: &Head,
    db: &Incarnation,
    file: &LtxFile,
    seen_for: Duration,
    shared: bool,
) -> bool {
    let stays = file.level == 0 && shared && !mutant::is(Mutant::TombstoneRemovedAtOnce);
    now.db.key == db.key && now.db.id != db.id && (!stays || seen_for >= GRACE)
}

/// Whether files may be removed by their age, with the store's clock and this server's so far apart.
pub fn may_remove_by_age(gap: Duration) -> bool {
    gap <= MAX_CLOCK_GAP
}

/// When a file was committed: the time that it bears, unless the server that made it had a clock which
/// was ahead of the store's. Times in ms since the Unix epoch.
pub fn commit_time(header_ms: u64, written_ms: u64) -> u64 {
    /// The year 2020: what copies files may give them no time at all.
    const EARLIEST: u64 = 1_577_836_800_000;
    let gap = u64::try_from(MAX_CLOCK_GAP.as_millis()).unwrap_or(u64::MAX);
    let ahead = header_ms > written_ms.saturating_add(gap) && written_ms >= EARLIEST;
    if ahead { written_ms } else { header_ms }
}

impl LtxFile {
    /// When its last transaction was committed, in ms since the Unix epoch, by what its header says.
    pub fn commit_time(&self, header_ms: u64) -> u64 {
        commit_time(header_ms, self.written_ms)
    }
}

/// A rule would have been broken: a mistake in this server, which goes no further.
fn broken(what: &'static str) -> Error {
    Error::Io(std::io::Error::other(format!("a rule of the store: {what}; please report this")))
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;
    use crate::key::DbKey;
    use crate::store::bucket::head::Head;
    use crate::store::bucket::incarnation::IncarnationId;

    fn db(id: Option<&str>) -> Incarnation {
        let key = DbKey { cluster: "c".parse().unwrap(), db: "db".parse().unwrap() };
        Incarnation { key, id: id.map(|id| id.parse::<IncarnationId>().unwrap()) }
    }

    fn head(id: Option<&str>, floor: u64) -> Head {
        Head::for_tests(db(id), Txid(floor), Some(100))
    }

    fn file(level: u8, min: u64, max: u64) -> LtxFile {
        let (min_txid, max_txid) = (Txid(min), Txid(max));
        LtxFile { level, min_txid, max_txid, len: 1, version: 0, written_ms: 0 }
    }

    fn files(list: &[(u8, u64, u64)]) -> Files {
        let mut files = Files::default();
        list.iter().for_each(|&(level, min, max)| files.insert(file(level, min, max)));
        files
    }

    const LATER: Option<&str> = Some("00c0ffee00c0ffee");

    #[tokio::test]
    async fn a_head_is_relied_on_by_ages_and_by_dates() {
        let head = head(None, 0);
        assert!(may_rely(&head, None) && may_rely(&head, Some(100)) && may_rely(&head, Some(115)));
        assert!(may_rely(&head, Some(90)), "another of the store's machines may be behind");
        assert!(!may_rely(&head, Some(116)), "only the store knows how long it was");
    }

    #[tokio::test]
    async fn what_is_acknowledged_is_above_the_floor_of_the_incarnation_that_lives() {
        let now = head(None, 5);
        assert!(may_acknowledge(&now, &db(None), Txid(6)).is_ok());
        assert!(matches!(may_acknowledge(&now, &db(None), Txid(5)), Err(Error::Overtaken)));
        assert!(matches!(may_acknowledge(&now, &db(LATER), Txid(6)), Err(Error::Replaced)));
    }

    #[tokio::test]
    async fn a_head_moves_on_only() {
        let from = head(LATER, 5);
        assert!(may_move(&from, &db(LATER), Txid(6)).is_ok());
        assert!(may_move(&from, &db(Some("1111111111111111")), Txid::ZERO).is_ok());
        for (id, floor) in [(LATER, 5), (LATER, 4), (None, 0), (Some("1111111111111111"), 1)] {
            assert!(may_move(&from, &db(id), Txid(floor)).is_err(), "{id:?} {floor}");
        }
    }

    #[test]
    fn a_list_shows_a_commit_above_the_floor() {
        let newest = file(0, 6, 6);
        assert!(is_newest_known(Txid(5), Some(&newest)) && is_newest_known(Txid::ZERO, None));
        assert!(!is_newest_known(Txid(6), Some(&newest)) && !is_newest_known(Txid(1), None));
        assert!(!counts(Txid(6), &newest) && counts(Txid(6), &file(1, 1, 6)));
    }

    #[test]
    fn a_floor_is_raised_over_what_was_merged_and_never_over_the_newest() {
        let all = [(0, 1, 1), (0, 2, 2), (0, 3, 3), (0, 4, 4), (1, 1, 3)];
        let old = |list: &[u64]| list.iter().map(|&n| file(0, n, n)).collect::<Vec<_>>();
        let floor = |old: &[LtxFile]| floor_over(&files(&all), old).map(|txid| txid.0);
        assert_eq!(floor(&old(&[1, 2, 3, 4])), Some(3));
        assert_eq!(floor(&old(&[1, 3])), Some(1), "the oldest only");
        assert_eq!(floor(&old(&[2, 3])), None);
        let unmerged = files(&[(0, 1, 1), (0, 2, 2), (0, 3, 3)]);
        assert_eq!(floor_over(&unmerged, &old(&[1, 2])), None);
        let span = files(&[(0, 1, 1), (0, 2, 2), (0, 2, 9), (0, 10, 10), (1, 1, 9)]);
        assert_eq!(floor_over(&span, &old(&[1, 2])), None, "it would split an upload");
    }

    #[test]
    fn merged_files_go_when_higher_levels_have_what_they_had() {
        let there = files(&[(0, 9, 9), (1, 1, 4), (1, 5, 8), (2, 1, 4), (9, 1, 2), (9, 1, 4)]);
        let may = |list: &[(u8, u64, u64)]| {
            let gone: Vec<_> =
                list.iter().map(|&(level, min, max)| file(level, min, max)).collect();
            may_remove_merged(&there, &gone)
        };
        assert!(may(&[(1, 1, 4)]) && may(&[(9, 1, 2)]) && may(&[(1, 1, 4), (9, 1, 2)]));
        assert!(!may(&[(1, 5, 8)]) && !may(&[(9, 1, 4)]) && !may(&[(0, 9, 9)]));
        assert!(!may(&[(1, 1, 4), (2, 1, 4), (9, 1, 4)]));
    }

    #[tokio::test]
    async fn what_is_dead_goes_and_its_commits_after_a_while() {
        let now = head(LATER, 0);
        let may = |id, level, seen, shared| {
            may_remove_dead(&now, &db(id), &file(level, 1, 1), Duration::from_secs(seen), shared)
        };
        assert!(may(None, 1, 0, true) && may(None, 0, 60, true) && may(None, 0, 0, false));
        assert!(!may(None, 0, 59, true) && !may(LATER, 1, 99, true));
    }

    #[test]
    fn a_time_ahead_of_the_stores_does_not_count() {
        let now = 1_795_863_600_000;
        assert_eq!(commit_time(now + 60_000, now), now + 60_000);
        assert_eq!(commit_time(now + 60_001, now), now);
        assert_eq!(commit_time(now - 86_400_000, now), now - 86_400_000, "merged a day later");
        assert_eq!(commit_time(now, 0), now, "a copy that lost its files' times");
    }
}
