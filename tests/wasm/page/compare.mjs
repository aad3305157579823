// The same statements on two connections: on plain SQLite with a file in the worker's memory, and
// on a database of the server. Every row, every error and the databases at the end agree.

import { Connection, SqliteError } from './connection.mjs';
import { contentOf } from './content.mjs';

const PLAIN = 'vfs=unix-none';

// null, or the first thing in which they differ; and what the database has at the end.
export function compare(sqlite3, { name, script, fromJson }) {
  const plain = new Connection(sqlite3, `file:/tmp/${name}.db?${PLAIN}`);
  const ours = new Connection(sqlite3, `file:${name}`);
  try {
    ours.rows('PRAGMA litevfs_acquire_lease; PRAGMA litevfs_max_reqs_per_query = 0');
    if (script.attached) {
      plain.rows(`ATTACH 'file:/tmp/${name}-two.db?${PLAIN}' AS two`);
      ours.rows(`ATTACH 'file:${name}-two' AS two; PRAGMA two.litevfs_acquire_lease`);
    }
    for (const { sql, bind, compares } of script.statements) {
      const values = bind.map(fromJson);
      const [expected, found] = [plain, ours].map((db) => outcome(db, sql, values));
      if (compares && expected !== found) {
        const detail = String(ours.rows('PRAGMA litevfs_last_error'));
        return { difference: { sql, expected, found, detail } };
      }
    }
    const [expected, found] = [plain, ours].map((db) => contentOf(db));
    if (JSON.stringify(expected) !== JSON.stringify(found)) {
      return { difference: { sql: 'the databases at the end', expected, found } };
    }
    return { content: found };
  } finally {
    ours.close();
    plain.close();
  }
}

function outcome(db, sql, bind) {
  try {
    const rows = db.rows(sql, bind).map((row) => row.map(told));
    return `${JSON.stringify(rows)}, in a transaction: ${db.isInTransaction()}`.slice(0, 100_000);
  } catch (error) {
    if (!(error instanceof SqliteError) || error.phase === 'bind') throw error;
    return `error ${error.extended}: ${error.message}, in a transaction: ${db.isInTransaction()}`;
  }
}

const told = (value) => (value instanceof Uint8Array ? `blob ${value}` :
  typeof value === 'bigint' ? `integer ${value}` : value);
