//! The scripts.

use std::time::Duration;

use super::board::Bounds;
use super::client::Act;
use super::run::{Script, explore};
use crate::store::compact::{Level, Schedule};

/// Merges into level 1 at once, and removes what is merged a moment later.
fn merging() -> Schedule {
    let soon = Level { every: Duration::ZERO, keep: Duration::from_secs(30 * 86400) };
    let later = Level { every: Duration::from_secs(10 * 86400), keep: soon.keep };
    Schedule { level0_keep: Duration::ZERO, levels: [soon, later, later], snapshots: later }
}

fn bounds(faults: u32, hours: u32) -> Bounds {
    Bounds { depth: 0, faults, hours, ticks: 4 }
}

fn ask(name: &str, mut script: Script) {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse().ok());
    let limit = Duration::from_secs(number("EXPLORE_SECONDS").unwrap_or(10));
    let began = std::time::Instant::now();
    for depth in 1..=number("EXPLORE_DEPTH").unwrap_or(9) as u32 {
        script.bounds.depth = depth;
        match explore(&script) {
            Ok(report) => println!("{name} depth {depth}: {report:?} in {:?}", began.elapsed()),
            Err(violation) => {
                println!("{name} depth {depth}: VIOLATION after {}", violation.after);
                if std::env::var("EXPLORE_TRACE").is_ok() {
                    println!("{}", violation.what);
                } else {
                    println!("{}", violation.what.lines().take(7).collect::<Vec<_>>().join("\n"));
                }
                return;
            }
        }
        if began.elapsed() > limit {
            return;
        }
    }
}

fn script(before: &[Act], actors: &[(usize, &[Act])], bounds: Bounds) -> Script {
    Script {
        schedule: merging(),
        before: before.to_vec(),
        actors: actors.iter().map(|(server, acts)| (*server, acts.to_vec())).collect(),
        bounds,
    }
}

const MOMENT: Duration = Duration::from_secs(1);

macro_rules! ask {
    ($name:ident, $before:expr, $faults:expr, $($actor:expr),+) => {
        #[test]
        fn $name() {
            #[allow(unused_imports)]
            use Act::*;
            let actors: &[(usize, &[Act])] = &[$($actor),+];
            for faults in $faults {
                let name = format!("{} {faults}", stringify!($name));
                ask(&name, script(&$before, actors, bounds(faults, faults.min(1))));
            }
        }
    };
}

ask!(commits, [Commit], 0..3, (0, &[Commit]), (1, &[Commit]));
ask!(
    slow,
    [Commit],
    0..2,
    (0, &[LargeCommit]),
    (1, &[Commit, Commit, Compact, Wait(MOMENT), Compact])
);
ask!(quick, [Commit], 0..2, (0, &[Commit]), (1, &[Commit, Commit, Compact, Wait(MOMENT), Compact]));
ask!(commit_drop, [Commit], 0..3, (0, &[Commit]), (1, &[Drop]));
ask!(slow_commit_drop, [Commit], 0..3, (0, &[LargeCommit]), (1, &[Drop, MakeAnew]));
ask!(
    late_delete,
    [Commit, Commit, Commit, Compact, Wait(MOMENT)],
    0..2,
    (0, &[Compact]),
    (1, &[Drop, MakeAnew])
);
ask!(late_merge, [Commit], 0..2, (0, &[Compact]), (1, &[Drop, MakeAnew]));
ask!(late_large_merge, [LargeCommit], 0..2, (0, &[Compact]), (1, &[Drop, MakeAnew]));
ask!(late_large_merge_large, [LargeCommit], 0..2, (0, &[Compact]), (1, &[Drop, MakeAnewLarge]));
ask!(lease, [Commit], 0..2, (0, &[Commit]), (0, &[Acquire]), (0, &[Drop]));
ask!(lease_drop, [Commit], 0..3, (0, &[Acquire]), (0, &[Drop]));
ask!(lease_hand_over, [Commit], 0..2, (0, &[Acquire, Commit, Release]), (1, &[Acquire, Commit]));
ask!(restore_commit, [Commit, Commit], 0..3, (0, &[Restore(1)]), (1, &[Commit]));
ask!(import_commit, [Commit, Commit], 0..3, (0, &[Import]), (1, &[Commit]));
ask!(anew_late, [Commit], 0..2, (0, &[Commit]), (1, &[Drop, MakeAnew, Commit]));
ask!(anew_twice, [Commit], 0..2, (0, &[Drop, MakeAnew]), (1, &[Drop, MakeAnew]));
ask!(group_drop, [Commit], 0..2, (0, &[Group]), (1, &[Drop]));
ask!(
    compact_both,
    [Commit, Commit, Commit],
    0..2,
    (0, &[Compact, Wait(MOMENT), Compact]),
    (1, &[Compact])
);
ask!(
    compact_read,
    [Commit, Commit, Commit],
    0..2,
    (0, &[Compact, Wait(MOMENT), Compact]),
    (1, &[Look, Look])
);
