//! Read views: pinned, never mixed, never stale without saying so.

use super::*;
use crate::backend::twins::{Fault, Operation};
use crate::error::ErrorKind;
use crate::pager::header::{VERSION_LEN, VERSION_OFFSET};

/// Lets the next lock poll at once.
fn make_old(connection: &Connection) {
    let mut settings = connection.shared_settings();
    settings.cache_sync_period_ms = 1;
    connection.set_shared_settings(settings);
    crate::sys::sleep_ms(3);
}

fn version(connection: &mut Connection) -> [u8; VERSION_LEN] {
    let mut bytes = [0; VERSION_LEN];
    connection.read_at(VERSION_OFFSET, &mut bytes).unwrap();
    bytes
}

#[test]
fn a_view_holds_while_others_write_and_the_process_polls() {
    let fixture = Fixture::with_database();
    let (mut old, mut new) = (fixture.connect(), fixture.connect());
    make_old(&old);
    old.lock(Lock::Shared).unwrap();
    assert_eq!(read(&mut old, 2).unwrap(), 2);
    fixture.commit_elsewhere(2, 22, 2);
    crate::sys::sleep_ms(3);
    new.lock(Lock::Shared).unwrap();
    assert_eq!(read(&mut new, 2).unwrap(), 22);
    assert_eq!(read(&mut old, 2).unwrap(), 2);
    assert_eq!(read(&mut old, 3).unwrap(), 3);
    old.unlock(Lock::None);
    old.lock(Lock::Shared).unwrap();
    assert_eq!(read(&mut old, 2).unwrap(), 22);
}

#[test]
fn a_view_that_the_server_forgot_is_an_error_not_other_pages() {
    let fixture = Fixture::with_database();
    let mut connection = fixture.connect();
    connection.lock(Lock::Shared).unwrap();
    fixture.commit_elsewhere(2, 22, 2);
    fixture.server.forget_history(&fixture.db);
    assert_eq!(read(&mut connection, 2).unwrap_err().kind(), ErrorKind::PosMismatch);
    connection.unlock(Lock::None);
    connection.lock(Lock::Shared).unwrap();
    assert_eq!(read(&mut connection, 2).unwrap(), 22);
}

#[test]
fn sqlite_notices_a_move_even_when_the_counter_stands_still() {
    let fixture = Fixture::with_database();
    let mut connection = fixture.connect();
    make_old(&connection);
    connection.lock(Lock::Shared).unwrap();
    read(&mut connection, 1).unwrap();
    let before = version(&mut connection);
    assert_eq!(before, version(&mut connection));
    connection.unlock(Lock::None);
    fixture.commit_elsewhere(2, 22, 1);
    crate::sys::sleep_ms(3);
    connection.lock(Lock::Shared).unwrap();
    assert_ne!(before, version(&mut connection));
    read(&mut connection, 1).unwrap();
    assert_eq!(before, version(&mut connection));
}

#[test]
fn within_the_sync_period_nothing_is_asked() {
    let fixture = Fixture::with_database();
    let mut connection = fixture.connect();
    for _ in 0..10 {
        connection.lock(Lock::Shared).unwrap();
        read(&mut connection, 2).unwrap();
        connection.unlock(Lock::None);
    }
    assert_eq!(fixture.server.calls.lock().len(), 3, "a poll, page 1, page 2");
}

#[test]
fn one_poll_serves_every_open_database() {
    let fixture = Fixture::with_database();
    let other: DbName = "db2".parse().unwrap();
    fixture.server.commit_elsewhere(&other, |pages| {
        pages.insert(pgno(1), page(1, 1, 1, 1));
    });
    let (mut one, mut two) = (fixture.connect(), fixture.origin.connect(&other));
    one.lock(Lock::Shared).unwrap();
    two.lock(Lock::Shared).unwrap();
    assert_eq!(fixture.server.take_calls("changes"), 1);
}

#[test]
fn what_is_cached_stays_readable_while_the_server_is_away() {
    let fixture = Fixture::with_database();
    let mut connection = fixture.connect();
    connection.settings().max_prefetch_pages = 0;
    make_old(&connection);
    connection.lock(Lock::Shared).unwrap();
    read(&mut connection, 2).unwrap();
    connection.unlock(Lock::None);
    crate::sys::sleep_ms(3);
    fixture.backend.plan(&[(Operation::Changes, Fault::Lost), (Operation::Pages, Fault::Lost)]);
    connection.lock(Lock::Shared).unwrap();
    assert_eq!(read(&mut connection, 2).unwrap(), 2);
    assert_eq!(read(&mut connection, 3).unwrap_err().kind(), ErrorKind::Away);
    assert_eq!(read(&mut connection, 3).unwrap(), 3);
}

#[test]
fn without_a_cache_a_server_that_is_away_is_an_error_and_the_next_try_works() {
    let fixture = Fixture::with_database();
    let mut connection = fixture.connect();
    fixture.backend.plan(&[(Operation::Changes, Fault::Lost)]);
    assert_eq!(connection.lock(Lock::Shared).unwrap_err().kind(), ErrorKind::Away);
    connection.lock(Lock::Shared).unwrap();
    assert_eq!(read(&mut connection, 2).unwrap(), 2);
}

#[test]
fn a_query_may_make_so_many_requests_and_no_more() {
    let fixture = Fixture::with_database();
    fixture.server.commit_elsewhere(&fixture.db, |pages| {
        for n in 1..=100 {
            pages.insert(pgno(n), page(n, n as u8, 2, 100));
        }
    });
    let mut connection = fixture.connect();
    connection.settings().max_prefetch_pages = 0;
    connection.settings().max_reqs_per_query = 5;
    connection.lock(Lock::Shared).unwrap();
    let outcomes: Vec<_> = (2..=8).map(|n| read(&mut connection, n * 10)).collect();
    assert!(outcomes[..5].iter().all(Result::is_ok));
    assert_eq!(outcomes[5].as_ref().unwrap_err().kind(), ErrorKind::RequestLimit);
    connection.unlock(Lock::None);
    connection.lock(Lock::Shared).unwrap();
    assert_eq!(read(&mut connection, 70).unwrap(), 70);
}

#[test]
fn reads_of_any_range_are_right_and_past_the_end_short() {
    let fixture = Fixture::with_database();
    let mut connection = fixture.connect();
    connection.lock(Lock::Shared).unwrap();
    let mut bytes = [9; 700];
    assert_eq!(connection.read_at(1_000, &mut bytes).unwrap(), 536);
    assert!(bytes[..24].iter().all(|&byte| byte == 2));
    assert!(bytes[24..536].iter().all(|&byte| byte == 3));
    assert!(bytes[536..].iter().all(|&byte| byte == 0));
    assert_eq!(connection.read_at(1 << 40, &mut bytes).unwrap(), 0);
    assert_eq!(connection.size_bytes().unwrap(), 3 * 512);
}

#[test]
fn a_database_that_is_not_there_is_empty() {
    let fixture = Fixture::new();
    let mut connection = fixture.connect();
    assert!(!connection.exists().unwrap());
    connection.lock(Lock::Shared).unwrap();
    assert_eq!(connection.size_bytes().unwrap(), 0);
    assert_eq!(connection.read_at(0, &mut [0; 100]).unwrap(), 0);
}

#[test]
fn a_view_of_another_history_does_not_get_this_one_s_pages() {
    let fixture = Fixture::with_database();
    fixture.commit_elsewhere(2, 22, 2);
    let (mut old, mut new) = (fixture.connect(), fixture.connect());
    old.settings().max_prefetch_pages = 0;
    make_old(&old);
    old.lock(Lock::Shared).unwrap();
    fixture.server.begin_anew(&fixture.db, |pages| {
        for n in 1..=3 {
            pages.insert(pgno(n), page(n, 100 + n as u8, 1, 3));
        }
    });
    crate::sys::sleep_ms(3);
    new.lock(Lock::Shared).unwrap();
    assert_eq!(read(&mut new, 2).unwrap(), 102);
    assert_eq!(read(&mut old, 2).unwrap_err().kind(), ErrorKind::PosMismatch);
}

#[test]
fn past_the_largest_staleness_no_transaction_begins() {
    let fixture = Fixture::with_database();
    let mut connection = fixture.connect();
    connection.lock(Lock::Shared).unwrap();
    connection.settings().max_staleness_ms = 1;
    let age = |connection: &Connection| connection.sighting().unwrap().lag_ms.unwrap();
    while age(&connection) <= 1 {
        crate::sys::sleep_ms(1);
    }
    assert_eq!(read(&mut connection, 2).unwrap(), 2, "the one that has begun goes on");
    connection.unlock(Lock::None);
    fixture.backend.plan(&[(Operation::Changes, Fault::Lost)]);
    let error = connection.lock(Lock::Shared).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooOld, "{error}");
    connection.settings().max_staleness_ms = 0;
    connection.lock(Lock::Shared).unwrap();
    assert_eq!(read(&mut connection, 2).unwrap(), 2, "without the bound the cache will do");
}

#[test]
fn pages_are_counted_by_where_they_came_from() {
    let fixture = Fixture::with_database();
    let mut connection = fixture.connect();
    connection.settings().max_prefetch_pages = 0;
    connection.lock(Lock::Shared).unwrap();
    for n in [1, 2, 2, 3] {
        read(&mut connection, n).unwrap();
    }
    let report = connection.report();
    let counts = report.pages;
    // Page 1 came when the transaction began.
    assert_eq!((counts.hits, counts.misses), (2, 2), "{counts:?}");
    assert_eq!((counts.fetched, counts.prefetched), (3, 0), "{counts:?}");
    assert_eq!((report.cached_pages, report.cached_bytes), (3, 3 * PAGE_LEN as u64));
    assert_eq!(report.size.map(|(_, pages)| pages), Some(3));
    connection.unlock(Lock::None);
    assert_eq!(connection.report().size, report.size);
}
