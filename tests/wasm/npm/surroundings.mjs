// What the tests of the npm package stand on. tests/wasm/run sets NPM_PACKAGE, the assembled
// package, and NPM_TOOLS, the node_modules with the bundlers and SQLite's own package.

import { cpSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';

import { Browser, Server } from '../../web/harness.mjs';
import { serve } from '../harness/site.mjs';

export { PATIENCE_MS, Server, TOKEN } from '../harness/index.mjs';

export const { NPM_PACKAGE, NPM_TOOLS } = process.env;

const OWN = join(NPM_TOOLS, '@sqlite.org/sqlite-wasm/sqlite-wasm/jswasm');

// A folder with a page that has `files` beside it; `script` is the page's.
export function makeSite(script, files = {}) {
  const folder = mkdtempSync(join(process.env.TMP, 'site.'));
  const head = '<!doctype html><title>page</title><link rel="icon" href="data:,">';
  const page = `${head}<script type="module" src="${script}"></script>`;
  writeFileSync(join(folder, 'index.html'), page);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(folder, name, '..'), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

// What a plain file server makes of a folder.
export function serveFolder(folder) {
  return serve((path) => join(folder, path));
}

// A page that has the package as `litevfs`, without a bundler, and SQLite's own promiser and
// worker1.
export async function plainSite() {
  const folder = makeSite('/main.js', {
    'main.js': `
      import * as litevfs from '/litevfs/index.js';
      import promiser from '/own/sqlite3-worker1-promiser.mjs';
      Object.assign(globalThis, { litevfs, promiser });`,
    'worker1.js': `
      import sqlite3InitModule from '/litevfs/sqlite3.mjs';
      sqlite3InitModule().then((sqlite3) => sqlite3.initWorker1API());`,
  });
  cpSync(NPM_PACKAGE, join(folder, 'litevfs'), { recursive: true });
  cpSync(OWN, join(folder, 'own'), { recursive: true });
  return serveFolder(folder);
}

// The browser, gone after the file's tests, as all servers are.
export async function launch() {
  const browser = await Browser.launch();
  after(async () => {
    await browser.close();
    await Server.killAll();
  });
  return browser;
}

// A tab of its own that has loaded the site's page.
export async function openPage(browser, site) {
  const page = await browser.tab();
  await page.goto(`${site.url}/`);
  await page.waitForFunction(() => 'litevfs' in globalThis);
  return page;
}
