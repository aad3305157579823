// A row of a database of 95 MB costs a browser the requests and bytes that it costs the native
// build.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createReadStream, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { Native } from './harness/native.mjs';
import { Network } from './harness/network.mjs';
import { surroundings, TOKEN } from './harness/index.mjs';

const ROWS = 1_000_000;
const LOOKUPS = [4_711, 987_654, 500_001];

const world = await surroundings();
const network = await Network.to(world.server);
const file = join(process.env.TMP, 'large.db');
execFileSync(process.env.SQLITE3, [file, `PRAGMA page_size = 4096; PRAGMA journal_mode = off;
  PRAGMA synchronous = off;
  CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER NOT NULL, txt TEXT NOT NULL);
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS})
  INSERT INTO t SELECT i, i * 7919 % 1099511627776,
    printf('row %d of a million rows, %x %x %x', i, i * 2654435761, i * 40503, i * 1013904223)
  FROM n;
  CREATE INDEX t_k ON t (k)`]);

// One for each, because the server learns from the one what to send to the other. The names are of
// one length.
const [NATIVE, TAB] = ['large-1', 'large-2'];

test('it is large', async () => {
  assert.ok(statSync(file).size > 95e6, `${statSync(file).size} bytes`);
  for (const database of [NATIVE, TAB]) {
    const url = `${world.server.url}/db/upload?db=${database}`;
    const answer = await fetch(url, { method: 'POST', headers: { Authorization: TOKEN },
      body: createReadStream(file), duplex: 'half' });
    assert.equal(answer.status, 200, await answer.text());
  }
});

test('opening it and looking up rows takes what it takes natively', async () => {
  const costs = { native: [], tab: [] };
  const measure = async (client, answer) => {
    costs[client].push({ answer: await answer, ...await network.counts() });
  };
  const native = new Native(network.url, TOKEN, NATIVE);
  // No poll: how many there are depends on the time.
  const quiet = 'PRAGMA litevfs_cache_sync_period = 0; SELECT count(*) FROM sqlite_schema';
  await measure('native', native.sql(quiet).then(Number));
  const tab = await world.tab({ host: network.url });
  await tab.open(TAB);
  await measure('tab', tab.one(quiet));
  for (const id of LOOKUPS) {
    const sql = `SELECT txt FROM t WHERE id = ${id}`;
    await measure('native', native.sql(sql));
    await measure('tab', tab.one(sql));
  }
  await native.close();

  assert.deepEqual(costs.tab, costs.native);
  assert.deepEqual(costs.tab.map(({ requests }) => requests),
    [['GET /db/open'], ['GET /db/page'], ['GET /db/page'], ['GET /db/page']]);
});
