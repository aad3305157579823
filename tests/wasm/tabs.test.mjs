// Two tabs on one database, and a tab beside a native client: everybody sees what the others
// committed, and nothing is lost when they write in turns.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Native } from './harness/native.mjs';
import { surroundings, TOKEN } from './harness/index.mjs';

const world = await surroundings();
const SOON = "PRAGMA litevfs_cache_sync_period = '1ms'";
const WITHOUT_ASKING = 'PRAGMA litevfs_auto_lease = on; PRAGMA busy_timeout = 30000';

test('one tab writes, the other sees it; a transaction keeps what it began with', async () => {
  const profile = await world.profile();
  const [writer, reader] = [await world.tab({}, { profile }), await world.tab({}, { profile })];
  await writer.open('seen');
  await reader.open('seen');
  await reader.sql(SOON);
  await writer.sql("PRAGMA litevfs_acquire_lease; CREATE TABLE t (x); INSERT INTO t VALUES ('a')");
  assert.deepEqual(await reader.sql('SELECT x FROM t'), [['a']]);

  await reader.sql('BEGIN; SELECT x FROM t');
  await writer.sql("INSERT INTO t VALUES ('b')");
  assert.deepEqual(await reader.sql('SELECT x FROM t'), [['a']]);
  await reader.sql('COMMIT');
  assert.deepEqual(await reader.sql('SELECT x FROM t'), [['a'], ['b']]);

  // Half a transaction is nobody's business.
  await writer.sql("BEGIN; INSERT INTO t VALUES ('c')");
  assert.equal(await reader.one('SELECT count(*) FROM t'), 2);
  await writer.sql('ROLLBACK');
  assert.equal(await reader.one('SELECT count(*) FROM t'), 2);
});

test('two tabs write in turns with auto lease: nothing is lost, both get on', async () => {
  const total = 40;
  const tabs = [await world.tab(), await world.tab()];
  for (const tab of tabs) {
    await tab.open('turns');
    await tab.sql(SOON);
    await tab.sql(WITHOUT_ASKING);
  }
  await tabs[0].sql(`CREATE TABLE n (v INTEGER); INSERT INTO n VALUES (0);
    CREATE TABLE ready (who); CREATE TABLE log (v INTEGER PRIMARY KEY, who)`);

  // Each waits for the other, then both count until they are there.
  const counts = await Promise.all(tabs.map((tab, who) => tab.run(([me, goal]) => {
    const rows = (sql) => {
      const { rows: found, error } = self.tools.sql({ name: 'main', sql });
      if (error) throw new Error(`${error.message}: ${error.detail}`);
      return found;
    };
    rows(`INSERT INTO ready VALUES (${me})`);
    while (rows('SELECT count(*) FROM ready')[0][0] < 2);
    let mine = 0;
    for (;;) {
      rows('BEGIN IMMEDIATE');
      const [[v]] = rows('SELECT v FROM n');
      if (v < goal) {
        rows(`UPDATE n SET v = v + 1; INSERT INTO log VALUES (${v + 1}, ${me})`);
        mine += 1;
      }
      rows('COMMIT');
      if (v >= goal) return mine;
    }
  }, [who, total])));

  assert.equal(counts[0] + counts[1], total);
  assert.equal(await tabs[0].one('SELECT v FROM n'), total);
  const log = await tabs[0].sql('SELECT count(*), count(DISTINCT v) FROM log');
  assert.deepEqual(log, [[total, total]]);
  for (const count of counts) {
    assert.ok(count >= total / 4, `one of them hardly came to write: ${counts}`);
  }
});

test('a tab and a native client see what the other commits and who has the lease', async () => {
  const tab = await world.tab();
  const native = new Native(world.server.url, TOKEN, 'both');
  await tab.open('both');
  await tab.sql(SOON);
  await native.sql(SOON);
  assert.equal(await native.sql(`PRAGMA litevfs_acquire_lease; CREATE TABLE t (x);
    INSERT INTO t VALUES ('native')`), '');

  assert.deepEqual(await tab.sql('SELECT x FROM t'), [['native']]);
  const busy = await tab.refused('PRAGMA litevfs_acquire_lease', ['both', 'ELEASE',
    'another client holds the write lease']);
  assert.equal(busy.primary, 5);
  const unleased = await tab.refused("INSERT INTO t VALUES ('too early')", ['no write lease']);
  assert.equal(unleased.primary, 8);

  await native.sql('PRAGMA litevfs_release_lease');
  await tab.sql("PRAGMA litevfs_acquire_lease; INSERT INTO t VALUES ('tab')");
  assert.equal(await native.sql('SELECT x FROM t'), 'native\ntab');
  const nativeRefused = await native.sql('PRAGMA litevfs_acquire_lease');
  assert.match(nativeRefused, /another client holds the write lease/);
  assert.match(nativeRefused, /\(5\)$/);

  // A tab that is closed gives its lease back, or it runs out.
  await tab.close();
  await native.sql('PRAGMA busy_timeout = 30000; PRAGMA litevfs_auto_lease = on');
  assert.equal(await native.sql("INSERT INTO t VALUES ('again'); SELECT count(*) FROM t"), '3');
  await native.close();
});
