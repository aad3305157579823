//! Connections that take the lease by themselves: when they take it, share it, and give it back.

use super::*;
use crate::backend::Backend;
use crate::error::ErrorKind;
use std::thread;

/// How often to look for what is sure to happen before the test fails.
const LOOKS: usize = 1_000;

impl Fixture {
    fn connect_auto(&self) -> Connection {
        let mut connection = self.connect();
        connection.set_auto_lease(true).unwrap();
        connection
    }

    /// Whether another client can have the lease, which it gives back at once.
    fn is_free(&self) -> bool {
        let lease = self.server.acquire_lease(&self.db, 60_000, None);
        lease.is_ok_and(|lease| self.server.release_lease(&self.db, &lease.id).is_ok())
    }
}

#[test]
fn a_write_takes_it_and_gives_it_back_after_a_while() {
    let fixture = Fixture::with_database();
    let mut connection = fixture.connect_auto();
    write(&mut connection, &[(2, 22)], 2, 3).unwrap();
    assert_eq!(fixture.stored(2), Some(22));
    assert!(!fixture.is_free(), "as long as it is locked");
    crate::sys::sleep_ms(400);
    assert!(!fixture.is_free(), "however long");
    connection.unlock(Lock::None);
    assert!((0..LOOKS).any(|_| {
        crate::sys::sleep_ms(10);
        fixture.is_free()
    }));
    write(&mut connection, &[(2, 23)], 3, 3).unwrap();
    assert_eq!(fixture.stored(2), Some(23));
}

#[test]
fn the_next_transaction_takes_over_what_lingers() {
    let fixture = Fixture::with_database();
    let mut connections = [fixture.connect_auto(), fixture.connect_auto()];
    let mut counter = 1;
    let mut leases_of_two_writes = || {
        fixture.server.take_calls("acquire_lease");
        for connection in &mut connections {
            counter += 1;
            connection.expect_write();
            write(connection, &[(2, counter as u8)], counter, 3).unwrap();
            connection.unlock(Lock::None);
        }
        fixture.server.take_calls("acquire_lease")
    };
    // Between two writes a slow machine may take longer than a lease lingers, but not always.
    assert!((0..LOOKS).any(|_| leases_of_two_writes() == 0));
}

#[test]
fn who_waits_gets_it_as_soon_as_the_transaction_ends() {
    let fixture = Fixture::with_database();
    let mut connection = fixture.connect_auto();
    connection.lock(Lock::Shared).unwrap();
    connection.lock(Lock::Reserved).unwrap();
    let ask = |waiter| fixture.server.acquire_lease(&fixture.db, 60_000, Some(waiter));
    ask("other").unwrap_err();
    write(&mut connection, &[(2, 22)], 2, 3).unwrap();
    ask("other").unwrap_err();
    connection.unlock(Lock::Shared);
    let Granted { id, .. } = ask("other").unwrap();
    connection.unlock(Lock::None);
    connection.lock(Lock::Shared).unwrap();
    assert_eq!(connection.lock(Lock::Reserved).unwrap_err().kind(), ErrorKind::LeaseHeld);
    fixture.server.release_lease(&fixture.db, &id).unwrap();
    connection.lock(Lock::Reserved).unwrap();
}

#[test]
fn a_write_that_is_expected_begins_at_the_newest_position() {
    let fixture = Fixture::with_database();
    let mut connection = fixture.connect_auto();
    connection.lock(Lock::Shared).unwrap();
    connection.unlock(Lock::None);
    // What is known is young enough for reading, but not for writing.
    for (n, expected) in [false, true].into_iter().enumerate() {
        fixture.commit_elsewhere(2, 22 + n as u8, 2 + n as u32);
        connection.set_auto_lease(false).unwrap();
        connection.set_auto_lease(true).unwrap();
        if expected {
            connection.expect_write();
        }
        connection.lock(Lock::Shared).unwrap();
        let outcome = connection.lock(Lock::Reserved).map_err(|error| error.kind());
        assert_eq!(outcome, if expected { Ok(()) } else { Err(ErrorKind::StaleView) });
        connection.unlock(Lock::None);
    }
    assert_eq!(read(&mut connection, 2).unwrap(), 23);
}

#[test]
fn a_lease_that_is_not_to_be_had_disturbs_no_reader_and_is_asked_for_once() {
    let fixture = Fixture::with_database();
    let Granted { id, .. } = fixture.server.acquire_lease(&fixture.db, 60_000, None).unwrap();
    let mut connection = fixture.connect_auto();
    assert!((0..LOOKS).any(|_| {
        fixture.server.take_calls("acquire_lease");
        connection.expect_write();
        connection.lock(Lock::Shared).unwrap();
        assert_eq!(read(&mut connection, 2).unwrap(), 2);
        let error = connection.lock(Lock::Reserved).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LeaseHeld);
        assert_eq!(read(&mut connection, 3).unwrap(), 3);
        connection.unlock(Lock::None);
        // A machine that stood still in between asks again.
        fixture.server.take_calls("acquire_lease") == 1
    }));
    connection.expect_write();
    connection.lock(Lock::Shared).unwrap();
    fixture.server.release_lease(&fixture.db, &id).unwrap();
    // A write that comes much later, or a second try, asks anew.
    let _ = connection.lock(Lock::Reserved);
    connection.lock(Lock::Reserved).unwrap();
}

#[test]
fn an_acquired_lease_is_its_connection_s_alone() {
    let fixture = Fixture::with_database();
    let (mut auto, mut by_hand) = (fixture.connect_auto(), fixture.connect());
    auto.lock(Lock::Shared).unwrap();
    auto.lock(Lock::Reserved).unwrap();
    assert_eq!(by_hand.acquire_lease().unwrap_err().kind(), ErrorKind::LeaseHeld);
    assert_eq!(auto.set_auto_lease(false).unwrap_err().kind(), ErrorKind::Busy);
    auto.unlock(Lock::None);
    by_hand.acquire_lease().unwrap();
    auto.lock(Lock::Shared).unwrap();
    assert_eq!(auto.lock(Lock::Reserved).unwrap_err().kind(), ErrorKind::LeaseHeld);
    auto.unlock(Lock::None);
    drop(auto);
    crate::sys::sleep_ms(400);
    assert!(!fixture.is_free(), "it does not linger, it stays");
    by_hand.release_lease().unwrap();
    assert!(fixture.is_free());
    by_hand.lock(Lock::Shared).unwrap();
    assert_eq!(by_hand.lock(Lock::Reserved).unwrap_err().kind(), ErrorKind::NoLease);
}

#[test]
fn closing_gives_it_back_at_once_unless_another_connection_writes() {
    let fixture = Fixture::with_database();
    let (mut one, mut two) = (fixture.connect_auto(), fixture.connect_auto());
    write(&mut one, &[(2, 22)], 2, 3).unwrap();
    one.unlock(Lock::None);
    two.lock(Lock::Shared).unwrap();
    two.lock(Lock::Reserved).unwrap();
    drop(one);
    assert!(!fixture.is_free());
    drop(two);
    assert!(fixture.is_free());
}

#[test]
fn a_lease_lost_in_a_transaction_fails_it_only_if_somebody_wrote() {
    let fixture = Fixture::with_database();
    let mut connection = fixture.connect_auto();
    for (n, is_overtaken) in [(2, false), (3, true)] {
        connection.expect_write();
        connection.lock(Lock::Shared).unwrap();
        connection.lock(Lock::Reserved).unwrap();
        fixture.server.break_lease(&fixture.db);
        if is_overtaken {
            fixture.commit_elsewhere(3, 33, n);
        }
        let outcome = write(&mut connection, &[(2, 20 + n as u8)], n, 3);
        assert_eq!(outcome.is_err(), is_overtaken);
        connection.unlock(Lock::None);
    }
    assert_eq!((fixture.stored(2), fixture.stored(3)), (Some(22), Some(33)));
}

/// Three threads of each of two processes add one to a byte, over and over. Nobody is told that another
/// client wrote under its lease, and no addition is lost.
#[test]
fn threads_and_processes_take_turns() {
    const ADDITIONS: u8 = 30;
    let fixture = Fixture::with_database();
    let config = fixture.origin.config().clone();
    let other = Origin::new(config, Box::new(Shared(Arc::clone(&fixture.backend))));
    thread::scope(|scope| {
        for origin in [&fixture.origin, &other] {
            for _ in 0..3 {
                let mut connection = origin.connect(&fixture.db);
                connection.set_auto_lease(true).unwrap();
                scope.spawn(move || (0..ADDITIONS).for_each(|_| add_one(&mut connection)));
            }
        }
    });
    assert_eq!(fixture.stored(2), Some(2 + 6 * ADDITIONS));
}

fn add_one(connection: &mut Connection) {
    loop {
        connection.expect_write();
        connection.lock(Lock::Shared).unwrap();
        match connection.lock(Lock::Reserved) {
            Ok(()) => break,
            Err(error) => {
                let is_busy = [ErrorKind::LeaseHeld, ErrorKind::Busy, ErrorKind::StaleView];
                assert!(is_busy.contains(&error.kind()), "{error}");
            }
        }
        connection.unlock(Lock::None);
        crate::sys::sleep_ms(1);
    }
    let found = read(connection, 2).unwrap();
    write(connection, &[(2, found + 1)], u32::from(found), 3).unwrap();
    connection.unlock(Lock::None);
}
