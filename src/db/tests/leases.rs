//! The lease: needed to write, lost and found, given back.

use super::*;
use crate::db::LeaseStanding;
use crate::db::settings::SharedSettings;
use crate::error::ErrorKind;
use crate::sys::VirtualTime;
use core::sync::atomic::Ordering::Relaxed;

#[test]
fn without_the_lease_a_write_fails_before_anything_is_written() {
    let fixture = Fixture::with_database();
    let mut connection = fixture.connect();
    connection.lock(Lock::Shared).unwrap();
    let error = connection.lock(Lock::Reserved).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoLease);
    assert!(error.message().contains("PRAGMA litevfs_acquire_lease"), "{error}");
    assert_eq!(read(&mut connection, 2).unwrap(), 2);
}

#[test]
fn acquiring_twice_is_fine_and_closing_gives_it_back() {
    let fixture = Fixture::with_database();
    let mut connection = fixture.connect();
    connection.acquire_lease().unwrap();
    connection.acquire_lease().unwrap();
    assert_eq!(fixture.server.take_calls("acquire_lease"), 1);
    let mut other = fixture.connect();
    assert_eq!(other.acquire_lease().unwrap_err().kind(), ErrorKind::LeaseHeld);
    drop(connection);
    other.acquire_lease().unwrap();
}

#[test]
fn acquiring_moves_to_the_newest_position() {
    let fixture = Fixture::with_database();
    let mut connection = fixture.connect();
    connection.lock(Lock::Shared).unwrap();
    connection.unlock(Lock::None);
    fixture.commit_elsewhere(2, 22, 2);
    connection.acquire_lease().unwrap();
    connection.lock(Lock::Shared).unwrap();
    assert_eq!(read(&mut connection, 2).unwrap(), 22);
}

#[test]
fn a_server_that_names_the_position_is_not_polled_for_it() {
    let fixture = Fixture::with_database();
    fixture.server.tells_pos.store(true, Relaxed);
    let mut connection = fixture.connect();
    let mut calls_to_acquire = || {
        connection.release_lease().unwrap();
        fixture.server.calls.lock().clear();
        connection.acquire_lease().unwrap();
        connection.lock(Lock::Shared).unwrap();
        let value = read(&mut connection, 2).unwrap();
        connection.unlock(Lock::None);
        let calls = core::mem::take(&mut *fixture.server.calls.lock());
        (value, calls.into_iter().map(|(name, _)| name).collect::<Vec<_>>())
    };
    // Before the first poll it is not known of which state the position is.
    let (value, calls) = calls_to_acquire();
    assert_eq!((value, &calls[..2]), (2, &["acquire_lease", "changes"][..]));
    assert_eq!(calls_to_acquire(), (2, vec!["acquire_lease"]));
    fixture.commit_elsewhere(2, 22, 2);
    let (value, calls) = calls_to_acquire();
    assert_eq!((value, &calls[..2]), (22, &["acquire_lease", "changes"][..]));
    assert_eq!(calls_to_acquire(), (22, vec!["acquire_lease"]));
}

#[test]
fn the_background_thread_prolongs_it() {
    let fixture = Fixture::with_database();
    let mut connection = fixture.connect();
    let settings = connection.shared_settings();
    connection.set_shared_settings(SharedSettings { lease_duration_ms: 900, ..settings });
    connection.acquire_lease().unwrap();
    crate::sys::sleep_ms(2_500);
    write(&mut connection, &[(2, 22)], 2, 3).unwrap();
    assert_eq!(fixture.server.take_calls("acquire_lease"), 1);
}

#[test]
fn commits_prolong_it_where_the_server_says_so() {
    let fixture = Fixture::with_database();
    let mut connection = fixture.connect();
    let settings = connection.shared_settings();
    connection.set_shared_settings(SharedSettings { lease_duration_ms: 60_000, ..settings });
    connection.acquire_lease().unwrap();
    let mut left_ms_after_a_commit = |value| {
        write(&mut connection, &[(2, value)], 2, 3).unwrap();
        match connection.report().lease {
            LeaseStanding::Held { left_ms } => left_ms,
            other => panic!("{other:?}"),
        }
    };
    assert!(left_ms_after_a_commit(22) <= 60_000);
    fixture.server.prolongs_ms.store(120_000, Relaxed);
    assert!(left_ms_after_a_commit(23) > 60_000);
}

#[test]
fn a_lost_lease_is_acquired_again_if_nobody_wrote_meanwhile() {
    let fixture = Fixture::with_database();
    let mut connection = fixture.connect();
    connection.acquire_lease().unwrap();
    connection.lock(Lock::Shared).unwrap();
    connection.lock(Lock::Reserved).unwrap();
    fixture.server.break_lease(&fixture.db);
    connection.write_at(offset(2), &page(2, 22, 2, 3)).unwrap();
    connection.write_at(0, &page(1, 1, 2, 3)).unwrap();
    connection.commit().unwrap();
    assert_eq!(fixture.stored(2), Some(22));
}

#[test]
fn a_lost_lease_and_another_writer_fail_the_commit() {
    let fixture = Fixture::with_database();
    let mut connection = fixture.connect();
    connection.acquire_lease().unwrap();
    connection.lock(Lock::Shared).unwrap();
    connection.lock(Lock::Reserved).unwrap();
    connection.write_at(offset(2), &page(2, 22, 2, 3)).unwrap();
    connection.write_at(0, &page(1, 1, 2, 3)).unwrap();
    fixture.server.break_lease(&fixture.db);
    fixture.commit_elsewhere(3, 33, 2);
    assert_eq!(connection.commit().unwrap_err().kind(), ErrorKind::PosMismatch);
    connection.unlock(Lock::None);
    assert_eq!((fixture.stored(2), fixture.stored(3)), (Some(2), Some(33)));
    write(&mut connection, &[(2, 22)], 3, 3).unwrap();
    assert_eq!((fixture.stored(2), fixture.stored(3)), (Some(22), Some(33)));
}

#[test]
fn it_is_not_given_back_in_the_middle_of_a_transaction() {
    let fixture = Fixture::with_database();
    let mut connection = fixture.connect();
    connection.acquire_lease().unwrap();
    connection.lock(Lock::Shared).unwrap();
    connection.lock(Lock::Reserved).unwrap();
    assert_eq!(connection.release_lease().unwrap_err().kind(), ErrorKind::Busy);
    connection.unlock(Lock::None);
    connection.release_lease().unwrap();
    connection.release_lease().unwrap();
    assert_eq!(fixture.server.take_calls("release_lease"), 1);
}

#[test]
fn a_reader_of_an_old_view_can_not_turn_writer() {
    let fixture = Fixture::with_database();
    let mut connection = fixture.connect();
    connection.lock(Lock::Shared).unwrap();
    fixture.commit_elsewhere(2, 22, 2);
    connection.acquire_lease().unwrap();
    assert_eq!(connection.lock(Lock::Reserved).unwrap_err().kind(), ErrorKind::StaleView);
    connection.unlock(Lock::None);
    write(&mut connection, &[(3, 33)], 3, 3).unwrap();
    assert_eq!((fixture.stored(2), fixture.stored(3)), (Some(22), Some(33)));
}

#[test]
fn the_thread_that_prolongs_a_lease_is_started_again_where_there_was_none() {
    let _time = VirtualTime::start();
    let fixture = Fixture::with_database();
    let mut connection = fixture.connect();
    VirtualTime::refuse_next_task();
    connection.acquire_lease().unwrap();
    VirtualTime::advance(2_000);
    assert_eq!(VirtualTime::due(), []);
    // Whoever uses the lease tries again.
    connection.lock(Lock::Shared).unwrap();
    connection.lock(Lock::Reserved).unwrap();
    connection.unlock(Lock::None);
    VirtualTime::advance(2_000);
    let owners = VirtualTime::due();
    assert_eq!(owners.len(), 1);
    VirtualTime::run_due(owners[0]);
    assert_eq!(fixture.server.take_calls("refresh_lease"), 1);
}
