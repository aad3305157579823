/**
 * The worker in a browser: SQLite with LiteVFS, and service.js in front of it. The page starts it
 * and sends its configuration as the first message.
 */
import sqlite3InitModule from './sqlite3.mjs';
import { Service } from './service.js';

const service = new Service({
  initModule: sqlite3InitModule,
  post: (message, transfer) => globalThis.postMessage(message, transfer),
});
globalThis.onmessage = (event) => service.receive(event.data);
