// Commits over time, as bars.

import { at, counted, exact, number, put } from "./text.js";

const SVG = "http://www.w3.org/2000/svg";
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

// What can be shown: so many bars, each `width` ms wide, the last one not over yet. "All" begins
// with the first restore point, and its bars are as wide as they must be.
export const RANGES = [
  { name: "Hour", text: "the last hour", width: MINUTE, bars: 60 },
  { name: "Day", text: "the last day", width: HOUR / 2, bars: 48 },
  { name: "Month", text: "the last 30 days", width: DAY, bars: 30 },
  { name: "All", text: "all that is kept", width: 0, bars: 48 },
];

// The smallest range that has a commit in it.
export function fitting(points, now) {
  const newest = points[0]?.time ?? NaN;
  return RANGES.find((range) => now - newest < range.width * (range.bars - 1)) ?? RANGES.at(-1);
}

// When the bars begin and how wide they are: on full minutes, hours and days of the reader's clock,
// so that they stand still between two refreshes.
function frame(points, range, now) {
  const zone = new Date(now).getTimezoneOffset() * MINUTE;
  const down = (ms, step) => Math.floor((ms - zone) / step) * step + zone;
  if (range.width) {
    const end = down(now, range.width) + range.width;
    return { start: end - range.bars * range.width, width: range.width };
  }
  const oldest = points.findLast((point) => !Number.isNaN(point.time))?.time ?? now;
  const start = down(Math.min(oldest, now), HOUR);
  return { start, width: (down(now, HOUR) + HOUR - start) / range.bars };
}

// How many commits each bar stands for. Restore points come newest first; between one and the next
// older lie as many commits as their TXIDs differ, and they count at the time of the newer. For the
// oldest the server says where the commits begin that were merged into it, unless it is a snapshot.
function count(points, range, now) {
  const { start, width } = frame(points, range, now);
  const counts = new Array(range.bars).fill(0);
  points.forEach((point, i) => {
    const before = points[i + 1]?.txid ?? (point.first ? point.first - 1n : point.txid);
    // A clock that is ahead of ours has its commits in the last bar.
    const bar = Math.min(Math.floor((point.time - start) / width), range.bars - 1);
    if (bar >= 0) counts[bar] += Number(point.txid - before);
  });
  return { start, width, counts, total: counts.reduce((sum, each) => sum + each, 0) };
}

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

let drawn = null; // what stands there: the range, its data, its nodes, and the bar picked in it

function read() {
  const { data, range, picked } = drawn;
  const from = data.start + picked * data.width;
  const commits = counted(picked < 0 ? data.total : data.counts[picked], "commit", "commits");
  put(at("chart-reading"), picked < 0
    ? `${commits} in ${range.text}`
    : `${commits}, ${exact(from)} to ${exact(from + data.width)}`);
  drawn.areas.forEach((area, bar) => area.classList.toggle("picked", bar === picked));
}

function pick(bar) {
  drawn.picked = bar;
  read();
}

function build(range) {
  const svg = element("svg", { viewBox: `0 0 ${range.bars} 100`, preserveAspectRatio: "none",
    role: "img", tabindex: "0" });
  const bars = [];
  const areas = [];
  for (let bar = 0; bar < range.bars; bar += 1) {
    bars.push(element("rect", { class: "bar", x: bar + 0.12, width: 0.76 }));
    areas.push(element("rect", { class: "area", x: bar, width: 1, y: 0, height: 100 }));
    areas[bar].addEventListener("pointerenter", () => pick(bar));
  }
  svg.append(...bars, ...areas);
  svg.addEventListener("pointerleave", () => pick(-1));
  svg.addEventListener("blur", () => pick(-1));
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const from = drawn.picked < 0 && step < 0 ? range.bars : drawn.picked;
    pick(Math.min(range.bars - 1, Math.max(0, from + step)));
  });

  const top = document.createElement("span");
  top.className = "top";
  const axis = document.createElement("div");
  axis.className = "axis";
  const labels = [0, 1, 2].map(() => document.createElement("span"));
  axis.append(...labels);
  at("chart").replaceChildren(top, svg, axis);
  drawn = { range, data: null, svg, bars, areas, top, labels, picked: -1 };
}

function moment(ms, width) {
  const time = { hour: "2-digit", minute: "2-digit" };
  const day = { month: "short", day: "numeric" };
  const year = { ...day, year: "numeric" };
  const form = width < HOUR / 4 ? time : width < DAY ? { ...day, ...time } : year;
  return new Date(ms).toLocaleString(undefined, form);
}

export function clear() {
  drawn = null;
  at("chart").replaceChildren();
}

// Draws the bars, or moves those that stand there.
export function draw(points, range, now) {
  if (drawn?.range !== range) build(range);
  const data = count(points, range, now);
  drawn.data = data;
  const largest = Math.max(1, ...data.counts);
  data.counts.forEach((each, bar) => {
    const height = each ? Math.max(2, (100 * each) / largest) : 0;
    drawn.bars[bar].setAttribute("y", 100 - height);
    drawn.bars[bar].setAttribute("height", height);
    drawn.bars[bar].setAttribute("data-count", each);
  });
  drawn.svg.setAttribute("aria-label", `${counted(data.total, "commit", "commits")} in ` +
    `${range.text}, at most ${number(largest)} in one bar. Arrow keys read the bars.`);
  put(drawn.top, data.total ? number(largest) : "");
  const half = data.start + (range.bars / 2) * data.width;
  [moment(data.start, data.width), moment(half, data.width), "now"]
    .forEach((text, i) => put(drawn.labels[i], text));
  read();
}
