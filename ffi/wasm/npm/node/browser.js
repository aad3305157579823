/**
 * As much of a browser's worker as sqlite3.mjs and LiteVFS want to see in a worker thread of
 * Node's. The one thing that takes some doing is a request that is waited for: another thread makes
 * it (fetcher.js).
 */
import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads';

const { port1: port, port2: fetcherPort } = new MessageChannel();
const signal = new Int32Array(new SharedArrayBuffer(4));
new Worker(new URL('./fetcher.js', import.meta.url), {
  workerData: { port: fetcherPort, signal },
  transferList: [fetcherPort],
}).unref();

/** A synchronous request for bytes; no more of the real one than that. */
class XMLHttpRequest {
  #headers = [];

  open(method, url) {
    Object.assign(this, { method, url });
  }

  setRequestHeader(name, value) {
    this.#headers.push([name, value]);
  }

  send(body) {
    const { method, url, timeout } = this;
    Atomics.store(signal, 0, 0);
    port.postMessage({ method, url, headers: this.#headers, body, timeout });
    Atomics.wait(signal, 0, 0);
    const { error, ...answer } = receiveMessageOnPort(port).message;
    if (error) throw Object.assign(new Error(error.message), { name: error.name });
    Object.assign(this, answer);
  }

  getAllResponseHeaders() {
    return this.headers;
  }
}

Object.assign(globalThis, {
  self: globalThis,
  location: new URL(import.meta.url),
  importScripts() {},
  XMLHttpRequest,
});
