-- VACUUM makes the database smaller; in the same transaction file it is announced and then cut.
PRAGMA litevfs_acquire_lease;
CREATE TABLE t (id INTEGER PRIMARY KEY, x);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
INSERT INTO t SELECT i, zeroblob(1000) FROM n;
DELETE FROM t WHERE id > 50;
PRAGMA page_count;
VACUUM;
PRAGMA page_count;
SELECT count(*), sum(length(x)) FROM t;
PRAGMA integrity_check;
INSERT INTO t VALUES (1000, 'after');
