// What the Rust code needs of a browser's worker, for the functions in library.js.
//
// Script text inside Emscripten's module function (`emcc --pre-js`). What the program chose and what it
// may look at lies in `Module.litevfs`, the init object that it gave to `sqlite3InitModule`;
// ffi/wasm/npm/index.d.ts says what that has. Nothing here throws into the Rust code.

/* global Module, HEAPU8, ENV */

const litevfs = {
  /** What a worker with no other wish gets. */
  defaults: {
    LITEVFS_CACHE_DIR: () => (litevfs.shared.store ? '/cache' : undefined),
    // Without one every database brings its own in its URI.
    LITEFS_CLOUD_TOKEN: () => '',
    LITEFS_CLOUD_HOST: () => {
      const { origin } = self.location || {};
      return origin && origin.startsWith('http') ? origin : undefined;
    },
  },

  /** The init object. */
  shared: Module.litevfs || (Module.litevfs = {}),

  /** Answers by number; an answer has `status`, `text`, `body` and the length that was `read`. */
  answers: new Map(),
  lastAnswer: 0,

  text(begin, length) {
    return new TextDecoder().decode(HEAPU8.slice(begin, begin + length));
  },

  /** Writes a text where there is room for it; its length in any case, -1 for none. */
  give(text, begin, room) {
    if (text === undefined || text === null) return -1;
    const bytes = new TextEncoder().encode(String(text));
    if (bytes.length <= room) HEAPU8.set(bytes, begin);
    return bytes.length;
  },

  /** An environment variable: from the init object, `ENV`, or what is ours. */
  variable(name) {
    const { env = {}, host, token, cluster } = litevfs.shared;
    const init = {
      LITEFS_CLOUD_HOST: host,
      LITEFS_CLOUD_TOKEN: token,
      LITEFS_CLOUD_CLUSTER: cluster,
    };
    const own = env[name] || init[name] || ENV[name];
    return own || (litevfs.defaults[name] && litevfs.defaults[name]());
  },

  /** Calls a function of the program's; one that throws is as one that is not there. */
  ask(name, ...args) {
    const call = litevfs.shared[name];
    try {
      return typeof call === 'function' ? call(...args) : undefined;
    } catch (error) {
      console.error(`litevfs: ${name}() threw:`, error);
      return undefined;
    }
  },

  log(level, text) {
    const name = ['error', 'error', 'warn', 'info', 'debug'][level] || 'debug';
    if (typeof litevfs.shared.log === 'function') litevfs.ask('log', name, text);
    else console[name](`litevfs: ${text}`);
  },

  sleep(ms) {
    try {
      // Memory that only this thread has can be waited on without the headers that sharing it takes.
      litevfs.bed = litevfs.bed || new Int32Array(
        new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer,
      );
      Atomics.wait(litevfs.bed, 0, 0, ms);
    } catch (error) {
      const end = performance.now() + ms;
      while (performance.now() < end);
    }
  },

  /** Fills memory with unpredictable bytes; whether it could. */
  random(begin, length) {
    try {
      // No more at once than the browser gives.
      for (let at = 0; at < length; at += 65536) {
        const some = new Uint8Array(Math.min(65536, length - at));
        HEAPU8.set(crypto.getRandomValues(some), begin + at);
      }
      return true;
    } catch (error) {
      return false;
    }
  },

  /** A call of the store's; without a store, or when it throws, `otherwise`. */
  store(otherwise, call) {
    const { store } = litevfs.shared;
    if (!store) return otherwise;
    try {
      return call(store);
    } catch (error) {
      console.warn('litevfs: the cache:', error);
      return otherwise;
    }
  },

  /** Sends a request, waits for all of its answer, and answers with its number. */
  send(head, body, timeoutMs) {
    const [method, url, ...lines] = head.split('\n');
    const fields = lines.map((line) => {
      const colon = line.indexOf(': ');
      return [line.slice(0, colon), line.slice(colon + 2)];
    });
    const request = { method, url, fields, body, timeoutMs };
    litevfs.lastAnswer += 1;
    litevfs.answers.set(litevfs.lastAnswer, litevfs.answer(request));
    return litevfs.lastAnswer;
  },

  answer(request) {
    if (litevfs.ask('isCancelled')) return { status: 0, text: 'cinterrupted' };
    const first = litevfs.exchange(request);
    const [, token] = request.fields.find(([name]) => name === 'Authorization') || [];
    const isRefused = first.status === 401;
    return isRefused && litevfs.ask('refused', token) ? litevfs.exchange(request) : first;
  },

  exchange({ method, url, fields, body, timeoutMs }) {
    const { counters } = litevfs.shared;
    const xhr = new XMLHttpRequest();
    const began = performance.now();
    try {
      xhr.open(method, url, false);
      xhr.responseType = 'arraybuffer';
      // Zero would be any time.
      xhr.timeout = Math.max(1, timeoutMs);
      for (const [name, value] of fields) {
        const renewed = name === 'Authorization' && litevfs.ask('tokenFor', value);
        xhr.setRequestHeader(name, renewed || value);
      }
      counters.requests += 1;
      counters.bytesSent += body.length;
      xhr.send(body.length > 0 ? body : null);
    } catch (error) {
      return { status: 0, text: litevfs.reason(error, url, performance.now() - began, timeoutMs) };
    }
    if (xhr.responseURL && xhr.responseURL !== url) {
      return { status: 0, text: `nthe server sends elsewhere: ${xhr.responseURL}; name that host` };
    }
    const bytes = new Uint8Array(xhr.response || 0);
    counters.bytesReceived += bytes.length;
    return { status: xhr.status, text: xhr.getAllResponseHeaders(), body: bytes, read: 0 };
  },

  /** Why there is no answer, as far as a browser tells; the first letter is for http/emscripten.rs. */
  reason(error, url, tookMs, timeoutMs) {
    const page = self.location ? self.location.origin : 'null';
    if (error.name === 'InvalidAccessError') return 'nrun SQLite in a worker: a page may not wait';
    if (error.name === 'TimeoutError' || tookMs >= timeoutMs) {
      return `ano answer within ${Math.round(timeoutMs / 1000)} s`;
    }
    if (self.navigator && self.navigator.onLine === false) return 'athe browser is offline';
    if (new URL(url).origin === page) return 'ano answer: is the server running?';
    return `ano answer: the server is down, or does not let pages of ${page} in `
      + `(start litevfs-cloud with --cors-origin ${page})`;
  },

  /** The next bytes of an answer's body, into memory; how many. */
  read(answer, begin, room) {
    const held = litevfs.answers.get(answer);
    if (!held.body) return 0;
    const some = held.body.subarray(held.read, held.read + room);
    HEAPU8.set(some, begin);
    held.read += some.length;
    return some.length;
  },
};

litevfs.shared.counters = { requests: 0, bytesSent: 0, bytesReceived: 0 };
