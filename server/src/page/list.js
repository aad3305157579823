// The list of databases: one row each, kept from refresh to refresh.

import { arrange, at, badge, bytes, counted, number, put, putTime, putTxid, show } from "./text.js";

// By what a column sorts, and whether the largest comes first at the first click.
const COLUMNS = {
  name: [(db) => db.name, false],
  size: [(db) => db.sizeBytes, true],
  time: [(db) => Date.parse(db.timestamp ?? "") || 0, true],
  txid: [(db) => db.pos.txid, true],
  lease: [(db) => (db.leaseExpiresAt ? 1 : 0), true],
};

// A Map, because a database may well be called "constructor".
const rows = new Map();
let sorted = { key: "name", down: false };
let filter = "";

export const address = (cluster, name) =>
  `#/${encodeURIComponent(cluster)}${name ? `/${encodeURIComponent(name)}` : ""}`;

export function setUp(changed) {
  for (const head of at("databases").tHead.querySelectorAll("th")) {
    head.querySelector("button").addEventListener("click", () => {
      const { key } = head.dataset;
      const down = sorted.key === key ? !sorted.down : COLUMNS[key][1];
      sorted = { key, down };
      for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      changed();
    });
  }
  at("filter").addEventListener("input", (event) => {
    filter = event.target.value.trim().toLowerCase();
    changed();
  });
}

function compare(a, b) {
  const [value] = COLUMNS[sorted.key];
  const order = (x, y) => (x < y ? -1 : x > y ? 1 : 0);
  const found = order(value(a), value(b)) * (sorted.down ? -1 : 1);
  return found || order(a.name, b.name);
}

function row(db) {
  let found = rows.get(db.name);
  if (!found) {
    found = at("database-row").content.firstElementChild.cloneNode(true);
    rows.set(db.name, found);
  }
  return found;
}

function fill(tr, cluster, db, now) {
  const link = tr.querySelector("a");
  put(link, db.name);
  const href = address(cluster, db.name);
  if (link.getAttribute("href") !== href) link.setAttribute("href", href);
  const size = tr.querySelector(".size");
  put(size, bytes(db.sizeBytes));
  size.title = `${number(db.pages)} pages of ${number(db.pageSize)} bytes; stored in ` +
    `${counted(db.files, "file", "files")}, ${bytes(db.storedBytes)}`;
  putTime(tr.querySelector("time"), Date.parse(db.timestamp ?? ""), now);
  const txid = tr.querySelector(".txid");
  putTxid(txid, db.pos.txid);
  txid.title = `checksum ${db.pos.postApplyChecksum}`;
  const lease = tr.querySelector(".badge");
  badge(lease, Boolean(db.leaseExpiresAt));
  lease.title = db.leaseExpiresAt ? `a writer holds it until ${db.leaseExpiresAt}` : "";
}

export function render(status, now) {
  const { cluster, databases } = status;
  const shown = databases.filter((db) => db.name.toLowerCase().includes(filter)).sort(compare);
  for (const db of shown) fill(row(db), cluster, db, now);
  arrange(at("databases").tBodies[0], shown.map(row));
  const names = new Set(databases.map((db) => db.name));
  for (const name of rows.keys()) if (!names.has(name)) rows.delete(name);

  const total = databases.reduce((sum, db) => sum + db.sizeBytes, 0);
  const count = counted(databases.length, "database", "databases");
  put(at("totals"), databases.length ? `${count}, ${bytes(total)}` : "");
  show(at("databases"), shown.length > 0);
  show(at("filter"), databases.length > 0);
  show(at("none"), shown.length === 0);
  put(at("none"), databases.length
    ? "No database has that in its name."
    : `There is no database in cluster ${cluster} yet. One comes into being with its first ` +
      "commit, or with: litevfs-cloud import FILE NAME");
}
