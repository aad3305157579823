// Which file a tab gets, why it gets none, and how the page learns of that.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB, Opfs, error, load, open } from './opfs.mjs';

test('each tab has a file of its own, and the next one the first that is free', async () => {
  const opfs = new Opfs();
  const [first, second] = [await open(opfs), await open(opfs)];
  const fds = [first, second].map((store) => store.openFile('a'));
  first.writeAt(fds[0], Uint8Array.of(1, 1), 0);
  second.writeAt(fds[1], Uint8Array.of(2), 0);
  first.closeFile(fds[0]);
  first.close();
  assert.equal(first.available(), 0);
  const third = await open(opfs);
  assert.equal(third.length(third.openFile('a')), 2);
  assert.deepEqual([...opfs.files.keys()], ['cache-0', 'cache-1']);
});

test('a page that is reloaded waits a moment for its file', async () => {
  const opfs = new Opfs();
  const dying = await open(opfs);
  setTimeout(() => dying.close(), 30);
  await open(opfs);
  assert.deepEqual([...opfs.files.keys()], ['cache-0']);
});

test('there are not more than eight', async () => {
  const opfs = new Opfs();
  const stores = [];
  for (let n = 0; n < 8; n += 1) stores.push(await open(opfs));
  await assert.rejects(open(opfs), /^Error: other tabs have all 8 caches; close one and reload$/);
  assert.equal(opfs.files.size, 8);
  stores[5].close();
  await open(opfs);
});

/** A page loads SQLite's module with a `config`, in a browser; what is in the config then. */
async function started(browser, config = {}) {
  const lines = [];
  config.log = (level, text) => lines.push(`${level}: ${text}`);
  const { Module, dependencies, settled } = load(browser, { litevfs: config });
  assert.equal(Module.preRun.length, 1);
  Module.preRun[0](Module);
  assert.equal(dependencies.size, 1, 'SQLite waits');
  await settled;
  return { ...config, lines };
}

test('SQLite starts with the store, of 256 MiB or of what the page says', async () => {
  for (const [maxCacheBytes, expected] of [[undefined, 256 * MIB], [MIB, MIB]]) {
    const { store, notice, lines } = await started(new Opfs(), { maxCacheBytes });
    assert.equal(store.available(), expected);
    assert.equal(notice, null);
    assert.deepEqual(lines, []);
  }
});

test('what goes wrong later is said too', async () => {
  const opfs = new Opfs();
  const config = {};
  const { store, lines } = await started(opfs, config);
  opfs.fault = () => { throw error('UnknownError'); };
  store.closeFile(store.openFile('a'));
  assert.match(config.notice, /^pages are kept in memory only from now on: .*UnknownError/);
  assert.deepEqual(lines, [`warn: ${config.notice}`]);
});

test('no room wanted: none taken, and what is there goes', async () => {
  const opfs = new Opfs();
  (await open(opfs)).close();
  await open(opfs);
  await open(opfs);
  (await open(opfs)).close();
  const { store, notice, lines } = await started(opfs, { maxCacheBytes: 0 });
  assert.equal(store, null);
  assert.match(notice, /maxCacheBytes is 0/);
  assert.deepEqual(lines, []);
  assert.deepEqual([...opfs.files.keys()], ['cache-0', 'cache-1'], 'those in use stay');
});

const fails = (name) => async () => { throw error(name); };
const getDirectory = fails('SecurityError');
class FileSystemFileHandle {}

const LACKING = [
  ['no navigator (Node)', () => ({}), /no private file system/],
  ['no storage (http)', () => ({ navigator: {} }), /no private file system.*https or localhost/],
  ['an old browser', () => ({ navigator: { storage: {} } }), /no private file system/],
  ['a page instead of a worker', (opfs) => ({ navigator: opfs.navigator, FileSystemFileHandle }),
    /no sync access handles.*dedicated worker/],
  ['a private window', (opfs) => Object.assign(opfs, { navigator: { storage: { getDirectory } } }),
    /denies its private files.*SecurityError/],
  ['a quota', (opfs) => Object.assign(opfs, { quota: 0 }), /no room for a cache.*QuotaExceeded/],
  ['a file that can\'t be opened', (opfs) => {
    opfs.FileSystemFileHandle.prototype.createSyncAccessHandle = fails('UnknownError');
    return opfs;
  }, /gives no file for a cache.*UnknownError/],
  ['handles that answer later', (opfs) => {
    opfs.FileSystemFileHandle.prototype.createSyncAccessHandle = async () => ({
      getSize: async () => 0,
    });
    return opfs;
  }, /of an early kind/],
];

for (const [name, browser, expected] of LACKING) {
  test(`SQLite starts without a store: ${name}`, async () => {
    const { store, notice, lines } = await started(browser(new Opfs()));
    assert.equal(store, null);
    assert.match(notice, /^pages are kept in memory only: /);
    assert.match(notice, expected);
    assert.deepEqual(lines, [`warn: ${notice}`]);
  });
}

test('a bound that is no number is named', async () => {
  for (const maxCacheBytes of [-1, NaN, 'much', 4095]) {
    const { notice } = await started(new Opfs(), { maxCacheBytes });
    assert.match(notice, /maxCacheBytes .* no room/);
  }
});

test('after a file that was denied, the next tab can have it', async () => {
  const opfs = new Opfs();
  opfs.quota = 0;
  await assert.rejects(open(opfs), /no room for a cache/);
  opfs.quota = Infinity;
  await open(opfs);
  assert.deepEqual([...opfs.files.keys()], ['cache-0']);
});
