// The SQL scripts of the native tests, tests/sql, in the page: each prints what the sqlite3 shell
// prints with the extension, errors included, and what is in the database then is what the server
// has, as plain SQLite reads it.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { surroundings, TOKEN } from './harness/index.mjs';
import { COMMANDS } from './page/shell.mjs';

const FOLDER = fileURLToPath(new URL('../sql', import.meta.url));

// Scripts that can't run in the page, because of commands that are programs of the shell's own.
const NOT_HERE = {
  restores: ['backup', 'save', 'clone', 'output', 'dump', 'restore', 'read', 'sha3sum'],
};

// Scripts that print what plain SQLite prints in the page, which is not what the shell prints.
const AS_PLAIN = {
  pragmas_all: 'pointers of 32 bits, no deprecated pragmas',
  pragmas_sqlite: 'no UTF-16',
};

const names = readdirSync(FOLDER).filter((file) => file.endsWith('.sql'))
  .map((file) => file.slice(0, -4));

test('what is left out has commands that only the shell has, and nothing else is left out', () => {
  const unknown = {};
  for (const name of names) {
    const commands = [...read(`${name}.sql`).matchAll(/^\.(\w+)/gm)].map(([, command]) => command);
    const missing = [...new Set(commands)].filter((command) => !(command in COMMANDS));
    if (missing.length) unknown[name] = missing;
  }
  assert.deepEqual(unknown, NOT_HERE);
});

const world = await surroundings();
const tab = await world.tab();

for (const name of names.filter((name) => !(name in NOT_HERE))) {
  test(name, async () => {
    const { uri, script } = prepared(name);
    const { output, content } = await run(name, uri, script);
    const native = read(`${name}.expected`);
    if (name in AS_PLAIN) {
      const plain = await run(name, `file:/tmp/${name}-plain.db?vfs=unix-none`, script);
      assert.equal(output, plain.output);
      assert.notEqual(output, native, `the shell prints the same; it need not be in the list`);
    } else {
      assert.equal(output, native);
    }
    const { url: host } = world.server;
    const stored = await tab.call('stored', { host, token: TOKEN, database: name });
    assert.deepEqual(content.integrity, [['ok']]);
    if (stored) assert.deepEqual(content, stored);
    else assert.deepEqual(content.schema, []);
  });
}

// In a worker of its own, as every script has a process of its own.
async function run(name, uri, script) {
  await tab.restartWorker();
  const { output, exitCode, content } = await tab.call('script', { uri, script });
  return { output: `${output.replaceAll(`/tmp/${name}-`, '@TMP@/')}[exit ${exitCode}]\n`, content };
}

function read(file) {
  return readFileSync(`${FOLDER}/${file}`, 'utf8');
}

// Local files are in the memory of the worker, where SQLite's own VFS for files finds them.
function prepared(name) {
  const uri = `file:${name}`;
  const script = read(`${name}.sql`).replaceAll('@DB@', uri).replaceAll('@TMP@/', `/tmp/${name}-`)
    .replaceAll('vfs=unix', 'vfs=unix-none');
  return { uri, script };
}
