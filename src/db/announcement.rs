//! What SQLite's announcement of a commit means.
//!
//! SQLite announces (`SQLITE_FCNTL_SYNC`) a commit and the end of a rollback in the same way: a rollback after its
//! cache spilled writes the old pages back, and one after a failed commit may. What it was is told by what came
//! before, and by page 1: a commit counts up on it, unless one under the same lock has done so already. The first
//! row that fits counts; where nothing stands, any value does.
//!
//! | before | written | page 1 | with others | the meaning |
//! | --- | --- | --- | --- | --- |
//! | held back, and decided about since | | | | [`Decided`](Meaning::Decided) |
//! | a commit failed, and was not to be tried again | | | | [`RollbackAfterFailure`](Meaning::RollbackAfterFailure) |
//! | one failed, and SQLite has pages to drop | | | | [`FailOnceMore`](Meaning::FailOnceMore) |
//! | | nothing | | | [`Nothing`](Meaning::Nothing) |
//! | | something | encrypted | no | [`Unsettled`](Meaning::Unsettled) |
//! | commits under this lock, or it is kept | something | encrypted | yes | [`Refused`](Meaning::Refused) |
//! | | something | encrypted | yes | [`Commit`](Meaning::Commit) |
//! | | the size alone | | | [`Unchanged`](Meaning::Unchanged) |
//! | | a new database without page 1 | | | [`Rollback`](Meaning::Rollback) |
//! | commits under this lock | something | | | [`Commit`](Meaning::Commit) |
//! | | something | counts as before | | [`Rollback`](Meaning::Rollback) |
//! | | something | counts on | | [`Commit`](Meaning::Commit) |
//!
//! A commit is held back when it is one with others, and is prepared else. One that leaves every page as it was
//! is as good as none.
//!
//! `SQLITE_FCNTL_COMMIT_PHASETWO` finishes what was announced ([`super::transaction::Unfinished`]): what was
//! held back is decided about, what was prepared is pushed, what was unsettled was a commit, and after a
//! rollback it is an error.
//!
//! When a commit fails, [`after_failure`] says what the next announcement means.

use crate::error::{Error, ErrorKind, Result};

/// What the next announcement means, by the last commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AfterFailure {
    /// None failed, or it may be tried again: it is what it looks like.
    Nothing,
    /// It is the end of the rollback, and must not push, whatever the pages look like.
    Discard,
    /// It is the end of the rollback, but SQLite keeps its lock and its cached pages, and the database
    /// is elsewhere by now. Only an error makes SQLite drop them, roll back once more, and look at the
    /// database anew.
    FailOnce(Error),
}

/// What is known when SQLite announces something, page 1 left out.
#[derive(Debug)]
pub(super) struct Situation {
    /// What was announced before was held back, and decided about since.
    pub is_decided: bool,
    /// What the last commit left behind.
    pub after_failure: AfterFailure,
    /// Pages or the size of the file were changed.
    pub has_written: bool,
    /// It is one of several databases that are committed together.
    pub is_together: bool,
    /// SQLite said that it keeps its locks.
    pub keeps_locks: bool,
    /// There were commits under this lock.
    pub is_further: bool,
}

/// What the page 1 that was written says, next to the stored one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page1Says {
    /// Nothing: a codec encrypts the database.
    Encrypted,
    /// Nothing: no page was written at all.
    Unwritten,
    /// Nothing: it was not written, and the database had none.
    Missing,
    /// It counts what the stored one counts, or was not written.
    Same,
    /// It counts on, or is the first.
    CountsOn,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The outcome is known: of a commit that failed, it is the end of the rollback.
    Decided,
    /// The end of the rollback after a commit that failed.
    RollbackAfterFailure,
    /// The same, but SQLite must be told once more that it failed.
    FailOnceMore(Error),
    /// There is nothing to commit.
    Nothing,
    /// A commit or the end of a rollback: only what follows tells.
    Unsettled,
    /// A commit that can't be told from the end of a rollback, where SQLite has stopped to count.
    Refused,
    /// Nothing that counts.
    Unchanged,
    /// The end of a rollback.
    Rollback,
    /// A commit.
    Commit,
}

impl Situation {
    /// What it means that SQLite announces something. Page 1 is looked at only where it matters.
    pub fn meaning(self, page1: &mut dyn FnMut() -> Result<Page1Says>) -> Result<Meaning> {
        if self.is_decided {
            return Ok(Meaning::Decided);
        }
        match self.after_failure {
            AfterFailure::Nothing => {}
            AfterFailure::Discard => return Ok(Meaning::RollbackAfterFailure),
            AfterFailure::FailOnce(error) => return Ok(Meaning::FailOnceMore(error)),
        }
        if !self.has_written {
            return Ok(Meaning::Nothing);
        }
        let is_counted_once = self.keeps_locks || self.is_further;
        Ok(match page1()? {
            Page1Says::Encrypted if !self.is_together => Meaning::Unsettled,
            Page1Says::Encrypted if is_counted_once => Meaning::Refused,
            Page1Says::Encrypted => Meaning::Commit,
            Page1Says::Unwritten => Meaning::Unchanged,
            Page1Says::Missing => Meaning::Rollback,
            Page1Says::Same if !self.is_further => Meaning::Rollback,
            Page1Says::Same | Page1Says::CountsOn => Meaning::Commit,
        })
    }
}

/// What SQLite's next announcement means after a commit failed before it was decided.
///
/// | error | SQLite keeps its locks | the database is elsewhere | the next announcement |
/// | --- | --- | --- | --- |
/// | another one writes, or has the lease | | | is what it looks like: COMMIT may be tried again |
/// | the view is too old | no | | the same |
/// | any | yes | yes | fails once more, as the error that makes SQLite drop its pages |
/// | any | | | is the end of the rollback |
pub(super) fn after_failure(error: &Error, keeps_locks: bool, is_elsewhere: bool) -> AfterFailure {
    match error.kind() {
        // To SQLite this means "busy": it keeps the transaction.
        ErrorKind::LeaseHeld | ErrorKind::Busy => AfterFailure::Nothing,
        ErrorKind::StaleView if !keeps_locks => AfterFailure::Nothing,
        kind if keeps_locks && is_elsewhere => {
            let kind = if kind == ErrorKind::StaleView { ErrorKind::PosMismatch } else { kind };
            AfterFailure::FailOnce(Error::new(kind, error.message()))
        }
        _ => AfterFailure::Discard,
    }
}

/// An error that ends the transaction. To SQLite "busy" would mean that COMMIT may be tried again, which
/// is not so when a part of it was announced already.
pub(super) fn as_final(error: Error) -> Error {
    match error.kind() {
        ErrorKind::LeaseHeld | ErrorKind::Busy | ErrorKind::StaleView => {
            Error::new(ErrorKind::Refused, error.message())
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A commit of one database on its own, under a lock that was taken for it.
    const ALONE: Situation = Situation {
        is_decided: false,
        after_failure: AfterFailure::Nothing,
        has_written: true,
        is_together: false,
        keeps_locks: false,
        is_further: false,
    };
    const ALL: [Page1Says; 5] = [
        Page1Says::Encrypted,
        Page1Says::Unwritten,
        Page1Says::Missing,
        Page1Says::Same,
        Page1Says::CountsOn,
    ];

    fn error(kind: ErrorKind) -> Error {
        Error::new(kind, "why")
    }

    /// The situations of a commit on its own and with others, under any lock.
    fn each(of: impl Fn() -> Situation) -> impl Iterator<Item = Situation> {
        (0..8_u8).map(move |bits| Situation {
            is_together: bits & 1 != 0,
            keeps_locks: bits & 2 != 0,
            is_further: bits & 4 != 0,
            ..of()
        })
    }

    #[test]
    fn what_came_before_goes_before_what_was_written() {
        let failed = error(ErrorKind::PosMismatch);
        let discard = || Situation { after_failure: AfterFailure::Discard, ..ALONE };
        let fail = || Situation { after_failure: AfterFailure::FailOnce(failed.clone()), ..ALONE };
        let mut unasked = || -> Result<Page1Says> { panic!("page 1 is of no consequence") };
        let mut check = |situation: Situation, meaning: Meaning| {
            let unwritten = Situation {
                has_written: false,
                after_failure: situation.after_failure.clone(),
                ..situation
            };
            assert_eq!(situation.meaning(&mut unasked).unwrap(), meaning);
            assert_eq!(unwritten.meaning(&mut unasked).unwrap(), meaning);
        };
        for situation in each(discard).chain(each(fail)) {
            check(Situation { is_decided: true, ..situation }, Meaning::Decided);
        }
        each(discard).for_each(|it| check(it, Meaning::RollbackAfterFailure));
        each(fail).for_each(|it| check(it, Meaning::FailOnceMore(failed.clone())));
        each(|| Situation { has_written: false, ..ALONE })
            .for_each(|it| check(it, Meaning::Nothing));
    }

    #[test]
    fn the_table_of_page_1() {
        use Meaning::{Commit, Refused, Rollback, Unchanged, Unsettled};
        // By what page 1 says, in the order of ALL.
        let alone = [Unsettled, Unchanged, Rollback, Rollback, Commit];
        let alone_further = [Unsettled, Unchanged, Rollback, Commit, Commit];
        let together = [Commit, Unchanged, Rollback, Rollback, Commit];
        let together_kept = [Refused, Unchanged, Rollback, Rollback, Commit];
        let together_further = [Refused, Unchanged, Rollback, Commit, Commit];
        for situation in each(|| ALONE) {
            let row = match (situation.is_together, situation.keeps_locks, situation.is_further) {
                (false, _, false) => &alone,
                (false, _, true) => &alone_further,
                (true, false, false) => &together,
                (true, true, false) => &together_kept,
                (true, _, true) => &together_further,
            };
            for (says, meaning) in ALL.into_iter().zip(row) {
                let after_failure = AfterFailure::Nothing;
                let it = Situation { after_failure, ..situation };
                let text = format!("{it:?}, {says:?}");
                assert_eq!(it.meaning(&mut || Ok(says)).as_ref(), Ok(meaning), "{text}");
            }
        }
    }

    #[test]
    fn what_page_1_can_not_say_is_an_error() {
        let unreadable = error(ErrorKind::Away);
        let meaning = ALONE.meaning(&mut || Err(unreadable.clone()));
        assert_eq!(meaning, Err(unreadable));
    }

    #[test]
    fn the_table_of_failures() {
        use AfterFailure::{Discard, FailOnce, Nothing};
        let elsewhere = |kind| FailOnce(error(kind));
        // With locks that are given back and kept, and with those the same of a database that is elsewhere.
        let cases = [
            (ErrorKind::LeaseHeld, [Nothing, Nothing, Nothing, Nothing]),
            (ErrorKind::Busy, [Nothing, Nothing, Nothing, Nothing]),
            (ErrorKind::StaleView, [Nothing, Discard, Nothing, elsewhere(ErrorKind::PosMismatch)]),
            (ErrorKind::Away, [Discard, Discard, Discard, elsewhere(ErrorKind::Away)]),
            (ErrorKind::Refused, [Discard, Discard, Discard, elsewhere(ErrorKind::Refused)]),
        ];
        for (kind, expected) in cases {
            let states = [(false, false), (true, false), (false, true), (true, true)];
            for ((keeps_locks, is_elsewhere), expected) in states.into_iter().zip(expected) {
                let after = after_failure(&error(kind), keeps_locks, is_elsewhere);
                assert_eq!(after, expected, "{kind:?}, {keeps_locks}, {is_elsewhere}");
            }
        }
    }
}
