//! A past beside the present.

use super::*;
use crate::backend::Moment;
use crate::backend::twins::{Fault, Operation};
use crate::error::ErrorKind;
use crate::types::Txid;

fn past(fixture: &Fixture, txid: u64) -> Result<Connection> {
    fixture.origin.connect_past(&fixture.db, &Moment::Txid(Txid(txid)))
}

#[test]
fn a_past_does_not_move_and_asks_for_nothing_but_pages() {
    let fixture = Fixture::with_database();
    let mut present = fixture.connect();
    fixture.commit_elsewhere(2, 22, 2);
    let mut first = past(&fixture, 1).unwrap();
    fixture.commit_elsewhere(2, 23, 3);
    fixture.server.take_calls("");
    for _ in 0..2 {
        first.lock(Lock::Shared).unwrap();
        assert_eq!((read(&mut first, 1).unwrap(), read(&mut first, 2).unwrap()), (1, 2));
        first.unlock(Lock::None);
    }
    assert_eq!(fixture.server.take_calls("pages"), 1, "page 1 came with the position");
    present.lock(Lock::Shared).unwrap();
    assert_eq!(read(&mut present, 2).unwrap(), 23);
    first.lock(Lock::Shared).unwrap();
    assert_eq!(read(&mut first, 2).unwrap(), 2);
    let polled = fixture.server.calls.lock().iter().filter(|call| **call == ("changes", 1)).count();
    assert_eq!(polled, 1, "the present is polled, and nothing beside it");
}

#[test]
fn connections_to_one_position_share_its_pages() {
    let fixture = Fixture::with_database();
    let (mut one, mut two) = (past(&fixture, 1).unwrap(), past(&fixture, 1).unwrap());
    one.lock(Lock::Shared).unwrap();
    assert_eq!(read(&mut one, 3).unwrap(), 3);
    fixture.server.take_calls("");
    two.lock(Lock::Shared).unwrap();
    assert_eq!(read(&mut two, 3).unwrap(), 3);
    assert_eq!(fixture.server.take_calls("pages"), 0);
}

#[test]
fn a_past_is_not_written() {
    let fixture = Fixture::with_database();
    let mut past = past(&fixture, 1).unwrap();
    past.lock(Lock::Shared).unwrap();
    for error in [past.lock(Lock::Reserved), past.acquire_lease()] {
        assert_eq!(error.unwrap_err().kind(), ErrorKind::ReadOnly);
    }
    assert_eq!(fixture.server.take_calls("acquire_lease"), 0);
}

#[test]
fn what_is_not_held_is_an_error_that_says_so() {
    let fixture = Fixture::with_database();
    let error = past(&fixture, 7).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().starts_with("db1: txid=0000000000000007: "), "{error}");
    let mut first = past(&fixture, 1).unwrap();
    fixture.commit_elsewhere(2, 22, 2);
    fixture.server.forget_history(&fixture.db);
    first.lock(Lock::Shared).unwrap();
    for _ in 0..2 {
        let error = read(&mut first, 2).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Gone);
        assert!(error.message().contains("no longer holds"), "{error}");
    }
}

#[test]
fn a_server_that_is_away_opens_no_past() {
    let fixture = Fixture::with_database();
    fixture.backend.plan(&[(Operation::Pages, Fault::Lost)]);
    assert_eq!(past(&fixture, 1).err().unwrap().kind(), ErrorKind::Away);
    assert!(past(&fixture, 1).is_ok());
}

#[test]
fn a_pinned_connection_stays_where_it_was_opened() {
    let fixture = Fixture::with_database();
    let mut pinned = fixture.connect();
    pinned.pin().unwrap();
    assert_eq!(read(&mut pinned, 2).unwrap(), 2);
    fixture.commit_elsewhere(3, 33, 2);
    let mut other = fixture.connect();
    other.acquire_lease().unwrap();
    other.lock(Lock::Shared).unwrap();
    assert_eq!(read(&mut other, 3).unwrap(), 33);
    assert_eq!(read(&mut pinned, 3).unwrap(), 3);
    fixture.server.forget_history(&fixture.db);
    pinned.old_pages = Default::default();
    let error = read(&mut pinned, 3).unwrap_err();
    assert!(error.message().contains("no longer holds"), "{error}");
}
