// What failed, in words for the person at the page. LitevfsError's own text says what to do; where
// a button can do it, here is which.

const again = { label: 'Run again' };
const allowWrites = { label: 'Turn on write mode and run', writes: true };

const TITLES = {
  BUSY: 'Somebody else is writing',
  CONFLICT: 'The database moved on meanwhile',
  CORS: 'The server does not let this page in',
  CRASHED: 'SQLite stopped',
  ERROR: 'SQLite can\'t run this',
  FORBIDDEN: 'The token does not allow that',
  NOT_FOUND: 'There is no such database',
  OFFLINE: 'This device is offline',
  STALE: 'Nothing fresh enough is known',
  UNAUTHORIZED: 'The server does not know the token',
  UNAVAILABLE: 'The server can\'t answer now',
  UNREACHABLE: 'The server does not answer',
};
// A lease that another client holds is one kind of 409.
const SQLITE_BUSY = 5;
const PASSING = ['BUSY', 'CONFLICT', 'OFFLINE', 'STALE', 'UNAVAILABLE', 'UNREACHABLE'];

function adviceOf(code, message) {
  // "SQLITE_ERROR: sqlite3 result code 1: no such table: albun"
  const text = message.replace(/^SQLITE_\w+: (sqlite3 result code \d+: )?/, '');
  const sentence = `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;
  if (code === 'BUSY') {
    return `${sentence} One client at a time holds the write lease; run it again in a moment.`;
  }
  if (/no such (table|column)/.test(text)) return `${sentence} The names are listed under Tables.`;
  return sentence;
}

/** @returns {{title: string, advice: string, mild?: boolean, action?: object}} */
export function explain({ code: given, sqliteCode, message }, mayWrite) {
  const code = sqliteCode === SQLITE_BUSY ? 'BUSY' : given;
  if (code === 'ABORTED') {
    return { title: 'Cancelled', mild: true,
      advice: 'What it had read of the database stays here: run again, it goes on from there.' };
  }
  if (code === 'READONLY' && !mayWrite) {
    return { title: 'Write mode is off', mild: true, action: allowWrites,
      advice: 'This statement changes the database. In write mode it takes the write lease for ' +
        'its transaction.' };
  }
  return { title: TITLES[code] ?? 'That did not work', advice: adviceOf(code, message),
    action: PASSING.includes(code) ? again : undefined };
}
