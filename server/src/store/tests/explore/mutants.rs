//! Each rule, broken on purpose, shows: some schedule of its script ends wrong.

use super::client::Act::*;
use super::run::explore;
use super::scripts::{Actors, LONG, MOMENT, script};
use crate::store::bucket::mutant::{self, Mutant};

/// Asserts that a script ends wrong with a rule broken; the shallow schedules come first.
fn found(broken: Mutant, before: &[super::client::Act], actors: Actors<'_>, deepest: u32) {
    mutant::set(Some(broken));
    let mut schedules = 0;
    for depth in 1..=deepest {
        match explore(&script(before, actors, 0, depth)) {
            Ok(report) => schedules += report.schedules,
            Err(violation) => {
                mutant::set(None);
                schedules += violation.after + 1;
                println!("{broken:?} is found by schedule {schedules}, of depth {depth}");
                if std::env::var("EXPLORE_TRACE").is_ok() {
                    println!("{}", violation.what);
                }
                return;
            }
        }
    }
    panic!("{broken:?} is not found in {schedules} schedules");
}

macro_rules! mutants {
    ($($name:ident: $mutant:ident, before $before:expr, $actors:expr, $deepest:expr;)+) => {
        $(
            #[test]
            fn $name() {
                found(Mutant::$mutant, &$before, &$actors, $deepest);
            }
        )+
    };
}

mutants! {
    no_proof_after_a_slow_create: NoProofAfterSlowCreate, before [Commit],
        [(0, &[Commit]), (1, &[Commit, Commit, Compact, MOMENT, Compact, LONG, Compact])], 3;
    files_removed_without_a_floor: RemoveBeforeFloor, before [Commit],
        [(0, &[Commit]), (1, &[Commit, Commit, Compact, MOMENT, Compact])], 3;
    files_removed_at_once: RemoveBeforeGrace, before [Commit],
        [(0, &[Commit]), (1, &[Commit, Commit, Compact, MOMENT, Compact])], 3;
    a_floor_that_readers_ignore: FloorIgnoredByReaders, before [Commit, Compact],
        [(0, &[Commit]), (1, &[Commit, Commit, Compact, MOMENT, Compact, LONG, Compact])], 3;
    a_folder_that_is_used_again: ReuseIncarnation, before [Commit],
        [(0, &[Compact]), (1, &[Drop, MakeAnew])], 3;
    a_tombstone_removed_at_once: TombstoneRemovedAtOnce, before [Commit],
        [(0, &[Commit]), (1, &[Drop, Compact])], 3;
    a_drop_that_ignores_the_lease: DropIgnoresLease, before [Commit],
        [(0, &[Acquire]), (0, &[Drop])], 5;
    a_file_read_whatever_lies_under_its_name: ReadsIgnoreVersion,
        before [Commit, CommitLate, Commit, Commit, Compact, MOMENT],
        [(0, &[LookBack]), (1, &[Compact, LONG, Compact])], 3;
    a_head_written_over_another: HeadUnconditional,
        before [Commit, Commit, Commit, Compact, MOMENT],
        [(0, &[Compact]), (1, &[Drop, MakeAnew])], 3;
}
