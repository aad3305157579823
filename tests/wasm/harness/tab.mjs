// A tab with a worker that has SQLite open, and what the tests ask of it.

import assert from 'node:assert/strict';

// A hang is a failure.
export const PATIENCE_MS = 60_000;

// SQLite's error: its codes and text, `detail` of PRAGMA litevfs_last_error, the lines logged.
export class SqlError extends Error {
  constructor({ code, extended, message, detail, log }) {
    super(detail ? `${message}: ${detail}` : message);
    Object.assign(this, { code, extended, detail: detail ?? '', log });
  }

  get primary() {
    return this.code & 0xff;
  }
}

export class Tab {
  // Opens the page in a browser context and starts SQLite in a worker with this init object.
  // `setUp(litevfs)` runs in the worker before that; `script` is the worker's.
  static async open(context, site, config, options = {}) {
    const tab = new Tab();
    Object.assign(tab, { context, site, config, options });
    tab.page = await context.newPage();
    tab.problems = [];
    tab.page.on('pageerror', (error) => tab.problems.push(String(error)));
    await tab.page.goto(site.url);
    await tab.startWorker();
    return tab;
  }

  async startWorker() {
    const script = this.options.script ?? '/worker.mjs';
    const coming = this.page.waitForEvent('worker', { timeout: PATIENCE_MS });
    await this.page.evaluate((url) => new Promise((ready, failed) => {
      const type = url.includes('.mjs') ? 'module' : 'classic';
      globalThis.worker = new Worker(url, { type });
      globalThis.worker.onmessage = ready;
      globalThis.worker.onerror = (error) => failed(new Error(`worker: ${error.message}`));
    }).then(() => {}), script);
    this.worker = await coming;
    const setUp = this.options.setUp?.toString();
    this.started = await this.call('start', { config: this.config, setUp });
  }

  // The page is loaded anew and starts over, as after the user's F5.
  async reload() {
    await this.page.reload();
    await this.startWorker();
  }

  // Ends the worker as a crash does, and starts another one.
  async restartWorker() {
    await this.page.evaluate(() => globalThis.worker.terminate());
    await this.startWorker();
  }

  close() {
    return this.page.close();
  }

  // Evaluates a function in the worker.
  run(work, argument) {
    return patiently('the worker', this.worker.evaluate(work, argument));
  }

  call(tool, argument = {}) {
    return this.run(([name, given]) => self.tools[name](given), [tool, argument]);
  }

  // Opens a database; `uri` is a name or more.
  async open(uri, name = 'main') {
    const full = uri.startsWith('file:') || uri === ':memory:' ? uri : `file:${uri}`;
    taken(await this.call('open', { name, uri: full }));
  }

  async sql(sql, { name = 'main', bind = [] } = {}) {
    return taken(await this.call('sql', { name, sql, bind }));
  }

  // The first column of the first row.
  async one(sql, options) {
    return (await this.sql(sql, options))[0]?.[0];
  }

  // Runs a statement that must fail, with these words in the text that tells why.
  async refused(sql, words, options) {
    return refusal(this.sql(sql, options), sql, words);
  }

  // Opens a database that can't be opened: the log says why.
  async notOpened(uri, words) {
    return refusal(this.open(uri, 'refused'), uri, words);
  }

  closeDatabase(name = 'main') {
    return this.call('close', { name });
  }
}

async function refusal(statement, what, words) {
  let error;
  try {
    const rows = await statement;
    assert.fail(`${what} should have failed; it gave ${JSON.stringify(rows)}`);
  } catch (thrown) {
    error = thrown;
  }
  if (!(error instanceof SqlError)) throw error;
  const told = `${error.message}\n${error.log}`;
  for (const word of words) assert.ok(told.includes(word), `${what}: no '${word}' in '${told}'`);
  return error;
}

function taken({ rows, error }) {
  if (error) throw new SqlError(error);
  return rows;
}

// Waits for a promise, and fails when it does not come to an end.
export async function patiently(what, promise, patienceMs = PATIENCE_MS) {
  let timer;
  const hang = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} hangs`)), patienceMs);
  });
  try {
    return await Promise.race([promise, hang]);
  } finally {
    clearTimeout(timer);
  }
}
