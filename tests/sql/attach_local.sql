-- Importing: a local file is attached beside the database in the cloud, rows go both ways.
ATTACH 'file:@TMP@/local.db?vfs=unix' AS local;
CREATE TABLE local.src (id INTEGER PRIMARY KEY, name TEXT);
INSERT INTO local.src (name) VALUES ('x'), ('y'), ('z');
PRAGMA litevfs_acquire_lease;
CREATE TABLE dst (id INTEGER PRIMARY KEY, name TEXT);
INSERT INTO dst SELECT * FROM local.src;
SELECT * FROM dst;
CREATE TABLE local.back AS SELECT id * 2 AS id2, name FROM main.dst;
SELECT * FROM local.back;
DETACH local;
SELECT count(*) FROM dst;
