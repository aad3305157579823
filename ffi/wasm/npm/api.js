/** What the package exports, made for a platform: a page's or Node's. */
import { Channel, workerConfig } from './channel.js';
import { Database, uriOf } from './database.js';

export function api(platform) {
  return {
    open: (name, config) => open(platform, name, config),
    connect: (config) => connect(platform, config),
    litevfsPromiser: (config) => promiser(platform, config),
    litevfsWorker: (config) => worker(platform, config),
  };
}

/** One database with a worker of its own, which ends with it. */
async function open(platform, name, { mode, txid, timestamp, busyTimeoutMs, ...config } = {}) {
  const channel = await Channel.start(platform, config);
  try {
    const filename = uriOf(name, undefined, { mode, txid, timestamp });
    return await Database.open(channel, filename, { busyTimeoutMs }, () => channel.end());
  } catch (error) {
    channel.end();
    throw error;
  }
}

/** A worker for several databases. */
async function connect(platform, config) {
  const channel = await Channel.start(platform, config);
  return {
    async open(name, options = {}) {
      const token = options.token && await channel.addToken(options.token);
      return Database.open(channel, uriOf(name, token?.opened, options), options);
    },
    close: () => channel.end(),
  };
}

/**
 * As SQLite's sqlite3Worker1Promiser.v2(), on our channel: with renewed tokens and told-apart
 * errors.
 */
async function promiser(platform, config) {
  const channel = await Channel.start(platform, config);
  let firstDbId;
  return async function promise(message, args) {
    const { type, ...rest } = typeof message === 'string' ? { type: message, args } : message;
    const dbId = rest.dbId ?? rest.args?.dbId ?? (type === 'open' ? undefined : firstDbId);
    const messageId = channel.nextId(type);
    const request = { ...rest, type, dbId, messageId, departureTime: performance.now() };
    const callback = rest.args?.callback;
    const options = {};
    if (typeof callback === 'function') {
      request.args = { ...rest.args, callback: `${messageId}:row` };
      options.onRow = callback;
    }
    const answer = await channel.request(request, options);
    if (type === 'open') firstDbId ??= answer.dbId;
    if (type === 'close' && answer.dbId === firstDbId) firstDbId = undefined;
    return answer;
  };
}

/** A bare worker, configured, that speaks worker1: for SQLite's own promiser. */
function worker(platform, { token, ...config } = {}) {
  const bare = platform.makeWorker();
  bare.postMessage(workerConfig(config, token));
  return bare;
}

