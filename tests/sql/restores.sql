-- .backup, .save, .clone, .dump, .read and .restore, over a database of another page size too.
PRAGMA litevfs_acquire_lease;
PRAGMA user_version = 7; PRAGMA application_id = 252006673;
CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB, y TEXT);
CREATE INDEX t_y ON t (y);
CREATE TRIGGER gone AFTER DELETE ON t BEGIN INSERT INTO t (y) VALUES ('was ' || old.id); END;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
INSERT INTO t SELECT i, zeroblob(i), 'row ' || i FROM n;
.backup @TMP@/backup.db
.save @TMP@/save.db
.clone @TMP@/clone.db
.output @TMP@/dump.sql
.dump
.output
DELETE FROM t WHERE id < 200;
PRAGMA page_size = 1024; VACUUM;
SELECT count(*), sum(length(x)), max(y) FROM t;
.restore @TMP@/backup.db
PRAGMA page_size; PRAGMA user_version; PRAGMA application_id;
SELECT count(*), sum(length(x)), max(y) FROM t;
INSERT INTO t (y) VALUES ('after');
DROP TABLE t;
.read @TMP@/dump.sql
SELECT count(*), sum(length(x)), max(y) FROM t;
ATTACH 'file:@TMP@/local.db?vfs=unix' AS local;
PRAGMA local.page_size = 65536;
CREATE TABLE local.u (x);
INSERT INTO local.u VALUES (zeroblob(100000)), ('local');
.backup local @TMP@/local_copy.db
DETACH local;
.restore @TMP@/local_copy.db
PRAGMA page_size;
SELECT length(x) FROM u;
.restore @TMP@/clone.db
PRAGMA page_size;
SELECT count(*), sum(length(x)), max(y) FROM t;
PRAGMA integrity_check;
.restore @TMP@/missing/file.db
.restore @TMP@/dump.sql
SELECT count(*) FROM t;
.sha3sum
INSERT INTO t (y) VALUES ('last');
