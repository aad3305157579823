// The package in a page, without a bundler: its API, errors, interruption, tokens, worker1
// messages.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { launch, openPage, PATIENCE_MS, plainSite, Server, TOKEN } from './surroundings.mjs';

const site = await plainSite();
after(() => site.close());
const browser = await launch();
const cors = ['--cors-origin', site.url];
const server = await Server.start(['--token', TOKEN, ...cors], TOKEN);
const config = { host: server.url, token: TOKEN };
const page = await openPage(browser, site);

// Runs `work(argument, tools)` in the page, with a way to show errors.
const inPage = (work, argument = {}) => page.evaluate(([source, given]) => {
  const tools = {
    // What a promise comes to: its value, or the error's fields.
    outcome: (promise) => Promise.resolve(promise).then(
      (value) => value ?? 'done',
      ({ name, code, message, sqliteCode, sql }) => ({ name, code, message, sqliteCode, sql }),
    ),
  };
  return eval(`(${source})`)(given, tools);
}, [work.toString(), { config, ...argument }]);

const options = { timeout: PATIENCE_MS };

test('rows, changes and transactions', options, async () => {
  const seen = await inPage(async ({ config }, { outcome }) => {
    const db = await litevfs.open('api', config);
    await db.run('CREATE TABLE t (id INTEGER PRIMARY KEY, v)');
    const run = await db.run('INSERT INTO t (v) VALUES (?), (?)', [1, 'two']);
    const objects = await db.exec('SELECT * FROM t WHERE v = :v', { ':v': 'two' });
    const arrays = await db.exec('SELECT id, v FROM t', [], { rowMode: 'array' });
    const columnNames = [];
    await db.exec('SELECT v, id AS n FROM t WHERE id < 0', [], { columnNames });
    await db.exec('UPDATE t SET v = v', [], { columnNames });
    const streamed = [];
    const onRow = (row, names) => streamed.push([names, row]);
    await db.exec('SELECT v FROM t', [], { rowMode: 'array', onRow });
    const broken = await outcome(db.exec('SELECT v FROM t', [], {
      onRow() { throw new TypeError('not that row'); },
    }));
    const order = [];
    const [value] = await Promise.all([
      db.transaction(async (tx) => {
        await tx.run('INSERT INTO t (v) VALUES (3)');
        const [{ n }] = await tx.exec('SELECT count(*) AS n FROM t');
        order.push('transaction');
        return n;
      }),
      db.exec('SELECT count(*) AS n FROM t').then(([{ n }]) => order.push(n)),
    ]);
    const thrown = await outcome(db.transaction(async (tx) => {
      await tx.run('DELETE FROM t');
      throw new RangeError('never mind');
    }));
    let escaped;
    await db.transaction((tx) => { escaped = tx; });
    const late = await outcome(new Promise((resolve) => resolve(escaped.run('DELETE FROM t'))));
    const [{ n: left }] = await db.exec('SELECT count(*) AS n FROM t');
    const status = await db.status();
    const counters = await db.counters();
    const file = await db.export();
    await db.close();
    const closed = await outcome(db.exec('SELECT 1'));
    return { run, objects, arrays, columnNames, streamed, broken, value, order, thrown, late, left,
      status, counters, head: new TextDecoder().decode(file.slice(0, 15)), closed };
  });
  assert.deepEqual(seen.run, { changes: 2, lastInsertRowid: 2 });
  assert.deepEqual(seen.objects, [{ id: 2, v: 'two' }]);
  assert.deepEqual(seen.arrays, [[1, 1], [2, 'two']]);
  assert.deepEqual(seen.columnNames, ['v', 'n'], 'of the statement without rows, none');
  assert.deepEqual(seen.streamed, [[['v'], [1]], [['v'], ['two']]]);
  assert.equal(seen.broken.message, 'not that row');
  assert.equal(seen.value, 3);
  assert.deepEqual(seen.order, ['transaction', 3]);
  assert.equal(seen.thrown.name, 'RangeError');
  assert.equal(seen.late.code, 'MISUSE');
  assert.equal(seen.left, 3, 'a transaction that threw left nothing');
  assert.equal(seen.status.database, 'api');
  assert.equal(seen.status.server, server.url);
  assert.match(seen.status.position, /^[0-9a-f]{16}\/[0-9a-f]{16}$/);
  assert.ok(seen.status.pageCount > 0 && seen.status.pageSize >= 512);
  assert.ok(seen.counters.requests > 0 && seen.counters.bytesSent > 0);
  assert.equal(seen.head, 'SQLite format 3');
  assert.equal(seen.closed.code, 'CLOSED');
});

test('a native client sees what the page wrote, and the page what it wrote', options, async () => {
  await inPage(async ({ config }) => {
    const db = await litevfs.open('both', config);
    await db.run("CREATE TABLE t(x); INSERT INTO t VALUES ('page')");
    await db.close();
  });
  assert.equal(server.sql('both', "INSERT INTO t VALUES ('native'); SELECT x FROM t;"),
    'page\nnative\n');
  const rows = await inPage(async ({ config }) => {
    const db = await litevfs.open('both', config);
    return db.exec('SELECT x FROM t', [], { rowMode: 'array' });
  });
  assert.deepEqual(rows, [['page'], ['native']]);
});

test('several databases share a worker', options, async () => {
  const rows = await inPage(async ({ config }) => {
    const connection = await litevfs.connect({ host: config.host });
    const [one, two] = await Promise.all(['one', 'two'].map((name) =>
      connection.open(name, { token: config.token })));
    await one.run('CREATE TABLE t AS SELECT 1 AS x');
    await two.run('CREATE TABLE t AS SELECT 2 AS x');
    const found = await Promise.all([one, two].map((db) => db.exec('SELECT x FROM t')));
    connection.close();
    return found.flat();
  });
  assert.deepEqual(rows, [{ x: 1 }, { x: 2 }]);
});

test('errors say what they are and what to do', options, async () => {
  // Lets no page in.
  const closed = await Server.start(['--token', TOKEN], TOKEN);
  const gone = await Server.start(['--token', TOKEN, ...cors], TOKEN);
  await gone.kill();
  server.sql('errors', 'CREATE TABLE t(x UNIQUE); INSERT INTO t VALUES (1);');
  const seen = await inPage(async ({ config, closed, gone }, { outcome }) => {
    const attempt = async (more, sql = 'SELECT * FROM t') => {
      const { name, ...rest } = { name: 'errors', ...config, ...more };
      return outcome(litevfs.open(name, rest).then((db) => db.exec(sql).finally(() => db.close())));
    };
    return {
      syntax: await attempt({}, 'SELEC 1'),
      constraint: await attempt({}, 'INSERT INTO t VALUES (1)'),
      missing: await attempt({ name: 'nowhere', mode: 'rw' }),
      unauthorized: await attempt({ token: 'no' }),
      readOnly: await attempt({ mode: 'ro' }, 'INSERT INTO t VALUES (2)'),
      cors: await attempt({ host: closed }),
      unreachable: await attempt({ host: gone }),
    };
  }, { closed: closed.url, gone: gone.url });
  const found = Object.fromEntries(Object.entries(seen).map(([what, { code }]) => [what, code]));
  assert.deepEqual(found, {
    syntax: 'ERROR',
    constraint: 'CONSTRAINT',
    missing: 'NOT_FOUND',
    unauthorized: 'UNAUTHORIZED',
    readOnly: 'READONLY',
    cors: 'CORS',
    unreachable: 'UNREACHABLE',
  });
  assert.equal(seen.syntax.message, 'near "SELEC": syntax error');
  assert.equal(seen.syntax.sql, 'SELEC 1');
  assert.equal(seen.constraint.sqliteCode, 2067);
  assert.match(seen.readOnly.message, /mode=ro/);
  assert.ok(seen.cors.message.includes(`--cors-origin ${site.url}`), seen.cors.message);
  assert.match(seen.unreachable.message, /check that litevfs-cloud runs there/);
});

test('while one writes another waits as long as it was told', options, async () => {
  const seen = await inPage(async ({ config }, { outcome }) => {
    const one = await litevfs.open('busy', config);
    await one.run('CREATE TABLE t(x)');
    const hasty = await litevfs.open('busy', { ...config, busyTimeoutMs: 0 });
    const patient = await litevfs.open('busy', { ...config, busyTimeoutMs: 60_000 });
    let waiting;
    const refused = await one.transaction(async (tx) => {
      await tx.run('INSERT INTO t VALUES (1)');
      waiting = patient.run('INSERT INTO t VALUES (2)');
      return outcome(hasty.run('INSERT INTO t VALUES (3)'));
    });
    await waiting;
    return { refused, rows: await patient.exec('SELECT x FROM t', [], { rowMode: 'array' }) };
  });
  assert.equal(seen.refused.code, 'BUSY');
  assert.deepEqual(seen.rows, [[1], [2]]);
});

test('without a network the error says so, and the next statement works with one', options,
  async () => {
    await inPage(async ({ config }) => {
      globalThis.offline = await litevfs.open('offline', config);
      await globalThis.offline.run('CREATE TABLE t(x)');
    });
    await page.context().setOffline(true);
    const refused = await inPage((_, { outcome }) =>
      outcome(globalThis.offline.run('INSERT INTO t VALUES (1)')));
    await page.context().setOffline(false);
    assert.equal(refused.code, 'OFFLINE', refused.message);
    const run = await inPage(() => globalThis.offline.run('INSERT INTO t VALUES (2)'));
    assert.equal(run.changes, 1);
  });

test('a text of an earlier failure is not told again', options, async () => {
  const seen = await inPage(async ({ config }, { outcome }) => {
    const db = await litevfs.open('again', { ...config, env: { LITEVFS_AUTO_LEASE: '0' } });
    const first = await outcome(db.run('CREATE TABLE t(x)'));
    const second = await outcome(db.run('SELECT * FROM nowhere'));
    return { first, second };
  });
  assert.equal(seen.first.code, 'READONLY');
  assert.match(seen.first.message, /litevfs_acquire_lease/);
  assert.equal(seen.second.message, 'no such table: nowhere');
});

test('a statement that goes on for ever is interrupted, alone', options, async () => {
  const seen = await inPage(async ({ config }, { outcome }) => {
    const endless =
      'WITH RECURSIVE c AS (SELECT 1 UNION ALL SELECT 1 FROM c) SELECT count(*) FROM c';
    const db = await litevfs.open('interrupt', config);
    const running = outcome(db.exec(endless));
    const waiting = outcome(db.exec('SELECT 1 AS x'));
    setTimeout(() => db.interrupt(), 200);
    const interrupted = await running;
    const next = await waiting;
    const aborted = await outcome(db.exec(endless, [], { signal: AbortSignal.timeout(200) }));
    const blocker = outcome(db.exec(endless));
    const controller = new AbortController();
    const queued = outcome(db.exec('SELECT 2', [], { signal: controller.signal }));
    await new Promise((resolve) => setTimeout(resolve, 50));
    controller.abort();
    const first = await Promise.race([queued.then(() => 'queued'), blocker.then(() => 'blocker')]);
    db.interrupt();
    const inside = await outcome(db.transaction(async (tx) => {
      await tx.run('CREATE TABLE t(x)');
      setTimeout(() => db.interrupt(), 200);
      await tx.exec(endless);
    }));
    const tables = await db.exec('SELECT name FROM sqlite_schema');
    return { interrupted, next, aborted, queued: await queued, first, inside, tables,
      blocker: await blocker };
  });
  assert.equal(seen.interrupted.code, 'INTERRUPTED');
  assert.equal(seen.interrupted.sqliteCode, 9);
  assert.deepEqual(seen.next, [{ x: 1 }]);
  assert.equal(seen.aborted.code, 'ABORTED');
  assert.equal(seen.queued.code, 'ABORTED');
  assert.equal(seen.first, 'queued', 'what waits is aborted at once');
  assert.equal(seen.blocker.code, 'INTERRUPTED');
  assert.equal(seen.inside.code, 'INTERRUPTED');
  assert.deepEqual(seen.tables, []);
});

test('a token is renewed when it is refused, and before it ends', options, async () => {
  const ends = await Server.start(['--token', 'first', ...cors], 'first');
  await inPage(async ({ host }) => {
    globalThis.given = 'first';
    globalThis.asked = 0;
    const token = async () => {
      globalThis.asked += 1;
      return globalThis.given;
    };
    globalThis.db = await litevfs.open('renewed', { host, token });
    await globalThis.db.run('CREATE TABLE t(x)');
  }, { host: ends.url });
  await ends.kill();
  ends.args[1] = 'second';
  await ends.restart();
  const seen = await inPage(async (_, { outcome }) => {
    const stale = await outcome(db.run('INSERT INTO t VALUES (1)'));
    globalThis.given = 'second';
    const within = await outcome(db.transaction((tx) => tx.run('INSERT INTO t VALUES (2)')));
    const next = await outcome(db.run('INSERT INTO t VALUES (3)'));
    return { stale, within, next, asked, rows: await db.exec('SELECT x FROM t') };
  });
  assert.equal(seen.stale.code, 'UNAUTHORIZED');
  // BEGIN IMMEDIATE needs the lease, was refused, and is run again with the new token.
  assert.equal(seen.within.changes, 1);
  assert.equal(seen.next.changes, 1);
  assert.equal(seen.asked, 3, 'at the start, and once for each refusal');
  assert.deepEqual(seen.rows, [{ x: 2 }, { x: 3 }]);

  const early = await inPage(async ({ host }) => {
    let asked = 0;
    const token = () => ({ token: 'second', expiresAt: Date.now() + 1000 * asked++ });
    const db = await litevfs.open('renewed', { host, token });
    const before = asked;
    await db.exec('SELECT 1');
    return asked > before;
  }, { host: ends.url });
  assert.ok(early, 'a token that ends soon is renewed first');
});

test('within a transaction a refused token fails it, the next has the new', options, async () => {
  const ends = await Server.start(['--token', 'first', ...cors], 'first');
  await inPage(async ({ host }) => {
    globalThis.given = 'first';
    globalThis.db = await litevfs.open('within', { host, token: async () => globalThis.given });
    await db.run('CREATE TABLE t(x)');
    await new Promise((begun) => {
      globalThis.outcome = db.transaction(async (tx) => {
        await tx.run('INSERT INTO t VALUES (1)');
        await new Promise((goOn) => begun(globalThis.goOn = goOn));
      }).catch(({ code }) => code);
    });
  }, { host: ends.url });
  await ends.kill();
  ends.args[1] = 'second';
  await ends.restart();
  const seen = await inPage(async () => {
    globalThis.given = 'second';
    globalThis.goOn();
    const code = await globalThis.outcome;
    const { changes } = await db.run('INSERT INTO t VALUES (2)');
    return { code, changes, rows: await db.exec('SELECT x FROM t') };
  });
  assert.deepEqual(seen, { code: 'UNAUTHORIZED', changes: 1, rows: [{ x: 2 }] });
});

// What all three answer to the same messages, without what differs from run to run and what is
// ours.
async function conversation({ config }) {
  const cleaned = (answer) => JSON.parse(JSON.stringify(answer, (key, value) => {
    if (/^dbId$|^stack$|Time$/.test(key)) return typeof value;
    if (!value?.operation) return value;
    const { code, sqliteCode, sql, repeatable, ...worker1 } = value;
    return worker1;
  }));
  const talk = async (promiser) => {
    const answers = [];
    const ask = async (...args) => {
      answers.push(cleaned(await promiser(...args).catch((error) => error)));
    };
    const rows = [];
    const callback = (message) => rows.push(cleaned({ ...message, type: 'row' }));
    await ask('open', { filename: ':memory:' });
    await ask('config-get', {});
    await ask('exec', { sql: 'CREATE TABLE t(a, b); INSERT INTO t VALUES (1, 2), (3, NULL)',
      countChanges: true, saveSql: [] });
    await ask('exec', { sql: 'SELECT * FROM t', resultRows: [], columnNames: [] });
    await ask('exec', { sql: 'SELECT * FROM t', rowMode: 'object', resultRows: [] });
    await ask('exec', { sql: 'SELECT b FROM t', rowMode: '$b', resultRows: [] });
    await ask('exec', { sql: 'SELECT ? + $x', bind: [1, 2], rowMode: 0, resultRows: [] });
    await ask('exec', { sql: 'SELECT a FROM t', rowMode: 'array', callback });
    await ask('exec', { sql: 'SELECT a FROM t WHERE 0', rowMode: 'object', callback });
    await ask('exec', { sql: 'SELECT 1', rowMode: 'stmt' });
    await ask('exec', { sql: '' });
    await ask('exec', { sql: 'SELECT nothing' });
    await ask({ type: 'exec', args: 'SELECT 1' });
    await ask('no-such-type', {});
    await ask('close', {});
    await ask('exec', { sql: 'SELECT 1' });
    await ask('close', {});
    return { answers, rows };
  };
  const start = (worker) => promiser({ worker, onerror() {} });
  const own = await talk(await start(() => new Worker('/worker1.js', { type: 'module' })));
  const ours = await talk(await start(() => litevfs.litevfsWorker(config)));
  const both = await talk(await litevfs.litevfsPromiser(config));
  return { own, ours, both };
}

test("the messages are SQLite's worker1's, with either promiser", options, async () => {
  const { own, ours, both } = await inPage(conversation);
  assert.equal(own.rows.length, 4);
  assert.deepEqual(ours, own);
  assert.deepEqual(both, own);
});

test("SQLite's own promiser opens a database at the server", options, async () => {
  const seen = await inPage(async ({ config }) => {
    const ask = await promiser({ worker: () => litevfs.litevfsWorker(config) });
    const { result } = await ask('open', { filename: 'file:promised' });
    await ask('exec', { sql: 'CREATE TABLE t AS SELECT 7 AS x' });
    const answer = await ask('exec', { sql: 'SELECT x FROM t', resultRows: [], rowMode: 'object' });
    return { vfs: result.vfs, persistent: result.persistent, rows: answer.result.resultRows };
  });
  assert.deepEqual(seen, { vfs: 'litevfs', persistent: true, rows: [{ x: 7 }] });
});

test('a database that is closed twice leaves the others of its worker alone', options, async () => {
  const seen = await inPage(async ({ config }, { outcome }) => {
    const connection = await litevfs.connect(config);
    const kept = await connection.open('kept');
    const closed = await connection.open('closed');
    const last = closed.exec('SELECT 1 AS x');
    await Promise.all([closed.close(), closed.close()]);
    const late = await outcome(closed.exec('SELECT 1'));
    const rows = await kept.exec('SELECT 2 AS x');
    connection.close();
    return { last: await last, late, rows, over: await outcome(kept.exec('SELECT 3')) };
  });
  assert.deepEqual(seen.last, [{ x: 1 }], 'what was asked before is answered');
  assert.equal(seen.late.code, 'CLOSED');
  assert.deepEqual(seen.rows, [{ x: 2 }]);
  assert.equal(seen.over.code, 'CLOSED');
});

test('a strict policy of the site has to allow no more than is said', options, async () => {
  const outcomes = [];
  // Without `blob:` the query must end by itself.
  for (const [more, rows] of [['blob:', 1e15], ['', 1e6]]) {
    const policy = "default-src 'self'; img-src data:; script-src 'self' 'wasm-unsafe-eval'; " +
      `connect-src 'self' ${server.url} ${more}`;
    const tab = await browser.tab();
    await tab.context().route(`${site.url}/**`, async (route) => {
      const response = await route.fetch();
      const headers = { ...response.headers(), 'Content-Security-Policy': policy };
      await route.fulfill({ response, headers });
    });
    await tab.goto(`${site.url}/`);
    await tab.waitForFunction(() => 'litevfs' in globalThis);
    outcomes.push(await tab.evaluate(async ([given, rows]) => {
      const db = await litevfs.open('policy', given);
      const running = db.exec(
        'WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < ?) ' +
        'SELECT count(*) AS n FROM c', [rows],
      );
      setTimeout(() => db.interrupt(), 100);
      const outcome = await running.then(([{ n }]) => n, ({ code }) => code);
      await db.close();
      return outcome;
    }, [config, rows]));
    await tab.context().close();
  }
  assert.deepEqual(outcomes, ['INTERRUPTED', 1e6]);
});

test('a package with a file missing says so', options, async () => {
  for (const [file, words] of [['sqlite3.wasm', /SQLite could not be started/],
    ['worker.js', /script could not be loaded/]]) {
    const tab = await openPage(browser, site);
    await tab.context().route(`**/${file}`, (route) => route.fulfill({ status: 404 }));
    const { code, message } = await tab.evaluate((given) => litevfs.open('db1', given)
      .catch((error) => ({ code: error.code, message: error.message })), config);
    await tab.context().close();
    assert.equal(code, 'WORKER', file);
    assert.match(message, words);
  }
});
