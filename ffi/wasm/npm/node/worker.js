/** The worker thread in Node: what ../worker.js is in a browser. */
import { readFileSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
// First, as sqlite3.mjs looks around when it is loaded.
import './browser.js';
import sqlite3InitModule from '../sqlite3.mjs';
import { Service } from '../service.js';

const service = new Service({
  initModule: sqlite3InitModule,
  module: {
    wasmBinary: readFileSync(new URL('../sqlite3.wasm', import.meta.url)),
    // There is no private file system to keep a cache in.
    litevfs: { maxCacheBytes: 0 },
  },
  post: (message, transfer) => parentPort.postMessage(message, transfer),
});
parentPort.on('message', (message) => service.receive(message));
