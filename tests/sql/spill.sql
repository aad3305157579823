-- Transactions far larger than SQLite's cache: dirty pages leave it before the commit and must stay
-- invisible until then; a rollback puts the old ones back.
PRAGMA litevfs_acquire_lease;
PRAGMA cache_size = 10;
CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT);
CREATE INDEX t_x ON t (x);
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO t SELECT i, printf('row %d %s', (i * 7919) % 20011, hex(zeroblob(20))) FROM n;
SELECT count(*), sum(length(x)) FROM t;
ROLLBACK;
SELECT count(*) FROM t;
PRAGMA page_count;
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO t SELECT i, printf('row %d %s', (i * 7919) % 20011, hex(zeroblob(20))) FROM n;
COMMIT;
SELECT count(*), sum(length(x)) FROM t;
BEGIN;
UPDATE t SET x = 'short ' || id;
SELECT sum(length(x)) FROM t;
SAVEPOINT s;
DELETE FROM t WHERE id > 100;
SELECT count(*) FROM t;
ROLLBACK TO s;
SELECT count(*) FROM t;
ROLLBACK;
SELECT count(*), sum(length(x)) FROM t;
BEGIN;
DELETE FROM t WHERE id % 2 = 0;
UPDATE t SET x = upper(x) WHERE id < 5000;
COMMIT;
SELECT count(*), sum(length(x)) FROM t;
PRAGMA integrity_check;
