-- Acquiring twice and releasing twice are both fine; released and taken again writes go on.
PRAGMA litevfs_acquire_lease;
PRAGMA litevfs_acquire_lease;
CREATE TABLE t (x);
PRAGMA litevfs_acquire_lease;
INSERT INTO t VALUES (1);
PRAGMA litevfs_release_lease;
PRAGMA litevfs_release_lease;
SELECT * FROM t;
PRAGMA litevfs_acquire_lease;
INSERT INTO t VALUES (2);
SELECT * FROM t;
.open @DB@
SELECT * FROM t;
INSERT INTO t VALUES (3);
PRAGMA litevfs_acquire_lease;
INSERT INTO t VALUES (4);
SELECT * FROM t;
