//! Page 1 as SQLite is shown it, and what may be stored of it.

use super::*;
use crate::error::ErrorKind;
use crate::page1::{self, Page1};

fn shown(connection: &mut Connection) -> Page1 {
    let mut bytes = [0; PAGE_LEN];
    connection.read_at(0, &mut bytes).unwrap();
    Page1::decode(&bytes).unwrap()
}

fn stored(fixture: &Fixture) -> Page1 {
    Page1::decode(&fixture.server.newest(&fixture.db).1[&pgno(1)]).unwrap()
}

/// A transaction that puts these bytes on page 1.
fn write_page1(connection: &mut Connection, page1: &[u8]) -> Result<()> {
    connection.acquire_lease().unwrap();
    connection.lock(Lock::Shared).unwrap();
    connection.lock(Lock::Exclusive).unwrap();
    connection.write_at(0, page1).unwrap();
    connection.commit()
}

#[test]
fn what_sqlite_could_not_open_is_not_committed() {
    for at in [0, 18, 21, 44, 56, 100] {
        // A first page 1 that begins otherwise is a codec's.
        for is_new in [false, true].into_iter().filter(|is_new| at > 0 || !is_new) {
            let fixture = if is_new { Fixture::new() } else { Fixture::with_database() };
            let before = fixture.server.newest(&fixture.db);
            let mut page1 = page(1, 1, 2, if is_new { 1 } else { 3 });
            page1[at] = 0xab;
            let error = write_page1(&mut fixture.connect(), &page1).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {at}");
            assert!(error.message().starts_with("db1: page 1 "), "{error}");
            assert!(error.message().contains("codec"), "{error}");
            assert_eq!(fixture.server.newest(&fixture.db), before);
        }
    }
}

#[test]
fn a_cookie_that_is_shown_as_it_never_was_is_stored_as_it_counts() {
    let fixture = Fixture::with_database();
    let mut connection = fixture.connect();
    connection.lock(Lock::Shared).unwrap();
    assert_eq!(shown(&mut connection).schema_cookie, 0);
    connection.unlock(Lock::None);
    fixture.server.begin_anew(&fixture.db, |pages| {
        pages.insert(pgno(1), page(1, 1, 1, 2));
        pages.insert(pgno(2), page(2, 2, 1, 2));
    });
    let mut settings = connection.shared_settings();
    settings.cache_sync_period_ms = 1;
    connection.set_shared_settings(settings);
    crate::sys::sleep_ms(3);
    connection.lock(Lock::Shared).unwrap();
    let page1 = shown(&mut connection);
    assert_eq!((page1.schema_cookie, stored(&fixture).schema_cookie), (1, 0));
    connection.unlock(Lock::None);
    // SQLite changes the schema, and counts on from what it saw.
    let mut written = page(1, 1, 2, 2);
    page1::set_schema_cookie(&mut written, page1.schema_cookie + 1);
    write_page1(&mut connection, &written).unwrap();
    assert_eq!(stored(&fixture).schema_cookie, 1);
    assert_eq!(shown(&mut connection).schema_cookie, 2);
}

#[test]
fn a_size_that_page_1_does_not_say_is_asked_for_once() {
    let fixture = Fixture::with_database();
    fixture.server.commit_elsewhere(&fixture.db, |pages| {
        let mut old = page(1, 1, 2, 0);
        old[92..96].fill(0);
        pages.insert(pgno(1), old);
    });
    let mut connection = fixture.connect();
    for calls in [1, 0] {
        connection.lock(Lock::Shared).unwrap();
        assert_eq!(connection.size_bytes().unwrap(), 3 * PAGE_LEN as u64);
        assert_eq!(shown(&mut connection).size, Some(3));
        assert_eq!(fixture.server.take_calls("size_pages"), calls);
        connection.unlock(Lock::None);
    }
}
