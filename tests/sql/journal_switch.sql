-- The journal mode may change between transactions of one connection.
PRAGMA litevfs_acquire_lease;
CREATE TABLE t (mode TEXT);
PRAGMA journal_mode = TRUNCATE;
INSERT INTO t VALUES ('truncate');
PRAGMA journal_mode = PERSIST;
INSERT INTO t VALUES ('persist');
INSERT INTO t VALUES ('persist again');
PRAGMA journal_mode = MEMORY;
INSERT INTO t VALUES ('memory');
BEGIN; INSERT INTO t VALUES ('lost'); ROLLBACK;
PRAGMA journal_mode = OFF;
INSERT INTO t VALUES ('off');
PRAGMA journal_mode = DELETE;
INSERT INTO t VALUES ('delete');
SELECT * FROM t;
