//! The rules that can be broken on purpose, in tests, to see that the tests notice.

/// A rule that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(test), allow(dead_code))]
pub enum Mutant {
    /// A commit is acknowledged however long ago the head was read.
    NoProofAfterSlowCreate,
    /// Commits' own files are removed without a floor over them.
    RemoveBeforeFloor,
    /// They are removed as soon as the floor is over them.
    RemoveBeforeGrace,
    /// What lies below the floor counts.
    FloorIgnoredByReaders,
    /// A name that is made anew has the folder of the one that was dropped.
    ReuseIncarnation,
    /// The last file of a dropped database goes with the others.
    TombstoneRemovedAtOnce,
    /// The lease is not asked for again at the moment when a database is dropped.
    DropIgnoresLease,
    /// A file that was listed is read whatever lies under its name by then.
    ReadsIgnoreVersion,
    /// A head is written over whatever is there.
    HeadUnconditional,
    /// A head that was read a moment ago is not asked for its floor before a commit is acknowledged. What
    /// shows it takes more turns than the explorer's scripts have: found by `tests/late.rs`.
    YoungHeadFloorIgnored,
    /// A list of files that is older than the head is taken for what there is. Whoever takes it for
    /// damaged lists once more, and a commit on it is below the floor; so no client of the explorer's sees it:
    /// found by `tests/late.rs`.
    OldListBelieved,
}

#[cfg(test)]
thread_local! {
    static BROKEN: std::cell::Cell<Option<Mutant>> = const { std::cell::Cell::new(None) };
}

/// Breaks a rule for what this thread does, or none.
#[cfg(test)]
pub fn set(mutant: Option<Mutant>) {
    BROKEN.set(mutant);
}

/// Whether a rule is broken.
#[cfg(test)]
pub fn is(mutant: Mutant) -> bool {
    BROKEN.get() == Some(mutant)
}

/// No rule is ever broken.
#[cfg(not(test))]
pub const fn is(_: Mutant) -> bool {
    false
}
