// Asks the server. The token goes into a header and nowhere else; it is kept for this tab only.

const KEY = "litevfs-cloud token";
const TIMEOUT_MS = 15_000;

// Without storage (a browser may refuse it) the token lasts until the page is left.
let remembered = "";
try {
  remembered = sessionStorage.getItem(KEY) ?? "";
} catch {}

export const token = () => remembered;

export function setToken(text) {
  remembered = text;
  try {
    if (text) sessionStorage.setItem(KEY, text);
    else sessionStorage.removeItem(KEY);
  } catch {}
}

// Why there is no answer. `kind`: "token" (none, or a wrong one), "forbidden" (not with this
// token), "unreachable", or "server" (it answered, but not with what was asked for).
export class Problem extends Error {
  constructor(kind, text, status = 0) {
    super(text);
    this.kind = kind;
    this.status = status;
  }
}

function url(call, query) {
  const parameters = Object.entries(query).filter(([, value]) => value);
  const text = new URLSearchParams(parameters).toString();
  // Relative, so that a proxy may put the server under a path of its own.
  return text ? `${call}?${text}` : call;
}

async function refusal(response) {
  const body = await response.json().catch(() => ({}));
  const said = typeof body?.error === "string" ? body.error : `status ${response.status}`;
  // A known token of another cluster is not a wrong token.
  const elsewhere = body?.code === "EBADCLUSTER" && response.status === 401;
  if (response.status === 401 && !elsewhere) return new Problem("token", said, 401);
  if (response.status === 403 || elsewhere) return new Problem("forbidden", said, 403);
  return new Problem("server", said, response.status);
}

// The response to a GET, once it is known to be good.
export async function get(call, query, signal) {
  const headers = {};
  if (remembered) headers.Authorization = remembered;
  const options = { headers, signal, cache: "no-store", credentials: "omit", redirect: "error" };
  let response;
  try {
    response = await fetch(url(call, query), options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("unreachable", "The server can't be reached.");
  }
  if (!response.ok) throw await refusal(response);
  return response;
}

// The JSON of an answer, and the server's time when it gave it.
export async function getJson(call, query, signal) {
  const limit = AbortSignal.timeout(TIMEOUT_MS);
  let response;
  try {
    response = await get(call, query, signal ? AbortSignal.any([signal, limit]) : limit);
    const body = await response.json();
    const date = Date.parse(response.headers.get("date") ?? "");
    return { body, now: Number.isNaN(date) ? Date.now() : date };
  } catch (error) {
    if (error instanceof Problem || signal?.aborted) throw error;
    if (response && error instanceof SyntaxError) {
      throw new Problem("server", `the answer to ${call} is not JSON`);
    }
    throw new Problem("unreachable", "The server does not answer.");
  }
}
