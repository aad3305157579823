use rusqlite::{Connection, Result};

fn main() -> Result<()> {
    // Once a process: the extension stays loaded and registers the VFS for every later connection.
    let loader = Connection::open_in_memory()?;
    // SAFETY: the library is the one this project builds; it has no other start-up code.
    unsafe {
        loader.load_extension_enable()?;
        loader.load_extension("./target/release/liblitevfs.so", None::<&str>)?;
    }

    let db = Connection::open("file:db1?vfs=litevfs")?;
    db.execute_batch("PRAGMA litevfs_auto_lease = on")?;
    db.execute_batch("CREATE TABLE IF NOT EXISTS visit (at TEXT, who TEXT)")?;
    db.execute("INSERT INTO visit VALUES (datetime('now'), ?1)", ["rust"])?;
    let mut visits = db.prepare("SELECT who, count(*) FROM visit GROUP BY who ORDER BY who")?;
    let mut rows = visits.query([])?;
    while let Some(row) = rows.next()? {
        println!("{} {}", row.get::<_, String>(0)?, row.get::<_, i64>(1)?);
    }
    Ok(())
}
