// The cache that a browser keeps for the next visit: what it saves, that tabs don't share it, that
// it stays within its bound, and that all works without one.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Network } from './harness/network.mjs';
import { surroundings } from './harness/index.mjs';

const ROWS = 3000;
const SUM = `SELECT count(*), sum(length(x)) FROM t`;
const ALL = [[ROWS, 1000 * ROWS]];

const world = await surroundings();
const network = await Network.to(world.server);
const host = network.url;
world.server.sql('pages', `CREATE TABLE t (id INTEGER PRIMARY KEY, x);
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS})
  INSERT INTO t SELECT i, hex(randomblob(500)) FROM n;`);

// An opening also asks for the position; it brings no page that is here.
const isForPages = (request) => /\/db\/(page|snapshot)/.test(request);

// Reads all rows in a tab; what that took of the network.
async function readAll(tab, rows = ALL) {
  await network.counts();
  await tab.open('pages');
  assert.deepEqual(await tab.sql(SUM), rows);
  return network.counts();
}

async function bytesKept(tab) {
  return tab.page.evaluate(async () => {
    let bytes = 0;
    const add = async (folder) => {
      for await (const entry of folder.values()) {
        if (entry.kind === 'directory') await add(entry);
        else bytes += (await entry.getFile()).size;
      }
    };
    await add(await navigator.storage.getDirectory());
    return bytes;
  });
}

test('after a reload only the position is asked for, also with other tabs open', async () => {
  const profile = await world.profile();
  const first = await world.tab({ host }, { profile });
  assert.equal(first.started.notice, null);
  const cold = await readAll(first);
  assert.ok(cold.received > 1_000_000, 'the first visit fetches the pages');
  // The other tab has a cache of its own, empty yet.
  const second = await world.tab({ host }, { profile });
  assert.equal(second.started.notice, null);
  assert.ok((await readAll(second)).received > 1_000_000, 'the second tab fetches them too');
  assert.deepEqual(await first.sql(SUM), ALL);

  for (const tab of [first, second, first]) {
    await tab.reload();
    const warm = await readAll(tab);
    assert.deepEqual(warm.requests.filter(isForPages), []);
    assert.ok(warm.received < 1000, `${warm.received} bytes for a warm cache`);
  }

  // What another client changed is fetched, and no more.
  world.server.sql('pages', 'DELETE FROM t WHERE id = 1;');
  await first.reload();
  const changed = await readAll(first, [[ROWS - 1, 1000 * (ROWS - 1)]]);
  assert.ok(changed.received < 100_000, `${changed.received} bytes for a changed page`);
  await network.counts();
  world.server.sql('pages', "INSERT INTO t VALUES (1, hex(zeroblob(500)));");
});

test('a tab that dies while it writes leaves a cache that can be used', async () => {
  const tab = await world.tab({ host, env: { LITEVFS_AUTO_LEASE: '1' } });
  await tab.open('dying');
  await tab.sql(`CREATE TABLE t (id INTEGER PRIMARY KEY, x);
    INSERT INTO t SELECT value, randomblob(1000) FROM json_each('[1,2,3,4,5]')`);
  for (let round = 1; round <= 3; round += 1) {
    // Until the lease of the dead is over.
    await tab.sql('PRAGMA busy_timeout = 30000');
    await tab.sql(`BEGIN; UPDATE t SET x = ${round}; INSERT INTO t (x) VALUES (zeroblob(300000))`);
    // Somewhere in a loop of commits, too.
    tab.worker.evaluate(() => {
      for (let n = 0; ; n += 1) {
        self.tools.sql({ name: 'main', sql: `COMMIT; BEGIN; UPDATE t SET x = -${n}` });
      }
    }).catch(() => {});
    await tab.page.waitForTimeout(20 * round);
    await tab.restartWorker();
    await tab.open('dying');
    assert.equal(await tab.one('PRAGMA integrity_check'), 'ok');
    const rows = await tab.one('SELECT count(*) FROM t');
    const stored = await tab.call('stored', { host, token: tab.config.token, database: 'dying' });
    assert.equal(stored.tables.t.length, rows);
    assert.deepEqual((await tab.call('content', { name: 'main' })).tables, stored.tables);
  }
});

test('the cache stays within its bound', async () => {
  const maxCacheBytes = 1 << 20;
  const tab = await world.tab({ host, maxCacheBytes });
  await readAll(tab);
  await readAll(tab);
  // Beside the pages there is a map.
  const bytes = await bytesKept(tab);
  assert.ok(bytes > maxCacheBytes / 4, `only ${bytes} bytes are kept`);
  assert.ok(bytes <= maxCacheBytes * 1.1, `${bytes} bytes are kept`);
  assert.equal(await tab.one('PRAGMA integrity_check'), 'ok');
});

test('without room for files, and in a browser without, all works; a notice says why', async () => {
  const none = await world.tab({ host, maxCacheBytes: 0 });
  assert.match(none.started.notice, /maxCacheBytes is 0/);
  await readAll(none);
  assert.equal(await bytesKept(none), 0);

  const setUp = () => { delete StorageManager.prototype.getDirectory; };
  const old = await world.tab({ host, env: { LITEVFS_AUTO_LEASE: '1' } }, { setUp });
  assert.match(old.started.notice, /memory only.*OPFS/);
  await readAll(old);
  await old.sql('CREATE TABLE written (x); INSERT INTO written VALUES (1)');
  assert.equal(await old.one('SELECT count(*) FROM written'), 1);
});
