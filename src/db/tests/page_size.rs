//! Changes of the page size: what SQLite wrote over the old pages becomes the new ones.

use super::*;
use crate::error::ErrorKind;

/// A server that holds four pages of 512 bytes, filled with 1 to 4, and a connection that writes.
fn started() -> (Fixture, Connection) {
    let fixture = Fixture::new();
    fixture.server.commit_elsewhere(&fixture.db, |pages| {
        for n in 1..=4 {
            pages.insert(pgno(n), page(n, n as u8, 1, 4));
        }
    });
    let mut connection = fixture.connect();
    connection.acquire_lease().unwrap();
    connection.lock(Lock::Shared).unwrap();
    connection.lock(Lock::Exclusive).unwrap();
    (fixture, connection)
}

/// Page 1 of 512 bytes that says how large pages are.
fn page1(page_size: u16, counter: u32, commit: u32) -> Vec<u8> {
    let mut page1 = page(1, 1, counter, commit);
    page1[16..18].copy_from_slice(&page_size.to_be_bytes());
    page1
}

fn stored_lens(fixture: &Fixture) -> Vec<usize> {
    fixture.server.newest(&fixture.db).1.values().map(Vec::len).collect()
}

#[test]
fn two_pages_become_one_and_one_becomes_two() {
    let (fixture, mut connection) = started();
    let mut reader = fixture.connect();
    reader.lock(Lock::Shared).unwrap();
    // What is not written stays as it is at its place in the file.
    connection.write_at(offset(4), &page(4, 44, 2, 2)).unwrap();
    connection.write_at(0, &page1(1024, 2, 2)).unwrap();
    connection.commit().unwrap();
    connection.confirm_commit().unwrap();
    assert_eq!(stored_lens(&fixture), [1024, 1024]);
    let (_, pages) = fixture.server.newest(&fixture.db);
    assert_eq!([pages[&pgno(1)][1023], pages[&pgno(2)][0], pages[&pgno(2)][1023]], [2, 3, 44]);
    assert_eq!(connection.size_bytes().unwrap(), 2048);
    assert_eq!(read(&mut connection, 4).unwrap(), 44);
    // A reader that began before keeps its pages.
    assert_eq!(read(&mut reader, 4).unwrap(), 4);

    connection.write_at(0, &[&page1(512, 3, 3)[..], &[22; 512]].concat()).unwrap();
    connection.truncate(3 * 512).unwrap();
    connection.commit().unwrap();
    assert_eq!(stored_lens(&fixture), [512, 512, 512]);
    assert_eq!([2, 3].map(|n| fixture.stored(n)), [Some(22), Some(3)]);
    connection.unlock(Lock::None);
    reader.unlock(Lock::None);
    reader.lock(Lock::Shared).unwrap();
    assert_eq!([2, 3].map(|n| read(&mut reader, n).unwrap()), [22, 3]);
    assert_eq!(reader.size_bytes().unwrap(), 3 * 512);
}

#[test]
fn a_wal_database_stays_one_in_pages_of_another_size() {
    let (fixture, mut connection) = started();
    connection.unlock(Lock::None);
    connection.release_lease().unwrap();
    fixture.server.commit_elsewhere(&fixture.db, |pages| {
        pages.get_mut(&pgno(1)).unwrap()[18..20].copy_from_slice(&[2, 2]);
    });
    connection.acquire_lease().unwrap();
    write(&mut connection, &[], 5, 4).unwrap();
    connection.write_at(0, &page1(1024, 6, 2)).unwrap();
    connection.commit().unwrap();
    let (_, pages) = fixture.server.newest(&fixture.db);
    assert_eq!((pages[&pgno(1)].len(), &pages[&pgno(1)][18..20]), (1024, &[2, 2][..]));
}

#[test]
fn a_part_of_a_page_is_written_into_it() {
    let (_fixture, mut connection) = started();
    connection.write_at(offset(3) - 2, &[9; 4]).unwrap();
    let mut bytes = [0; 6];
    connection.read_at(offset(3) - 3, &mut bytes).unwrap();
    assert_eq!(bytes, [2, 9, 9, 9, 9, 3]);
    // Past the end the file grows to just there.
    connection.write_at(offset(5) + 10, &[7]).unwrap();
    assert_eq!(connection.size_bytes().unwrap(), offset(5) + 11);
    connection.read_at(offset(5) + 9, &mut bytes[..2]).unwrap();
    assert_eq!(bytes[..2], [0, 7]);
}

#[test]
fn a_page_1_that_promises_more_than_was_written_is_refused() {
    let (fixture, mut connection) = started();
    connection.write_at(0, &page1(1024, 2, 3)).unwrap();
    assert_eq!(connection.commit().unwrap_err().kind(), ErrorKind::Corrupt);
    connection.unlock(Lock::None);
    assert_eq!(stored_lens(&fixture), [512; 4]);
    connection.lock(Lock::Shared).unwrap();
    assert_eq!(read(&mut connection, 2).unwrap(), 2);
}
