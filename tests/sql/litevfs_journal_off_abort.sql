-- journal_mode=off, pages already written, then the statement fails: SQLite has no way to undo it, a
-- plain file is half changed afterwards. Here what was not committed is dropped.
PRAGMA litevfs_acquire_lease;
PRAGMA journal_mode = OFF;
PRAGMA cache_size = 5;
CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT CHECK (id < 4000));
INSERT INTO t VALUES (0, 'before');
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
INSERT INTO t SELECT i, hex(zeroblob(100)) FROM n;
.open @DB@
SELECT count(*) FROM t;
PRAGMA integrity_check;
