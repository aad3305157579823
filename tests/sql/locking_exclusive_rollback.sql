-- locking_mode=exclusive: a rollback after a spill, then statements that change nothing or something.
-- SQLite announces the end of the rollback like a commit, and no lock tells the two apart.
PRAGMA litevfs_acquire_lease;
PRAGMA cache_size = 1;
CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a UNIQUE, b DEFAULT 7);
PRAGMA locking_mode = EXCLUSIVE;
BEGIN EXCLUSIVE;
INSERT INTO t (id, a, b) VALUES (346, hex(zeroblob(100)), hex(zeroblob(5000)));
ROLLBACK;
UPDATE t SET b = 1 WHERE id BETWEEN 1 AND 2;
INSERT INTO t (a) VALUES ('kept');
BEGIN;
INSERT INTO t (id, a, b) VALUES (346, hex(zeroblob(100)), hex(zeroblob(5000)));
ROLLBACK;
UPDATE t SET b = 1 WHERE id = 1000;
SELECT * FROM t;
