//! The scripts that hold, and how much of each is explored: without a fault all schedules there are, or
//! those up to a depth; with a fault those up to a depth. `EXPLORE_MORE=faults,depth` explores more.

use std::time::Duration;

use super::board::Bounds;
use super::client::Act::{self, *};
use super::run::{Report, Script, explore};
use crate::store::bucket::rules::GRACE;
use crate::store::tests::merging;

/// A while after which level 0 may go.
pub const MOMENT: Act = Wait(Duration::from_secs(1));
/// A while after which what is dead may go.
pub const LONG: Act = Wait(GRACE.saturating_add(Duration::from_secs(1)));
/// No bound on the depth.
const ALL: u32 = u32::MAX;

/// Who does what at the same time, and what was done before.
pub type Actors<'a> = &'a [(usize, &'a [Act])];

pub fn script(before: &[Act], actors: Actors<'_>, faults: u32, depth: u32) -> Script {
    Script {
        schedule: merging(),
        before: before.to_vec(),
        actors: actors.iter().map(|(server, acts)| (*server, acts.to_vec())).collect(),
        bounds: Bounds { depth, faults, hours: faults.min(1), ticks: 4 },
    }
}

/// Runs a script within bounds of faults and depth, and asserts of each how many schedules there are at
/// least: an explorer that stops early must show.
fn holds(name: &str, before: &[Act], actors: Actors<'_>, within: &[(u32, u32, u64)]) {
    let more = std::env::var("EXPLORE_MORE").ok();
    let more = more.as_deref().map(|text| {
        let mut numbers = text.split(',').filter_map(|number| number.parse().ok());
        (numbers.next().unwrap_or(1), numbers.next().unwrap_or(2), 0)
    });
    for (faults, depth, at_least) in within.iter().copied().chain(more) {
        let began = std::time::Instant::now();
        match explore(&script(before, actors, faults, depth)) {
            Ok(Report { schedules, given_up, steps }) => {
                let depth = if depth == ALL { "any".to_owned() } else { depth.to_string() };
                println!(
                    "{name}, {faults} faults, depth {depth}: all {schedules} schedules were run, \
                     {given_up} given up, {steps} steps, {:?}",
                    began.elapsed()
                );
                assert!(schedules >= at_least, "{name}: only {schedules} schedules");
            }
            Err(violation) => {
                panic!("{name}: schedule {} ended wrong: {}", violation.after + 1, violation.what)
            }
        }
    }
}

macro_rules! holds {
    ($name:ident, before $before:expr, $actors:expr, $($within:expr),+) => {
        #[test]
        fn $name() {
            holds(stringify!($name), &$before, &$actors, &[$($within),+]);
        }
    };
}

holds!(two_commits, before[Commit], [(0, &[Commit]), (1, &[Commit])], (0, ALL, 2), (1, 2, 80));
holds!(
    a_slow_commit_and_a_quick_one,
    before[Commit],
    [(0, &[LargeCommit]), (1, &[Commit])],
    (0, ALL, 3),
    (1, 2, 180)
);
holds!(
    a_commit_while_others_are_merged_and_removed, before [Commit, Compact],
    [(0, &[Commit]), (1, &[Commit, Commit, Compact, MOMENT, Compact, LONG, Compact])], (0, 2, 70)
);
holds!(
    a_slow_commit_while_others_are_merged_and_removed, before [Commit, Compact],
    [(0, &[LargeCommit]), (1, &[Commit, Commit, Compact, MOMENT, Compact, LONG, Compact])],
    (0, 2, 20)
);
holds!(
    a_commit_and_a_drop,
    before[Commit],
    [(0, &[Commit]), (1, &[Drop])],
    (0, ALL, 10),
    (1, 2, 250)
);
holds!(
    a_commit_and_a_drop_that_is_swept_up,
    before[Commit],
    [(0, &[Commit]), (1, &[Drop, Compact])],
    (0, ALL, 21)
);
holds!(
    a_slow_commit_while_it_is_made_anew,
    before[Commit],
    [(0, &[LargeCommit]), (1, &[Drop, MakeAnew])],
    (0, ALL, 30)
);
holds!(
    a_late_commit_to_a_database_that_was_made_anew,
    before[Commit],
    [(0, &[Commit]), (1, &[Drop, MakeAnew, Commit])],
    (0, ALL, 40)
);
holds!(
    a_late_removal_while_it_is_made_anew, before [Commit, Commit, Commit, Compact, MOMENT, Compact],
    [(0, &[LONG, Compact]), (1, &[Drop, MakeAnew])], (0, ALL, 3)
);
holds!(
    a_late_floor_while_it_is_made_anew, before [Commit, Commit, Commit, Compact, MOMENT],
    [(0, &[Compact]), (1, &[Drop, MakeAnew])], (0, ALL, 10)
);
holds!(
    a_late_merge_while_it_is_made_anew,
    before[Commit],
    [(0, &[Compact]), (1, &[Drop, MakeAnew])],
    (0, ALL, 5),
    (1, 1, 100)
);
holds!(
    a_late_large_merge_while_it_is_made_anew,
    before[LargeCommit],
    [(0, &[Compact]), (1, &[Drop, MakeAnewLarge])],
    (0, ALL, 5)
);
holds!(
    two_that_make_it_anew,
    before[Commit],
    [(0, &[Drop, MakeAnew]), (1, &[Drop, MakeAnew])],
    (0, ALL, 280)
);
holds!(
    a_lease_and_a_drop,
    before[Commit],
    [(0, &[Acquire]), (0, &[Drop])],
    (0, ALL, 15),
    (1, 2, 60)
);
holds!(
    a_commit_a_lease_and_a_drop,
    before[Commit],
    [(0, &[Commit]), (0, &[Acquire]), (0, &[Drop])],
    (0, 3, 10)
);
holds!(
    a_lease_that_changes_hands,
    before[Commit],
    [(0, &[Acquire, Commit, Release]), (1, &[Acquire, Commit])],
    (0, ALL, 10)
);
holds!(
    a_restore_and_a_commit, before [Commit, Commit],
    [(0, &[Restore(1)]), (1, &[Commit])], (0, ALL, 4), (1, 2, 120)
);
holds!(a_group_and_a_drop, before[Commit], [(0, &[Group]), (1, &[Drop])], (0, ALL, 8));
holds!(
    two_that_merge, before [Commit, Commit, Commit],
    [(0, &[Compact, MOMENT, Compact]), (1, &[Compact])], (0, ALL, 65)
);
holds!(
    a_reader_while_files_are_removed, before [Commit, Commit, Commit, Compact, MOMENT, Compact],
    [(0, &[LONG, Compact]), (1, &[Look, Look])], (0, ALL, 1)
);
holds!(
    an_import_and_a_commit,
    before[Commit],
    [(0, &[Import]), (1, &[Commit])],
    (0, ALL, 2),
    (1, 2, 80)
);
holds!(
    a_large_import_and_a_merge, before [Commit, Commit],
    [(0, &[ImportLarge]), (1, &[Commit, Compact])], (0, ALL, 12)
);
holds!(
    a_large_import_while_others_are_merged_and_removed,
    before[Commit],
    [(0, &[ImportLarge]), (1, &[Commit, Compact, MOMENT, Compact, LONG, Compact])],
    (0, ALL, 330)
);
holds!(
    an_import_and_a_drop,
    before[Commit],
    [(0, &[ImportLarge]), (1, &[Drop])],
    (0, ALL, 17),
    (1, 1, 150)
);
holds!(
    an_import_while_it_is_made_anew,
    before[Commit],
    [(0, &[ImportLarge]), (1, &[Drop, MakeAnew])],
    (0, ALL, 45)
);
holds!(two_imports, before[Commit], [(0, &[Import]), (1, &[ImportLarge])], (0, ALL, 4));
holds!(
    a_lease_given_back_while_a_commit_is_under_way,
    before[Commit],
    [(0, &[Acquire, Commit]), (1, &[Acquire, Commit])],
    (0, ALL, 8),
    (1, 2, 250)
);
holds!(
    a_lease_that_runs_out_while_a_commit_is_under_way,
    before[Commit],
    [(0, &[Acquire, Commit]), (1, &[Wait(Duration::from_secs(40)), Acquire, Commit])],
    (0, ALL, 450)
);
holds!(
    a_server_that_opens_while_files_are_merged, before [Commit, Commit, Compact],
    [(0, &[Forget, Look]), (1, &[Commit, Commit, Compact, MOMENT, Compact])], (0, ALL, 20)
);
holds!(
    a_commit_from_before_that_comes_late, before [Commit, CommitLate, Commit, Commit, Compact, MOMENT],
    [(0, &[LookBack]), (1, &[Compact, LONG, Compact])], (0, ALL, 550)
);
holds!(
    a_first_commit_from_before_that_comes_late, before [CommitLate, Commit, Commit, Compact, MOMENT],
    [(0, &[Compact]), (1, &[Drop, MakeAnew])], (0, ALL, 40)
);
