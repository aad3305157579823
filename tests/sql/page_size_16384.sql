-- Pages of 16384 bytes: overflow chains, an index, growth, shrinking by free pages, reading back.
PRAGMA page_size = 16384;
PRAGMA litevfs_acquire_lease;
CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB);
CREATE INDEX t_len ON t (length(x));
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 120)
INSERT INTO t SELECT i, zeroblob((i * 997) % 20000) FROM n;
PRAGMA page_size;
DELETE FROM t WHERE id % 3 = 0;
UPDATE t SET x = zeroblob(length(x) + 7000) WHERE id % 5 = 1;
INSERT INTO t VALUES (1000, zeroblob(200000));
SELECT count(*), sum(length(x)) FROM t;
PRAGMA integrity_check;
.open @DB@
PRAGMA page_size;
SELECT count(*), sum(length(x)) FROM t WHERE length(x) > 5000;
