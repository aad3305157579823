// The worker that every test drives: SQLite with LiteVFS, and the functions in `tools`, which the
// tests call by name (harness/tab.mjs). It keeps open databases by name, as a program would.

import { compare } from './compare.mjs';
import { Connection } from './connection.mjs';
import { contentOf, contentOfImage } from './content.mjs';
import { Shell } from './shell.mjs';

// In a classic worker importScripts has brought it already.
const initModule = self.sqlite3InitModule ?? (await import('/sqlite3/sqlite3.mjs')).default;

const databases = new Map();
const lines = [];
let sqlite3;
let litevfs;

const tools = {
  // Starts SQLite. `setUp` is the source of a function that may change the init object, which
  // no message could carry whole.
  async start({ config, setUp }) {
    litevfs = { ...config, log: (level, text) => lines.push(`${level} ${text}`) };
    if (setUp) new Function(`return ${setUp}`)()(litevfs);
    const printErr = (...texts) => lines.push(texts.join(' '));
    sqlite3 = await initModule({ litevfs, print: () => {}, printErr });
    Object.assign(self, { sqlite3, litevfs });
    return { version: sqlite3.version.libVersion, notice: litevfs.notice ?? null };
  },

  open({ name, uri }) {
    return caught(() => databases.set(name, new Connection(sqlite3, uri)) && []);
  },

  close({ name }) {
    databases.get(name).close();
    databases.delete(name);
  },

  // The rows of all statements, or the error with the text that we keep beside it.
  sql({ name, sql, bind = [] }) {
    const db = databases.get(name);
    const answer = caught(() => db.rows(sql, bind.map(fromJson)).map((row) => row.map(toJson)));
    if (answer.error) answer.error.detail = String(db.rows('PRAGMA litevfs_last_error'));
    return answer;
  },

  isInTransaction({ name }) {
    return databases.get(name).isInTransaction();
  },

  // Runs a script as the sqlite3 shell does, and tells what is in the database then.
  script({ uri, script }) {
    const shell = new Shell(sqlite3, uri);
    try {
      const exitCode = shell.run(script);
      // The limit on requests is a setting of the script's; the whole database may need more.
      shell.db.rows('PRAGMA litevfs_max_reqs_per_query = 0');
      return { output: shell.output, exitCode, content: contentOf(shell.db) };
    } finally {
      shell.close();
    }
  },

  compare({ name, script }) {
    return compare(sqlite3, { name, script, fromJson });
  },

  content({ name }) {
    return contentOf(databases.get(name));
  },

  // What is in the database as the server has it, read by plain SQLite; null where it has none.
  async stored({ host, token, database }) {
    const url = `${host}/db/snapshot?db=${database}&format=sqlite`;
    const answer = await fetch(url, { headers: { Authorization: token } });
    if (answer.status === 404) return null;
    if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
    return contentOfImage(sqlite3, new Uint8Array(await answer.arrayBuffer()));
  },

  log() {
    return lines.splice(0);
  },

  counters() {
    return { ...litevfs.counters };
  },
};

// The answer of a tool that SQLite may refuse.
function caught(work) {
  const before = lines.length;
  try {
    return { rows: work() };
  } catch (error) {
    const log = lines.slice(before).join('\n');
    const { code = null, extended = null, message } = error;
    return { error: { code, extended, message, log } };
  }
}

// Values on their way to the tests and from them: what JSON lacks is an object with one member.
function toJson(value) {
  if (typeof value === 'bigint') return { bigint: String(value) };
  if (value instanceof Uint8Array) return { blob: Array.from(value) };
  if (typeof value === 'number' && !Number.isFinite(value)) return { number: String(value) };
  return value;
}

function fromJson(value) {
  if (value?.bigint !== undefined) return BigInt(value.bigint);
  if (value?.blob !== undefined) return new Uint8Array(value.blob);
  if (value?.hex !== undefined) {
    return Uint8Array.from(value.hex.match(/../g) ?? [], (byte) => parseInt(byte, 16));
  }
  return value;
}

Object.assign(self, { tools });
self.postMessage('ready');
