-- Temp tables, indexes, triggers and views work without the lease and never reach the server.
CREATE TEMP TABLE scratch (x);
INSERT INTO scratch VALUES (1), (2), (3);
CREATE INDEX temp.scratch_x ON scratch (x);
SELECT sum(x) FROM scratch;
PRAGMA litevfs_acquire_lease;
CREATE TABLE real_one (x);
INSERT INTO real_one SELECT x * 10 FROM scratch;
CREATE TEMP VIEW both_of AS SELECT x FROM scratch UNION ALL SELECT x FROM real_one;
CREATE TEMP TRIGGER copy AFTER INSERT ON real_one BEGIN INSERT INTO scratch VALUES (new.x); END;
INSERT INTO real_one VALUES (99);
SELECT group_concat(x) FROM (SELECT x FROM both_of ORDER BY x);
PRAGMA temp_store = FILE;
CREATE TEMP TABLE big (x);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO big SELECT hex(zeroblob(50)) || i FROM n;
SELECT count(*), count(DISTINCT x) FROM big;
SELECT count(*) FROM (SELECT x FROM big ORDER BY substr(x, -3), x);
SELECT name FROM sqlite_schema;
ATTACH '' AS unnamed;
CREATE TABLE unnamed.t (x);
INSERT INTO unnamed.t SELECT x FROM big;
SELECT count(*) FROM unnamed.t;
DETACH unnamed;
