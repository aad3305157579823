// Random SQL of all kinds on plain SQLite and on LiteVFS in one worker: the same rows, errors and
// databases. SEEDS=N runs a quarter as many, 50 if it is not set.

import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';

import { surroundings, TOKEN } from './harness/index.mjs';
import { Program } from './harness/program.mjs';

const SCRIPT = fileURLToPath(new URL('harness/statements.py', import.meta.url));
const seeds = Array.from({ length: Math.ceil((process.env.SEEDS || 200) / 4) }, (_, n) => n + 1);

const world = await surroundings();

test(`random statements, ${seeds.length} seeds`, async () => {
  const scripts = new Program(process.env.PYTHON, ['-B', SCRIPT, ...seeds.map(String)]);
  const tab = await world.tab();
  const { url: host } = world.server;
  for (const seed of seeds) {
    const name = `seed-${seed}`;
    const script = JSON.parse(await scripts.line());
    const { difference, content } = await tab.call('compare', { name, script });
    const shown = JSON.stringify(difference)?.slice(0, 2000);
    assert.equal(shown, undefined, `seed ${seed}: ${shown}`);
    assert.deepEqual(content.integrity, [['ok']], `seed ${seed}`);
    const stored = await tab.call('stored', { host, token: TOKEN, database: name });
    if (stored) assert.deepEqual(stored, content, `seed ${seed}: the server's file`);
    else assert.deepEqual(content.schema, [], `seed ${seed}`);
  }
  await scripts.close();
});
