-- journal_mode=off with a small cache: pages are written before the commit and there is no journal
-- to take them back. A transaction that commits must be whole at the server.
PRAGMA litevfs_acquire_lease;
PRAGMA journal_mode = OFF;
PRAGMA cache_size = 10;
CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
INSERT INTO t SELECT i, hex(zeroblob(100)) FROM n;
SELECT count(*), sum(length(x)) FROM t;
PRAGMA integrity_check;
