// The sqlite3 shell in list mode, as far as the scripts in tests/sql use it: statements as their
// last line comes, rows with '|' between the columns, errors in the shell's words, and the
// dot-commands in COMMANDS. A script with another one can't run here.

import { Connection, SqliteError } from './connection.mjs';

export class Shell {
  constructor(sqlite3, uri) {
    this.sqlite3 = sqlite3;
    this.output = '';
    this.errors = 0;
    this.open(uri);
  }

  open(uri) {
    this.db?.close();
    this.db = new Connection(this.sqlite3, uri);
    // The build for browsers has other defaults than the shell's.
    this.db.rows('PRAGMA page_size = 4096; PRAGMA cache_size = -2000');
  }

  close() {
    this.db.close();
  }

  print(line) {
    this.output += `${line}\n`;
  }

  fail(text) {
    this.print(`Error: ${text}`);
    this.errors += 1;
  }

  // Runs the lines of a script; the shell's exit code.
  run(script) {
    let pending = '';
    for (const line of script.split('\n')) {
      if (!pending && line.startsWith('.')) {
        this.command(line);
        continue;
      }
      if (!pending && /^\s*(--.*)?$/.test(line)) continue;
      pending += `${line}\n`;
      if (line.includes(';') && this.sqlite3.capi.sqlite3_complete(pending)) {
        this.statements(pending);
        pending = '';
      }
    }
    if (pending.trim()) this.statements(pending);
    return this.errors ? 1 : 0;
  }

  statements(sql) {
    const { capi } = this.sqlite3;
    try {
      this.db.each(sql, (statement) => {
        const columns = capi.sqlite3_column_count(statement);
        if (!columns) return;
        const texts = Array.from({ length: columns },
          (_, at) => capi.sqlite3_column_text(statement, at) ?? '');
        this.print(texts.join('|'));
      });
    } catch (error) {
      if (!(error instanceof SqliteError)) throw error;
      this.fail(error.code > 1 ? `${error.message} (${error.code})` : error.message);
    }
  }

  command(line) {
    const [name, ...words] = line.slice(1).trim().split(/\s+/);
    const command = COMMANDS[name];
    if (!command) throw new Error(`.${name} is none of the commands that run here`);
    command(this, ...words);
  }

  withInteger(start, use) {
    const { wasm } = this.sqlite3;
    return wasm.scopedAllocCall(() => {
      const place = wasm.scopedAlloc(4);
      wasm.poke32(place, start);
      use(place);
      return wasm.peek32(place);
    });
  }
}

export const COMMANDS = {
  print: (shell, ...words) => shell.print(words.join(' ')),

  open: (shell, uri) => shell.open(uri),

  // The shell's default column width stands between two names.
  tables: (shell) => {
    const names = shell.db.rows(`SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')
      AND name NOT LIKE 'sqlite_%' ORDER BY 1`);
    if (names.length) shell.print(names.join('  '));
  },

  // Sets the number that an operation has, asks for it, and prints it where the shell does.
  filectrl: (shell, what, value) => {
    const { capi } = shell.sqlite3;
    const operation = capi[`SQLITE_FCNTL_${FILE_CONTROLS[what]}`];
    const control = (number) => shell.withInteger(number,
      (place) => capi.sqlite3_file_control(shell.db.pointer, 'main', operation, place));
    if (value !== undefined) control(Number(value));
    if (what !== 'chunk_size') shell.print(control(-1));
  },

  dbconfig: (shell, what, value) => {
    const { capi } = shell.sqlite3;
    const option = capi[`SQLITE_DBCONFIG_${what.toUpperCase()}`];
    if (value !== undefined) {
      capi.sqlite3_db_config(shell.db.pointer, option, value === 'on' ? 1 : 0, 0);
    }
    const now = shell.withInteger(0,
      (place) => capi.sqlite3_db_config(shell.db.pointer, option, -1, place));
    shell.print(`${what.padStart(19)} ${now ? 'on' : 'off'}`);
  },
};

const FILE_CONTROLS = {
  reserve_bytes: 'RESERVE_BYTES',
  has_moved: 'HAS_MOVED',
  psow: 'POWERSAFE_OVERWRITE',
  persist_wal: 'PERSIST_WAL',
  chunk_size: 'CHUNK_SIZE',
};
