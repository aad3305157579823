import sqlite3

extension = "./target/release/liblitevfs.so"

# Once a process: the extension stays loaded and registers the VFS for every later connection.
loader = sqlite3.connect(":memory:")
loader.enable_load_extension(True)
loader.load_extension(extension)

db = sqlite3.connect("file:db1?vfs=litevfs", uri=True, isolation_level=None)
db.execute("PRAGMA litevfs_auto_lease = on")
db.execute("CREATE TABLE IF NOT EXISTS visit (at TEXT, who TEXT)")
db.execute("INSERT INTO visit VALUES (datetime('now'), 'python')")
for who, visits in db.execute("SELECT who, count(*) FROM visit GROUP BY who ORDER BY who"):
    print(who, visits)
