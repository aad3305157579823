-- VACUUM to every other page size and back; the rows are the same in every one.
PRAGMA litevfs_acquire_lease;
CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB, y TEXT);
CREATE INDEX t_y ON t (y);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
INSERT INTO t SELECT i, zeroblob(i * 20), 'row ' || i FROM n;
CREATE VIEW seen AS SELECT count(*), sum(length(x)), min(y), max(y) FROM t;
PRAGMA page_size = 8192;
PRAGMA page_size;
VACUUM;
PRAGMA page_size;
SELECT * FROM seen;
INSERT INTO t VALUES (1000, 'after', 'z');
PRAGMA page_size = 512; VACUUM; PRAGMA page_size;
SELECT * FROM seen;
PRAGMA integrity_check;
UPDATE t SET y = 'changed' WHERE id % 3 = 0;
PRAGMA page_size = 65536; VACUUM; PRAGMA page_size; PRAGMA page_count;
SELECT * FROM seen;
PRAGMA page_size = 1024; VACUUM; PRAGMA page_size;
DELETE FROM t WHERE id > 10;
PRAGMA page_size = 32768; VACUUM; PRAGMA page_size; PRAGMA page_count;
PRAGMA page_size = 2048; VACUUM; PRAGMA page_size; PRAGMA page_count;
SELECT * FROM seen;
-- The size that it has: an ordinary VACUUM.
PRAGMA page_size = 2048; VACUUM; PRAGMA page_size;
-- Not in a transaction; not to a size that there is not.
BEGIN; PRAGMA page_size = 4096; VACUUM;
COMMIT;
PRAGMA page_size = 1000; VACUUM; PRAGMA page_size;
.open @DB@
PRAGMA litevfs_acquire_lease;
PRAGMA page_size;
SELECT * FROM seen;
PRAGMA integrity_check;
PRAGMA page_size = 16384; VACUUM; PRAGMA page_size;
SELECT * FROM seen;
INSERT INTO t VALUES (2000, 'last', 'zz');
