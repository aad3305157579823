-- Bytes reserved on each page, the reset of a whole database, and what file controls answer.
PRAGMA litevfs_acquire_lease;
CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
INSERT INTO t SELECT i, zeroblob(i * 5) FROM n;
.filectrl reserve_bytes 32
VACUUM;
.filectrl reserve_bytes
SELECT count(*), sum(length(x)) FROM t;
PRAGMA page_size = 512;
.filectrl reserve_bytes 12
VACUUM;
.filectrl reserve_bytes
SELECT count(*), sum(length(x)) FROM t;
PRAGMA integrity_check;
.filectrl has_moved
.filectrl psow
.filectrl persist_wal
.filectrl chunk_size 65536
INSERT INTO t VALUES (7777, zeroblob(100000));
PRAGMA page_count;
PRAGMA mmap_size;
.dbconfig reset_database on
VACUUM;
.dbconfig reset_database off
.tables
PRAGMA page_count;
PRAGMA integrity_check;
CREATE TABLE fresh (x);
INSERT INTO fresh VALUES (1);
