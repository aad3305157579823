/** One database of a worker's: the small API on top of the messages. */
import { errorOf, LitevfsError } from './errors.js';

/** The name that SQLite opens: `name`, with what is this database's own. */
export function uriOf(name, token, { host, cluster, mode, txid, timestamp }) {
  const parameters = { host, token, cluster, mode, txid, timestamp };
  const query = Object.entries(parameters)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${encodeURIComponent(value)}`);
  return `file:${encodeURIComponent(name)}?${['vfs=litevfs', ...query].join('&')}`;
}

export class Database {
  #channel;
  #dbId;
  #host;
  #onClose;
  /** What waits for a transaction to end waits for this. */
  #free = Promise.resolve();
  #closing = null;

  static async open(channel, filename, { host, busyTimeoutMs = 5000 } = {}, onClose) {
    const db = new Database();
    db.#channel = channel;
    db.#host = host;
    db.#onClose = onClose;
    const { result } = await db.#send('open', { filename });
    db.#dbId = result.dbId;
    await db.#exec({ sql: `PRAGMA busy_timeout = ${Number(busyTimeoutMs)}` });
    return db;
  }

  exec(sql, params, options) {
    return this.#whenFree(() => this.#rows(sql, params, options));
  }

  run(sql, params, options) {
    return this.#whenFree(() => this.#run(sql, params, options));
  }

  transaction(work) {
    const outcome = this.#whenFree(() => this.#transact(work));
    this.#free = outcome.then(() => {}, () => {});
    return outcome;
  }

  interrupt() {
    this.#channel.interrupt(this.#dbId);
  }

  async counters() {
    this.#affirmOpen();
    const { result } = await this.#send('litevfs-counters');
    return result.counters;
  }

  async status() {
    this.#affirmOpen();
    const [[text]] = await this.#rows('PRAGMA litevfs_status', [], { rowMode: 'array' });
    const { result } = await this.#send('litevfs-counters');
    return { ...parseStatus(text), cacheNotice: result.notice };
  }

  async export() {
    return this.#whenFree(async () => (await this.#send('export')).result.byteArray);
  }

  close() {
    this.#closing ??= this.#free.then(async () => {
      await this.#send('close');
      this.#onClose?.();
    });
    return this.#closing;
  }

  /** Transactions come one after the other, and all else before or after them. */
  async #whenFree(work) {
    this.#affirmOpen();
    await this.#free;
    return work();
  }

  #affirmOpen() {
    if (this.#closing) throw new LitevfsError('CLOSED', 'the database is closed; open it again');
  }

  async #transact(work) {
    await this.#exec({ sql: 'BEGIN IMMEDIATE' });
    let isOver = false;
    const within = (call) => (...args) => {
      if (!isOver) return call(...args);
      throw new LitevfsError('MISUSE', 'this transaction is over; use the database instead');
    };
    const tx = {
      exec: within((...args) => this.#rows(...args)),
      run: within((...args) => this.#run(...args)),
    };
    try {
      const value = await work(tx);
      isOver = true;
      await this.#exec({ sql: 'COMMIT' });
      return value;
    } catch (error) {
      isOver = true;
      // Some failures have rolled back already; then there is nothing to do.
      await this.#exec({ sql: 'ROLLBACK' }).catch(() => {});
      throw error;
    }
  }

  async #rows(sql, bind, { rowMode = 'object', columnNames, onRow, signal } = {}) {
    const rows = onRow ? { callback: 'row' } : { resultRows: [] };
    const take = (message) => message.rowNumber !== null && onRow(message.row, message.columnNames);
    const args = { sql, bind, rowMode, columnNames: [], ...rows };
    const result = await this.#exec(args, { signal, onRow: take });
    columnNames?.push(...result.columnNames);
    return result.resultRows ?? [];
  }

  async #run(sql, bind, { signal } = {}) {
    const options = { sql, bind, countChanges: true, lastInsertRowId: true };
    const { changeCount, lastInsertRowId } = await this.#exec(options, { signal });
    return { changes: changeCount, lastInsertRowid: lastInsertRowId };
  }

  async #exec(args, options) {
    return (await this.#send('exec', args, options)).result;
  }

  async #send(type, args, options) {
    const messageId = this.#channel.nextId(type);
    const message = { type, messageId, dbId: this.#dbId, args, host: this.#host };
    try {
      return await this.#channel.request(message, options);
    } catch (answer) {
      throw answer.result ? errorOf(answer) : answer;
    }
  }
}

/** The lines of `PRAGMA litevfs_status`, which are for people, as an object. */
export function parseStatus(text) {
  const status = { text };
  const lines = new Map(text.split('\n').map((line) => {
    const at = line.indexOf(': ');
    return [line.slice(0, at), line.slice(at + 2)];
  }));
  for (const name of ['database', 'server', 'cluster', 'mode', 'position', 'lease']) {
    status[name] = lines.get(name);
  }
  if (status.position === 'not known') status.position = null;
  if (status.cluster === "the token's") status.cluster = null;
  const numbers = (line, ...names) => {
    const found = lines.get(line)?.match(/\d+/g) ?? [];
    names.forEach((name, i) => {
      status[name] = i in found ? Number(found[i]) : null;
    });
  };
  numbers('size', 'pageCount', 'pageSize');
  numbers('confirmed', 'confirmedMsAgo');
  numbers('last poll', 'polledMsAgo');
  numbers('cache', 'cachedPages', 'cachedBytes');
  numbers('page reads', 'cacheHits', 'cacheMisses');
  numbers('pages fetched', 'pagesFetched', 'pagesPrefetched');
  numbers('requests', 'requests', 'retries');
  numbers('sent', 'bytesSent');
  numbers('received', 'bytesReceived');
  const lastError = text.indexOf('\nlast error: ');
  status.lastError = lastError < 0 ? null : text.slice(lastError + 13);
  if (status.lastError === 'none') status.lastError = null;
  return status;
}
