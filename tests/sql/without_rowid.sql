-- WITHOUT ROWID tables: composite keys, order, secondary index.
PRAGMA litevfs_acquire_lease;
CREATE TABLE w (a TEXT, b INTEGER, c BLOB, PRIMARY KEY (a, b DESC)) WITHOUT ROWID;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
INSERT INTO w SELECT 'k' || (i % 7), i, zeroblob(i) FROM n;
CREATE INDEX w_len ON w (length(c));
SELECT a, max(b), count(*) FROM w GROUP BY a;
DELETE FROM w WHERE a = 'k3';
INSERT INTO w VALUES ('k1', 1, NULL);
SELECT a, b FROM w WHERE a = 'k1' LIMIT 3;
SELECT count(*) FROM w WHERE length(c) > 400;
PRAGMA integrity_check;
