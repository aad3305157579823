-- Indexes are built, used, kept up to date and dropped.
PRAGMA litevfs_acquire_lease;
CREATE TABLE t (a INTEGER, b TEXT, c REAL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
INSERT INTO t SELECT i, printf('key-%05d', (i * 7919) % 2000), i / 3.0 FROM n;
CREATE INDEX t_b ON t (b);
CREATE UNIQUE INDEX t_a ON t (a);
CREATE INDEX t_partial ON t (c) WHERE a % 2 = 0;
CREATE INDEX t_expr ON t (length(b), b COLLATE NOCASE DESC);
SELECT a, b FROM t WHERE b = 'key-00042';
SELECT count(*) FROM t INDEXED BY t_b WHERE b BETWEEN 'key-00100' AND 'key-00199';
UPDATE t SET b = 'zzz' WHERE a = 1000;
SELECT a FROM t INDEXED BY t_b WHERE b = 'zzz';
DELETE FROM t WHERE a > 1500;
SELECT count(*) FROM t INDEXED BY t_a WHERE a > 1400;
INSERT INTO t VALUES (7, 'again', 0);
DROP INDEX t_expr;
REINDEX;
SELECT name FROM sqlite_schema WHERE type = 'index' ORDER BY name;
PRAGMA integrity_check;
