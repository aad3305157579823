-- VACUUM to another page size is refused; the database and the connection are what they were.
PRAGMA litevfs_acquire_lease;
CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
INSERT INTO t SELECT i, zeroblob(i * 20) FROM n;
PRAGMA page_size = 8192;
VACUUM;
SELECT count(*), sum(length(x)) FROM t;
PRAGMA integrity_check;
PRAGMA page_size = 1024;
VACUUM;
SELECT count(*), sum(length(x)) FROM t;
PRAGMA integrity_check;
INSERT INTO t VALUES (1000, 'afterwards');
PRAGMA page_size = 4096;
VACUUM;
.open @DB@
PRAGMA page_size;
SELECT count(*), max(id) FROM t;
