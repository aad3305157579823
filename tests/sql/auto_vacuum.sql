-- auto_vacuum=full shrinks the database with every commit that frees pages.
PRAGMA litevfs_acquire_lease;
PRAGMA auto_vacuum = FULL;
CREATE TABLE t (id INTEGER PRIMARY KEY, x);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
INSERT INTO t SELECT i, zeroblob(1000) FROM n;
PRAGMA page_count;
DELETE FROM t WHERE id > 50;
PRAGMA page_count;
BEGIN;
DELETE FROM t WHERE id > 10;
ROLLBACK;
PRAGMA page_count;
DELETE FROM t WHERE id < 20;
SELECT count(*) FROM t;
PRAGMA integrity_check;
