// What the store promises of its files while nothing fails, and that the next tab finds them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MIB, Opfs, idle, open, randomOf } from './opfs.mjs';

const CHUNK = 4096;

/** A buffer in which what was there does not look like an answer. */
const buffer = (length) => new Uint8Array(length).fill(0xee);

function content(store, fd) {
  const bytes = buffer(store.length(fd));
  assert.ok(store.readAt(fd, bytes, 0));
  return bytes;
}

test('a file is open once, and free after it was closed', async () => {
  const store = await open(new Opfs());
  const fd = store.openFile('/cache/a');
  assert.ok(fd >= 1);
  assert.equal(store.openFile('/cache/a'), 0);
  const other = store.openFile('/cache/b');
  assert.ok(other >= 1 && other !== fd);
  store.closeFile(fd);
  assert.ok(store.openFile('/cache/a') >= 1);
  assert.equal(store.openFile(`/cache/${'x'.repeat(300)}`), -1);
});

test('what is not written is zero, and a file ends', async () => {
  const store = await open(new Opfs());
  const fd = store.openFile('a');
  assert.equal(store.length(fd), 0);
  assert.equal(store.readAt(fd, buffer(1), 0), false);
  assert.ok(store.writeAt(fd, Uint8Array.of(7), 100 * CHUNK + 5));
  assert.equal(store.length(fd), 100 * CHUNK + 6);
  assert.ok(content(store, fd).every((byte, at) => byte === (at === 100 * CHUNK + 5 ? 7 : 0)));
  assert.equal(store.readAt(fd, buffer(2), 100 * CHUNK + 5), false);
  assert.equal(store.available(), MIB - CHUNK);
});

test('a file without a name lives until it is closed', async () => {
  const opfs = new Opfs();
  const store = await open(opfs);
  const fd = store.openFile('a');
  store.writeAt(fd, Uint8Array.of(1), 0);
  store.unlink('a');
  store.unlink('never there');
  const other = store.openFile('a');
  assert.ok(other >= 1 && store.length(other) === 0);
  store.writeAt(other, Uint8Array.of(2), 0);
  assert.deepEqual([...content(store, fd), ...content(store, other)], [1, 2]);
  store.closeFile(fd);
  assert.deepEqual([...content(store, other)], [2]);
  assert.equal(store.available(), MIB - CHUNK);
});

test('the next tab finds the files, one that died too', async () => {
  const opfs = new Opfs();
  const bytes = Uint8Array.from({ length: 3 * CHUNK + 100 }, (_, at) => at % 251);
  const first = await open(opfs);
  const closed = first.openFile('closed');
  first.writeAt(closed, bytes, 0);
  first.closeFile(closed);
  const fd = first.openFile('open');
  first.writeAt(fd, bytes, 10 * CHUNK);
  const gone = first.openFile('gone');
  first.writeAt(gone, bytes, 0);
  first.unlink('gone');
  await idle();
  opfs.restart();

  const second = await open(opfs);
  assert.deepEqual(content(second, second.openFile('closed')), bytes);
  const again = second.openFile('open');
  const read = content(second, again);
  assert.ok(read.length >= 10 * CHUNK + bytes.length && read.length <= 14 * CHUNK);
  assert.deepEqual(read.subarray(10 * CHUNK, 10 * CHUNK + bytes.length), bytes);
  assert.equal(second.length(second.openFile('gone')), 0);
  assert.equal(second.available(), MIB - 8 * CHUNK);
});

/** Does the same to a store and to arrays, and compares. */
class Pair {
  constructor(store, random) {
    this.store = store;
    this.random = random;
    this.model = new Map();
    this.fds = new Map();
  }

  step() {
    const { store, random } = this;
    const path = `file ${random(4)}`;
    if (!this.fds.has(path)) {
      this.fds.set(path, store.openFile(path));
      if (!this.model.has(path)) this.model.set(path, new Uint8Array(0));
    }
    const fd = this.fds.get(path);
    const bytes = this.model.get(path);
    const offset = random(2) ? random(40) * CHUNK : random(40 * CHUNK);
    const length = 1 + (random(2) ? random(5) * CHUNK : random(3 * CHUNK));
    const action = random(12);
    if (action < 5) this.write(path, fd, bytes, offset, length);
    else if (action < 8) this.read(fd, bytes, offset, length);
    else if (action < 10) this.punch(fd, bytes, offset, length);
    else if (action === 10) this.resize(path, fd, bytes, random(4) ? offset : 0);
    else this.leave(path, fd);
  }

  write(path, fd, bytes, offset, length) {
    const piece = Uint8Array.from({ length }, () => this.random(256));
    assert.ok(this.store.writeAt(fd, piece, offset));
    const all = new Uint8Array(Math.max(bytes.length, offset + length));
    all.set(bytes);
    all.set(piece, offset);
    this.model.set(path, all);
  }

  read(fd, bytes, offset, length) {
    const piece = buffer(length);
    const isThere = offset + length <= bytes.length;
    assert.equal(this.store.readAt(fd, piece, offset), isThere);
    if (isThere) assert.deepEqual(piece, bytes.slice(offset, offset + length));
  }

  punch(fd, bytes, offset, length) {
    assert.ok(this.store.punch(fd, offset, length));
    bytes.fill(0, offset, offset + length);
  }

  resize(path, fd, bytes, length) {
    assert.ok(this.store.setLength(fd, length));
    const all = new Uint8Array(length);
    all.set(bytes.subarray(0, length));
    this.model.set(path, all);
  }

  leave(path, fd) {
    if (this.random(3) === 0) {
      this.store.unlink(path);
      this.model.delete(path);
    }
    this.store.closeFile(fd);
    this.fds.delete(path);
  }

  check() {
    for (const [path, bytes] of this.model) {
      const fd = this.fds.get(path) || this.store.openFile(path);
      this.fds.set(path, fd);
      assert.deepEqual(content(this.store, fd), bytes);
    }
  }
}

test('what an open file got is there after its tab has died', async () => {
  const opfs = new Opfs();
  const store = await open(opfs);
  const fd = store.openFile('a');
  // Within its first chunk, which is no news for the map after the first of them.
  for (let at = 0; at < 300; at += 100) {
    assert.ok(store.writeAt(fd, new Uint8Array(100).fill(1 + at), at));
    await idle();
  }
  opfs.restart();
  const next = await open(opfs);
  const found = buffer(300);
  assert.ok(next.readAt(next.openFile('a'), found, 0));
  assert.deepEqual([found[50], found[150], found[250], found[299]], [1, 101, 201, 201]);
});

test('files are as arrays of bytes, from one tab to the next', async () => {
  for (let seed = 1; seed <= 20; seed += 1) {
    const opfs = new Opfs();
    const pair = new Pair(await open(opfs, 2 * MIB), randomOf(seed));
    for (let visit = 0; visit < 4; visit += 1) {
      for (let step = 0; step < 150; step += 1) pair.step();
      pair.check();
      for (const fd of pair.fds.values()) pair.store.closeFile(fd);
      pair.fds.clear();
      opfs.restart();
      pair.store = await open(opfs, 2 * MIB);
    }
    pair.check();
    assert.deepEqual(pair.store.notices, [], `seed ${seed}`);
  }
});
