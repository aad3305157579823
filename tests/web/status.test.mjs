// The status page as people use it.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, test } from "node:test";
import { join } from "node:path";

import { Browser, Server, done, signIn, until } from "./harness.mjs";

const REFUSED = /status of 40[13]/;
const LONG = `${"long-name.".repeat(25)}db`;

let browser;
let open; // a server without tokens
let server; // one with a token for everything and one for a cluster

before(async () => {
  browser = await Browser.launch();
  open = await Server.start([]);
  open.fill("only.db", 1);
  const scoped = ["--cluster-token", "other", "the-token-of-other"];
  server = await Server.start(["--token", "the-token-of-all", ...scoped], "the-token-of-all");
  server.fill("shop.db", 12);
  server.fill("__proto__", 1);
  server.fill("-constructor..html", 300);
  server.fill("elsewhere.db", 1, "other");
});

after(async () => {
  await browser?.close();
  await Server.killAll();
});

const row = (page, name) => page.locator("#databases tbody tr")
  .filter({ has: page.getByRole("link", { name, exact: true }) });
const names = (page) => page.locator("#databases tbody .name").allTextContents();
const hasNames = (page, expected) =>
  until(page, async () => (await names(page)).join(), expected.join());

async function shot(page, name) {
  if (process.env.SHOTS) await page.screenshot({ path: join(process.env.SHOTS, `${name}.png`) });
}

test("a server without tokens shows its databases at once", async () => {
  const page = await browser.tab();
  await page.goto(open.url);
  await hasNames(page, ["only.db"]);
  assert.equal(await page.locator("#sign-in").isVisible(), false);
  assert.equal(await page.locator("#live").textContent(), "live");
  assert.match(await page.locator("#about").textContent(), /^litevfs-cloud \d+\.\d+\.\d+ /);
  await done(page, open);
});

test("a server with tokens asks for one, and says when it is wrong", async () => {
  const page = await browser.tab();
  await page.goto(server.url);
  await page.locator("#sign-in").waitFor();
  assert.equal(await page.locator("#token-problem").isVisible(), false);
  assert.equal(await page.evaluate(() => document.activeElement.id), "token");
  await page.keyboard.type("a-wrong-token");
  await page.keyboard.press("Enter");
  await page.getByText("does not know this token").waitFor();
  assert.deepEqual(await names(page), []);
  await shot(page, "token");
  await page.locator("#token").fill(server.token);
  await page.keyboard.press("Enter");
  await hasNames(page, ["-constructor..html", "__proto__", "shop.db"]);
  assert.equal(await page.locator("#sign-in").isVisible(), false);

  // The tab keeps it and nothing else does.
  await page.reload();
  await hasNames(page, ["-constructor..html", "__proto__", "shop.db"]);
  const kept = await page.evaluate(() =>
    [localStorage.length, document.cookie, sessionStorage.length]);
  assert.deepEqual(kept, [0, "", 1]);
  await page.locator("#forget").click();
  await page.locator("#sign-in").waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  assert.deepEqual(await page.locator("#list").isVisible(), false);
  await done(page, server, REFUSED);
});

test("a token of one cluster shows that one, and is told where it may not read", async () => {
  const page = await browser.tab();
  await signIn(page, server, "/", "the-token-of-other");
  await hasNames(page, ["elsewhere.db"]);
  assert.match(await page.locator("header").innerText(), /other/);
  await page.goto(`${server.url}/#/default`);
  await page.getByText("This token may not read here").waitFor();
  assert.equal(await page.locator("#list").isVisible(), false);
  assert.equal(await page.locator("#forget").isVisible(), true);
  await done(page, server, REFUSED);
});

test("another cluster can be chosen", async () => {
  const page = await browser.tab();
  await signIn(page, server);
  await hasNames(page, ["-constructor..html", "__proto__", "shop.db"]);
  await page.locator("#cluster").selectOption("other");
  await hasNames(page, ["elsewhere.db"]);
  assert.match(page.url(), /#\/other$/);
  await page.goBack();
  await hasNames(page, ["-constructor..html", "__proto__", "shop.db"]);
  await done(page, server, REFUSED);
});

test("the list is sorted and filtered, by keyboard too", async () => {
  const page = await browser.tab();
  await signIn(page, server);
  await hasNames(page, ["-constructor..html", "__proto__", "shop.db"]);
  const position = page.getByRole("button", { name: "Position" });
  await position.press("Enter");
  await hasNames(page, ["-constructor..html", "shop.db", "__proto__"]);
  assert.equal(await page.locator("th[data-key=txid]").getAttribute("aria-sort"), "descending");
  await position.press("Enter");
  await hasNames(page, ["__proto__", "shop.db", "-constructor..html"]);
  await page.locator("#filter").fill("SHOP");
  await hasNames(page, ["shop.db"]);
  await page.locator("#filter").fill("nothing");
  await page.getByText("No database has that in its name").waitFor();
  await page.locator("#filter").fill("");
  await page.locator("#filter").press("Tab");
  await page.getByRole("link", { name: "shop.db" }).press("Enter");
  await page.getByRole("heading", { name: "shop.db" }).waitFor();
  await done(page, server, REFUSED);
});

test("a commit and a lease appear without a reload, in the row that is there", async () => {
  const page = await browser.tab();
  await signIn(page, server);
  const shop = row(page, "shop.db");
  await shop.waitFor();
  const node = await shop.elementHandle();
  const txid = () => node.evaluate((tr) => tr.querySelector(".txid").textContent);
  const lease = () => node.evaluate((tr) => tr.querySelector(".lease").textContent.trim());
  const before = BigInt(`0x${await txid()}`);
  assert.equal(await lease(), "free");
  server.sql("shop.db", "INSERT INTO t VALUES (100);");
  await until(page, txid, (before + 1n).toString(16).padStart(16, "0"));
  const { id } = await server.call("POST", "/lease?db=shop.db&duration=60000");
  await until(page, lease, "held");
  await shot(page, "list");
  await server.call("DELETE", `/lease?db=shop.db&id=${id}`);
  await until(page, lease, "free");
  assert.equal(await row(page, "shop.db").count(), 1);
  await done(page, server, REFUSED);
});

test("a database's page has its facts, its commits as bars, and how to restore", async () => {
  const page = await browser.tab({ permissions: ["clipboard-read", "clipboard-write"] });
  await signIn(page, server, "/#/default/-constructor..html");
  await page.getByRole("heading", { name: "-constructor..html" }).waitFor();
  const { databases } = await server.call("GET", "/status");
  const shown = databases.find((one) => one.name === "-constructor..html");
  assert.equal(await page.locator("#fact-txid").textContent(), shown.pos.txid);
  assert.equal(await page.locator("#fact-checksum").textContent(), shown.pos.postApplyChecksum);
  assert.equal(await page.locator("#detail-lease").textContent(), "write lease free");

  // All commits are of the last minutes, and each is in a bar.
  const counts = () => page.locator("#chart .bar").evaluateAll((bars) =>
    bars.map((bar) => Number(bar.dataset.count)).filter(Boolean));
  await until(page, async () => (await counts()).reduce((sum, each) => sum + each, 0),
    Number(BigInt(`0x${shown.pos.txid}`)));
  const heights = await page.locator("#chart .bar").evaluateAll((bars) =>
    bars.map((bar) => Math.round(bar.getBoundingClientRect().height)));
  assert.ok(Math.max(...heights) > 100, `heights ${heights}`);
  await page.locator("#chart svg").focus();
  await page.keyboard.press("ArrowLeft");
  assert.match(await page.locator("#chart-reading").textContent(), /^\d+ commits?, .* to /);
  await page.getByRole("button", { name: "All", exact: true }).click();
  assert.match(await page.locator("#chart-reading").textContent(), /commits in all that is kept/);

  const info = await server.call("GET", "/db/info?db=-constructor..html&all=true");
  const points = page.locator("#points tbody tr");
  await page.getByRole("button", { name: "Show more" }).click();
  assert.equal(await points.count(), Math.min(200, info.restorablePaths.length));
  const { maxTxId } = info.restorablePaths[2];
  await page.getByRole("button", { name: `Restore to TXID ${maxTxId}` }).click();
  await page.getByRole("dialog").waitFor();
  const command = await page.locator("#restore-command").textContent();
  assert.equal(command, `LITEFS_CLOUD_HOST=${server.url} \\\nLITEFS_CLOUD_CLUSTER=default \\\n` +
    `litevfs-cloud restore --txid ${maxTxId} -- -constructor..html`);
  await page.getByRole("dialog").getByRole("button", { name: "Copy" }).last().click();
  await page.getByRole("button", { name: "Copied" }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), command);
  await page.keyboard.press("Escape");
  await until(page, () => page.getByRole("dialog").isVisible(), false);
  await done(page, server, REFUSED);
});

test("the commands that are shown do what they say", async () => {
  server.sql("undo.db", "CREATE TABLE t(x); INSERT INTO t VALUES (1); DELETE FROM t;");
  const page = await browser.tab();
  await signIn(page, server, "/#/default/undo.db");
  const points = page.locator("#points tbody tr");
  await until(page, () => points.count(), 3);
  await points.nth(1).getByRole("button").click();
  const commands = ["#check-command", "#restore-command", "#export-command"];
  const texts = await Promise.all(commands.map((at) => page.locator(at).textContent()));
  const env = { ...process.env, LITEFS_CLOUD_TOKEN: server.token };
  const program = 'litevfs-cloud() { $SERVER "$@"; }';
  for (const text of texts) {
    const script = `set -e; cd "$TMP"; ${program}\n${text}`;
    execFileSync("bash", ["-c", script], { env, stdio: ["ignore", "ignore", "inherit"] });
  }
  const count = ["-batch", join(process.env.TMP, "undo.db"), "SELECT count(*) FROM t"];
  assert.equal(execFileSync(process.env.SQLITE3, count, { encoding: "utf8" }).trim(), "1");
  // The page has it as the newest point by itself.
  await page.keyboard.press("Escape");
  await until(page, () => points.count(), 4);
  await done(page, server, REFUSED);
});

test("a copy can be downloaded", async () => {
  const page = await browser.tab();
  await signIn(page, server, "/#/default/shop.db");
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download" }).click();
  const file = await download;
  assert.equal(file.suggestedFilename(), "shop.db");
  const path = join(process.env.TMP, "downloaded.db");
  await file.saveAs(path);
  const sql = "PRAGMA integrity_check; SELECT count(*) >= 12 FROM t;";
  const said = execFileSync(process.env.SQLITE3, ["-batch", path, sql], { encoding: "utf8" });
  assert.equal(said.trim(), "ok\n1");
  await page.getByText("Done.").waitFor();
  await done(page, server, REFUSED);
});

test("whatever a name holds, it stays text", async () => {
  const page = await browser.tab();
  const name = "<img src=x onerror=alert(1)>\"'&amp;";
  const pos = { txid: "0000000000000001", postApplyChecksum: "8000000000000001" };
  const database = { name, pos, sizeBytes: 512, pageSize: 512, pages: 1, timestamp: null,
    leaseExpiresAt: null, files: 1, storedBytes: 1 };
  const evil = { ...database, name: "__proto__", timestamp: "<b>never</b>" };
  const json = { instance: "<i>1</i>", version: "<script>", store: "<b>", cluster: "default",
    databases: [database, evil] };
  await page.route(/\/status/, (route) => route.fulfill({ json }));
  await page.route(/\/db\/info/, (route) => route.fulfill({ json: { name, restorablePaths: [] } }));
  await page.goto(open.url);
  await hasNames(page, [name, "__proto__"]);
  assert.equal(await row(page, "__proto__").locator(".time").textContent(), "unknown");
  const about = await page.locator("#about").textContent();
  assert.match(about, /litevfs-cloud <script> .* <b> .* <i>1<\/i>/);
  await row(page, name).getByRole("link").click();
  await until(page, () => page.locator("#detail-title").textContent(), name);
  assert.equal(await page.locator("main img, main script, main b, footer b").count(), 0);
  await done(page, open);
});

test("a server that goes away is told, and is live again when it is back", async () => {
  const own = await Server.start([]);
  own.fill("kept.db", 1);
  const page = await browser.tab();
  await page.goto(own.url);
  await hasNames(page, ["kept.db"]);
  await own.kill();
  await page.getByText("The server can't be reached.").waitFor();
  assert.equal(await page.locator("#live").textContent(), "not reachable");
  assert.deepEqual(await names(page), ["kept.db"]);
  await shot(page, "unreachable");
  await own.restart();
  await until(page, () => page.locator("#live").textContent(), "live");
  assert.equal(await page.locator("#notice").isVisible(), false);
  await own.kill();
  await done(page, own, /ERR_CONNECTION_(REFUSED|RESET)|ERR_EMPTY_RESPONSE/);
});

test("everything fits a phone", async () => {
  const own = await Server.start([]);
  own.fill(LONG, 1);
  const page = await browser.tab({ viewport: { width: 360, height: 740 }, hasTouch: true });
  const fits = async () =>
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  await page.goto(own.url);
  await hasNames(page, [LONG]);
  await fits();
  await shot(page, "phone-list");
  await page.getByRole("link", { name: LONG }).tap();
  await page.locator("#points tbody tr").first().waitFor();
  await fits();
  await page.getByRole("button", { name: "Restore to" }).first().tap();
  await page.getByRole("dialog").waitFor();
  const box = await page.getByRole("dialog").boundingBox();
  assert.ok(box.x >= 0 && box.x + box.width <= 360, JSON.stringify(box));
  await shot(page, "phone-restore");
  await own.kill();
  await done(page, own, /ERR_CONNECTION|ERR_EMPTY/);
});

// The contrast of every visible text with what is behind it, below 4.5.
function paleTexts() {
  const channels = (color) => color.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const color = channels(getComputedStyle(at).backgroundColor);
      if (color.length < 4 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !node.checkVisibility()) continue;
    // Leading zeros are pale because they say nothing.
    if (node.matches(".zeros, template *, script, option")) continue;
    const ink = channels(getComputedStyle(node).color);
    const [more, less] = [light(ink), light(ground(node))].sort((x, y) => y - x);
    const contrast = (more + 0.05) / (less + 0.05);
    if (contrast < 4.5) found.push(`${walker.currentNode.data.trim()}: ${contrast.toFixed(2)}`);
  }
  return found;
}

for (const colorScheme of ["light", "dark"]) {
  test(`everything can be read on ${colorScheme} ground`, async () => {
    const page = await browser.tab({ colorScheme });
    await signIn(page, server);
    await row(page, "shop.db").waitFor();
    const { id } = await server.call("POST", "/lease?db=shop.db&duration=60000");
    await until(page, () => row(page, "shop.db").locator(".badge").textContent(), "held");
    assert.deepEqual(await page.evaluate(paleTexts), []);
    await shot(page, `list-${colorScheme}`);
    await page.goto(`${server.url}/#/default/shop.db`);
    await page.locator("#points tbody tr").first().waitFor();
    assert.deepEqual(await page.evaluate(paleTexts), []);
    await shot(page, `detail-${colorScheme}`);
    await server.call("DELETE", `/lease?db=shop.db&id=${id}`);
    await done(page, server, REFUSED);
  });
}
