//! `PRAGMA quick_check`: what SQLite finds wrong in a database, short of comparing indexes with tables.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use litevfs::page1;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::paths::sqlite_uri;

/// The most that is told of one database.
const MAX_LEN: usize = 500;

/// What a check came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// SQLite finds nothing wrong.
    Sound,
    /// SQLite finds this wrong.
    Damaged(String),
    /// This SQLite cannot tell: the schema needs what a program brings along.
    Unknown(String),
}

/// Opens a file that nobody changes, so that nothing is made beside it.
pub(super) fn open_still(path: &Path) -> rusqlite::Result<Connection> {
    let uri = sqlite_uri(path) + "?immutable=1";
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(uri, flags)
}

/// Whether a codec encrypted the database of a file, so that only who has the key can check it.
pub(super) fn is_encrypted(path: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    File::open(path)?.take(page1::MAGIC.len() as u64).read_to_end(&mut start)?;
    Ok(page1::is_encrypted(&start))
}

/// Checks the database of a connection.
pub(super) fn check(db: &Connection) -> rusqlite::Result<Finding> {
    // Constraints may call functions that only the program has whose database it is.
    let checked = db
        .execute_batch("PRAGMA ignore_check_constraints = ON")
        .and_then(|()| db.query_row("PRAGMA quick_check(1)", (), |row| row.get::<_, String>(0)));
    match checked {
        Ok(text) if text == "ok" => Ok(Finding::Sound),
        Ok(problem) => Ok(Finding::Damaged(line(&problem))),
        Err(error) => match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Ok(Finding::Damaged(line(&error.to_string())))
            }
            Some(ErrorCode::Unknown) => Ok(Finding::Unknown(line(&error.to_string()))),
            _ => Err(error),
        },
    }
}

/// A text as one line, without what a terminal would obey: names in it are the database's.
fn line(text: &str) -> String {
    let text = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    text.take(MAX_LEN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_takes_any_path_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a b+c%41?d#e&f");
        let db = Connection::open(&path).unwrap();
        db.execute_batch("PRAGMA journal_mode = wal; CREATE TABLE t (x)").unwrap();
        db.close().unwrap();
        assert_eq!(check(&open_still(&path).unwrap()).unwrap(), Finding::Sound);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[4096..].fill(0xff);
        std::fs::write(&path, &bytes).unwrap();
        let Finding::Damaged(text) = check(&open_still(&path).unwrap()).unwrap() else {
            panic!("nothing was found");
        };
        assert!(!text.contains('\n'), "{text}");
        assert!(!is_encrypted(&path).unwrap());
        bytes[..16].fill(0xff);
        std::fs::write(&path, &bytes).unwrap();
        assert!(is_encrypted(&path).unwrap());
    }
}
