// How much the store takes, who leaves when it is full, and what a file is worth to a store of
// another kind.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KIB, MIB, Opfs, error, idle, open } from './opfs.mjs';

const CHUNK = 4096;
/** What a file may have besides its chunks. */
const allowed = (maxBytes) => maxBytes + maxBytes / 512 + 72 * KIB;
const page = (n) => new Uint8Array(CHUNK).fill(n);

/** Writes pages to a file until the store takes no more; answers with their number. */
function fill(store, fd) {
  let pages = 0;
  while (store.writeAt(fd, page(pages), pages * CHUNK)) pages += 1;
  return pages;
}

/** A file with `pages` pages, closed. */
function put(store, path, pages) {
  const fd = store.openFile(path);
  for (let n = 0; n < pages; n += 1) assert.ok(store.writeAt(fd, page(n), n * CHUNK));
  store.closeFile(fd);
}

function lengthOf(store, path) {
  const fd = store.openFile(path);
  const length = store.length(fd);
  store.closeFile(fd);
  return length;
}

test('a full store says so, and its file is within the bound', async () => {
  for (const maxBytes of [CHUNK, 10 * CHUNK + 5, MIB, 5 * MIB]) {
    const opfs = new Opfs();
    const store = await open(opfs, maxBytes);
    assert.equal(store.available(), Math.floor(maxBytes / CHUNK) * CHUNK);
    const fd = store.openFile('a');
    assert.equal(fill(store, fd), Math.floor(maxBytes / CHUNK));
    assert.equal(store.available(), 0);
    assert.equal(store.writeAt(fd, page(1), 2 ** 34), false);
    assert.ok(store.writeAt(fd, page(9), 0), 'what has its place can be written');
    await idle();
    assert.ok(opfs.bytes.length <= allowed(maxBytes), `${opfs.bytes.length} for ${maxBytes}`);
    assert.deepEqual(store.notices, []);
    assert.ok(store.setLength(fd, 0));
    assert.equal(fill(store, fd), Math.floor(maxBytes / CHUNK));
  }
});

test('a write that does not fit whole takes nothing', async () => {
  const store = await open(new Opfs(), 10 * CHUNK);
  const fd = store.openFile('a');
  assert.equal(store.writeAt(fd, new Uint8Array(11 * CHUNK), 0), false);
  assert.deepEqual([store.length(fd), store.available()], [0, 10 * CHUNK]);
});

test('files that are not open leave, the one first that was opened longest ago', async () => {
  const opfs = new Opfs();
  const first = await open(opfs, 100 * CHUNK);
  for (const path of ['a', 'b', 'c', 'd']) put(first, path, 20);
  // Opened again, and so the last to leave; also for the next tab.
  assert.equal(lengthOf(first, 'a'), 20 * CHUNK);
  opfs.restart();
  const store = await open(opfs, 100 * CHUNK);
  assert.equal(store.available(), 100 * CHUNK);
  const held = store.openFile('c');
  assert.equal(store.available(), 80 * CHUNK);
  put(store, 'e', 41);
  const lengths = ['b', 'd', 'a'].map((path) => lengthOf(store, path));
  assert.deepEqual(lengths, [0, 0, 20 * CHUNK]);
  assert.ok(store.readAt(held, page(0), 19 * CHUNK));
});

test('there is a name for any number of files, one after another', async () => {
  const store = await open(new Opfs());
  for (let n = 0; n < 600; n += 1) put(store, `file ${n}`, 1);
  assert.equal(lengthOf(store, 'file 599'), CHUNK);
  assert.equal(lengthOf(store, 'file 0'), 0);
});

test('no more files are open at once than there are names', async () => {
  const store = await open(new Opfs());
  for (let n = 0; n < 256; n += 1) assert.ok(store.openFile(`file ${n}`) >= 1);
  assert.equal(store.openFile('one more'), -1);
});

test('another bound begins anew, and a smaller one cuts the file', async () => {
  const opfs = new Opfs();
  put(await open(opfs, 4 * MIB), 'a', 1000);
  for (const maxBytes of [MIB, 2 * MIB]) {
    opfs.restart();
    const store = await open(opfs, maxBytes);
    assert.ok(opfs.bytes.length < 100 * KIB);
    assert.equal(store.available(), maxBytes);
    assert.equal(lengthOf(store, 'a'), 0);
    put(store, 'a', 100);
  }
});

test('a file of another version, or no cache at all, begins anew', async () => {
  for (const at of [0, 4, 8]) {
    const opfs = new Opfs();
    put(await open(opfs), 'a', 10);
    opfs.bytes[at] ^= 1;
    opfs.restart();
    const store = await open(opfs);
    assert.equal(lengthOf(store, 'a'), 0);
    put(store, 'a', 10);
    opfs.restart();
    assert.equal(lengthOf(await open(opfs), 'a'), 10 * CHUNK);
  }
});

test('a quota that is spent leaves the room there is', async () => {
  const opfs = new Opfs();
  const store = await open(opfs, 8 * MIB);
  put(store, 'old', 100);
  opfs.quota = 6 * MIB;
  const fd = store.openFile('a');
  const pages = fill(store, fd);
  assert.ok(pages > 1500 && pages < 1536, `${pages} pages, those of the old file too`);
  assert.equal(store.available(), 0);
  assert.equal(store.notices.length, 1);
  assert.match(store.notices[0], /stays at 5\.9 MiB/);
  for (let n = 0; n < pages; n += 1) {
    const read = page(255);
    assert.ok(store.readAt(fd, read, n * CHUNK) && read.every((byte) => byte === n % 256));
  }
  await idle();
  opfs.restart();
  assert.equal(lengthOf(await open(opfs, 8 * MIB), 'a'), pages * CHUNK);
});

test('a disk that takes a part of a write ends the cache, for this tab', async () => {
  const opfs = new Opfs();
  const store = await open(opfs, 4 * MIB);
  put(store, 'a', 10);
  const { handle } = store.disk;
  const { write } = handle;
  handle.write = (bytes, { at }) => (at < 200 * KIB ? write(bytes, { at }) : 100);
  const pages = fill(store, store.openFile('b'));
  assert.ok(pages > 10 && pages < 50, `${pages} pages`);
  assert.match(store.notices.join(), /^pages are kept in memory only from now on: .*disk is full/);
  opfs.restart();
  assert.equal(lengthOf(await open(opfs, 4 * MIB), 'a'), 10 * CHUNK);
});

test('a quota is known before a write fails, whatever is left of it', async () => {
  for (const left of [0, 1, 3, 100, 511, 512, 600]) {
    const opfs = new Opfs();
    const store = await open(opfs, 8 * MIB);
    opfs.quota = opfs.bytes.length + left * CHUNK;
    const fd = store.openFile('a');
    const fits = store.writeAt(fd, page(1), 0);
    assert.equal(fits, left > 0);
    const isKnown = left <= 512;
    assert.equal(store.available(), isKnown ? Math.max(left - 1, 0) * CHUNK : 8 * MIB - CHUNK);
    assert.equal(fill(store, fd), left);
    assert.equal(store.notices.length, 1);
    assert.ok(store.setLength(fd, 0));
    assert.equal(store.available(), left * CHUNK);
  }
});

test('a file that the browser takes away ends the cache, and nothing else', async () => {
  const opfs = new Opfs();
  const store = await open(opfs);
  const fd = store.openFile('a');
  store.writeAt(fd, page(1), 0);
  opfs.fault = () => { throw error('InvalidStateError'); };
  assert.equal(store.readAt(fd, page(0), 0), false);
  opfs.fault = () => undefined;
  assert.match(store.notices.join(), /^pages are kept in memory only from now on: .*InvalidState/);
  assert.equal(store.readAt(fd, page(0), 0), false);
  assert.equal(store.writeAt(fd, page(0), 0), false);
  assert.equal(store.setLength(fd, 0), false);
  assert.equal(store.punch(fd, 0, CHUNK), false);
  assert.equal(store.openFile('b'), -1);
  assert.equal(store.available(), 0);
  store.closeFile(fd);
  store.unlink('a');
  await idle();
  assert.equal(store.notices.length, 1);
});
