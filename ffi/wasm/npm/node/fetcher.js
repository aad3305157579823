/** The thread that makes the requests of browser.js, one at a time. */
import { workerData } from 'node:worker_threads';

const { port, signal } = workerData;

async function answer({ url, timeout, ...request }) {
  // A redirection is for whoever set the host; the token must not follow it.
  const options = { ...request, redirect: 'manual', signal: AbortSignal.timeout(timeout) };
  try {
    const response = await fetch(url, options);
    const headers = [...response.headers].map(([name, value]) => `${name}: ${value}\r\n`).join('');
    return { status: response.status, headers, response: await response.arrayBuffer() };
  } catch (error) {
    return { error: { name: error.name, message: error.message } };
  }
}

port.on('message', async (request) => {
  port.postMessage(await answer(request));
  Atomics.store(signal, 0, 1);
  Atomics.notify(signal, 0);
});
