// What a page costs in calls of the browser's file.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB, Opfs, idle, open, randomOf } from './opfs.mjs';

const CHUNK = 4096;
const PAGES = 15000;

async function opened() {
  const opfs = new Opfs();
  const store = await open(opfs, 256 * MIB);
  const fd = store.openFile('a');
  await idle();
  const calls = async (action) => {
    const before = { ...opfs.calls };
    action();
    await idle();
    return [opfs.calls.read - before.read, opfs.calls.write - before.write];
  };
  // At once, instead of with each page.
  store.disk.handle.truncate(80 * MIB);
  return { store, fd, calls };
}

test('a page is a read; a new one two writes, an old one one', async () => {
  const { store, fd, calls } = await opened();
  const page = new Uint8Array(CHUNK);
  assert.deepEqual(await calls(() => store.writeAt(fd, page, 5 * CHUNK)), [0, 2]);
  assert.deepEqual(await calls(() => store.writeAt(fd, page, 5 * CHUNK)), [0, 1]);
  assert.deepEqual(await calls(() => store.readAt(fd, page, 5 * CHUNK)), [1, 0]);
  assert.deepEqual(await calls(() => store.punch(fd, 5 * CHUNK, CHUNK)), [0, 1]);
  assert.deepEqual(await calls(() => store.readAt(fd, page, 5 * CHUNK)), [0, 0]);
});

test('pages of 64 KiB are a read too', async () => {
  const { store, fd, calls } = await opened();
  const page = new Uint8Array(16 * CHUNK);
  assert.deepEqual(await calls(() => store.writeAt(fd, page, CHUNK)), [0, 2]);
  assert.deepEqual(await calls(() => store.readAt(fd, page, CHUNK)), [1, 0]);
});

test('many pages, in order or not, cost little more than themselves', async () => {
  const orders = { up: (n) => n, down: (n) => PAGES - n, scattered: (n) => (n * 7919) % PAGES };
  for (const [name, order] of Object.entries(orders)) {
    const { store, fd, calls } = await opened();
    const page = new Uint8Array(CHUNK);
    const [, writes] = await calls(() => {
      for (let n = 0; n < PAGES; n += 1) assert.ok(store.writeAt(fd, page, order(n) * CHUNK));
    });
    assert.ok(writes < PAGES * 1.02, `${writes} writes, ${name}`);
    assert.deepEqual(await calls(() => store.closeFile(fd)), [0, 1]);
  }
});

test('neighbours are written at once', async () => {
  const { store, fd, calls } = await opened();
  const run = new Uint8Array(32 * CHUNK);
  const [, writes] = await calls(() => {
    for (let n = 0; n < PAGES; n += 32) assert.ok(store.writeAt(fd, run, n * CHUNK));
  });
  assert.ok(writes < PAGES / 32 * 1.3, `${writes} writes`);
});

test('a cache that is at its bound costs no more', async () => {
  const { store, fd, calls } = await opened();
  const random = randomOf(1);
  const page = new Uint8Array(CHUNK);
  for (let n = 0; n < 4000; n += 1) store.writeAt(fd, page, n * CHUNK);
  const [, writes] = await calls(() => {
    for (let n = 0; n < 1000; n += 1) {
      assert.ok(store.punch(fd, random(4000) * CHUNK, CHUNK));
      assert.ok(store.writeAt(fd, page, (4000 + n) * CHUNK));
    }
  });
  assert.ok(writes < 1200, `${writes} writes`);
});
