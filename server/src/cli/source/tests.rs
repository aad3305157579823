//! Files in every state that a program, or a crash, can leave them in.

use super::*;

fn write(path: &Path, sql: &str) -> Connection {
    let db = Connection::open(path).unwrap();
    db.execute_batch(sql).unwrap();
    db
}

fn read(source: &Source) -> Vec<u8> {
    let pieces: Vec<Bytes> = source.pieces().unwrap().map(Result::unwrap).collect();
    let bytes = pieces.concat();
    assert_eq!(bytes.len() as u64, source.len());
    bytes
}

/// The number of rows in a file with those bytes.
fn rows(bytes: &[u8]) -> u32 {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let db = Connection::open(file.path()).unwrap();
    db.query_row("PRAGMA integrity_check", (), |row| {
        assert_eq!(row.get_ref(0)?.as_str()?, "ok");
        Ok(())
    })
    .unwrap();
    db.query_row("SELECT count(*) FROM t", (), |row| row.get(0)).unwrap()
}

fn open(path: &Path) -> Done<Source> {
    Source::open(path, true, &Flag::default())
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_plain_file_is_read_as_it_is_and_cannot_change_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let writer = write(&path, "CREATE TABLE t (x); INSERT INTO t VALUES (1)");
    writer.busy_timeout(Duration::ZERO).unwrap();
    let source = open(&path).unwrap();
    assert!(source._lock.is_some());
    let refused = writer.execute_batch("INSERT INTO t VALUES (2)").unwrap_err();
    assert_eq!(refused.sqlite_error_code(), Some(ErrorCode::DatabaseBusy));
    assert!(read(&source) == std::fs::read(&path).unwrap());
    drop(source);
    writer.execute_batch("INSERT INTO t VALUES (2)").unwrap();
}

#[test]
fn a_live_wal_is_part_of_the_content_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let writer = write(
        &path,
        "PRAGMA journal_mode = wal; CREATE TABLE t (x); INSERT INTO t VALUES (1), (2)",
    );
    let source = open(&path).unwrap();
    writer.execute_batch("INSERT INTO t VALUES (3)").unwrap();
    let bytes = read(&source);
    assert_eq!((rows(&bytes), &bytes[18..20]), (2, &[2, 2][..]));
    drop(source);
    assert!(has_content(&beside(&path, "-wal")));
    assert_eq!(names(dir.path()), ["db", "db-shm", "db-wal"]);
}

#[test]
fn a_checkpointed_wal_database_needs_no_copy_and_gets_no_other_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    drop(write(&path, "PRAGMA journal_mode = wal; CREATE TABLE t (x)"));
    let source = open(&path).unwrap();
    assert!(source._lock.is_some());
    assert_eq!(read(&source)[18..20], [2, 2]);
    drop(source);
    assert_eq!(names(dir.path()), ["db"]);
}

#[test]
fn what_a_cut_off_transaction_left_is_rolled_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let writer = write(&path, "CREATE TABLE t (x); INSERT INTO t VALUES (1)");
    writer
        .execute_batch(
            "PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN;
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
             INSERT INTO t SELECT zeroblob(500) FROM n;",
        )
        .unwrap();
    // As the files are found after a power cut in the middle.
    let cut_off = dir.path().join("cut-off");
    std::fs::copy(&path, &cut_off).unwrap();
    std::fs::copy(beside(&path, "-journal"), beside(&cut_off, "-journal")).unwrap();
    assert_eq!(rows(&read(&open(&cut_off).unwrap())), 1);
}

#[test]
fn a_file_longer_than_the_database_is_copied() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    drop(write(&path, "CREATE TABLE t (x); INSERT INTO t VALUES (1)"));
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, [whole.as_slice(), &[0; 9999]].concat()).unwrap();
    let source = open(&path).unwrap();
    assert_eq!((source.len(), rows(&read(&source))), (whole.len() as u64, 1));
    drop(source);
    assert_eq!(names(dir.path()), ["db"]);
}

#[test]
fn other_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let refusal = || open(&path).err().unwrap().to_string();
    assert!(refusal().contains("No such file"));
    std::fs::write(&path, "").unwrap();
    assert!(refusal().contains("is empty"));
    std::fs::write(&path, "hello").unwrap();
    assert!(refusal().contains("not a SQLite file"));
    std::fs::remove_file(&path).unwrap();
    drop(write(&path, "CREATE TABLE t (x); INSERT INTO t VALUES (zeroblob(9999))"));
    let whole = std::fs::read(&path).unwrap();
    for missing in [1, 4096] {
        std::fs::write(&path, &whole[..whole.len() - missing]).unwrap();
        assert!(refusal().contains("cut short"), "{}", refusal());
    }
    assert!(open(dir.path()).err().unwrap().to_string().contains("a folder"));
}

#[test]
fn a_writer_that_takes_no_lock_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    drop(write(&path, "CREATE TABLE t (x); INSERT INTO t VALUES (zeroblob(900000))"));
    for len in [20_000, 2_000_000, 901_120] {
        let source = open(&path).unwrap();
        let mut pieces = source.pieces().unwrap();
        pieces.next().unwrap().unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        let before = file.metadata().unwrap().len();
        file.set_len(len).unwrap();
        let error = pieces.find_map(Result::err).unwrap().to_string();
        assert!(error.contains("another program wrote to it"), "{len}: {error}");
        file.set_len(before).unwrap();
    }
}

#[test]
fn what_is_wrong_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    drop(write(&path, "CREATE TABLE t (x); INSERT INTO t VALUES (zeroblob(9999))"));
    assert_eq!(open(&path).unwrap().finding, Finding::Sound);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4096..8192].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    assert!(matches!(open(&path).unwrap().finding, Finding::Damaged(_)));
    let unasked = Source::open(&path, false, &Flag::default()).unwrap();
    assert_eq!(unasked.finding, Finding::Sound);
}
