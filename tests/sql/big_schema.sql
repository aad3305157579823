-- Many tables: the schema itself spans pages, root pages come and go.
PRAGMA litevfs_acquire_lease;
BEGIN;
CREATE TABLE t01 (a, b, c); CREATE TABLE t02 (a, b, c); CREATE TABLE t03 (a, b, c);
CREATE TABLE t04 (a, b, c); CREATE TABLE t05 (a, b, c); CREATE TABLE t06 (a, b, c);
CREATE TABLE t07 (a, b, c); CREATE TABLE t08 (a, b, c); CREATE TABLE t09 (a, b, c);
CREATE INDEX i01 ON t01 (a); CREATE INDEX i02 ON t02 (b, c); CREATE INDEX i03 ON t03 (c DESC);
CREATE TABLE wide (c01, c02, c03, c04, c05, c06, c07, c08, c09, c10, c11, c12, c13, c14, c15, c16);
COMMIT;
INSERT INTO t05 VALUES (1, 2, 3);
DROP TABLE t04;
DROP TABLE t09;
CREATE TABLE t10 AS SELECT a + b AS ab FROM t05;
SELECT * FROM t10;
PRAGMA freelist_count;
SELECT count(*) FROM sqlite_schema;
PRAGMA integrity_check;
