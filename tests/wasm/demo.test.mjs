// The demo page as people use it: scripts/demo-web, with the package and the server that it starts.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Browser, until } from '../web/harness.mjs';

const { PYTHON = 'python3', SHOTS, TMP } = process.env;
const SCRIPT = fileURLToPath(new URL('../../scripts/demo-web', import.meta.url));
const PHONE = { viewport: { width: 360, height: 780 }, isMobile: true, hasTouch: true };
const ENDLESS = `WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)
  SELECT count(*) FROM n`;

let demo;
let url;
let browser;

before(async () => {
  const env = { ...process.env, PORT: '0', DATA: mkdtempSync(join(TMP, 'demo.')) };
  demo = spawn(PYTHON, ['-B', SCRIPT], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  process.on('exit', () => demo.kill());
  for await (const line of createInterface(demo.stdout)) {
    url = /^The demo is at (\S+) /.exec(line)?.[1];
    if (url) break;
  }
  assert.ok(url, 'scripts/demo-web ended');
  browser = await Browser.launch();
});

after(async () => {
  await browser?.close();
  const gone = new Promise((resolve) => demo.once('exit', resolve));
  demo.kill('SIGINT');
  await gone;
});

// A tab with the page when it can run something; `hash` is the end of its address.
async function open({ hash = '', ...options } = {}) {
  const page = await browser.tab(options);
  await page.goto(url + hash);
  await page.locator('#live').getByText('live', { exact: true }).waitFor();
  return page;
}

// Each tab has errors in its console only where a statement failed, and asks only our two servers.
async function close(page, expected = /^$/) {
  const hosts = new Set(page.seen.urls.filter((seen) => !seen.startsWith('blob:'))
    .map((seen) => new URL(seen).hostname));
  assert.deepEqual([...hosts], ['127.0.0.1']);
  assert.deepEqual(page.seen.errors.filter((text) => !expected.test(text)), []);
  await page.context().close();
}

async function shot(page, name) {
  if (SHOTS) await page.screenshot({ path: join(SHOTS, `${name}.png`) });
}

async function run(page, sql) {
  await page.locator('#sql').fill(sql);
  await page.keyboard.press('Control+Enter');
  await page.locator('#run:enabled').waitFor();
}

async function example(page, name) {
  await page.getByRole('button', { name, exact: true }).click();
  await page.locator('#run:enabled').waitFor();
}

const cells = (page) => page.locator('#rows tbody td').allTextContents();
const text = (page, id) => page.locator(`#${id}`).textContent();

test('a new visitor sees the first example and what it took', async () => {
  const page = await open();
  assert.equal(await text(page, 'summary').then((said) => /^1 row in \d+ ms$/.test(said)), true);
  assert.equal((await cells(page))[0], '1234');
  assert.equal(await page.locator('#rows td img').count(), 1, 'the cover');
  assert.match(await text(page, 'last-requests'), /^[1-9]$/);
  assert.match(await text(page, 'last-received'), /^\d.* (KiB|bytes)$/);
  assert.equal(await text(page, 'txid'), '1');
  assert.equal(await text(page, 'kept'), 'this browser');
  assert.equal(await page.locator('.table button').first().textContent(), 'album');
  await example(page, 'Full-text search');
  assert.match(await text(page, 'summary'), /^20 rows in /);
  assert.match((await cells(page))[2], /theremin/);
  await shot(page, 'demo-search');
  await close(page);
});

test('every example runs, from the cache too; a table shows its rows', async () => {
  const page = await open();
  for (const [name, rows] of [['Join', /rows/], ['Window function', /^42 rows/],
    ['Aggregate', /^14 rows/], ['Guest book', /^1 row /]]) {
    await example(page, name);
    assert.match(await text(page, 'summary'), rows, name);
  }
  await example(page, 'Aggregate');
  assert.equal(await text(page, 'last-received'), '0 bytes');
  await page.locator('.table button', { hasText: /^purchase$/ }).click();
  await page.getByText(/^100 rows in/).waitFor();
  await close(page);
});

test('values are told apart: NULL, numbers, long texts, blobs, more rows than fit', async () => {
  const page = await open();
  await run(page, `SELECT NULL AS a, 7 AS b, '<b>x</b>' AS c, x'00ff' AS d,
    replace(hex(zeroblob(100)), '00', 'word ') AS e`);
  assert.deepEqual((await cells(page)).slice(0, 4), ['NULL', '7', '<b>x</b>', 'x\'00ff\' 2 bytes']);
  const long = page.locator('#rows .long');
  const height = async () => (await long.boundingBox()).height;
  const before = await height();
  await long.click();
  assert.ok(await height() > before, 'the whole text');
  await run(page, 'SELECT id FROM purchase');
  assert.match(await text(page, 'summary'), /^90,000 rows, the first 1,000 shown in /);
  assert.equal(await page.locator('#rows tbody tr').count(), 1000);
  await run(page, 'SELECT id, title FROM album WHERE id < 0');
  assert.match(await text(page, 'summary'), /^0 rows/);
  assert.equal(await text(page, 'rows'), 'idtitleNo rows.');
  await close(page);
});

test('an error says what to do, and goes with the next statement', async () => {
  const page = await open();
  await run(page, 'SELECT * FROM albun');
  assert.equal(await text(page, 'problem-advice'),
    'No such table: albun. The names are listed under Tables.');
  assert.deepEqual(await cells(page), []);
  await example(page, 'One row');
  assert.equal(await page.locator('#problem').isVisible(), false);
  await close(page, /no such table/);
});

test('writing takes write mode; the other tab hears of it', async () => {
  const [writer, reader] = [await open(), await open()];
  await example(reader, 'Guest book');
  const place = await reader.locator('#rows').boundingBox();
  await example(writer, 'Write');
  assert.equal(await text(writer, 'problem-title'), 'Write mode is off');
  await shot(writer, 'demo-write-mode');
  await writer.locator('#problem-action').click();
  await writer.locator('#rows tbody tr').waitFor();
  assert.equal(await writer.locator('#write').isChecked(), true);
  assert.equal((await cells(writer))[2], 'NULL');

  await reader.getByText('The database moved on to 2.').waitFor();
  assert.equal(await reader.locator('#rows tbody tr').count(), 1, 'what was read stays');
  assert.deepEqual(await reader.locator('#rows').boundingBox(), place, 'and where it was');
  await shot(reader, 'demo-moved-on');
  await reader.locator('#again').click();
  await reader.getByText(/^2 rows in/).waitFor();
  assert.equal(await reader.locator('#again').isVisible(), false);
  await close(writer, /SQLITE_READONLY/);
  await close(reader);
});

test('somebody else has the lease: the page says so, and writes when it is free', async () => {
  const page = await open();
  const { host, token, database } = await (await fetch(`${url}config.json`)).json();
  const lease = (method, more) => fetch(`${host}/lease?db=${database}&${more}`,
    { method, headers: { Authorization: token } });
  const { id } = await (await lease('POST', 'duration=60000')).json();
  await page.locator('#write').check();
  await run(page, "INSERT INTO guestbook (at, words) VALUES ('now', 'after all')");
  assert.equal(await text(page, 'problem-title'), 'Somebody else is writing');
  assert.equal(await text(page, 'problem-action'), 'Run again');
  await lease('DELETE', `id=${id}`);
  await page.locator('#problem-action').click();
  await page.getByText('Done. This statement has no rows to show.').waitFor();
  await close(page, /SQLITE_BUSY|409/);
});

test('a query that runs can be cancelled, and the next one runs', async () => {
  const page = await open();
  await page.locator('#sql').fill(ENDLESS);
  await page.locator('#run').click();
  await page.locator('#cancel:enabled').click();
  await page.getByText('Cancelled', { exact: true }).waitFor();
  await page.locator('#sql').fill(ENDLESS);
  await page.keyboard.press('Control+Enter');
  await page.locator('#cancel:enabled').waitFor();
  await page.keyboard.press('Escape');
  await page.getByText('Cancelled', { exact: true }).waitFor();
  await example(page, 'One row');
  assert.match(await text(page, 'summary'), /^1 row /);
  await close(page, /interrupt|ERR_FILE_NOT_FOUND/i);
});

test('a link brings a statement that only the visitor runs; the last one is kept', async () => {
  const page = await open({ hash: `#sql=${encodeURIComponent("SELECT 'a+b' AS c")}` });
  assert.equal(await page.locator('#sql').inputValue(), "SELECT 'a+b' AS c");
  assert.equal(await text(page, 'rows'), '');
  await page.locator('#run').click();
  await until(page, async () => (await cells(page)).join(), 'a+b');
  await page.goto('about:blank');
  await page.goto(url);
  assert.equal(await page.locator('#sql').inputValue(), "SELECT 'a+b' AS c");
  await close(page);
});

test('nothing overflows a phone, and every control has a name', async () => {
  for (const colorScheme of ['light', 'dark']) {
    const page = await open({ ...PHONE, colorScheme });
    const width = () => page.evaluate(() => document.documentElement.scrollWidth);
    assert.equal(await width(), 360);
    for (const name of ['Join', 'Full-text search', 'Window function', 'Write']) {
      await example(page, name);
      assert.equal(await width(), 360, name);
      await shot(page, `demo-phone-${colorScheme}-${name}`);
    }
    await run(page, `SELECT * FROM ${'long'.repeat(60)}`);
    assert.equal(await width(), 360, 'an error');
    const nameless = await page.evaluate(() => [...document.querySelectorAll(
      'button, input, textarea')].filter((node) => node.checkVisibility() &&
      !node.textContent.trim() && !node.labels?.length).map((node) => node.id));
    assert.deepEqual(nameless, []);
    await close(page, /no such table|SQLITE_READONLY/);
  }
});
