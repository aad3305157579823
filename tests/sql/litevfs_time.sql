-- The clock has milliseconds, moves forwards, and is of this century.
SELECT strftime('%f', 'now') GLOB '[0-5][0-9].[0-9][0-9][0-9]';
SELECT CURRENT_TIMESTAMP > '2025-01-01', julianday('now') < 2500000;
PRAGMA litevfs_acquire_lease;
CREATE TABLE t (at TEXT DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')));
INSERT INTO t DEFAULT VALUES;
SELECT at GLOB '20[0-9][0-9]-[01][0-9]-[0-3][0-9] [0-2][0-9]:[0-5][0-9]:[0-5][0-9].[0-9][0-9][0-9]' FROM t;
-- Of three readings at least one is not a whole second.
CREATE TEMP TABLE s (ms INTEGER);
INSERT INTO s SELECT CAST(substr(strftime('%f', 'now'), -3) AS INTEGER);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) SELECT count(*) FROM n;
INSERT INTO s SELECT CAST(substr(strftime('%f', 'now'), -3) AS INTEGER);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) SELECT count(*) FROM n;
INSERT INTO s SELECT CAST(substr(strftime('%f', 'now'), -3) AS INTEGER);
SELECT max(ms) > 0 FROM s;
