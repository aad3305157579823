-- Writing without the lease fails at once and says which pragma is missing; the connection goes on.
SELECT 1;
CREATE TABLE t (x);
PRAGMA litevfs_last_error;
SELECT count(*) FROM sqlite_schema;
PRAGMA litevfs_acquire_lease;
CREATE TABLE t (x);
INSERT INTO t VALUES (1);
PRAGMA litevfs_release_lease;
INSERT INTO t VALUES (2);
BEGIN IMMEDIATE;
SELECT * FROM t;
BEGIN;
SELECT * FROM t;
INSERT INTO t VALUES (3);
COMMIT;
PRAGMA litevfs_acquire_lease;
INSERT INTO t VALUES (4);
SELECT * FROM t;
