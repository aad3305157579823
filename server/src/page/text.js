// How values are written for people, and the one way they get into the page: as text.

export const at = (id) => document.getElementById(id);

// Leaves a node alone that already says so: no flicker, and a selection in it stays.
export function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function show(node, visible) {
  if (node.hidden === visible) node.hidden = !visible;
}

const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"];

export function bytes(count) {
  let value = count;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  if (unit === 0) return count === 1 ? "1 byte" : `${number(count)} bytes`;
  return `${value.toFixed(value < 10 ? 1 : 0)} ${UNITS[unit]}`;
}

export const number = (value) => Number(value).toLocaleString("en");

export const counted = (count, one, many) => `${number(count)} ${count === 1 ? one : many}`;

const AGES = [["year", 31_557_600], ["month", 2_629_800], ["day", 86_400], ["hour", 3_600],
  ["minute", 60], ["second", 1]];
const relative = new Intl.RelativeTimeFormat("en");

// "5 minutes ago"; times a moment ahead are the clocks' difference, not the future.
export function ago(ms, now) {
  const seconds = Math.floor((now - ms) / 1000);
  if (seconds < 3) return "just now";
  const [unit, length] = AGES.find(([, length]) => seconds >= length);
  return relative.format(-Math.floor(seconds / length), unit);
}

export const exact = (ms) =>
  new Date(ms).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });

// Writes a <time>: how long ago, with the exact time behind it. `ms` is NaN when it is not known.
export function putTime(node, ms, now) {
  if (Number.isNaN(ms)) {
    put(node, "unknown");
    node.removeAttribute("datetime");
    node.removeAttribute("title");
    return;
  }
  put(node, ago(ms, now));
  const utc = new Date(ms).toISOString();
  if (node.dateTime === utc) return;
  node.dateTime = utc;
  node.title = `${exact(ms)} (${utc})`;
}

// Writes a TXID, its leading zeros apart so that they can be pale.
export function putTxid(node, txid) {
  const digits = txid.replace(/^0+(?=.)/, "");
  put(node.querySelector(".zeros"), txid.slice(0, txid.length - digits.length));
  put(node.querySelector(".digits"), digits);
}

export function badge(node, held) {
  put(node, held ? "held" : "free");
  node.classList.toggle("held", held);
}

// Makes the children of `parent` be `nodes`, moving only what is out of place.
export function arrange(parent, nodes) {
  nodes.forEach((node, i) => {
    if (parent.children[i] !== node) parent.insertBefore(node, parent.children[i] ?? null);
  });
  while (parent.children.length > nodes.length) parent.lastElementChild.remove();
}
