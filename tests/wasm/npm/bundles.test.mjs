// The package as programs get it: packed, installed, bundled without any configuration, and in
// Node.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import {
  launch, makeSite, NPM_PACKAGE, NPM_TOOLS, openPage, PATIENCE_MS, serveFolder, Server,
  TOKEN,
} from './surroundings.mjs';

const browser = await launch();
const options = { timeout: 3 * PATIENCE_MS };

// The program of a package: name and path, as its package.json has it.
function program(name, path) {
  return join(NPM_TOOLS, name, path);
}

// An application that uses the package, which is installed.
function makeApplication() {
  const folder = makeSite('/main.js', {
    'package.json': '{ "name": "application", "private": true, "type": "module" }',
    'main.js': "import * as litevfs from 'litevfs';\nglobalThis.litevfs = litevfs;\n",
  });
  cpSync(NPM_PACKAGE, join(folder, 'node_modules/litevfs'), { recursive: true });
  return folder;
}

// Asserts that the site's page reads and writes, and knows what to do about a wrong token.
async function works(site) {
  const server = await Server.start(['--token', TOKEN, '--cors-origin', site.url], TOKEN);
  const page = await openPage(browser, site);
  const seen = await page.evaluate(async ({ host, token }) => {
    const db = await litevfs.open('db1', { host, token });
    await db.run('CREATE TABLE t AS SELECT 7 AS x');
    const rows = await db.exec('SELECT x FROM t');
    await db.close();
    const stranger = await litevfs.open('db1', { host, token: 'no' });
    const error = await stranger.exec('SELECT x FROM t').catch((thrown) => thrown);
    return { rows, code: error.code, isOurs: error instanceof litevfs.LitevfsError };
  }, { host: server.url, token: TOKEN });
  assert.deepEqual(seen, { rows: [{ x: 7 }], code: 'UNAUTHORIZED', isOurs: true });
  assert.equal(server.sql('db1', 'SELECT x FROM t;'), '7\n');
  await page.context().close();
}

async function worksBuilt(folder) {
  const site = await serveFolder(folder);
  await works(site);
  await site.close();
}

const run = (file, args, cwd) => execFileSync(process.execPath, [file, ...args],
  { cwd, encoding: 'utf8', timeout: PATIENCE_MS });

test('a bundle built by Vite works', options, async () => {
  const folder = makeApplication();
  run(program('vite', 'bin/vite.js'), ['build', '--logLevel', 'warn'], folder);
  const wasm = readdirSync(join(folder, 'dist/assets')).filter((name) => name.endsWith('.wasm'));
  assert.equal(wasm.length, 1, 'the .wasm is there once');
  await worksBuilt(join(folder, 'dist'));
});

test("Vite's development server works", options, async (t) => {
  const folder = makeApplication();
  const args = [program('vite', 'bin/vite.js'), '--host', '127.0.0.1', '--port', '0'];
  const env = { ...process.env, NO_COLOR: '1' };
  const vite = spawn(process.execPath, args, { cwd: folder, env });
  t.after(() => vite.kill());
  const url = await new Promise((resolve, reject) => {
    let said = '';
    vite.stdout.on('data', (bytes) => {
      said += bytes;
      const found = /(http:\/\/127\.0\.0\.1:\d+)\//.exec(said);
      if (found) resolve(found[1]);
    });
    vite.once('exit', () => reject(new Error(`vite ended: ${said}`)));
  });
  await works({ url });
});

test('a bundle built by webpack works, without a warning about the package', options, async () => {
  const folder = makeApplication();
  const args = ['--mode', 'production', '--entry', './main.js', '--no-performance'];
  const said = run(program('webpack-cli', 'bin/cli.js'), args, folder);
  assert.doesNotMatch(said, /WARNING|ERROR/);
  const page = readFileSync(join(folder, 'index.html'), 'utf8');
  writeFileSync(join(folder, 'dist/index.html'), page);
  await worksBuilt(join(folder, 'dist'));
});

test('the types say what there is', options, () => {
  const folder = makeApplication();
  const types = fileURLToPath(new URL('types.ts', import.meta.url));
  cpSync(types, join(folder, 'types.ts'));
  const args = ['--noEmit', '--strict', '--target', 'es2022', '--module', 'nodenext',
    '--lib', 'es2022,dom', 'types.ts'];
  try {
    run(program('typescript', 'bin/tsc'), args, folder);
  } catch (error) {
    assert.fail(error.stdout);
  }
  const exported = "import * as litevfs from 'litevfs'; console.log(Object.keys(litevfs).join());";
  writeFileSync(join(folder, 'exported.js'), exported);
  assert.equal(run('exported.js', [], folder).trim(),
    'LitevfsError,connect,litevfsPromiser,litevfsWorker,open');
});

test('in Node the same program works, and ends', options, async () => {
  const server = await Server.start(['--token', TOKEN], TOKEN);
  const folder = makeApplication();
  cpSync(fileURLToPath(new URL('program.mjs', import.meta.url)), join(folder, 'program.mjs'));
  const said = JSON.parse(run('program.mjs', [server.url, TOKEN], folder));
  assert.deepEqual(said, {
    rows: [{ x: 7 }],
    interrupted: 'INTERRUPTED',
    refused: 'UNAUTHORIZED',
    away: 'UNREACHABLE',
  });
  assert.equal(server.sql('db1', 'SELECT x FROM t;'), '7\n');
});
