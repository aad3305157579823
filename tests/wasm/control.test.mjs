// What a program has in its hand besides SQL: it can interrupt, count, and renew a token; and the
// worker of a page without modules.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Network } from './harness/network.mjs';
import { Server, surroundings, TOKEN } from './harness/index.mjs';

const INTERRUPT = 9;
const ROWS = 3000;

const world = await surroundings();
const network = await Network.to(world.server);
const host = network.url;
world.server.sql('pages', `CREATE TABLE t (id INTEGER PRIMARY KEY, x);
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS})
  INSERT INTO t SELECT i, hex(randomblob(500)) FROM n;`);
const SUM = 'SELECT count(*), sum(length(x)) FROM t';

test('a statement is interrupted between two page reads, and the next one works', async () => {
  // In the worker the page's wish is a function that is asked before each request.
  const setUp = (litevfs) => {
    self.requestsLeft = Infinity;
    litevfs.isCancelled = () => (self.requestsLeft -= 1) < 0;
  };
  const tab = await world.tab({ host }, { setUp });
  await tab.open('pages');
  await tab.sql('SELECT x FROM t WHERE id = 1');
  await tab.run(() => { self.requestsLeft = 1; });
  await network.counts();
  const error = await tab.refused(SUM, ['interrupted']);
  assert.ok([INTERRUPT, 10].includes(error.primary), `code ${error.code}`);
  assert.ok((await network.counts()).requests.length <= 1, 'it went on asking');
  await tab.run(() => { self.requestsLeft = Infinity; });
  assert.deepEqual(await tab.sql(SUM), [[ROWS, 1000 * ROWS]]);
});

test('an interrupted COMMIT is rolled back', async () => {
  const setUp = (litevfs) => { litevfs.isCancelled = () => self.isCancelled; };
  const tab = await world.tab({ host }, { setUp });
  await tab.open('commits');
  await tab.sql('PRAGMA litevfs_acquire_lease; CREATE TABLE t (x)');
  await tab.run(() => { self.isCancelled = true; });
  await tab.refused('INSERT INTO t VALUES (1)', ['interrupted']);
  await tab.run(() => { self.isCancelled = false; });
  assert.equal(await tab.one('SELECT count(*) FROM t'), 0);
  await tab.sql('PRAGMA litevfs_acquire_lease; INSERT INTO t VALUES (2)');
  const stored = await tab.call('stored', { host, token: TOKEN, database: 'commits' });
  assert.deepEqual(stored.tables, { t: ['2'] });
  // Its worker would prolong the lease while the next test counts what goes over the network.
  await tab.sql('PRAGMA litevfs_release_lease');
});

test('the counters are those of the network, and of litevfs_stats', async () => {
  const tab = await world.tab({ host });
  await network.counts();
  const { counts } = await counted(tab, async () => {
    await tab.open('pages');
    await tab.sql(SUM);
    await tab.sql("ATTACH 'file:counted' AS c; PRAGMA c.litevfs_acquire_lease");
    await tab.sql('CREATE TABLE c.t (x); INSERT INTO c.t VALUES (zeroblob(5000))');
    // Nothing goes on by itself: no lease is prolonged, no position asked for.
    await tab.sql("PRAGMA c.litevfs_release_lease; PRAGMA litevfs_cache_sync_period = '1m'");
  });
  const seen = await network.counts();
  assert.deepEqual(counts, { requests: seen.requests.length, bytesSent: seen.sent,
    bytesReceived: seen.received });
  const [stats] = await tab.sql(`SELECT server_requests, server_bytes_out, server_bytes_in
    FROM litevfs_stats WHERE schema = 'main'`);
  assert.deepEqual(stats, Object.values(counts));
});

test('a token that expires is renewed; database and cache stay what they are', async () => {
  const args = ['--token', 'second', '--cors-origin', world.site.url];
  const server = await Server.start(args, 'second');
  server.sql('pages', 'CREATE TABLE t (x); INSERT INTO t VALUES (1);');
  const setUp = (litevfs) => {
    self.current = 'first';
    self.refusals = [];
    litevfs.tokenFor = (token) => (token === 'as opened' ? self.current : undefined);
    litevfs.refused = (token) => {
      self.refusals.push(token);
      if (self.next) self.current = self.next;
      return Boolean(self.next);
    };
  };
  const config = { host: server.url, token: 'as opened' };
  const tab = await world.tab(config, { setUp });
  await tab.open('pages');
  await tab.refused('SELECT x FROM t', ['401']);
  await tab.run(() => { self.next = 'second'; });
  assert.equal(await tab.one('SELECT x FROM t'), 1);
  const asked = (await tab.run(() => self.refusals)).length;
  assert.equal(await tab.one('SELECT x FROM t'), 1);
  await tab.sql('PRAGMA litevfs_acquire_lease; INSERT INTO t VALUES (2)');
  assert.equal((await tab.run(() => self.refusals)).length, asked, 'the new token was refused');
  await tab.sql('PRAGMA litevfs_release_lease');
  await server.kill();
});

test('sqlite3.js in a classic worker', async () => {
  const script = '/classic.js?sqlite3.dir=/sqlite3';
  const tab = await world.tab({ host }, { script });
  await tab.open('pages');
  assert.deepEqual(await tab.sql(SUM), [[ROWS, 1000 * ROWS]]);
});

// What the counters say of some work.
async function counted(tab, work) {
  const before = await tab.call('counters');
  await work();
  const after = await tab.call('counters');
  const counts = ['requests', 'bytesSent', 'bytesReceived'].map((name) =>
    [name, after[name] - before[name]]);
  return { counts: Object.fromEntries(counts) };
}
