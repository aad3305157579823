// Kinds of databases and of data, and ways to use them, that no script of tests/sql covers.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { surroundings, TOKEN } from './harness/index.mjs';

const world = await surroundings();
const host = world.server.url;
const stored = (tab, database) => tab.call('stored', { host, token: TOKEN, database });

test('a database in WAL mode is read and written, and stays one', async () => {
  const file = join(process.env.TMP, 'wal.db');
  execFileSync(process.env.SQLITE3, [file, `PRAGMA journal_mode = wal; CREATE TABLE t (x);
    INSERT INTO t VALUES ('from a file'); PRAGMA wal_checkpoint(truncate)`]);
  const headers = { Authorization: TOKEN };
  const body = readFileSync(file);
  const answer = await fetch(`${host}/db/upload?db=wal`, { method: 'POST', headers, body });
  assert.equal(answer.status, 200);

  const tab = await world.tab();
  await tab.open('wal');
  assert.equal(await tab.one('SELECT x FROM t'), 'from a file');
  await tab.sql("PRAGMA litevfs_acquire_lease; INSERT INTO t VALUES ('from a tab')");
  const snapshot = await fetch(`${host}/db/snapshot?db=wal&format=sqlite`, { headers });
  const bytes = new Uint8Array(await snapshot.arrayBuffer());
  assert.deepEqual([...bytes.subarray(18, 20)], [2, 2]);
  assert.deepEqual((await stored(tab, 'wal')).tables, { t: ["'from a file'", "'from a tab'"] });
});

test('a transaction over two databases is there in both or in none', async () => {
  const tab = await world.tab({ env: { LITEVFS_AUTO_LEASE: '1' } });
  await tab.open('one');
  await tab.sql(`ATTACH 'file:two' AS two; CREATE TABLE main.t (x); CREATE TABLE two.t (x)`);
  await tab.sql(`BEGIN; INSERT INTO main.t VALUES (1); INSERT INTO two.t VALUES (1); COMMIT`);
  await tab.sql(`BEGIN; INSERT INTO main.t VALUES (2); INSERT INTO two.t VALUES (2); ROLLBACK`);
  for (const database of ['one', 'two']) {
    assert.deepEqual((await stored(tab, database)).tables, { t: ['1'] });
  }
  // A local file can't be part of it.
  await tab.sql(`ATTACH 'file:/tmp/local.db?vfs=unix-none' AS local; CREATE TABLE local.t (x)`);
  await tab.sql(`BEGIN; INSERT INTO main.t VALUES (3); INSERT INTO local.t VALUES (3)`);
  await tab.refused('COMMIT', ['one']);
  if (await tab.call('isInTransaction', { name: 'main' })) await tab.sql('ROLLBACK');
  assert.deepEqual((await stored(tab, 'one')).tables, { t: ['1'] });
});

test('journals that are too large for memory, for a rollback and for two databases', async () => {
  const tab = await world.tab({ env: { LITEVFS_AUTO_LEASE: '1' } });
  await tab.open('large-one');
  await tab.sql(`ATTACH 'file:large-two' AS two; PRAGMA cache_size = 5; PRAGMA two.cache_size = 5`);
  const bytes = 400_000;
  for (const schema of ['main', 'two']) {
    await tab.sql(`CREATE TABLE ${schema}.t (id INTEGER PRIMARY KEY, x);
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${bytes / 1000})
      INSERT INTO ${schema}.t SELECT i, zeroblob(1000) FROM n`);
  }
  const change = "UPDATE main.t SET x = hex(x); UPDATE two.t SET x = hex(x)";
  const sums = `SELECT (SELECT sum(length(x)) FROM main.t), (SELECT sum(length(x)) FROM two.t)`;
  await tab.sql(`BEGIN; ${change}; ROLLBACK`);
  assert.deepEqual(await tab.sql(sums), [[bytes, bytes]]);
  await tab.sql(`BEGIN; ${change}; COMMIT`);
  assert.deepEqual(await tab.sql(sums), [[2 * bytes, 2 * bytes]]);
  assert.equal(await tab.one('PRAGMA integrity_check'), 'ok');
  assert.deepEqual((await stored(tab, 'large-two')).integrity, [['ok']]);
});

// SQLite's build for browsers has no backup functions.
test('VACUUM INTO another database of the server, and a file', async () => {
  const tab = await world.tab({ env: { LITEVFS_AUTO_LEASE: '1' } });
  await tab.open('original');
  await tab.sql(`CREATE TABLE t (id INTEGER PRIMARY KEY, x);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
    INSERT INTO t SELECT i, hex(zeroblob(i)) FROM n; DELETE FROM t WHERE id % 7 = 0`);
  const { tables } = await tab.call('content', { name: 'main' });
  await tab.sql("VACUUM INTO 'file:copy'");
  assert.deepEqual((await stored(tab, 'copy')).tables, tables);
  await tab.sql("VACUUM INTO 'file:/tmp/copy.db?vfs=unix-none'");
  await tab.open('file:/tmp/copy.db?vfs=unix-none', 'local');
  assert.deepEqual((await tab.call('content', { name: 'local' })).tables, tables);
});

test('integers of 64 bits, texts and blobs come back as they went', async () => {
  const tab = await world.tab({ env: { LITEVFS_AUTO_LEASE: '1' } });
  await tab.open('values');
  const blob = Array.from({ length: 300_000 }, (_, n) => (n * n + (n >> 8)) % 256);
  const values = [{ bigint: '9223372036854775807' }, { bigint: '-9223372036854775808' }, 0.1, null,
    '', '\u00e4\u20ac\u{1f642}', { blob: [] }, { blob }];
  await tab.sql('CREATE TABLE v (id INTEGER PRIMARY KEY, x)');
  for (const value of values) await tab.sql('INSERT INTO v (x) VALUES (?)', { bind: [value] });
  const again = await world.tab();
  await again.open('values');
  assert.deepEqual((await again.sql('SELECT x FROM v ORDER BY id')).flat(), values);
});

test('the past stands beside the present', async () => {
  const tab = await world.tab({ env: { LITEVFS_AUTO_LEASE: '1' } });
  await tab.open('history');
  await tab.sql("CREATE TABLE t (x); INSERT INTO t VALUES ('then')");
  const txid = await tab.one('SELECT litevfs_txid()');
  await tab.sql("UPDATE t SET x = 'now'");
  await tab.sql(`ATTACH 'file:history?txid=${txid}' AS past`);
  const both = await tab.sql('SELECT past.t.x, main.t.x FROM past.t, main.t');
  assert.deepEqual(both, [['then', 'now']]);
});
