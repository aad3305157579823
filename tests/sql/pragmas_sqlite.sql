-- SQLite's own pragmas that are stored in the database or ask for it.
PRAGMA encoding = 'UTF-16le';
PRAGMA litevfs_acquire_lease;
PRAGMA auto_vacuum = NONE;
CREATE TABLE t (x TEXT);
PRAGMA user_version = 42;
PRAGMA application_id = 1234567;
INSERT INTO t VALUES (char(228, 8364, 128578));
SELECT hex(CAST(x AS BLOB)), length(x) FROM t;
PRAGMA encoding;
PRAGMA user_version;
PRAGMA application_id;
PRAGMA page_count;
PRAGMA quick_check;
ANALYZE;
PRAGMA optimize;
.open @DB@
PRAGMA user_version;
PRAGMA encoding;
