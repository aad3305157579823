/**
 * What an error is, for the answer that carries it: what worker1 says of it, and `code`,
 * `sqliteCode`, `sql`, a text that says what to do, and whether the statement may simply be sent
 * again.
 */

/** Extended codes that say more than their first byte; see src/vfs/result_code.rs. */
const BUSY_SNAPSHOT = 5 | (2 << 8);
const IOERR_POS = 10 | (0x504f53 << 8);
const IOERR_OLD = 10 | (0x4f4c44 << 8);

/** `seen`: what LiteVFS told meanwhile. */
export function describe(error, message, worker1, seen) {
  const result = {
    operation: message.type,
    message: error.message,
    errorClass: error.name,
    input: message,
  };
  if (error.stack) result.stack = error.stack.split(/\n\s*/);
  const sqliteCode = worker1.codeOf(error);
  if (typeof message.args?.sql === 'string') result.sql = message.args.sql;
  if (sqliteCode === undefined) {
    result.code = error instanceof WebAssembly.RuntimeError ? 'CRASHED' : 'MISUSE';
    if (result.code === 'CRASHED') result.message += '; end the worker and open the database again';
    return result;
  }
  const told = worker1.lastErrorOf(message) || withoutModule(seen.errors.at(-1));
  if (told) result.message = told;
  const name = worker1.nameOf(sqliteCode);
  result.sqliteCode = sqliteCode;
  result.code = kindOf(sqliteCode, name, told ?? '', seen);
  if (result.code === 'INTERRUPTED') result.message = 'interrupted';
  if (result.code === 'AWAY') result.noAnswer = true;
  result.repeatable = worker1.mayRepeat(message);
  return result;
}

/** A line of the log's begins with the module that wrote it. */
function withoutModule(line) {
  return line?.replace(/^[\w:]+::\w+: /, '');
}

function kindOf(sqliteCode, name, told, { refused, isCancelled }) {
  // What has a code of its own, as a lease that is held elsewhere, was refused by the server, too.
  const isPlain = ['IOERR', 'CANTOPEN'].includes(name);
  const status = isPlain ? Number(/: status (\d{3})\b/.exec(told)?.[1] ?? 0) : 0;
  if (isCancelled || name === 'INTERRUPT') return 'INTERRUPTED';
  if (status === 401 || (refused.size && name === 'IOERR')) return 'UNAUTHORIZED';
  if (sqliteCode === IOERR_POS || sqliteCode === BUSY_SNAPSHOT) return 'CONFLICT';
  if (sqliteCode === IOERR_OLD) return 'STALE';
  if (status === 403) return 'FORBIDDEN';
  if (status === 404 || told.includes('no such database')) return 'NOT_FOUND';
  if (status === 409) return 'CONFLICT';
  if (status === 429 || status >= 500) return 'UNAVAILABLE';
  if (name === 'IOERR' && told && !status) return 'AWAY';
  return name;
}
