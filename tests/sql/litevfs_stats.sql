-- litevfs_stats, the functions beside it, and where there is nothing to tell.
CREATE TEMP TABLE seen (what TEXT, value);
SELECT litevfs_txid(), litevfs_pos(), litevfs_lag_ms() >= 0;
PRAGMA litevfs_acquire_lease;
CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT);
WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
  INSERT INTO t SELECT i, hex(zeroblob(200)) FROM n;
SELECT litevfs_txid(), length(litevfs_pos()), litevfs_lag_ms() >= 0;
-- In a transaction: what it began at; then what it made.
BEGIN;
DELETE FROM t WHERE a > 900;
SELECT litevfs_txid(), litevfs_txid('main'), litevfs_txid('MAIN');
COMMIT;
SELECT litevfs_txid(), litevfs_pos() = pos, txid FROM litevfs_stats;
-- Other schemas: temporary, local, not there.
ATTACH ':memory:' AS memory;
ATTACH 'file:@TMP@/plain.db?vfs=unix' AS plain;
CREATE TABLE plain.local (x);
SELECT litevfs_txid('temp'), litevfs_pos('memory'), litevfs_lag_ms('plain'), litevfs_pos(NULL);
SELECT litevfs_txid('nowhere');
SELECT litevfs_pos('');
SELECT litevfs_txid('main', 2);
-- A row for each database of ours, in the order of PRAGMA database_list.
ATTACH 'file:litevfs_stats_two?vfs=litevfs' AS two;
SELECT schema, database, cluster, mode, txid, page_size, page_count, lease, lease_left_ms > 0, last_error
  FROM litevfs_stats;
SELECT litevfs_txid('two'), litevfs_txid('two') = txid, litevfs_pos('two') = pos
  FROM litevfs_stats WHERE schema = 'two';
SELECT cached_pages = page_count, cached_bytes = cached_pages * page_size, cache_hits > 0, cache_misses,
  pages_fetched, pages_prefetched, retries, bytes_out > 1000, bytes_in > 10,
  requests <= server_requests, lag_ms >= 0, poll_age_ms >= lag_ms FROM litevfs_stats WHERE schema = 'main';
SELECT count(*) FROM litevfs_stats AS a JOIN litevfs_stats AS b USING (database);
DETACH two;
SELECT count(*) FROM litevfs_stats;
PRAGMA litevfs_release_lease;
INSERT INTO t VALUES (5000, 'without the lease');
SELECT lease, lease_left_ms, last_error FROM litevfs_stats;
-- It can be read and nothing else.
INSERT INTO litevfs_stats (schema) VALUES ('x');
CREATE VIRTUAL TABLE temp.mine USING litevfs_stats;
CREATE VIEW temp.busy AS SELECT schema, cache_hits + cache_misses AS reads FROM litevfs_stats;
SELECT schema, reads > 0 FROM busy;
-- A connection without any database of ours has functions and table, too.
.open :memory:
SELECT litevfs_txid(), count(*) FROM litevfs_stats;
SELECT litevfs_txid('nowhere');
.open @DB@
SELECT count(*) FROM t;
SELECT txid, cache_hits > 0 FROM litevfs_stats;
