-- VACUUM switches auto_vacuum and the page size, together and back; most of the database goes.
PRAGMA litevfs_acquire_lease;
CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB);
CREATE INDEX t_x ON t (x);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
INSERT INTO t SELECT i, zeroblob(i % 700) FROM n;
PRAGMA auto_vacuum; PRAGMA page_count; PRAGMA freelist_count;
PRAGMA auto_vacuum = INCREMENTAL; PRAGMA auto_vacuum;
VACUUM;
PRAGMA auto_vacuum; PRAGMA page_count; PRAGMA integrity_check;
DELETE FROM t WHERE id > 40;
PRAGMA page_count; PRAGMA freelist_count;
PRAGMA incremental_vacuum(10);
PRAGMA page_count; PRAGMA freelist_count;
BEGIN; PRAGMA incremental_vacuum(20); INSERT INTO t VALUES (5000, zeroblob(30000)); ROLLBACK;
PRAGMA page_count; PRAGMA freelist_count;
BEGIN; PRAGMA incremental_vacuum(20); INSERT INTO t VALUES (5000, zeroblob(30000)); COMMIT;
PRAGMA page_count; PRAGMA freelist_count;
PRAGMA incremental_vacuum;
PRAGMA page_count; PRAGMA freelist_count; PRAGMA integrity_check;
-- Incremental to full needs no VACUUM, and frees what there is with the next commit.
DELETE FROM t WHERE id > 4000;
PRAGMA auto_vacuum = FULL; PRAGMA auto_vacuum;
INSERT INTO t VALUES (6000, 'x');
PRAGMA page_count; PRAGMA freelist_count;
PRAGMA auto_vacuum = NONE; PRAGMA page_size = 512; VACUUM;
PRAGMA auto_vacuum; PRAGMA page_size; PRAGMA page_count;
WITH RECURSIVE n(i) AS (SELECT 10000 UNION ALL SELECT i + 1 FROM n WHERE i < 11000)
INSERT INTO t SELECT i, zeroblob(i % 700) FROM n;
DELETE FROM t WHERE id BETWEEN 10010 AND 10990;
PRAGMA auto_vacuum = FULL; PRAGMA page_size = 16384; VACUUM;
PRAGMA auto_vacuum; PRAGMA page_size; PRAGMA page_count; PRAGMA freelist_count;
DROP TABLE t;
PRAGMA page_count; PRAGMA integrity_check;
CREATE TABLE t AS SELECT 1 AS x;
