//! Databases whose pages a codec above encrypts: nothing is read in them, nor shown otherwise.

use super::*;
use crate::error::ErrorKind;
use crate::pager::header::{VERSION_LEN, VERSION_OFFSET};
use crate::types::PageSize;

/// A page without a field that makes sense, but that of the journal mode, which says WAL.
fn cipher(n: u32, fill: u8) -> Vec<u8> {
    let mut page = vec![fill; PAGE_LEN];
    if n == 1 {
        page[18..20].fill(2);
    }
    page
}

/// What SQLite does up to the announcement of a commit.
fn write(connection: &mut Connection, pages: &[(u32, u8)]) -> Result<()> {
    connection.acquire_lease().unwrap();
    connection.lock(Lock::Shared)?;
    connection.lock(Lock::Exclusive)?;
    for &(n, fill) in pages {
        connection.write_at(offset(n), &cipher(n, fill))?;
    }
    connection.prepare_commit()
}

fn commit(connection: &mut Connection, pages: &[(u32, u8)]) -> Result<()> {
    write(connection, pages)?;
    let done = connection.confirm_commit();
    connection.unlock(Lock::None);
    done
}

fn with_database() -> Fixture {
    let fixture = Fixture::new();
    commit(&mut fixture.connect(), &[(1, 1), (2, 2), (3, 3)]).unwrap();
    fixture
}

fn read(connection: &mut Connection, n: u32) -> Result<Vec<u8>> {
    connection.lock(Lock::Shared)?;
    let mut page = vec![0; PAGE_LEN];
    connection.read_at(offset(n), &mut page)?;
    connection.unlock(Lock::None);
    Ok(page)
}

fn version(connection: &mut Connection) -> [u8; VERSION_LEN] {
    let mut bytes = [0; VERSION_LEN];
    connection.lock(Lock::Shared).unwrap();
    connection.read_at(VERSION_OFFSET, &mut bytes).unwrap();
    connection.unlock(Lock::None);
    bytes
}

/// Has a connection poll before each transaction.
fn poll_always(connection: &Connection) {
    let mut settings = connection.shared_settings();
    settings.cache_sync_period_ms = 1;
    connection.set_shared_settings(settings);
    crate::sys::sleep_ms(3);
}

#[test]
fn pages_are_stored_and_read_as_they_were_written() {
    let fixture = Fixture::new();
    let mut writer = fixture.connect();
    commit(&mut writer, &[(1, 1), (2, 2), (3, 3)]).unwrap();
    commit(&mut writer, &[(1, 10), (4, 4)]).unwrap();
    for connection in [&mut writer, &mut fixture.connect()] {
        for (n, fill) in [(1, 10), (2, 2), (4, 4)] {
            assert_eq!(read(connection, n).unwrap(), cipher(n, fill));
            assert_eq!(fixture.server.newest(&fixture.db).1[&pgno(n)], cipher(n, fill));
        }
    }
    assert_eq!(writer.size_bytes().unwrap(), 4 * PAGE_LEN as u64);
    assert_eq!(fixture.server.take_calls("size_pages"), 0, "it made the size itself");
    let other = Fixture {
        origin: Origin::new(config(), Box::new(Shared(Arc::clone(&fixture.backend)))),
        ..fixture
    };
    assert_eq!(other.connect().size_bytes().unwrap(), 4 * PAGE_LEN as u64);
    assert_eq!(other.server.take_calls("size_pages"), 1, "page 1 does not say it");
}

#[test]
fn what_is_announced_and_not_finished_is_a_rollback() {
    let fixture = with_database();
    let before = fixture.server.newest(&fixture.db);
    let mut connection = fixture.connect();
    // Pages that were spilled are put back, encrypted in another way.
    write(&mut connection, &[(2, 20), (1, 11), (2, 22)]).unwrap();
    connection.unlock(Lock::None);
    assert_eq!(fixture.server.newest(&fixture.db), before);
    assert_eq!(read(&mut connection, 2).unwrap(), cipher(2, 2));
    commit(&mut connection, &[(1, 12)]).unwrap();
    assert_eq!(fixture.server.newest(&fixture.db).1[&pgno(2)], cipher(2, 2));
}

#[test]
fn the_size_is_that_of_the_file_when_the_commit_is_finished() {
    let fixture = with_database();
    let mut connection = fixture.connect();
    write(&mut connection, &[(1, 10)]).unwrap();
    connection.truncate(2 * PAGE_LEN as u64).unwrap();
    connection.confirm_commit().unwrap();
    assert_eq!(fixture.server.newest(&fixture.db).1.len(), 2);
    assert_eq!(connection.size_bytes().unwrap(), 2 * PAGE_LEN as u64);
}

#[test]
fn version_bytes_differ_once_the_position_moved() {
    let fixture = with_database();
    let (mut connection, mut writer) = (fixture.connect(), fixture.connect());
    read(&mut connection, 1).unwrap();
    assert_eq!(version(&mut connection), [1; VERSION_LEN]);
    // One that leaves them as they are.
    commit(&mut writer, &[(2, 20)]).unwrap();
    assert_eq!(version(&mut connection), [!1; VERSION_LEN]);
    assert_eq!(version(&mut connection), [1; VERSION_LEN]);
    assert_eq!(version(&mut writer), [1; VERSION_LEN]);
}

#[test]
fn a_connection_to_a_history_that_is_gone_is_cut_off() {
    let fixture = with_database();
    let (mut connection, mut unread) = (fixture.connect(), fixture.connect());
    read(&mut connection, 1).unwrap();
    poll_always(&connection);
    fixture.server.begin_anew(&fixture.db, |pages| {
        pages.insert(pgno(1), cipher(1, 7));
    });
    for _ in 0..2 {
        let error = read(&mut connection, 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.message().contains("open it again"), "{error}");
    }
    assert_eq!(read(&mut unread, 1).unwrap(), cipher(1, 7));
    assert_eq!(read(&mut fixture.connect(), 1).unwrap(), cipher(1, 7));
}

#[test]
fn what_could_not_be_kept_is_refused() {
    let fixture = with_database();
    let before = fixture.server.newest(&fixture.db);
    let mut connection = fixture.connect();
    let error = |done: Result<()>| done.unwrap_err().message().to_string();
    connection.set_keeps_locks(true);
    assert!(error(commit(&mut connection, &[(1, 10)])).contains("locking_mode"));
    connection.set_keeps_locks(false);
    connection.lock(Lock::Shared).unwrap();
    connection.lock(Lock::Exclusive).unwrap();
    for (at, len) in [(0, PAGE_LEN / 2), (PAGE_LEN / 2, PAGE_LEN), (0, 2 * PAGE_LEN)] {
        let text = error(connection.write_at(at as u64, &vec![1; len]));
        assert!(text.contains("page size"), "{text}");
    }
    connection.write_at(0, &page(1, 1, 2, 3)).unwrap();
    connection.prepare_commit().unwrap();
    assert!(error(connection.confirm_commit()).contains("copy it into a new one"));
    connection.unlock(Lock::None);
    assert_eq!(fixture.server.newest(&fixture.db), before);
    assert_eq!(PageSize::new(PAGE_LEN as u32), connection.database.state().cache.page_size());
}
