// A private file system (OPFS) in memory, for one worker after another, that fails when told to;
// and the store loaded on it as Emscripten would.

import { readFileSync } from 'node:fs';

const SCRIPTS = ['host', 'slots', 'chunk_file', 'store'];
const text = SCRIPTS.map((name) =>
  readFileSync(new URL(`../../../ffi/wasm/${name}.js`, import.meta.url), 'utf8')).join('\n');

export const error = (name) => Object.assign(new Error(`${name}, as told`), { name });

/** What a seed makes of itself: numbers below `n`. */
export function randomOf(seed) {
  let state = seed >>> 0;
  return (n) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % n;
  };
}

class File {
  constructor() {
    this.bytes = new Uint8Array(0);
    this.isHeld = false;
  }

  resize(length) {
    const bytes = new Uint8Array(length);
    bytes.set(this.bytes.subarray(0, length));
    this.bytes = bytes;
  }

  put(bytes, at) {
    if (at + bytes.length > this.bytes.length) this.resize(at + bytes.length);
    this.bytes.set(bytes, at);
  }
}

export class Opfs {
  constructor() {
    this.files = new Map();
    /** Calls of handles, by name. */
    this.calls = { read: 0, write: 0, truncate: 0 };
    /**
     * Asked before each call, with its name and number; may throw, or answer with how many bytes of
     * a write still arrive before the tab is dead.
     */
    this.fault = () => undefined;
    this.count = 0;
    this.isDead = false;
    this.quota = Infinity;
    this.sector = Infinity;
    /** Writes since remember(), each a function that does it. */
    this.journal = null;
    const opfs = this;
    this.FileSystemFileHandle = class FileSystemFileHandle {
      constructor(name) {
        this.name = name;
      }

      async createSyncAccessHandle() {
        const file = opfs.files.get(this.name);
        if (file.isHeld) throw error('NoModificationAllowedError');
        file.isHeld = true;
        return opfs.handleOf(file);
      }
    };
    const folder = {
      getFileHandle: async (name) => {
        if (!opfs.files.has(name)) opfs.files.set(name, new File());
        return new opfs.FileSystemFileHandle(name);
      },
      removeEntry: async (name) => {
        const file = opfs.files.get(name);
        if (!file) throw error('NotFoundError');
        if (file.isHeld) throw error('NoModificationAllowedError');
        opfs.files.delete(name);
      },
    };
    this.navigator = {
      storage: { getDirectory: async () => ({ getDirectoryHandle: async () => folder }) },
    };
  }

  get bytes() {
    return this.files.get('cache-0').bytes;
  }

  /** The tab is gone, and with it the locks; another one begins. */
  restart() {
    for (const file of this.files.values()) file.isHeld = false;
    this.generation = (this.generation || 0) + 1;
    this.isDead = false;
    this.fault = () => undefined;
    this.count = 0;
  }

  /** From here on the disk may lose writes. */
  remember() {
    this.journal = { bytes: this.bytes.slice(), writes: [] };
  }

  /** The power fails: what was written since remember() is there or not, as `isKept` says. */
  cutPower(isKept) {
    const file = this.files.get('cache-0');
    file.bytes = this.journal.bytes;
    for (const write of this.journal.writes) if (isKept()) write(file);
    this.journal = null;
  }

  handleOf(file) {
    const opfs = this;
    const { generation } = opfs;
    const call = (name) => {
      if (opfs.isDead || generation !== opfs.generation) throw error('InvalidStateError');
      opfs.calls[name] += 1;
      opfs.count += 1;
      const left = opfs.fault(name, opfs.count);
      if (left !== undefined) opfs.isDead = true;
      return left;
    };
    const change = (write) => {
      write(file);
      if (opfs.journal) opfs.journal.writes.push(write);
    };
    // The disk takes a write in pieces.
    const put = (bytes, at) => {
      for (let from = 0; from < bytes.length; from += opfs.sector) {
        const piece = bytes.subarray(from, from + opfs.sector);
        change((target) => target.put(piece, at + from));
      }
    };
    const viewOf = (view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    return {
      getSize: () => file.bytes.length,
      read: (view, { at }) => {
        call('read');
        const piece = file.bytes.subarray(at, at + view.byteLength);
        viewOf(view).set(piece);
        return piece.length;
      },
      write: (view, { at }) => {
        const left = call('write');
        const bytes = viewOf(view).slice(0, left);
        if (at + bytes.length > opfs.quota) throw error('QuotaExceededError');
        put(bytes, at);
        if (left !== undefined) throw error('InvalidStateError');
        return bytes.length;
      },
      truncate: (length) => {
        call('truncate');
        if (length > opfs.quota) throw error('QuotaExceededError');
        change((target) => target.resize(length));
      },
      close: () => {
        file.isHeld = false;
      },
    };
  }
}

/** The store's scripts on a private file system, or on what a browser without one has. */
export function load(browser, Module = {}) {
  const dependencies = new Set();
  let done;
  const settled = new Promise((resolve) => { done = resolve; });
  const scope = {
    Module,
    navigator: browser.navigator,
    FileSystemFileHandle: browser.FileSystemFileHandle,
    addRunDependency: (name) => dependencies.add(name),
    removeRunDependency: (name) => dependencies.delete(name) && done(),
  };
  const run = new Function(...Object.keys(scope), `'use strict'; ${text}\nreturn CacheStore;`);
  const CacheStore = run(...Object.values(scope));
  return { CacheStore, Module, dependencies, settled };
}

export const KIB = 1024;
export const MIB = 1024 * KIB;

/** Opens a store; `notices` has what it said. */
export async function open(opfs, maxBytes = MIB) {
  const notices = [];
  const notice = (line) => notices.push(line);
  const store = await load(opfs).CacheStore.open({ maxBytes, notice });
  return Object.assign(store, { notices });
}

/** Until the store had time to write what it has not written. */
export const idle = () => new Promise((resolve) => { setTimeout(resolve); });
