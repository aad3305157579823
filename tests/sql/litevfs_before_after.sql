-- Tables and reads before and after the lease on a database that does not exist yet.
SELECT count(*) FROM sqlite_schema;
PRAGMA page_count;
PRAGMA table_info(t);
CREATE TABLE early (x);
PRAGMA litevfs_acquire_lease;
SELECT count(*) FROM sqlite_schema;
CREATE TABLE t (x);
INSERT INTO t VALUES ('first');
PRAGMA litevfs_release_lease;
CREATE TABLE late (x);
SELECT name FROM sqlite_schema;
PRAGMA litevfs_acquire_lease;
CREATE TABLE late (x);
SELECT name FROM sqlite_schema ORDER BY name;
