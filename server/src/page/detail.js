// One database: its facts, its commits over time, its restore points.

import { get, getJson } from "./api.js";
import * as chart from "./chart.js";
import { arrange, at, badge, bytes, counted, exact, number, put, putTime, putTxid, show }
  from "./text.js";

const FIRST_POINTS = 50;

let shown = { cluster: "", name: "" };
let points = [];
let pointRows = new Map();
let limit = FIRST_POINTS;
let chosen = null; // the range somebody clicked, if anybody did
let loaded = ""; // the position that `points` belong to
let loading = false;
let download = null;

// A command for this server and database. Names are letters, digits and "_.-": nothing in them
// means anything to a shell, but one may begin with "-", which "--" keeps from being an option.
function command(verb, ...operands) {
  const server = new URL(".", location.href).href.replace(/\/$/, "");
  return [`LITEFS_CLOUD_HOST=${server}`, `LITEFS_CLOUD_CLUSTER=${shown.cluster}`,
    ["litevfs-cloud", verb, ...operands].join(" ")].join(" \\\n");
}

const operand = (name) => (name.startsWith("-") ? ["--", name] : [name]);

const fileName = (name) => (/\.(db|sqlite3?)$/.test(name) ? name : `${name}.db`);

function copied(button) {
  const code = at(button.dataset.copies);
  const done = (text) => {
    put(button, text);
    setTimeout(() => put(button, "Copy"), 2000);
  };
  // Browsers give the clipboard to https and localhost only; elsewhere the text is selected.
  const select = () => {
    getSelection().selectAllChildren(code);
    done("Selected");
  };
  if (!navigator.clipboard) return select();
  navigator.clipboard.writeText(code.textContent).then(() => done("Copied"), select);
}

function openRestore(point) {
  put(at("restore-title"), `Restore ${shown.name}`);
  put(at("restore-time"), `${exact(point.time)}, TXID ${point.hex}`);
  const which = ["--txid", point.hex, ...operand(shown.name)];
  put(at("check-command"), command("restore", "--check", ...which));
  put(at("restore-command"), command("restore", ...which));
  at("restore").showModal();
}

async function fetchCopy() {
  const { cluster, name } = shown;
  download = new AbortController();
  const state = at("download-state");
  put(state, "Downloading\u2026");
  try {
    const query = { cluster, db: name, format: "sqlite" };
    const response = await get("db/snapshot", query, download.signal);
    // The browser keeps the bytes of a large one on disk.
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await response.blob());
    link.download = fileName(name);
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    put(state, "Done.");
  } catch (error) {
    const stopped = error.name === "AbortError";
    put(state, stopped ? "Cancelled." : `The download failed: ${error.message}`);
  }
  download = null;
  showDownload();
}

function showDownload() {
  at("download").disabled = Boolean(download);
  show(at("cancel"), Boolean(download));
}

export function setUp(changed) {
  for (const button of document.querySelectorAll(".copy")) {
    button.addEventListener("click", () => copied(button));
  }
  at("download").addEventListener("click", () => { fetchCopy(); showDownload(); });
  at("cancel").addEventListener("click", () => download?.abort());
  at("more").addEventListener("click", () => { limit *= 4; changed(); });
  for (const range of chart.RANGES) {
    const button = document.createElement("button");
    button.type = "button";
    put(button, range.name);
    button.addEventListener("click", () => { chosen = range; changed(); });
    at("ranges").append(button);
  }
}

// Another database than before: nothing of the old one may stay.
function begin(cluster, name) {
  download?.abort();
  shown = { cluster, name };
  points = [];
  pointRows = new Map();
  limit = FIRST_POINTS;
  chosen = null;
  loaded = "";
  at("restore").close();
  chart.clear();
  put(at("download-state"), "");
  put(at("chart-reading"), "");
  show(at("points-problem"), false);
  put(at("detail-title"), name);
  const file = `${name.startsWith("-") ? "./" : ""}${fileName(name)}`;
  put(at("export-command"), command("export", ...operand(name), file));
  at("detail-title").focus();
}

async function load(position, changed) {
  const { cluster, name } = shown;
  loading = true;
  try {
    const { body } = await getJson("db/info", { cluster, db: name, all: "true" });
    if (shown.cluster !== cluster || shown.name !== name) return;
    const paths = Array.isArray(body?.restorablePaths) ? body.restorablePaths : [];
    points = paths.map((path) => ({ hex: path.maxTxId, txid: BigInt(`0x${path.maxTxId}`),
      first: path.minTxId ? BigInt(`0x${path.minTxId}`) : null,
      time: Date.parse(path.maxTimestamp ?? ""), checksum: path.postApplyChecksum ?? "" }));
    points.sort((a, b) => (a.txid < b.txid ? 1 : -1));
    loaded = position;
    show(at("points-problem"), false);
  } catch (error) {
    put(at("points-problem"), `The restore points can't be shown: ${error.message}`);
    show(at("points-problem"), true);
  } finally {
    loading = false;
  }
  changed();
}

function pointRow(point) {
  const key = `${point.hex}/${point.time}`;
  let found = pointRows.get(key);
  if (!found) {
    found = at("point-row").content.firstElementChild.cloneNode(true);
    putTxid(found.querySelector(".txid"), point.hex);
    put(found.querySelector(".checksum"), point.checksum);
    put(found.querySelector(".note"), Number.isNaN(point.time) ? "" : exact(point.time));
    const button = found.querySelector("button");
    button.setAttribute("aria-label", `Restore to TXID ${point.hex}`);
    button.addEventListener("click", () => openRestore(point));
    pointRows.set(key, found);
  }
  return found;
}

function renderPoints(now) {
  const first = points.slice(0, limit);
  for (const point of first) putTime(pointRow(point).querySelector("time"), point.time, now);
  arrange(at("points").tBodies[0], first.map(pointRow));
  show(at("points"), points.length > 0);
  show(at("more"), points.length > limit);
  put(at("points-count"), loaded ? counted(points.length, "point", "points") : "");
  const range = chosen ?? chart.fitting(points, now);
  for (const button of at("ranges").children) {
    button.setAttribute("aria-pressed", String(button.textContent === range.name));
  }
  if (loaded) chart.draw(points, range, now);
}

function renderFacts(db, now) {
  const time = Date.parse(db.timestamp ?? "");
  put(at("fact-size"), bytes(db.sizeBytes));
  put(at("fact-pages"), `${counted(db.pages, "page", "pages")} of ${number(db.pageSize)} bytes`);
  putTime(at("fact-ago"), time, now);
  put(at("fact-time"), Number.isNaN(time) ? "" : exact(time));
  put(at("fact-stored"), bytes(db.storedBytes));
  put(at("fact-files"), `in ${counted(db.files, "LTX file", "LTX files")}`);
  putTxid(at("fact-txid"), db.pos.txid);
  put(at("fact-checksum"), db.pos.postApplyChecksum);
  const lease = at("detail-lease");
  badge(lease, Boolean(db.leaseExpiresAt));
  put(lease, db.leaseExpiresAt ? "write lease held" : "write lease free");
}

// Shows a database; asks for its restore points when it has moved since they came.
export function render(status, name, now, changed) {
  if (shown.cluster !== status.cluster || shown.name !== name) begin(status.cluster, name);
  const db = status.databases.find((one) => one.name === name);
  show(at("gone"), !db);
  show(at("detail-body"), Boolean(db));
  show(at("detail-lease"), Boolean(db));
  if (!db) return;
  renderFacts(db, now);
  renderPoints(now);
  const position = `${db.pos.txid}/${db.pos.postApplyChecksum}`;
  if (position !== loaded && !loading) load(position, changed);
}

export function leave() {
  shown = { cluster: "", name: "" };
  at("restore").close();
}
