/**
 * The way to one worker and back. It sends one message at a time and waits for its answer, so that
 * a cancellation can only hit what it is meant for; the others wait here, where they can be taken
 * back.
 *
 * Messages and answers are those of SQLite's worker1 API. Our own, all of type `litevfs-...`:
 * `config` (the first), `token`, `flag` (which have no answer) and `counters`.
 */
import { advised, diagnose, failed, LitevfsError } from './errors.js';
import { Token } from './token.js';

/** What the worker gets of the configuration. */
export function workerConfig({ host, cluster, cacheBytes, env }, token, flag) {
  const args = {
    // A worker of a bundle need not have the page's address.
    host: host ?? globalThis.location?.origin,
    token, cluster, flag,
    maxCacheBytes: cacheBytes,
    env: { LITEVFS_AUTO_LEASE: '1', ...env },
  };
  return { type: 'litevfs-config', args };
}

export class Channel {
  #platform;
  #config;
  #worker;
  #flag;
  #tokens = new Map();
  #queue = [];
  #running = null;
  #counts = {};
  #ended = null;
  #onReady;

  /** Starts a worker and waits until SQLite is there. */
  static async start(platform, config = {}) {
    const channel = new Channel();
    channel.#platform = platform;
    channel.#config = config;
    channel.#flag = platform.makeFlag();
    const token = await channel.addToken(config.token);
    const ready = new Promise((resolve, reject) => {
      channel.#onReady = { resolve, reject };
    });
    channel.#worker = platform.startWorker(
      (message) => channel.#receive(message),
      (text) => channel.end('WORKER', `the worker of litevfs failed: ${text}`),
    );
    channel.#post(workerConfig(config, token.opened, channel.#flag.value));
    await ready;
    return channel;
  }

  /** Makes a token known, so that it is renewed; databases are opened with its `opened`. */
  async addToken(source) {
    const token = await Token.from(source);
    if (typeof source === 'function') this.#tokens.set(token.opened, token);
    return token;
  }

  /**
   * Sends a message and returns the answer; one that is an error is thrown as it came. `onRow` gets
   * the rows' messages. Of several callers the first is served first.
   */
  request(message, { onRow, signal } = {}) {
    if (this.#ended) return Promise.reject(failed(message, ...this.#ended));
    return new Promise((resolve, reject) => {
      const job = { message, onRow, resolve, reject, signal };
      job.onAbort = () => this.#abort(job);
      signal?.addEventListener('abort', job.onAbort);
      this.#queue.push(job);
      this.#pump();
    });
  }

  /** Ends the statement that runs, if it is the database's. */
  interrupt(dbId) {
    if (this.#running?.message.dbId === dbId) this.#cancel(this.#running);
  }

  /** Ends the worker, and with `code` and `text` all that waits for it. */
  end(code = 'CLOSED', text = 'the worker was ended; open the database again') {
    if (this.#ended) return;
    this.#ended = [code, text];
    this.#worker?.terminate();
    this.#flag.cancel();
    this.#onReady?.reject(new LitevfsError(code, text));
    this.#running?.answer?.(failed(this.#running.message, code, text));
    for (const job of this.#queue.splice(0)) job.reject(failed(job.message, code, text));
  }

  /** A text for each message that nobody else has. */
  nextId(type) {
    this.#counts[type] = (this.#counts[type] ?? 0) + 1;
    return `${type}#${this.#counts[type]}`;
  }

  async #pump() {
    if (this.#running) return;
    while (this.#queue.length) {
      const job = this.#running = this.#queue.shift();
      try {
        job.resolve(await this.#run(job));
      } catch (error) {
        job.reject(error);
      } finally {
        job.signal?.removeEventListener('abort', job.onAbort);
        this.#running = null;
      }
    }
  }

  async #run(job) {
    const expiring = [...this.#tokens.values()].filter((token) => token.isExpiring);
    await this.#renew(job, expiring);
    let answer = await this.#exchange(job);
    if (answer.refused) {
      const refused = answer.refused.map((opened) => this.#tokens.get(opened)).filter(Boolean);
      const isRenewed = await this.#renew(job, refused);
      if (isRenewed && answer.result?.repeatable) answer = await this.#exchange(job);
    }
    if (job.thrown) throw job.thrown.error;
    if (answer.type !== 'error') return answer;
    const { result } = answer;
    if (result.noAnswer) {
      const [code, advice] = await diagnose(job.message.host ?? this.#config.host);
      Object.assign(result, { code, message: advised(result.message, advice) });
    }
    if (result.code === 'INTERRUPTED' && job.signal?.aborted) result.code = 'ABORTED';
    throw answer;
  }

  /** Whether any of the tokens is another one now. */
  async #renew(job, tokens) {
    let isRenewed = false;
    for (const token of tokens) {
      try {
        if (!await token.renew()) continue;
      } catch (error) {
        throw failed(job.message, error.code, error.message);
      }
      isRenewed = true;
      this.#post({ type: 'litevfs-token', args: { opened: token.opened, newest: token.newest } });
    }
    return isRenewed;
  }

  #exchange(job) {
    if (this.#ended) return failed(job.message, ...this.#ended);
    if (job.isCancelled || job.signal?.aborted) {
      return failed(job.message, 'INTERRUPTED', 'interrupted before it began');
    }
    return new Promise((resolve) => {
      job.answer = resolve;
      const { host, ...message } = job.message;
      this.#post(message);
    });
  }

  #receive(message) {
    const job = this.#running;
    if (message.type === 'sqlite3-api') {
      this.#onReady.resolve();
    } else if (message.messageId === 'litevfs-config') {
      this.end('WORKER', `SQLite could not be started: ${message.result.message}`);
    } else if (job && message.messageId === job.message.messageId) {
      job.answer(message);
    } else if (job?.onRow) {
      this.#deliver(job, message);
    }
  }

  /** Rows come while the statement runs; one that nobody can take ends it. */
  #deliver(job, message) {
    if (job.thrown) return;
    try {
      job.onRow(message);
    } catch (error) {
      job.thrown = { error };
      this.#cancel(job);
    }
  }

  #post(message) {
    this.#worker.postMessage(message);
  }

  #abort(job) {
    if (job === this.#running) {
      this.#cancel(job);
      return;
    }
    this.#queue.splice(this.#queue.indexOf(job), 1);
    job.reject(failed(job.message, 'ABORTED', 'aborted before it began'));
  }

  /** The worker looks at its flag while it is busy, and reads of the new one when it is not. */
  #cancel(job) {
    if (job.isCancelled) return;
    job.isCancelled = true;
    if (!job.answer) return;
    this.#flag.cancel();
    this.#flag = this.#platform.makeFlag();
    this.#post({ type: 'litevfs-flag', args: this.#flag.value });
  }
}
