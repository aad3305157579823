/**
 * What ../platform.js is for a page. Threads of Node's share memory, so the flag is some of that.
 */
import { Worker } from 'node:worker_threads';

export function startWorker(onMessage, onFailure) {
  const worker = makeWorker();
  worker.on('message', onMessage);
  worker.on('error', (error) => onFailure(error.message));
  return worker;
}

export function makeWorker() {
  return new Worker(new URL('./worker.js', import.meta.url));
}

export function makeFlag() {
  const value = new SharedArrayBuffer(4);
  return { value, cancel: () => Atomics.store(new Int32Array(value), 0, 1) };
}
