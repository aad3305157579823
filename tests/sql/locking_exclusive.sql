-- locking_mode=exclusive keeps the lock between commits. The second commit does not rewrite page 1,
-- so a reader must be shown a change all the same: the second process reads both.
PRAGMA litevfs_acquire_lease;
PRAGMA locking_mode = EXCLUSIVE;
CREATE TABLE t (x);
INSERT INTO t VALUES (1);
INSERT INTO t VALUES (2);
BEGIN; INSERT INTO t VALUES (3); ROLLBACK;
UPDATE t SET x = x * 10;
SELECT * FROM t;
PRAGMA locking_mode = NORMAL;
SELECT * FROM t;
INSERT INTO t VALUES (4);
SELECT * FROM t;
PRAGMA integrity_check;
