-- Commits and statement rollback with journal_mode=delete; what was acknowledged is at the server.
PRAGMA litevfs_acquire_lease;
PRAGMA journal_mode = delete;
CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB);
INSERT INTO t (x) VALUES (randomblob(3000)), (randomblob(10)), (zeroblob(9000));
BEGIN;
INSERT INTO t (x) VALUES ('one'), ('two');
UPDATE t SET x = zeroblob(5000) WHERE id = 2;
COMMIT;
PRAGMA synchronous = OFF;
DELETE FROM t WHERE id = 3;
PRAGMA synchronous = EXTRA;
INSERT INTO t (x) VALUES ('three');
PRAGMA journal_mode;
SELECT id, length(x) FROM t;
PRAGMA integrity_check;
.open @DB@
SELECT id, length(x) FROM t;
PRAGMA journal_mode = delete;
PRAGMA litevfs_acquire_lease;
BEGIN;
DELETE FROM t;
CREATE TABLE lost (y);
ROLLBACK;
SELECT count(*) FROM t;
