// A tab that dies, or a power that fails, between any two bytes: the next tab finds pages that
// hold, or such as a checksum tells from them, and its files are sound.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { KIB, Opfs, error, idle, open, randomOf } from './opfs.mjs';

const CHUNK = 4096;
const PATHS = ['a', 'b', 'c'];
const PAGES = 24;

/** A page that says where it belongs, and the how many-th it is. */
function pageOf(path, place, version) {
  const page = Buffer.alloc(CHUNK, `${path} ${place} ${version} `);
  const head = Buffer.from(JSON.stringify([path, place, version]).padEnd(64));
  head.copy(page, 20);
  createHash('sha1').update(page.subarray(20)).digest().copy(page, 0);
  return page;
}

/** Its version; null when it is no page of that place. */
function versionOf(page, path, place) {
  const hash = createHash('sha1').update(page.subarray(20)).digest();
  if (!hash.equals(page.subarray(0, 20))) return null;
  const [itsPath, itsPlace, version] = JSON.parse(page.toString('utf8', 20, 84));
  return itsPath === path && itsPlace === place ? version : null;
}

/** Uses a store at random, and keeps account of what was surely written. */
class Visit {
  constructor(store, random, version) {
    Object.assign(this, { store, random, version, fds: new Map(), written: new Map() });
    /** What the next tab must find, unless it was changed since. */
    this.settled = new Map();
  }

  fd(path) {
    if (!this.fds.has(path)) this.fds.set(path, this.store.openFile(path));
    return this.fds.get(path);
  }

  note(path, place, version) {
    const key = `${path} ${place}`;
    this.settled.delete(key);
    if (version) this.written.set(key, version);
    else this.written.delete(key);
  }

  step() {
    const path = PATHS[this.random(PATHS.length)];
    const place = this.random(PAGES);
    const action = this.random(20);
    if (action < 13) this.write(path, place, 1 + this.random(4));
    else if (action < 16) this.punch(path, place);
    else if (action < 17) this.cut(path, this.random(2) ? place : 0);
    else if (action < 19) this.close(path);
    else this.unlink(path);
  }

  write(path, place, pages) {
    const places = Array.from({ length: pages }, (_, at) => place + at);
    this.version += 1;
    for (const at of places) this.note(path, at, 0);
    const bytes = Buffer.concat(places.map((at) => pageOf(path, at, this.version)));
    if (!this.store.writeAt(this.fd(path), bytes, place * CHUNK)) return;
    for (const at of places) this.note(path, at, this.version);
  }

  punch(path, place) {
    this.note(path, place, 0);
    this.store.punch(this.fd(path), place * CHUNK, CHUNK);
  }

  cut(path, place) {
    for (let at = place; at < PAGES + 4; at += 1) this.note(path, at, 0);
    this.store.setLength(this.fd(path), place * CHUNK);
  }

  close(path) {
    this.store.closeFile(this.fd(path));
    this.fds.delete(path);
  }

  unlink(path) {
    this.cut(path, 0);
    this.store.unlink(path);
    this.close(path);
  }

  settle() {
    this.settled = new Map(this.written);
  }

  /** Reads all pages; answers with how many hold. Of those that are known, none may be missing. */
  check(settled, mayMiss = false) {
    let held = 0;
    for (const path of PATHS) {
      for (let place = 0; place < PAGES + 4; place += 1) {
        const page = Buffer.alloc(CHUNK);
        const isRead = this.store.readAt(this.fd(path), page, place * CHUNK);
        const version = isRead ? versionOf(page, path, place) : null;
        const expected = settled.get(`${path} ${place}`);
        const isMissed = version === null && mayMiss;
        if (expected && !isMissed) assert.equal(version, expected, `page ${place} of ${path}`);
        if (version) held += 1;
        this.note(path, place, version);
      }
    }
    return held;
  }

  /** Fills all that can be filled, which must not disturb what is there, nor leave anything out. */
  checkSound() {
    const written = new Map();
    const chunks = this.store.disk.size;
    for (const path of PATHS) {
      for (let place = 0; place <= chunks / PATHS.length; place += 1) {
        const page = pageOf(path, place, 'last');
        const isWritten = this.store.writeAt(this.fd(path), page, place * CHUNK);
        if (isWritten) written.set([path, place], page);
      }
    }
    assert.ok(written.size > 0);
    for (const [[path, place], page] of written) {
      const read = Buffer.alloc(CHUNK);
      assert.ok(this.store.readAt(this.fd(path), read, place * CHUNK));
      assert.ok(read.equals(page), `page ${place} of ${path}`);
    }
    for (const path of PATHS) this.unlink(path);
    const fd = this.store.openFile('all');
    assert.ok(this.store.writeAt(fd, new Uint8Array(chunks * CHUNK), 0));
    assert.equal(this.store.available(), 0);
    assert.equal(this.store.disk.handle.getSize(), this.store.disk.chunksAt + chunks * CHUNK);
    assert.deepEqual(this.store.notices, []);
  }
}

/** Visits of tabs that die, each after a number of calls; what is settled, the next one finds. */
async function visits(seed, maxBytes, isRoomy) {
  const random = randomOf(seed);
  const opfs = new Opfs();
  let settled = new Map();
  let version = 0;
  let held = 0;
  for (let n = 0; n < 6; n += 1) {
    const store = await open(opfs, maxBytes);
    const visit = new Visit(store, random, version);
    held += visit.check(settled);
    visit.settled = isRoomy ? new Map(visit.written) : new Map();
    const deadAt = opfs.count + 1 + random(120);
    opfs.fault = (name, count) => (count === deadAt ? random(CHUNK) : undefined);
    for (let step = 0; step < 200 && !opfs.isDead; step += 1) {
      visit.step();
      if (random(10) === 0) {
        await idle();
        if (isRoomy && !opfs.isDead) visit.settle();
      }
    }
    ({ settled, version } = visit);
    opfs.restart();
  }
  new Visit(await open(opfs, maxBytes), random, version).checkSound();
  return held;
}

test('a tab may die at any call', async () => {
  let held = 0;
  for (let seed = 1; seed <= 60; seed += 1) held += await visits(seed, 512 * KIB, true);
  assert.ok(held > 1000, 'there is something to find');
});

test('a tab may die at any call when files make room for others', async () => {
  for (let seed = 1; seed <= 60; seed += 1) await visits(seed, 128 * KIB, false);
});

test('the power may fail and take any of the last writes', async () => {
  let held = 0;
  for (let seed = 1; seed <= 100; seed += 1) {
    const random = randomOf(seed);
    const opfs = new Opfs();
    for (let n = 0; n <= seed % 3; n += 1) {
      const visit = new Visit(await open(opfs, 512 * KIB), random, n * 1000);
      held += visit.check(new Map());
      for (let step = 0; step < 100; step += 1) {
        if (step === 50) {
          opfs.sector = random(2) ? 64 : CHUNK;
          opfs.remember();
        }
        visit.step();
        if (random(10) === 0) await idle();
      }
      opfs.cutPower(() => random(3) > 0);
      opfs.sector = Infinity;
      opfs.restart();
    }
    const last = new Visit(await open(opfs, 512 * KIB), random, 0);
    last.check(new Map());
    last.checkSound();
  }
  assert.ok(held > 1000, 'there is something to find');
});

test('a tab may die at any call while a file is made', async () => {
  const opfs = new Opfs();
  await open(opfs, 128 * KIB);
  const calls = opfs.count;
  for (let deadAt = 1; deadAt <= calls; deadAt += 1) {
    for (const bytes of [0, 1, 5, 11]) {
      const dying = new Opfs();
      dying.fault = (name, count) => (count === deadAt ? bytes : undefined);
      await open(dying, 128 * KIB).catch(() => {});
      dying.restart();
      new Visit(await open(dying, 128 * KIB), randomOf(1), 0).checkSound();
    }
  }
});

test('a damaged file is an empty or a sound one', async () => {
  for (let seed = 1; seed <= 60; seed += 1) {
    const random = randomOf(seed);
    const opfs = new Opfs();
    const visit = new Visit(await open(opfs, 512 * KIB), random, 0);
    for (let step = 0; step < 50; step += 1) visit.step();
    await idle();
    for (let n = 0; n < 40; n += 1) {
      // Mostly in the names and in the map.
      const at = random(4) ? random(80 * KIB) : random(opfs.bytes.length);
      if (random(4)) opfs.bytes[at] = random(256);
      else opfs.bytes.fill(0xff, at, at + 20);
    }
    if (random(4) === 0) opfs.files.get('cache-0').resize(random(opfs.bytes.length));
    opfs.restart();
    const next = new Visit(await open(opfs, 512 * KIB), random, 0);
    next.check(new Map());
    next.checkSound();
  }
});

test('a call that fails is an answer, and never a wrong page', async () => {
  for (const name of ['QuotaExceededError', 'UnknownError']) {
    for (let failing = 1; failing <= 150; failing += 1) {
      const opfs = new Opfs();
      const store = await open(opfs, 512 * KIB);
      const visit = new Visit(store, randomOf(failing), 0);
      opfs.count = 0;
      opfs.fault = (call, count) => {
        if (count === failing || (name === 'UnknownError' && count > failing)) throw error(name);
      };
      for (let step = 0; step < 80; step += 1) {
        visit.step();
        if (step % 10 === 0) await idle();
      }
      await idle();
      assert.ok(store.notices.length <= 2, store.notices.join());
      if (store.openFile('another') < 0) assert.equal(visit.check(new Map()), 0);
      // A file that was closed may have left when there was less room than before.
      else visit.check(visit.written, true);
      if (name === 'UnknownError' && opfs.count >= failing) assert.equal(store.notices.length, 1);
    }
  }
});
