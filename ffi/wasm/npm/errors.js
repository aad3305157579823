/**
 * The one error class, and what an answer that did not come is about. The worker names the code of
 * all other errors (failure.js); it can't tell why a request had no answer, as nobody tells it.
 */

/** What every call fails with. `code` is for programs, `message` for people: it says what to do. */
export class LitevfsError extends Error {
  constructor(code, message, { sqliteCode, sql, cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'LitevfsError';
    this.code = code;
    this.sqliteCode = sqliteCode;
    this.sql = sql;
  }
}

/** The error in an answer of the worker's. */
export function errorOf({ result }) {
  const text = result.message.replace(/^SQLITE_\w+: sqlite3 result code \d+: /, '');
  return new LitevfsError(result.code, text, result);
}

/** Puts advice in the place of what the worker can only guess about a request without an answer. */
export function advised(text, advice) {
  return `${text.replace(/: (no answer: |the browser is offline).*/s, ': no answer')}; ${advice}`;
}

/** An answer as the worker would have sent it, for what ended before it came there. */
export function failed(message, code, text) {
  const { type, messageId, dbId } = message;
  const errorClass = 'LitevfsError';
  const result = { operation: type, message: text, errorClass, input: message, code };
  return { type: 'error', messageId, dbId, result };
}

/** Finds out why `host` did not answer: a code, and what to do about it. */
export async function diagnose(host) {
  const page = globalThis.location?.origin;
  const url = new URL(host || page, page);
  if (globalThis.navigator?.onLine === false) {
    return ['OFFLINE', 'this device is offline; try again when it is connected'];
  }
  if (page && globalThis.isSecureContext && location.protocol === 'https:' &&
      url.protocol === 'http:' && !/^(localhost|127\.|\[::1\])/.test(url.host)) {
    return ['BLOCKED', `a page of https can't use ${url.origin}; give the server a certificate ` +
      '(litevfs-cloud --tls-cert, --tls-key)'];
  }
  try {
    // Its answer can't be read, but that there is one can be seen.
    await fetch(new URL('healthz', `${url.href.replace(/\/$/, '')}/`), {
      mode: 'no-cors', cache: 'no-store', signal: AbortSignal.timeout(10_000),
    });
  } catch {
    return ['UNREACHABLE', `${url.origin} does not answer; check that litevfs-cloud runs there`];
  }
  if (page && page !== url.origin) {
    return ['CORS', `${url.origin} does not let pages of ${page} use it; ` +
      `start litevfs-cloud with --cors-origin ${page}`];
  }
  return ['UNREACHABLE', `${url.origin} did not answer, but does now; try again`];
}
