// What is in a database, as texts that can be compared: schema, every row of every table, header
// fields and the verdict of integrity_check.

import { Connection } from './connection.mjs';

const HEADER = ['page_size', 'page_count', 'user_version', 'application_id', 'auto_vacuum',
  'encoding'];

export function contentOf(db) {
  const schema = db.rows('SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid');
  const tables = {};
  for (const [type, name, , sql] of schema) {
    if (type !== 'table' || /^CREATE VIRTUAL/i.test(sql)) continue;
    const columns = db.rows(`SELECT name FROM pragma_table_xinfo(${quoted(name, "'")})`)
      .map(([column]) => `quote(${quoted(column, '"')})`);
    const rows = db.rows(`SELECT ${columns.join(` || ',' || `)} FROM main.${quoted(name, '"')}`);
    tables[name] = rows.map(([row]) => row);
  }
  const header = HEADER.map((pragma) => `${pragma} ${db.rows(`PRAGMA main.${pragma}`)}`);
  return { header, schema, tables, integrity: db.rows('PRAGMA integrity_check') };
}

// The same for the bytes of a database file, read by plain SQLite.
export function contentOfImage(sqlite3, bytes) {
  const { capi, wasm } = sqlite3;
  bytes.fill(1, 18, 20); // a database in memory can't have a WAL
  const db = new Connection(sqlite3, ':memory:', 'unix-none');
  try {
    const flags = capi.SQLITE_DESERIALIZE_FREEONCLOSE | capi.SQLITE_DESERIALIZE_READONLY;
    const image = wasm.allocFromTypedArray(bytes);
    db.check('deserialize', capi.sqlite3_deserialize(db.pointer, 'main', image, bytes.length,
      bytes.length, flags));
    return contentOf(db);
  } finally {
    db.close();
  }
}

function quoted(name, mark) {
  return mark + name.replaceAll(mark, mark + mark) + mark;
}
