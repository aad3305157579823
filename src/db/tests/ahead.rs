//! Opening in one request, and reading ahead: few requests, within bounds, and never a wrong page.

use super::*;
use crate::backend::twins::{Fault, Operation};
use crate::error::ErrorKind;
use core::sync::atomic::Ordering::Relaxed;

const COMMIT: u32 = 12_000;

/// A server that knows all calls, with a database of many pages, each filled with its number.
fn large() -> Fixture {
    let fixture = Fixture::new();
    fixture.server.is_fast.store(true, Relaxed);
    fixture.server.commit_elsewhere(&fixture.db, |pages| {
        for n in 1..=COMMIT {
            pages.insert(pgno(n), page(n, n as u8, 1, COMMIT));
        }
    });
    fixture
}

/// Calls for pages since the last time: how many pages each asked for.
fn asked(fixture: &Fixture) -> Vec<usize> {
    let calls = core::mem::take(&mut *fixture.server.calls.lock());
    calls.into_iter().filter(|(name, _)| *name == "pages").map(|(_, pages)| pages).collect()
}

/// Reads pages in a query of its own; each must be as it was committed.
fn query(connection: &mut Connection, pgnos: impl Iterator<Item = u32>) -> Result<()> {
    connection.lock(Lock::Shared)?;
    for n in pgnos {
        assert_eq!(read(connection, n)?, n as u8, "page {n}");
    }
    connection.unlock(Lock::None);
    Ok(())
}

#[test]
fn a_database_is_opened_in_one_request() {
    let fixture = large();
    let mut connection = fixture.connect();
    query(&mut connection, 1..=60).unwrap();
    let calls: Vec<_> = core::mem::take(&mut *fixture.server.calls.lock());
    assert_eq!(calls, [("open", 92 << 10), ("changes", 1)], "the twin asks itself");
    // From then on it is polled.
    let mut settings = connection.shared_settings();
    settings.cache_sync_period_ms = 1;
    connection.set_shared_settings(settings);
    crate::sys::sleep_ms(3);
    query(&mut connection, 1..=60).unwrap();
    assert_eq!(fixture.server.take_calls("open"), 0);
}

#[test]
fn an_opening_that_is_lost_is_an_error_and_the_next_one_works() {
    let fixture = large();
    let mut connection = fixture.connect();
    fixture.backend.plan(&[(Operation::Open, Fault::Lost)]);
    assert_eq!(query(&mut connection, 1..=3).unwrap_err().kind(), ErrorKind::Away);
    query(&mut connection, 1..=3).unwrap();
    let unknown: DbName = "unknown".parse().unwrap();
    assert!(!fixture.origin.connect(&unknown).exists().unwrap());
}

#[test]
fn a_scan_reads_one_long_answer() {
    let fixture = large();
    let mut connection = fixture.connect();
    query(&mut connection, 1..=COMMIT).unwrap();
    assert!(asked(&fixture).len() <= 5);
    query(&mut connection, 1..=COMMIT).unwrap();
    assert_eq!(asked(&fixture), []);
    let counts = connection.report().pages;
    assert_eq!(counts.fetched, u64::from(COMMIT));
    assert!(counts.misses <= 5 && counts.prefetched >= u64::from(COMMIT) - 200, "{counts:?}");
}

#[test]
fn a_scan_needs_no_room_for_what_it_has_read() {
    let fixture = large();
    let mut connection = fixture.connect();
    let mut settings = connection.shared_settings();
    settings.max_cached_pages = 10;
    connection.set_shared_settings(settings);
    query(&mut connection, 200..=COMMIT).unwrap();
    let asked = asked(&fixture);
    assert!(asked.len() <= 6, "{asked:?}");
}

#[test]
fn a_page_far_ahead_is_asked_for_by_itself() {
    let fixture = large();
    let mut connection = fixture.connect();
    let fetched = |connection: &Connection| connection.report().pages.fetched;
    connection.lock(Lock::Shared).unwrap();
    for n in 200..=6_000 {
        assert_eq!(read(&mut connection, n).unwrap(), n as u8);
    }
    let (before, _) = (fetched(&connection), asked(&fixture));
    assert_eq!(read(&mut connection, 11_000).unwrap(), 11_000_u32 as u8);
    assert_eq!((fetched(&connection), asked(&fixture)), (before + 8, alloc::vec![8]));
    // The scan goes on without another request.
    for n in 6_001..=COMMIT {
        assert_eq!(read(&mut connection, n).unwrap(), n as u8);
    }
    assert_eq!(asked(&fixture), []);
}

#[test]
fn look_ups_all_over_take_few_requests() {
    let _time = crate::sys::VirtualTime::start();
    let fixture = large();
    let mut connection = fixture.connect();
    let mut n = 7_u32;
    for _ in 0..200 {
        n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let at = n % (COMMIT - 200) + 200;
        query(&mut connection, at..=at).unwrap();
    }
    let asked = asked(&fixture);
    assert!(asked.len() <= 15, "{asked:?}");
}

#[test]
fn an_answer_that_breaks_off_is_asked_for_again() {
    for after in 0..20 {
        let fixture = large();
        let mut connection = fixture.connect();
        fixture.backend.plan(&[(Operation::Pages, Fault::BrokenOff(1)); 3]);
        fixture.backend.plan(&[(Operation::Pages, Fault::BrokenOff(after)); 2]);
        while let Err(error) = query(&mut connection, 200..=COMMIT) {
            assert_eq!((error.kind(), after), (ErrorKind::Away, 0));
        }
        while let Err(error) = connection.cache_all() {
            assert_eq!(error.kind(), ErrorKind::Away);
        }
        query(&mut connection, 1..=COMMIT).unwrap();
    }
}

#[test]
fn what_an_old_view_still_gets_is_not_taken_for_new() {
    let fixture = large();
    let (mut old, mut new) = (fixture.connect(), fixture.connect());
    let mut settings = old.shared_settings();
    settings.cache_sync_period_ms = 1;
    old.set_shared_settings(settings);
    old.lock(Lock::Shared).unwrap();
    for n in 1..=6_000 {
        assert_eq!(read(&mut old, n).unwrap(), n as u8);
    }
    // In the middle of a long answer another client changes what is still to come.
    fixture.commit_elsewhere(9_000, 0xee, 2);
    crate::sys::sleep_ms(3);
    new.lock(Lock::Shared).unwrap();
    for n in 6_001..=COMMIT {
        assert_eq!(read(&mut old, n).unwrap(), n as u8, "page {n}");
    }
    for n in (2..=COMMIT).rev() {
        let expected = if n == 9_000 { 0xee } else { n as u8 };
        assert_eq!(read(&mut new, n).unwrap(), expected, "page {n}");
    }
}

#[test]
fn a_commit_of_this_process_ends_a_long_answer_s_way_into_the_cache() {
    let fixture = large();
    let (mut reader, mut writer) = (fixture.connect(), fixture.connect());
    writer.acquire_lease().unwrap();
    reader.lock(Lock::Shared).unwrap();
    for n in 1..=6_000 {
        assert_eq!(read(&mut reader, n).unwrap(), n as u8);
    }
    write(&mut writer, &[(1, 1), (9_000, 0xee)], 2, COMMIT).unwrap();
    writer.unlock(Lock::None);
    for n in 6_001..=COMMIT {
        assert_eq!(read(&mut reader, n).unwrap(), n as u8, "page {n}");
    }
    reader.unlock(Lock::None);
    reader.lock(Lock::Shared).unwrap();
    assert_eq!(read(&mut reader, 9_000).unwrap(), 0xee);
}

#[test]
fn without_bulk_the_ordinary_windows_hold() {
    for (max_prefetch_pages, most) in [(0, 1), (32, 512)] {
        let fixture = large();
        let mut connection = fixture.connect();
        let mut settings = connection.shared_settings();
        settings.max_bulk_bytes = 0;
        connection.set_shared_settings(settings);
        connection.settings().max_prefetch_pages = max_prefetch_pages;
        connection.settings().max_reqs_per_query = 0;
        query(&mut connection, 1..=300).unwrap();
        query(&mut connection, (400..COMMIT).step_by(97)).unwrap();
        let asked = asked(&fixture);
        assert!(asked.iter().all(|&pages| pages <= most), "{asked:?}");
        assert!(max_prefetch_pages > 0 || asked.len() > 300);
    }
}

#[test]
fn the_limits_hold_for_bulk() {
    let fixture = large();
    let mut connection = fixture.connect();
    let mut settings = connection.shared_settings();
    settings.max_bulk_bytes = 600 * PAGE_LEN as u64;
    connection.set_shared_settings(settings);
    query(&mut connection, 1..=COMMIT).unwrap();
    let bulk: usize = asked(&fixture).into_iter().filter(|&pages| pages > 512).sum();
    assert!(bulk <= 600, "{bulk} pages");

    let fixture = large();
    let mut connection = fixture.connect();
    connection.settings().max_reqs_per_query = 2;
    let error = query(&mut connection, 1..=COMMIT).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RequestLimit);
    assert_eq!(asked(&fixture).len(), 2);
}

#[test]
fn a_scan_past_the_bulk_bytes_goes_on_unless_a_limit_was_set() {
    let scan = |max_reqs_per_query| {
        let fixture = large();
        let mut connection = fixture.connect();
        let mut settings = connection.shared_settings();
        settings.max_bulk_bytes = 600 * PAGE_LEN as u64;
        connection.set_shared_settings(settings);
        connection.settings().max_prefetch_pages = 4;
        connection.settings().max_reqs_per_query = max_reqs_per_query;
        let outcome = query(&mut connection, 1..=COMMIT);
        (outcome.map_err(|error| error.kind()), asked(&fixture).len())
    };
    let (outcome, requests) = scan(0);
    assert_eq!(outcome, Ok(()));
    assert!(requests > 64, "{requests}: no more than anybody may make");
    assert_eq!(scan(64), (Err(ErrorKind::RequestLimit), 64));
}

#[test]
fn look_ups_past_the_bulk_bytes_are_limited_only_if_that_was_set() {
    let fixture = large();
    let mut connection = fixture.connect();
    let mut settings = connection.shared_settings();
    settings.max_bulk_bytes = 0;
    connection.set_shared_settings(settings);
    connection.settings().max_prefetch_pages = 0;
    query(&mut connection, (1..=COMMIT).step_by(97)).unwrap();
    assert!(asked(&fixture).len() > 64);
    connection.settings().max_reqs_per_query = 64;
    let error = query(&mut connection, (2..=COMMIT).step_by(97)).unwrap_err();
    assert_eq!((error.kind(), asked(&fixture).len()), (ErrorKind::RequestLimit, 64));
}

#[test]
fn everything_is_fetched_in_one_request() {
    let fixture = large();
    let mut connection = fixture.connect();
    assert_eq!(connection.cache_all().unwrap(), COMMIT);
    assert_eq!(asked(&fixture).len(), 1);
    query(&mut connection, 1..=COMMIT).unwrap();
    assert_eq!(asked(&fixture), []);
}
