// The demo page: SQL that runs in this tab on a database of a litevfs-cloud server, and what it
// took.
//
// scripts/demo-web serves it, with the npm package under litevfs/ and what it shares with the
// server's status page under house/. A statement runs when somebody asks for it, and by itself only
// when it is one of our examples: what a link brings may write.

import { open } from './litevfs/index.js';
import { ago, at, bytes, number, put, show } from './house/text.js';
import { examples } from './examples.js';
import { explain } from './problems.js';
import { MOST_ROWS, rowsText, showRows } from './results.js';

const NEWS_PERIOD_MS = 2000;
// What was confirmed longer ago than this is shown as old.
const OLD_MS = 6000;
const KEPT = 'litevfs-demo-sql';
const TABLES = `SELECT l.name, group_concat(c.name, ', ') FROM pragma_table_list AS l,
  pragma_table_info(l.name) AS c WHERE l.schema = 'main' AND l.type IN ('table', 'view', 'virtual')
  AND l.name NOT LIKE 'sqlite_%' GROUP BY l.name`;

const sql = at('sql');
let db;
let running = null; // an AbortController while a statement runs
let looking = null; // one while we look for news
let seenTxid = null; // of the rows that are shown
let confirmedAt = NaN;

const txidOf = (status) => parseInt(status.position ?? '', 16) || null;

function showState(status) {
  const txid = txidOf(status);
  confirmedAt = status.confirmedMsAgo === null ? NaN : Date.now() - status.confirmedMsAgo;
  put(at('txid'), txid === null ? 'not known' : number(txid));
  at('txid').title = status.position ?? '';
  put(at('size'), status.pageCount ? bytes(status.pageCount * status.pageSize) : 'not known');
  const share = status.pageCount ? ` of ${number(status.pageCount)}` : '';
  put(at('cached'), `${number(status.cachedPages ?? 0)}${share}`);
  put(at('kept'), status.cacheNotice ? 'memory, until reload' : 'this browser');
  put(at('cache-notice'), status.cacheNotice ?? '');
  show(at('cache-notice'), Boolean(status.cacheNotice));
  put(at('lease'), status.lease ?? 'none');
  const moved = seenTxid !== null && txid !== null && txid > seenTxid;
  put(at('moved-to'), moved ? `The database moved on to ${number(txid)}.` : '');
  at('answer').classList.toggle('moved', moved);
}

// How old what we know is: it ages while the server is away, and in a transaction that stays open.
function showAge() {
  const live = Date.now() - confirmedAt < OLD_MS;
  put(at('age'), Number.isNaN(confirmedAt) ? 'not yet' : ago(confirmedAt, Date.now()));
  put(at('live'), live ? 'live' : 'not live');
  at('live').classList.toggle('off', !live);
}

function showTraffic(id, { requests, bytesReceived, bytesSent }) {
  put(at(`${id}-requests`), number(requests));
  put(at(`${id}-received`), bytes(bytesReceived));
  put(at(`${id}-sent`), bytes(bytesSent));
}

function difference(after, before) {
  const names = ['requests', 'bytesReceived', 'bytesSent'];
  return Object.fromEntries(names.map((name) => [name, after[name] - before[name]]));
}

// What is true after a statement, whether it worked or not; `before` are the counters before it.
async function refresh(before) {
  showState(await db.status());
  showAge();
  const counters = await db.counters();
  showTraffic('total', counters);
  if (before) showTraffic('last', difference(counters, before));
}

async function showTables() {
  const tables = await db.exec(TABLES, [], { rowMode: 'array' });
  at('tables').replaceChildren(...tables.map(([name, columns]) => {
    const node = at('table-row').content.cloneNode(true);
    put(node.querySelector('button'), name);
    put(node.querySelector('p'), columns);
    node.querySelector('button').addEventListener('click', () => {
      const quoted = /^\w+$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
      choose(`SELECT * FROM ${quoted} LIMIT 100;`);
    });
    return node;
  }));
}

function showProblem(error) {
  const { title, advice, action, mild } = explain(error, at('write').checked);
  at('problem').classList.toggle('mild', Boolean(mild));
  put(at('problem-title'), title);
  put(at('problem-advice'), advice);
  put(at('problem-action'), action?.label ?? '');
  show(at('problem-action'), Boolean(action));
  at('problem-action').onclick = () => (action.writes ? setWrite(true).then(run) : run());
  show(at('problem'), true);
}

function setRunning(controller) {
  running = controller;
  at('run').disabled = Boolean(running);
  at('write').disabled = Boolean(running);
  at('cancel').disabled = !running;
  at('answer').setAttribute('aria-busy', String(Boolean(running)));
  return controller;
}

// Runs what is in the box. `rows` holds no more than can be shown: a scan may have millions.
async function run() {
  const text = sql.value;
  if (running || !db || !text.trim()) return;
  remember(text);
  looking?.abort();
  const { signal } = setRunning(new AbortController());
  show(at('problem'), false);
  put(at('summary'), 'running\u2026');
  const columnNames = [];
  const rows = [];
  let count = 0;
  const onRow = (row) => {
    count += 1;
    if (rows.length < MOST_ROWS) rows.push(row);
  };
  let before;
  try {
    before = await db.counters();
    const start = performance.now();
    await db.exec(text, [], { rowMode: 'array', columnNames, onRow, signal });
    const ms = number(Math.round(performance.now() - start));
    seenTxid = txidOf(await db.status());
    showRows(at('rows'), columnNames, rows);
    put(at('summary'), `${columnNames.length ? rowsText(count) : 'done'} in ${ms} ms`);
  } catch (error) {
    seenTxid = null;
    at('rows').replaceChildren();
    put(at('summary'), '');
    showProblem(error);
  } finally {
    await refresh(before).catch(() => {});
    setRunning(null);
  }
}

function cancel() {
  if (!running) return;
  running.abort();
  at('cancel').disabled = true;
  put(at('summary'), 'cancelling\u2026');
}

// Looks whether somebody committed, for as long as the page is there. Page 1 is here, so reading it
// asks the server for no more than that.
async function lookForNews() {
  if (!running && !document.hidden) {
    looking = new AbortController();
    try {
      const { signal } = looking;
      await db.exec('SELECT 1 FROM sqlite_schema LIMIT 1', [], { signal });
      if (!running) await refresh();
    } catch {
      // The age that is shown tells.
    }
  }
  setTimeout(lookForNews, NEWS_PERIOD_MS);
}

async function setWrite(on) {
  at('write').checked = on;
  await db.exec(`PRAGMA litevfs_auto_lease = ${on ? 'on' : 'off'}`);
}

function remember(text) {
  history.replaceState(null, '', `#sql=${encodeURIComponent(text)}`);
  try {
    localStorage.setItem(KEPT, text);
  } catch {
    // A browser may forbid it; then the address alone has the text.
  }
}

function remembered() {
  const linked = new URLSearchParams(location.hash.slice(1)).get('sql');
  if (linked) return linked;
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null;
  }
}

function choose(text) {
  if (running) return;
  sql.value = text;
  run();
}

async function copyLink() {
  remember(sql.value);
  try {
    await navigator.clipboard.writeText(location.href);
    put(at('link-state'), 'Copied');
  } catch {
    put(at('link-state'), 'The address of this page is the link');
  }
  setTimeout(() => put(at('link-state'), ''), NEWS_PERIOD_MS);
}

function setUp() {
  at('examples').append(...examples.map((example) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = example.name;
    button.addEventListener('click', () => choose(example.sql));
    return button;
  }));
  at('editor').addEventListener('submit', (event) => {
    event.preventDefault();
    run();
  });
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      run();
    }
    if (event.key === 'Escape') cancel();
  });
  at('cancel').addEventListener('click', cancel);
  at('link').addEventListener('click', copyLink);
  at('again').addEventListener('click', run);
  at('write').addEventListener('change', () => setWrite(at('write').checked));
  window.addEventListener('hashchange', () => { sql.value = remembered() ?? sql.value; });
  if (/Mac|iPhone|iPad/.test(navigator.platform)) put(at('modifier'), '\u2318');
}

async function start() {
  sql.value = remembered() ?? examples[0].sql;
  setUp();
  try {
    const { host, token, database } = await (await fetch('config.json')).json();
    put(at('place'), `${database} at ${new URL(host).host}`);
    db = await open(database, { host, token, env: { LITEVFS_AUTO_LEASE: '0' } });
  } catch (error) {
    const { title, advice } = explain(error, false);
    put(at('notice'), `${title}. ${advice}`);
    show(at('notice'), true);
    showAge();
    return;
  }
  setRunning(null);
  if (examples.some((example) => example.sql === sql.value)) await run();
  await showTables().catch(() => {});
  await refresh().catch(() => {});
  setInterval(showAge, 1000);
  lookForNews();
}

start();
