//! Several databases of one SQLite connection: committed together, read as of one state.

use super::*;
use crate::backend::twins::{Fault, Operation};
use crate::db::{Groups, Owner};
use crate::error::{Error, ErrorKind};
use crate::sys::{Tick, VirtualTime};
use core::sync::atomic::Ordering::Relaxed;

/// Two databases at the same server, of one SQLite connection.
struct Pair {
    fixture: Fixture,
    groups: Groups,
    names: [DbName; 2],
}

const OWNER: Owner = 1;

impl Pair {
    fn new() -> Pair {
        let fixture = Fixture::with_database();
        let names = [fixture.db.clone(), "db2".parse().unwrap()];
        fixture.server.commit_elsewhere(&names[1], |pages| {
            for n in 1..=3 {
                pages.insert(pgno(n), page(n, n as u8, 1, 3));
            }
        });
        Pair { fixture, groups: Groups::new(), names }
    }

    fn connect(&self, owner: Owner) -> [Connection; 2] {
        [0, 1].map(|i| {
            let mut connection = self.fixture.origin.connect(&self.names[i]);
            connection.join(&self.groups, owner);
            connection
        })
    }

    fn writers(&self) -> [Connection; 2] {
        let mut connections = self.connect(OWNER);
        connections.iter_mut().for_each(|connection| connection.acquire_lease().unwrap());
        self.fixture.server.take_calls("");
        connections
    }

    /// What is stored of page 2 of both.
    fn stored(&self) -> [u8; 2] {
        [0, 1].map(|i| self.fixture.server.newest(&self.names[i]).1[&pgno(2)][PAGE_LEN - 1])
    }

    fn plan(&self, faults: &[(Operation, Fault)]) {
        self.fixture.backend.plan(faults);
    }

    /// Another client commits to both; no poll of this process comes between.
    fn commit_elsewhere(&self, fill: u8, counter: u32) {
        for name in &self.names {
            self.fixture.server.commit_elsewhere(name, |pages| {
                pages.insert(pgno(1), page(1, 1, counter, 3));
                pages.insert(pgno(2), page(2, fill, counter, 3));
            });
        }
    }
}

/// What SQLite does to a database before it commits.
fn change(connection: &mut Connection, fill: u8, counter: u32) {
    connection.lock(Lock::Shared).unwrap();
    connection.lock(Lock::Exclusive).unwrap();
    connection.write_at(offset(2), &page(2, fill, counter, 3)).unwrap();
    connection.write_at(0, &page(1, 1, counter, 3)).unwrap();
}

fn announce(connections: &mut [Connection; 2], together: bool) -> Result<()> {
    connections.iter_mut().try_for_each(|connection| match together {
        true => connection.prepare_commit_together(),
        false => connection.prepare_commit(),
    })
}

/// The second phase, without a super-journal, up to the first error; then the locks go.
fn finish(connections: &mut [Connection; 2]) -> Result<()> {
    let outcome = connections.iter_mut().try_for_each(Connection::confirm_commit);
    connections.iter_mut().for_each(|connection| connection.unlock(Lock::None));
    outcome
}

fn transfer(connections: &mut [Connection; 2], fill: u8, counter: u32) -> Result<()> {
    connections.iter_mut().for_each(|connection| change(connection, fill, counter));
    announce(connections, false)?;
    finish(connections)
}

fn reads(connections: &mut [Connection; 2]) -> [u8; 2] {
    let fills = [0, 1].map(|i| {
        connections[i].lock(Lock::Shared).unwrap();
        read(&mut connections[i], 2).unwrap()
    });
    connections.iter_mut().for_each(|connection| connection.unlock(Lock::None));
    fills
}

fn make_old(pair: &Pair) {
    let connection = pair.fixture.connect();
    for name in &pair.names {
        let connection = pair.fixture.origin.connect(name);
        let mut settings = connection.shared_settings();
        settings.cache_sync_period_ms = 1;
        connection.set_shared_settings(settings);
    }
    drop(connection);
    crate::sys::sleep_ms(3);
}

#[test]
fn nothing_is_pushed_before_the_decision_and_then_all_in_one_request() {
    let pair = Pair::new();
    let mut writers = pair.writers();
    writers.iter_mut().for_each(|writer| change(writer, 22, 2));
    announce(&mut writers, false).unwrap();
    assert_eq!(pair.stored(), [2, 2]);
    writers[0].confirm_commit().unwrap();
    assert_eq!(pair.stored(), [22, 22]);
    // Both are visible here, although SQLite has not finished with the second.
    assert_eq!(reads(&mut pair.connect(2)), [22, 22]);
    finish(&mut writers).unwrap();
    let calls = core::mem::take(&mut *pair.fixture.server.calls.lock());
    let pushes = calls.iter().filter(|(name, _)| name.starts_with("push"));
    assert_eq!(pushes.collect::<Vec<_>>(), [&("push_group", 2)]);
    transfer(&mut writers, 23, 3).unwrap();
    assert_eq!((pair.stored(), reads(&mut writers)), ([23, 23], [23, 23]));
}

#[test]
fn a_super_journal_decides_when_it_is_deleted() {
    let pair = Pair::new();
    let mut writers = pair.writers();
    writers.iter_mut().for_each(|writer| change(writer, 22, 2));
    announce(&mut writers, true).unwrap();
    let round = writers[1].round().unwrap();
    round.decide().unwrap();
    round.decide().unwrap();
    assert_eq!(pair.stored(), [22, 22]);
    finish(&mut writers).unwrap();
    assert_eq!(reads(&mut writers), [22, 22]);
    assert_eq!(pair.fixture.server.take_calls("push_group"), 1);
}

#[test]
fn a_database_that_changed_alone_is_pushed_alone() {
    let pair = Pair::new();
    let mut writers = pair.writers();
    // The other one is locked as well, as by BEGIN IMMEDIATE.
    writers[1].lock(Lock::Shared).unwrap();
    writers[1].lock(Lock::Reserved).unwrap();
    change(&mut writers[0], 22, 2);
    announce(&mut writers, false).unwrap();
    assert_eq!(pair.stored(), [2, 2]);
    finish(&mut writers).unwrap();
    assert_eq!(pair.stored(), [22, 2]);
    // Not locked, it does not count.
    change(&mut writers[0], 23, 3);
    writers[0].prepare_commit().unwrap();
    assert_eq!(pair.stored(), [22, 2]);
    finish(&mut writers).unwrap();
    assert_eq!(pair.stored(), [23, 2]);
    let calls = core::mem::take(&mut *pair.fixture.server.calls.lock());
    let pushes = calls.iter().filter(|(name, _)| name.starts_with("push"));
    assert!(pushes.map(|(name, _)| name).eq([&"push", &"push"]));
}

#[test]
fn lost_requests_and_answers_are_mended() {
    let push = Operation::PushGroup;
    let faults: [&[(Operation, Fault)]; 5] = [
        &[(push, Fault::Lost)],
        &[(push, Fault::AnswerLost)],
        &[(push, Fault::AnswerLost), (push, Fault::Lost)],
        &[(push, Fault::AnswerLost), (push, Fault::UnknownInFront), (push, Fault::UnknownInFront)],
        &[(push, Fault::AnswerLost); 3],
    ];
    for faults in faults {
        let pair = Pair::new();
        let mut writers = pair.writers();
        pair.plan(faults);
        transfer(&mut writers, 22, 2).unwrap();
        assert_eq!((pair.stored(), reads(&mut writers)), ([22, 22], [22, 22]), "{faults:?}");
        assert_eq!(pair.fixture.server.newest(&pair.names[1]).0.txid.0, 2, "{faults:?}");
    }
}

#[test]
fn what_never_arrived_is_fenced_off_before_commit_fails() {
    let pair = Pair::new();
    let mut writers = pair.writers();
    pair.plan(&[(Operation::PushGroup, Fault::Lost); 3]);
    let error = transfer(&mut writers, 22, 2).unwrap_err();
    assert!(!error.message().contains("not known"), "{error}");
    assert!(error.message().starts_with("db1, db2: "), "{error}");
    assert_eq!(pair.fixture.server.take_calls("abort_group"), 1);
    assert_eq!((pair.stored(), reads(&mut writers)), ([2, 2], [2, 2]));
    transfer(&mut writers, 23, 3).unwrap();
    assert_eq!(pair.stored(), [23, 23]);
}

#[test]
fn an_outcome_that_is_not_known_says_so_and_is_looked_up() {
    for (fault, fill) in [(Fault::Lost, 2), (Fault::AnswerLost, 22)] {
        let pair = Pair::new();
        let mut writers = pair.writers();
        pair.plan(&[(Operation::PushGroup, fault); 3]);
        pair.plan(&[(Operation::AbortGroup, Fault::Lost)]);
        let error = transfer(&mut writers, 22, 2).unwrap_err();
        assert!(error.message().contains("not known"), "{error}");
        assert_eq!((error.kind(), reads(&mut writers)), (ErrorKind::Away, [fill; 2]));
        transfer(&mut writers, 23, 3).unwrap();
        assert_eq!(pair.stored(), [23, 23]);
    }
}

#[test]
fn when_one_of_them_is_refused_none_is_committed() {
    let pair = Pair::new();
    let mut writers = pair.writers();
    writers.iter_mut().for_each(|writer| change(writer, 22, 2));
    announce(&mut writers, false).unwrap();
    pair.fixture.server.break_lease(&pair.names[1]);
    pair.fixture.server.commit_elsewhere(&pair.names[1], |pages| {
        pages.insert(pgno(2), page(2, 99, 2, 3));
    });
    let error = finish(&mut writers).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PosMismatch, "{error}");
    assert!(error.message().contains("db2"), "{error}");
    assert_eq!((pair.stored(), reads(&mut writers)), ([2, 99], [2, 99]));
}

#[test]
fn a_lease_that_was_lost_meanwhile_is_acquired_again() {
    let pair = Pair::new();
    let mut writers = pair.writers();
    writers.iter_mut().for_each(|writer| change(writer, 22, 2));
    announce(&mut writers, false).unwrap();
    pair.fixture.server.break_lease(&pair.names[1]);
    finish(&mut writers).unwrap();
    assert_eq!(pair.stored(), [22, 22]);
}

#[test]
fn a_rollback_of_what_was_announced_pushes_nothing() {
    let pair = Pair::new();
    let mut writers = pair.writers();
    writers.iter_mut().for_each(|writer| change(writer, 22, 2));
    // The second one fails: SQLite rolls back, and announces that for the first.
    writers[0].prepare_commit_together().unwrap();
    let round = writers[0].round().unwrap();
    let error = Error::new(ErrorKind::Unsupported, "no");
    writers[1].refuse_commit(error);
    change(&mut writers[0], 2, 1);
    writers[0].prepare_commit().unwrap();
    assert!(round.decide().is_err());
    writers.iter_mut().for_each(|writer| writer.unlock(Lock::None));
    assert_eq!((pair.stored(), reads(&mut writers)), ([2, 2], [2, 2]));
    transfer(&mut writers, 23, 2).unwrap();
    assert_eq!(pair.stored(), [23, 23]);
}

#[test]
fn without_a_journal_only_the_locks_go() {
    let pair = Pair::new();
    let mut writers = pair.writers();
    change(&mut writers[0], 22, 2);
    change(&mut writers[1], 22, 2);
    writers[0].prepare_commit().unwrap();
    let round = writers[0].round().unwrap();
    writers.iter_mut().for_each(|writer| writer.unlock(Lock::None));
    assert!(round.decide().is_err());
    assert_eq!(pair.stored(), [2, 2]);
    transfer(&mut writers, 23, 2).unwrap();
    assert_eq!(pair.stored(), [23, 23]);
}

#[test]
fn what_is_announced_again_is_committed_once_as_it_is_then() {
    let pair = Pair::new();
    let mut writers = pair.writers();
    writers.iter_mut().for_each(|writer| change(writer, 22, 2));
    announce(&mut writers, false).unwrap();
    writers[0].write_at(offset(2), &page(2, 33, 2, 3)).unwrap();
    announce(&mut writers, false).unwrap();
    finish(&mut writers).unwrap();
    assert_eq!((pair.stored(), reads(&mut writers)), ([33, 22], [33, 22]));
    assert_eq!(pair.fixture.server.newest(&pair.names[0]).0.txid.0, 2);
}

#[test]
fn in_exclusive_mode_transactions_follow_each_other() {
    let pair = Pair::new();
    let mut writers = pair.writers();
    writers.iter_mut().for_each(|writer| writer.set_keeps_locks(true));
    for (fill, counter) in [(22, 2), (23, 2), (24, 2)] {
        writers.iter_mut().for_each(|writer| change(writer, fill, counter));
        announce(&mut writers, false).unwrap();
        writers.iter_mut().for_each(|writer| writer.confirm_commit().unwrap());
        assert_eq!(pair.stored(), [fill, fill]);
    }
    // One that fails: SQLite drops what it has cached, and looks at the version again.
    writers.iter_mut().for_each(|writer| change(writer, 25, 2));
    announce(&mut writers, false).unwrap();
    pair.plan(&[(Operation::PushGroup, Fault::Lost); 3]);
    writers[0].confirm_commit().unwrap_err();
    // The second one's rollback is announced; its cached pages must go as well.
    change(&mut writers[1], 24, 2);
    writers[1].prepare_commit().unwrap_err();
    for writer in &mut writers {
        writer.read_at(24, &mut [0; 16]).unwrap();
        assert_eq!(read(writer, 2).unwrap(), 24);
    }
    writers.iter_mut().for_each(|writer| change(writer, 26, 3));
    announce(&mut writers, false).unwrap();
    writers.iter_mut().for_each(|writer| writer.confirm_commit().unwrap());
    assert_eq!(pair.stored(), [26, 26]);
}

#[test]
fn databases_of_different_origins_are_refused() {
    let (here, there) = (Pair::new(), Pair::new());
    let mut writers = here.writers();
    let mut other = there.fixture.origin.connect(&there.names[1]);
    other.join(&here.groups, OWNER);
    other.acquire_lease().unwrap();
    change(&mut writers[0], 22, 2);
    change(&mut other, 22, 2);
    writers[0].prepare_commit().unwrap();
    let error = other.prepare_commit().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("different servers"), "{error}");
    assert!(writers[0].confirm_commit().is_err());
    assert_eq!((here.stored(), there.stored()), ([2, 2], [2, 2]));
}

#[test]
fn a_second_view_is_of_the_state_of_the_first() {
    let pair = Pair::new();
    let mut readers = pair.connect(OWNER);
    assert_eq!(reads(&mut readers), [2, 2]);
    make_old(&pair);
    readers[0].lock(Lock::Shared).unwrap();
    pair.commit_elsewhere(22, 2);
    crate::sys::sleep_ms(3);
    // The process polls and sees both at once; this connection has begun already.
    assert_eq!(reads(&mut pair.connect(2)), [22, 22]);
    readers[1].lock(Lock::Shared).unwrap();
    assert_eq!([0, 1].map(|i| read(&mut readers[i], 2).unwrap()), [2, 2]);
    readers.iter_mut().for_each(|reader| reader.unlock(Lock::None));
    assert_eq!(reads(&mut readers), [22, 22]);
}

#[test]
fn databases_that_were_opened_one_by_one_are_read_as_of_one_state() {
    let pair = Pair::new();
    pair.fixture.server.is_fast.store(true, Relaxed);
    let mut writers = pair.writers();
    let mut readers = pair.connect(2);
    readers[0].lock(Lock::Shared).unwrap();
    assert_eq!(read(&mut readers[0], 2).unwrap(), 2);
    transfer(&mut writers, 9, 2).unwrap();
    readers[1].lock(Lock::Shared).unwrap();
    assert_eq!(read(&mut readers[1], 2).unwrap(), 2);
    readers.iter_mut().for_each(|connection| connection.unlock(Lock::None));
    assert_eq!(reads(&mut readers), [9, 9]);
}

#[test]
fn a_second_view_is_the_newest_where_the_first_one_still_is() {
    let pair = Pair::new();
    let mut readers = pair.connect(OWNER);
    reads(&mut readers);
    make_old(&pair);
    readers[0].lock(Lock::Shared).unwrap();
    pair.fixture.server.commit_elsewhere(&pair.names[1], |pages| {
        pages.insert(pgno(2), page(2, 77, 2, 3));
    });
    crate::sys::sleep_ms(3);
    readers[1].lock(Lock::Shared).unwrap();
    assert_eq!([0, 1].map(|i| read(&mut readers[i], 2).unwrap()), [2, 77]);
    // Never back from there in the same transaction, whatever happens to the first.
    readers[1].unlock(Lock::None);
    pair.commit_elsewhere(99, 3);
    crate::sys::sleep_ms(3);
    assert_eq!(reads(&mut pair.connect(2)), [99, 99]);
    readers[1].lock(Lock::Shared).unwrap();
    assert_eq!([0, 1].map(|i| read(&mut readers[i], 2).unwrap()), [2, 77]);
}

#[test]
fn where_no_common_state_is_known_reading_fails_and_works_again() {
    let pair = Pair::new();
    let [mut first, second] = pair.connect(OWNER);
    drop(second);
    first.lock(Lock::Shared).unwrap();
    assert_eq!(read(&mut first, 2).unwrap(), 2);
    pair.commit_elsewhere(22, 2);
    let mut late = pair.fixture.origin.connect(&pair.names[1]);
    late.join(&pair.groups, OWNER);
    assert_eq!(late.lock(Lock::Shared).unwrap_err().kind(), ErrorKind::StaleView);
    first.unlock(Lock::None);
    assert_eq!(reads(&mut [first, late]), [22, 22]);
}

#[test]
fn one_database_costs_no_more_requests() {
    let pair = Pair::new();
    let mut pairs = pair.connect(OWNER);
    reads(&mut pairs);
    make_old(&pair);
    pair.fixture.server.take_calls("");
    assert_eq!(reads(&mut pairs), [2, 2]);
    // One poll answers for both; within the period there is none.
    assert!(pair.fixture.server.take_calls("changes") <= 2);
    let mut settings = pairs[0].shared_settings();
    settings.cache_sync_period_ms = 60_000;
    pairs.iter().for_each(|reader| reader.set_shared_settings(settings));
    for _ in 0..5 {
        reads(&mut pairs);
    }
    assert!(pair.fixture.server.calls.lock().is_empty());
}

#[test]
fn a_commit_of_several_that_nobody_answers_has_one_deadline() {
    let _time = VirtualTime::start();
    let pair = Pair::new();
    let mut connections = pair.writers();
    connections.iter_mut().for_each(|connection| change(connection, 7, 2));
    announce(&mut connections, true).unwrap();
    pair.fixture.backend.fall_silent();
    let asked = Tick::now();
    let error = finish(&mut connections).unwrap_err();
    // And what a slow line needs for it.
    assert!(asked.age_ms() <= 15_010, "{} ms", asked.age_ms());
    assert!(error.message().contains("not known"), "{error}");
}
