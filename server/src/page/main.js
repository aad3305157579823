// The status page: asks /status every few seconds and shows the list, or one database.
//
// The address says what is shown (#/CLUSTER or #/CLUSTER/DATABASE), so that back, reload and links
// work. Nodes are kept and only changed text is written, so that nothing flickers or loses focus.

import { Problem, getJson, setToken, token } from "./api.js";
import * as detail from "./detail.js";
import * as list from "./list.js";
import { arrange, ago, at, put, show } from "./text.js";

const PERIOD_MS = 3000;
const CLUSTERS_PERIOD_MS = 30_000;

let status = null; // the last good answer
let problem = null; // why there is none now
let skew = 0; // server's clock minus ours, ms
let answeredAt = 0;
let clusters = [];
let clustersAt = -Infinity;
let timer = 0;
let asking = null;

function place() {
  const parts = location.hash.replace(/^#\/?/, "").split("/");
  try {
    const [cluster = "", name = ""] = parts.map(decodeURIComponent);
    return { cluster, name };
  } catch {
    return { cluster: "", name: "" };
  }
}

const now = () => Date.now() + skew;

async function loadClusters() {
  clustersAt = performance.now();
  try {
    const { body } = await getJson("clusters", { limit: "1000" });
    const found = Array.isArray(body) ? body : body?.clusters;
    clusters = (Array.isArray(found) ? found : [])
      .map((one) => (typeof one === "string" ? one : one?.name)).filter(Boolean);
  } catch {
    clusters = []; // a token of one cluster may not ask; then there is nothing to choose
  }
  render();
}

// One round: ask, show, and ask again in a while; a slow server is asked less often.
async function refresh() {
  clearTimeout(timer);
  asking?.abort();
  const mine = new AbortController();
  asking = mine;
  const start = performance.now();
  const { cluster } = place();
  try {
    const answer = await getJson("status", { cluster }, mine.signal);
    if (asking !== mine) return;
    if (!Array.isArray(answer.body?.databases)) {
      throw new Problem("server", "the answer to status is not one of litevfs-cloud");
    }
    status = answer.body;
    // Date headers are whole seconds; a smaller difference is no difference.
    skew = Math.abs(answer.now - Date.now()) > 2000 ? answer.now - Date.now() : 0;
    answeredAt = now();
    problem = null;
  } catch (error) {
    if (asking !== mine) return;
    problem = error instanceof Problem ? error : new Problem("server", String(error));
    if (problem.kind === "token" || problem.kind === "forbidden") status = null;
  }
  render();
  if (problem?.kind === "token") return; // until somebody gives another
  if (status && performance.now() - clustersAt > CLUSTERS_PERIOD_MS) loadClusters();
  const pause = Math.max(PERIOD_MS, 10 * (performance.now() - start));
  if (!document.hidden) timer = setTimeout(refresh, Math.min(pause, 60_000));
}

function renderCluster(cluster) {
  const choices = [...new Set([...clusters, cluster])].filter(Boolean).sort();
  const several = choices.length > 1;
  show(at("cluster-choice"), several);
  show(at("cluster-name"), !several && Boolean(cluster));
  put(at("cluster-name"), cluster ? `Cluster ${cluster}` : "");
  const select = at("cluster");
  // An open list must not change under somebody's hand.
  const have = [...select.options].map((option) => option.value);
  if (have.join("\n") !== choices.join("\n")) {
    arrange(select, choices.map((name) => {
      const option = document.createElement("option");
      option.value = name;
      put(option, name);
      return option;
    }));
  }
  if (select.value !== cluster && document.activeElement !== select) select.value = cluster;
}

function notice() {
  if (!problem || problem.kind === "token") return "";
  const since = status ? ` What is shown was answered ${ago(answeredAt, now())}.` : "";
  switch (problem.kind) {
    case "unreachable": return `${problem.message} Trying again every few seconds.${since}`;
    case "forbidden": return `This token may not read here: ${problem.message}.`;
    default: return `The server refused: ${problem.message}.${since}`;
  }
}

function renderSignIn() {
  const wanted = problem?.kind === "token";
  const form = at("sign-in");
  if (wanted && form.hidden) setTimeout(() => at("token").focus());
  show(form, wanted);
  const wrong = wanted && token() !== "";
  show(at("token-problem"), wrong);
  put(at("token-problem"), wrong ? "The server does not know this token, or it has expired." : "");
  at("token").setAttribute("aria-invalid", String(wrong));
  show(at("forget"), token() !== "" && !wanted);
}

function render() {
  const { cluster, name } = place();
  const text = notice();
  put(at("notice"), text);
  show(at("notice"), text !== "");
  at("notice").classList.toggle("bad", problem?.kind !== "unreachable" || !status);
  const live = status && !problem;
  put(at("live"), live ? "live" : problem?.kind === "unreachable" ? "not reachable" : "");
  at("live").classList.toggle("off", !live);
  renderSignIn();
  renderCluster(status?.cluster ?? cluster);
  document.title = name && status ? `${name} - litevfs-cloud` : "litevfs-cloud";
  show(at("list"), Boolean(status) && !name);
  show(at("detail"), Boolean(status) && Boolean(name));
  const { version, store, instance } = status ?? {};
  const about = [`litevfs-cloud ${version}`, `store ${store}`, `instance ${instance}`];
  put(at("about"), status ? about.join(" \u00b7 ") : "");
  if (!status) return;
  at("back").setAttribute("href", list.address(status.cluster));
  if (name) {
    detail.render(status, name, now(), render);
  } else {
    detail.leave();
    list.render(status, now());
  }
}

function go() {
  const { cluster } = place();
  if (status && cluster && cluster !== status.cluster) status = null;
  render();
  refresh();
}

list.setUp(render);
detail.setUp(render);
at("cluster").addEventListener("change", (event) => {
  location.hash = list.address(event.target.value);
});
at("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  setToken(at("token").value.trim());
  at("token").value = "";
  clustersAt = -Infinity;
  refresh();
});
at("forget").addEventListener("click", () => {
  setToken("");
  status = null;
  clusters = [];
  at("token").value = "";
  refresh();
});
window.addEventListener("hashchange", go);
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
refresh();
