-- litevfs_cache_db fetches everything; reading afterwards answers from the cache.
PRAGMA litevfs_acquire_lease;
CREATE TABLE t (id INTEGER PRIMARY KEY, x);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
INSERT INTO t SELECT i, zeroblob(1000) FROM n;
PRAGMA litevfs_cache_db;
PRAGMA litevfs_max_reqs_per_query = 1;
SELECT count(*), sum(length(x)) FROM t;
