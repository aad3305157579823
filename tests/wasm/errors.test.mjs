// What goes wrong between a tab and its server: each statement ends with an error that says what it
// was, and the next one works when that is over.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Network } from './harness/network.mjs';
import { startSite, surroundings, TOKEN } from './harness/index.mjs';

const IOERR = 10;
const CANTOPEN = 14;
const POSITION_GONE = IOERR | (0x504f53 << 8);
const ROWS = 5000;

const world = await surroundings();
const network = await Network.to(world.server);
world.server.sql('big', `CREATE TABLE t (id INTEGER PRIMARY KEY, x);
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS})
  INSERT INTO t SELECT i, hex(zeroblob(500)) FROM n;`);

// A tab that has opened the database, but holds few of its pages.
async function reader() {
  const tab = await world.tab({ host: network.url });
  await tab.open('big');
  await tab.sql(`PRAGMA litevfs_max_prefetch_pages = 0; PRAGMA litevfs_cache_sync_period = '1ms';
    SELECT x FROM t WHERE id = 1`);
  return tab;
}

// What the server has, whatever the tab believes.
const stored = (tab, database) =>
  tab.call('stored', { host: world.server.url, token: TOKEN, database });

const row = (id) => `SELECT length(x) FROM t WHERE id = ${id}`;

// Ways in which reading a page fails; `words` are in the error. Where the server does not refuse
// the tab, what was read before stays there meanwhile, unless `isRefusal`.
const READING = [
  { name: 'the server is down', start: () => network.down(), end: () => network.up(),
    words: ['/db/page', 'no answer', 'the server is down', '--cors-origin'] },
  { name: 'the server is overloaded', words: ['503', 'come back later'],
    start: () => network.break('status', { status: 503, body: '{"error":"come back later"}' }) },
  { name: 'something before the server fails', words: ['no answer'],
    start: () => network.break('status', { status: 503, hidden: true }) },
  { name: 'the connection breaks', start: () => network.break('drop'), words: ['no answer'] },
  { name: 'the answer is cut off', start: () => network.break('cut'), words: ['no answer'] },
  { name: 'something else answers', words: ['is that a LiteFS Cloud server?'], isRefusal: true,
    start: () => network.break('status', { status: 200, body: '<html>Welcome!</html>' }) },
  { name: 'the server is silent', start: () => network.break('silence', { path: '/db/page' }),
    words: ['no answer within 15 s'] },
  { name: 'the browser is offline', words: ['the browser is offline'],
    start: (tab) => tab.context.setOffline(true), end: (tab) => tab.context.setOffline(false) },
  { name: 'the token is not valid any more', words: ['401', 'token'], isRefusal: true,
    start: () => network.break('status', { status: 401, body: '{"error":"wrong token"}' }) },
  { name: 'the server no longer has the position', words: ['position'], isRefusal: true,
    code: POSITION_GONE,
    start: () => network.break('status', { status: 409, path: '/db/page',
      body: '{"code":"EPOSMISMATCH","error":"position mismatch"}' }) },
];

for (const [at, { name, start, end, words, code, isRefusal }] of READING.entries()) {
  // The server sends along with the next opening what was asked for: each has a row of its own.
  const id = ROWS - 400 * at;
  test(`${name}, and is there again`, async () => {
    const tab = await reader();
    let error;
    try {
      await start(tab);
      error = await tab.refused(row(id), words);
      assert.equal(code ? error.extended : error.primary, code ?? IOERR);
      if (!isRefusal) assert.equal(await tab.one(row(1)), 1000);
    } finally {
      await (end ? end(tab) : network.heal());
    }
    assert.equal(await tab.one(row(id)), 1000);
    await tab.close();
  });
}

test('a wrong token, a database that is not there, a page that is not let in', async () => {
  const tab = await world.tab({ host: network.url });
  await tab.open('big?token=wrong', 'wrong');
  await tab.refused(row(1), ['401', 'token'], { name: 'wrong' });
  const missing = await tab.notOpened('nowhere?mode=ro', ['nowhere']);
  assert.equal(missing.code, CANTOPEN);
  await tab.open('big', 'good');
  assert.equal(await tab.one(row(1), { name: 'good' }), 1000);

  const foreign = await startSite();
  const guest = await world.tab({ host: network.url }, { site: foreign });
  await guest.open('big');
  await guest.refused(row(1), ['no answer', `--cors-origin ${foreign.url}`]);
  await foreign.close();
});

test('a commit whose answer is lost is there, once', async () => {
  const tab = await world.tab({ host: network.url });
  await tab.open('lost');
  await tab.sql('PRAGMA litevfs_acquire_lease; CREATE TABLE t (x)');
  await network.break('lose', { path: '/db/tx', times: 1 });
  await tab.sql("INSERT INTO t VALUES ('once')");
  await network.break('drop', { path: '/db/tx', times: 1 });
  await tab.sql("INSERT INTO t VALUES ('again')");
  assert.deepEqual(await tab.sql('SELECT x FROM t'), [['once'], ['again']]);
  const { tables } = await stored(tab, 'lost');
  assert.deepEqual(tables, { t: ["'once'", "'again'"] });
});

test('a commit of which nothing is heard fails and says so; all see the same then', async () => {
  const tab = await world.tab({ host: network.url });
  await tab.open('unheard');
  await tab.sql('PRAGMA litevfs_acquire_lease; CREATE TABLE t (x)');
  await network.break('lose');
  await tab.refused("INSERT INTO t VALUES ('perhaps')", ['unheard', 'not known: look before']);
  await network.heal();
  await tab.sql("PRAGMA litevfs_acquire_lease; INSERT INTO t VALUES ('surely')");
  const seen = await tab.sql('SELECT quote(x) FROM t');
  const { tables } = await stored(tab, 'unheard');
  assert.deepEqual(tables.t, seen.flat());
  assert.deepEqual(seen.flat(), ["'perhaps'", "'surely'"]);
});

test('a commit that never reaches the server fails, and nobody sees it', async () => {
  const tab = await world.tab({ host: network.url });
  await tab.open('refused');
  await tab.sql('PRAGMA litevfs_acquire_lease; CREATE TABLE t (x)');
  await network.break('status', { status: 500, path: '/db/tx', body: '{"error":"no space"}' });
  await tab.refused("INSERT INTO t VALUES ('never')", ['500', 'no space']);
  await network.heal();
  assert.equal(await tab.one('SELECT count(*) FROM t'), 0);
  await tab.sql("INSERT INTO t VALUES ('now')");
  const { tables } = await stored(tab, 'refused');
  assert.deepEqual(tables, { t: ["'now'"] });
});
