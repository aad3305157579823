// What the browser tests stand on: a server, databases made by the extension, a browser that is
// watched. tests/sh/status_page.sh sets SERVER, EXT, SQLITE3, CHROMIUM, PLAYWRIGHT_CORE and TMP.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { join } from "node:path";

const { SERVER, EXT, SQLITE3, CHROMIUM, PLAYWRIGHT_CORE, TMP } = process.env;
const { chromium } = await import(PLAYWRIGHT_CORE);

// A hang is a failure.
export const PATIENCE_MS = 60_000;

// Whatever happens to a test, no server stays.
const children = new Set();
process.on("exit", () => children.forEach((child) => child.kill("SIGKILL")));

export class Server {
  static all = new Set();

  // With `args` beside the data folder; `token` is what commit() and call() show.
  static async start(args, token = "") {
    const server = new Server();
    Server.all.add(server);
    const data = mkdtempSync(join(TMP, "data."));
    Object.assign(server, { args, token, data, address: "127.0.0.1:0" });
    await server.restart();
    return server;
  }

  async restart() {
    const [program, ...first] = SERVER.split(" ");
    const args = ["serve", "--data", this.data, "--listen", this.address, ...this.args];
    this.child = spawn(program, [...first, ...args], { stdio: ["ignore", "pipe", "ignore"] });
    children.add(this.child);
    this.url = await new Promise((resolve, reject) => {
      let said = "";
      this.child.stdout.on("data", (bytes) => {
        said += bytes;
        const found = /listening on (http:\/\/\S+)\n/.exec(said);
        if (found) resolve(found[1]);
      });
      this.child.once("exit", () => reject(new Error(`the server ended: ${said}`)));
    });
    this.address = new URL(this.url).host;
  }

  // Ends it in an instant; `restart` brings it back at the same address.
  async kill() {
    if (!children.delete(this.child)) return;
    const gone = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill("SIGKILL");
    await gone;
  }

  static async killAll() {
    await Promise.all([...Server.all].map((server) => server.kill()));
  }

  // Runs SQL on a database through the extension, as a client with a cache of its own.
  sql(database, sql, cluster = "") {
    const env = { ...process.env, LITEFS_CLOUD_HOST: this.url, LITEFS_CLOUD_CLUSTER: cluster,
      LITEFS_CLOUD_TOKEN: this.token || "none", LITEVFS_CACHE_DIR: mkdtempSync(join(TMP, "cache.")),
      LITEVFS_LOG_FILE: join(TMP, "log") };
    const open = ["-cmd", `.load ${EXT}`, "-cmd", `.open file:${database}?vfs=litevfs`];
    const input = `PRAGMA litevfs_acquire_lease;\n${sql}`;
    return execFileSync(SQLITE3, ["-batch", "-bail", "-init", "/dev/null", ...open],
      { env, input, timeout: PATIENCE_MS, encoding: "utf8" });
  }

  // A new database with one commit for its table and one for each of `rows` rows.
  fill(database, rows, cluster = "") {
    const insert = Array.from({ length: rows }, (_, i) => `INSERT INTO t VALUES (${i});`);
    this.sql(database, `CREATE TABLE t(x);\n${insert.join("\n")}`, cluster);
  }

  // The JSON of a call.
  async call(method, target) {
    const headers = this.token ? { Authorization: this.token } : {};
    const response = await fetch(this.url + target, { method, headers });
    const body = await response.text();
    assert.equal(response.status, 200, `${method} ${target}: ${body}`);
    return body ? JSON.parse(body) : null;
  }
}

export class Browser {
  static async launch() {
    const args = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync"];
    const browser = new Browser();
    browser.chromium = await chromium.launch({ executablePath: CHROMIUM, args });
    return browser;
  }

  // A tab with a session of its own. What it asks of whom, and every error in its console, is kept
  // in `page.seen` for `checkSeen`.
  async tab(options = {}) {
    const everywhere = { locale: "en-US", timezoneId: "UTC" };
    const context = await this.chromium.newContext({ ...everywhere, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    page.seen = { urls: [], errors: [] };
    context.on("request", (request) => page.seen.urls.push(request.url()));
    page.on("pageerror", (error) => page.seen.errors.push(String(error)));
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") {
        page.seen.errors.push(message.text());
      }
    });
    return page;
  }

  close() {
    return this.chromium.close();
  }
}

// Asserts that a tab asked nobody but its server, told no token in an address, and had no errors
// but the refusals that `expected` describes; then closes it.
export async function done(page, server, expected = null) {
  const foreign = page.seen.urls.filter((url) => new URL(url).protocol !== "blob:" &&
    !url.startsWith(`${server.url}/`));
  assert.deepEqual(foreign, [], "requests to others");
  const told = [...page.seen.urls, page.url()]
    .filter((url) => server.token && url.includes(server.token));
  assert.deepEqual(told, [], "a token in an address");
  const errors = page.seen.errors.filter((text) => !(expected && expected.test(text)));
  assert.deepEqual(errors, [], "errors in the console");
  await page.context().close();
}

export async function signIn(page, server, path = "/", token = server.token) {
  await page.goto(server.url + path);
  await page.locator("#token").fill(token);
  await page.keyboard.press("Enter");
}

// Waits until `read` gives `expected`, then asserts it.
export async function until(page, read, expected) {
  const deadline = Date.now() + PATIENCE_MS;
  let found;
  do {
    found = await read();
    if (found === expected) return;
    await page.waitForTimeout(50);
  } while (Date.now() < deadline);
  assert.equal(found, expected);
}
