//! Commits: all or nothing, at most once, and only when something changed.

use super::*;
use crate::backend::Backend;
use crate::backend::twins::{Fault, Operation};
use crate::error::ErrorKind;
use crate::page1::Page1;
use crate::sys::{Tick, VirtualTime};
use core::sync::atomic::Ordering::Relaxed;

fn writer(fixture: &Fixture) -> Connection {
    let mut connection = fixture.connect();
    connection.acquire_lease().unwrap();
    connection
}

fn txid(fixture: &Fixture) -> u64 {
    fixture.server.newest(&fixture.db).0.txid.0
}

#[test]
fn the_first_transaction_makes_the_database() {
    let fixture = Fixture::new();
    let mut connection = writer(&fixture);
    write(&mut connection, &[(2, 2), (4, 4)], 1, 4).unwrap();
    connection.unlock(Lock::None);
    assert_eq!(txid(&fixture), 1);
    // Page 3 was left out by SQLite: it is zeros.
    assert_eq!([2, 3, 4].map(|n| fixture.stored(n)), [Some(2), Some(0), Some(4)]);
    let mut reader = fixture.connect();
    reader.lock(Lock::Shared).unwrap();
    assert_eq!(read(&mut reader, 4).unwrap(), 4);
}

#[test]
fn nothing_is_visible_before_the_commit_and_nothing_after_a_rollback() {
    let fixture = Fixture::with_database();
    let (mut connection, mut reader) = (writer(&fixture), fixture.connect());
    connection.lock(Lock::Shared).unwrap();
    connection.lock(Lock::Exclusive).unwrap();
    connection.write_at(offset(2), &page(2, 22, 2, 3)).unwrap();
    assert_eq!(read(&mut connection, 2).unwrap(), 22);
    reader.lock(Lock::Shared).unwrap();
    assert_eq!(read(&mut reader, 2).unwrap(), 2);
    connection.unlock(Lock::Shared);
    assert_eq!(read(&mut connection, 2).unwrap(), 2);
    assert_eq!(txid(&fixture), 1);
}

#[test]
fn a_rollback_after_a_spill_pushes_nothing() {
    let fixture = Fixture::with_database();
    let mut connection = writer(&fixture);
    connection.lock(Lock::Shared).unwrap();
    connection.lock(Lock::Exclusive).unwrap();
    connection.write_at(offset(2), &page(2, 22, 2, 3)).unwrap();
    connection.write_at(offset(4), &page(4, 44, 2, 4)).unwrap();
    connection.write_at(offset(2), &page(2, 2, 1, 3)).unwrap();
    connection.truncate(offset(4)).unwrap();
    connection.prepare_commit().unwrap();
    connection.unlock(Lock::None);
    assert_eq!(txid(&fixture), 1);
    assert_eq!(fixture.stored(2), Some(2));
}

/// Between the announcement and the end of a commit SQLite fails, for want of memory or in a VFS on top.
#[test]
fn what_sqlite_rolls_back_after_it_announced_it_is_not_pushed() {
    for keeps_locks in [false, true] {
        let fixture = Fixture::with_database();
        let mut connection = writer(&fixture);
        connection.set_keeps_locks(keeps_locks);
        change(&mut connection, &[(2, 22)], 2, 3).unwrap();
        connection.prepare_commit().unwrap();
        assert_eq!(txid(&fixture), 1);
        write_pages(&mut connection, &[(2, 2)], 1, 3).unwrap();
        connection.prepare_commit().unwrap();
        if !keeps_locks {
            connection.unlock(Lock::None);
        }
        assert_eq!((fixture.stored(2), txid(&fixture)), (Some(2), 1));
        change(&mut connection, &[(3, 33)], 2, 3).unwrap();
        connection.commit().unwrap();
        let stored = [2, 3].map(|n| fixture.stored(n));
        assert_eq!((stored, txid(&fixture)), ([Some(2), Some(33)], 2));
    }
}

/// There it can't be told from a commit before that is finished, or not.
#[test]
fn in_exclusive_mode_a_rollback_after_a_spill_is_forgotten() {
    let fixture = Fixture::with_database();
    let mut connection = writer(&fixture);
    connection.set_keeps_locks(true);
    write(&mut connection, &[(2, 22)], 2, 3).unwrap();
    // What was a free page is not restored.
    connection.write_at(offset(3), &page(3, 99, 0, 3)).unwrap();
    connection.prepare_commit().unwrap();
    assert!(connection.is_clean());
    connection.release_lease().unwrap();
    connection.acquire_lease().unwrap();
    connection.write_at(offset(3), &page(3, 98, 0, 3)).unwrap();
    connection.prepare_commit().unwrap();
    connection.write_at(offset(2), &page(2, 23, 0, 3)).unwrap();
    assert!(!connection.is_clean());
    connection.commit().unwrap();
    assert_eq!((fixture.stored(2), txid(&fixture)), (Some(23), 3));
}

#[test]
fn the_first_transaction_of_a_database_can_be_rolled_back_after_it_was_announced() {
    let fixture = Fixture::new();
    let mut connection = writer(&fixture);
    change(&mut connection, &[(2, 22)], 1, 2).unwrap();
    connection.prepare_commit().unwrap();
    // SQLite cuts the file to nothing, as it was.
    connection.truncate(0).unwrap();
    connection.prepare_commit().unwrap();
    connection.unlock(Lock::None);
    assert!(!connection.exists().unwrap());
    connection.lock(Lock::Shared).unwrap();
    assert_eq!(connection.size_bytes().unwrap(), 0);
    write(&mut connection, &[(2, 23)], 1, 2).unwrap();
    assert_eq!((fixture.stored(2), txid(&fixture)), (Some(23), 1));
}

#[test]
fn a_commit_taken_for_a_rollback_would_not_go_unnoticed() {
    let fixture = Fixture::with_database();
    let mut connection = writer(&fixture);
    // No SQLite does this: a commit that does not count up.
    let error = write(&mut connection, &[(2, 22)], 1, 3).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal);
    write(&mut connection, &[(2, 22)], 2, 3).unwrap();
}

#[test]
fn a_transaction_that_shrinks_the_database() {
    let fixture = Fixture::with_database();
    let mut connection = writer(&fixture);
    write(&mut connection, &[], 2, 2).unwrap();
    connection.truncate(offset(3)).unwrap();
    connection.unlock(Lock::None);
    assert_eq!([2, 3].map(|n| fixture.stored(n)), [Some(2), None]);
    connection.lock(Lock::Shared).unwrap();
    assert_eq!(connection.size_bytes().unwrap(), 2 * 512);
}

#[test]
fn pages_overwritten_unread_cost_one_request() {
    let fixture = Fixture::with_database();
    fixture.server.commit_elsewhere(&fixture.db, |pages| {
        for n in 1..=100 {
            pages.insert(pgno(n), page(n, n as u8, 2, 100));
        }
    });
    let mut connection = writer(&fixture);
    fixture.server.take_calls("");
    let pages: Vec<(u32, u8)> = (2..=90).map(|n| (n, 200)).collect();
    write(&mut connection, &pages, 3, 95).unwrap();
    let calls = core::mem::take(&mut *fixture.server.calls.lock());
    let fetches: Vec<usize> =
        calls.iter().filter(|(name, _)| *name == "pages").map(|(_, count)| *count).collect();
    assert_eq!(fetches, [1, 94], "page 1; then 89 overwritten and 5 truncated ones together");
    assert_eq!([90, 95, 96].map(|n| fixture.stored(n)), [Some(200), Some(95), None]);
}

#[test]
fn in_exclusive_mode_every_transaction_counts_up() {
    let fixture = Fixture::with_database();
    let mut connection = writer(&fixture);
    write(&mut connection, &[(2, 22)], 2, 3).unwrap();
    for (fill, pushed) in [(23, 3), (24, 4)] {
        connection.write_at(offset(2), &page(2, fill, 0, 3)).unwrap();
        connection.commit().unwrap();
        connection.confirm_commit().unwrap();
        assert_eq!((fixture.stored(2), txid(&fixture)), (Some(fill), pushed));
        let (_, pages) = fixture.server.newest(&fixture.db);
        let counter = Page1::decode(&pages[&pgno(1)]).unwrap().change_counter;
        assert_eq!(u64::from(counter), pushed);
    }
    // Written once more, as it is: nothing to commit, and no mistake either.
    connection.write_at(offset(2), &page(2, 24, 0, 3)).unwrap();
    connection.commit().unwrap();
    connection.confirm_commit().unwrap();
    assert_eq!(txid(&fixture), 4);
}

#[test]
fn a_wal_database_stays_one() {
    let fixture = Fixture::with_database();
    fixture.server.commit_elsewhere(&fixture.db, |pages| {
        pages.get_mut(&pgno(1)).unwrap()[18..20].copy_from_slice(&[2, 2]);
    });
    let mut connection = writer(&fixture);
    connection.lock(Lock::Shared).unwrap();
    let mut header = [0; 100];
    connection.read_at(0, &mut header).unwrap();
    assert_eq!(header[18..20], [1, 1]);
    write(&mut connection, &[(2, 22)], 2, 3).unwrap();
    connection.unlock(Lock::Shared);
    connection.read_at(0, &mut header).unwrap();
    assert_eq!(header[18..20], [1, 1]);
    assert_eq!(fixture.server.newest(&fixture.db).1[&pgno(1)][18..20], [2, 2]);
}

#[test]
fn a_lost_request_is_sent_again_and_a_lost_answer_is_not() {
    for fault in [Fault::Lost, Fault::AnswerLost] {
        let fixture = Fixture::with_database();
        let mut connection = writer(&fixture);
        fixture.backend.plan(&[(Operation::Push, fault)]);
        write(&mut connection, &[(2, 22)], 2, 3).unwrap();
        assert_eq!((fixture.stored(2), txid(&fixture)), (Some(22), 2), "{fault:?}");
        connection.unlock(Lock::None);
        connection.lock(Lock::Shared).unwrap();
        assert_eq!(read(&mut connection, 2).unwrap(), 22);
    }
}

#[test]
fn an_unknown_outcome_says_so_and_is_looked_up_before_the_next_transaction() {
    for (fault, stored) in [(Fault::Lost, 2), (Fault::AnswerLost, 22)] {
        let fixture = Fixture::with_database();
        let mut connection = writer(&fixture);
        let deaf = (Operation::Changes, Fault::Lost);
        fixture.backend.plan(&[
            (Operation::Push, fault),
            deaf,
            deaf,
            (Operation::Push, Fault::Lost),
        ]);
        let error = write(&mut connection, &[(2, 22)], 2, 3).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Away);
        assert!(error.message().contains("not known"), "{error}");
        connection.unlock(Lock::None);
        // Whoever looks is not shown what was there before, however often.
        for _ in 0..2 {
            fixture.backend.plan(&[deaf]);
            let error = connection.lock(Lock::Shared).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Away, "{fault:?}");
        }
        connection.lock(Lock::Shared).unwrap();
        assert_eq!(read(&mut connection, 2).unwrap(), stored, "{fault:?}");
    }
}

#[test]
fn before_a_commit_fails_the_late_push_is_fenced_off() {
    let fixture = Fixture::with_database();
    let mut connection = writer(&fixture);
    fixture.backend.plan(&[(Operation::Push, Fault::Lost); 3]);
    let error = write(&mut connection, &[(2, 22)], 2, 3).unwrap_err();
    assert_eq!(error.message(), "db1: the connection was cut");
    assert_eq!(fixture.server.take_calls("release_lease"), 1);
    // The end of SQLite's rollback pushes nothing, whatever the pages look like.
    connection.write_at(offset(3), &page(3, 99, 2, 3)).unwrap();
    connection.prepare_commit().unwrap();
    connection.unlock(Lock::None);
    assert_eq!((fixture.stored(3), txid(&fixture)), (Some(3), 1));
    write(&mut connection, &[(2, 23)], 2, 3).unwrap();
    assert_eq!((fixture.stored(2), txid(&fixture)), (Some(23), 2));
}

#[test]
fn late_pushes_under_several_leases_are_all_fenced_off() {
    let fixture = Fixture::with_database();
    let mut connection = writer(&fixture);
    let faults = [Fault::LostWithTheLease, Fault::Fine, Fault::Lost];
    fixture.backend.plan(&faults.map(|fault| (Operation::Push, fault)));
    let error = write(&mut connection, &[(2, 22)], 2, 3).unwrap_err();
    assert!(!error.message().contains("not known"), "{error}");
    // Of the pushes the second met that the lease was gone. What the third left is not live either.
    fixture.server.acquire_lease(&fixture.db, 1_000, None).unwrap();
}

#[test]
fn a_transaction_with_another_one_on_top_is_found() {
    let fixture = Fixture::with_database();
    let mut connection = writer(&fixture);
    fixture.backend.plan(&[(Operation::Push, Fault::AnswerLostAndWrittenOver)]);
    write(&mut connection, &[(2, 22)], 2, 3).unwrap();
    assert_eq!((fixture.stored(2), fixture.stored(3), txid(&fixture)), (Some(22), Some(77), 3));
    connection.unlock(Lock::None);
    connection.acquire_lease().unwrap();
    connection.lock(Lock::Shared).unwrap();
    assert_eq!((read(&mut connection, 2).unwrap(), read(&mut connection, 3).unwrap()), (22, 77));
}

#[test]
fn a_server_that_is_behind_is_not_taken_at_its_word() {
    let fixture = Fixture::with_database();
    let mut connection = writer(&fixture);
    let (push, behind) = (Operation::Push, (Operation::Changes, Fault::Behind));
    fixture.backend.plan(&[(push, Fault::AnswerLost), (push, Fault::Lost), (push, Fault::Lost)]);
    fixture.backend.plan(&[behind; 5]);
    write(&mut connection, &[(2, 22)], 2, 3).unwrap();
    assert_eq!((fixture.stored(2), txid(&fixture)), (Some(22), 2));
}

#[test]
fn another_transaction_in_its_place_settles_the_outcome() {
    // With the server's answer to a second push, and with its position alone.
    for deaf in [0, 2] {
        let fixture = Fixture::with_database();
        let mut connection = writer(&fixture);
        fixture.backend.plan(&[(Operation::Push, Fault::LostAndWrittenOver)]);
        fixture.backend.plan(&[(Operation::Changes, Fault::Lost)].repeat(deaf));
        let error = write(&mut connection, &[(2, 22)], 2, 3).unwrap_err();
        assert!(!error.message().contains("not known"), "{error}");
        assert_eq!((fixture.stored(2), fixture.stored(3), txid(&fixture)), (Some(2), Some(77), 2));
        connection.unlock(Lock::None);
        write(&mut connection, &[(2, 22)], 3, 3).unwrap();
        assert_eq!((fixture.stored(2), txid(&fixture)), (Some(22), 3));
    }
}

#[test]
fn a_transaction_is_known_by_its_id_where_the_server_knows_such() {
    for lacks_ids in [false, true] {
        let fixture = Fixture::new();
        fixture.server.lacks_commit_ids.store(lacks_ids, Relaxed);
        fixture.make_database();
        let mut connection = writer(&fixture);
        fixture.backend.plan(&[(Operation::Push, Fault::AnswerLostAndForgotten)]);
        let outcome = write(&mut connection, &[(2, 22)], 2, 3);
        assert_eq!((fixture.stored(2), txid(&fixture)), (Some(22), 2));
        match outcome {
            Ok(()) => assert!(!lacks_ids),
            Err(error) => assert!(lacks_ids && error.message().contains("not known"), "{error}"),
        }
    }
}

#[test]
fn a_server_that_can_not_tell_any_more_leaves_the_outcome_open() {
    let fixture = Fixture::with_database();
    let mut connection = writer(&fixture);
    fixture.backend.plan(&[(Operation::Push, Fault::AnswerLostAndMerged)]);
    let error = write(&mut connection, &[(2, 22)], 2, 3).unwrap_err();
    assert_eq!((fixture.stored(2), error.kind()), (Some(22), ErrorKind::Away));
    assert!(error.message().contains("not known"), "{error}");
}

#[test]
fn in_exclusive_mode_a_connection_finds_its_way_back() {
    [true, false].into_iter().for_each(finds_its_way_back);
}

fn finds_its_way_back(is_told_early: bool) {
    let fixture = Fixture::with_database();
    let mut connection = writer(&fixture);
    connection.set_keeps_locks(true);
    write(&mut connection, &[(2, 22)], 2, 3).unwrap();
    connection.write_at(offset(2), &page(2, 23, 0, 3)).unwrap();
    fixture.server.break_lease(&fixture.db);
    fixture.commit_elsewhere(3, 33, 3);
    if is_told_early {
        connection.database.lose_lease();
        let error = connection.prepare_commit().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StaleView);
        // SQLite rolls back; it keeps its lock, so only an I/O error makes it look again.
        connection.write_at(offset(2), &page(2, 22, 0, 3)).unwrap();
        let again = connection.prepare_commit().unwrap_err();
        assert_eq!((again.kind(), again.message()), (ErrorKind::PosMismatch, error.message()));
        connection.write_at(offset(2), &page(2, 22, 0, 3)).unwrap();
        connection.prepare_commit().unwrap();
    } else {
        // SQLite has done with its journal, and looks again.
        connection.prepare_commit().unwrap();
        assert_eq!(connection.confirm_commit().unwrap_err().kind(), ErrorKind::PosMismatch);
    }
    let mut version = [0; 16];
    connection.read_at(24, &mut version).unwrap();
    assert_eq!(read(&mut connection, 3).unwrap(), 33);
    connection.write_at(offset(2), &page(2, 24, 4, 3)).unwrap();
    connection.write_at(0, &page(1, 1, 4, 3)).unwrap();
    connection.commit().unwrap();
    assert_eq!((fixture.stored(2), fixture.stored(3)), (Some(24), Some(33)));
}

#[test]
fn a_commit_that_nobody_answers_has_one_deadline() {
    let _time = VirtualTime::start();
    for (lease_is_over, most_ms) in [(false, 15_000), (true, 8_000)] {
        let fixture = Fixture::with_database();
        let mut connection = writer(&fixture);
        change(&mut connection, &[(2, 22)], 2, 3).unwrap();
        connection.prepare_commit().unwrap();
        if lease_is_over {
            VirtualTime::advance(60_000);
        }
        fixture.backend.fall_silent();
        let asked = Tick::now();
        let error = connection.confirm_commit().unwrap_err();
        assert!(asked.age_ms() <= most_ms, "{} ms", asked.age_ms());
        // Nothing is pushed without a lease.
        assert_eq!(error.message().contains("not known"), !lease_is_over, "{error}");
    }
}
