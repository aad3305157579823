/**
 * What a page has to offer the channel: a worker, and a flag that a worker can look at while it is
 * busy. node/platform.js is the same for Node.
 */

/** Starts the worker; its messages go to `onMessage`, its end to `onFailure(text)`. */
export function startWorker(onMessage, onFailure) {
  const worker = makeWorker();
  worker.onmessage = (event) => onMessage(event.data);
  worker.onerror = (event) => {
    event.preventDefault();
    onFailure(event.message || 'its script could not be loaded');
  };
  return worker;
}

/** The worker itself. */
export function makeWorker() {
  // Vite's development server moves a package's modules to node_modules/.vite/deps, but not its
  // workers. (Only a stack tells where this is: other bundlers would put this machine's path for
  // import.meta.url.)
  const [, modules] = /(\w+:\/\/[^\s()@]+)\/\.vite\/deps\//.exec(new Error().stack) ?? [];
  if (modules) return new Worker(`${modules}/litevfs/worker.js`, { type: 'module' });
  // Bundlers look for just this.
  return new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
}

/**
 * A flag that a worker sees without shared memory: the URL of an empty blob. As long as it can be
 * read, nothing was cancelled.
 */
export function makeFlag() {
  const url = URL.createObjectURL(new Blob([]));
  return { value: url, cancel: () => URL.revokeObjectURL(url) };
}
