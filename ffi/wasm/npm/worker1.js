/**
 * SQLite's worker1 API: what `open`, `close`, `exec`, `config-get` and `export` take and give is
 * written down at https://sqlite.org/wasm/doc/trunk/api-worker1.md. SQLite's own has no place to
 * learn which connection it opened, which progress handlers, error texts and repeated statements
 * need.
 */

/** Virtual machine steps between two looks at the flag: some ten microseconds. */
const STEPS = 2000;

export class Worker1 {
  #sqlite3;
  #post;
  #cancellation;
  #dbs = new Map();
  #count = 0;
  /** What mayRepeat() has to know of the `exec` at hand. */
  #exec = null;

  constructor(sqlite3, post, cancellation) {
    this.#sqlite3 = sqlite3;
    this.#post = post;
    this.#cancellation = cancellation;
  }

  /**
   * The result of a message, or an error is thrown. What is pushed to `transfer` travels uncopied.
   */
  run(message, transfer) {
    this.#exec = null;
    const { type, args } = message;
    switch (type) {
      case 'open': return this.#open(args ?? {});
      case 'close': return this.#close(this.#find(message), args);
      case 'exec': return this.#run(this.#need(message), args ?? {});
      case 'export': return this.#export(this.#need(message), transfer);
      case 'config-get': return this.#config();
      default: throw new Error(`Unknown db worker message type: ${type}`);
    }
  }

  get defaultDbId() {
    return this.#dbs.keys().next().value;
  }

  /** The result code of an error of SQLite's. */
  codeOf(error) {
    return error instanceof this.#sqlite3.SQLite3Error ? error.resultCode : undefined;
  }

  /** BUSY for 5, and for each of its extended codes. */
  nameOf(code) {
    const name = this.#sqlite3.capi.sqlite3_js_rc_str(code & 0xff);
    return name?.replace('SQLITE_', '') ?? 'ERROR';
  }

  /** What LiteVFS says of the last failure, if it was one of its own; that is then forgotten. */
  lastErrorOf(message) {
    // What could not be opened has none to ask, and others are not asked for it.
    const db = message.type === 'open' ? undefined : this.#find(message);
    if (!db) return '';
    const { sqlite3_db_name: nameAt } = this.#sqlite3.capi;
    try {
      for (let i = 0, schema; (schema = nameAt(db.pointer, i)); i += 1) {
        const pragma = `PRAGMA "${schema.replaceAll('"', '""')}".litevfs_last_error`;
        const text = db.selectValue(pragma);
        if (!text) continue;
        db.exec(`${pragma} = ''`);
        return text;
      }
    } catch {
      // There is always the error itself.
    }
    return '';
  }

  /** Whether an `exec` that failed has neither done nor told anything yet. */
  mayRepeat(message) {
    const db = this.#find(message);
    if (!db || !this.#exec) return message.type === 'open';
    const { sql, statements, rowsSent, wasAutocommit } = this.#exec;
    const isFirst = statements.length === 0 ||
      (statements.length === 1 && statements[0] === sql.trim());
    return isFirst && wasAutocommit && this.#isAutocommit(db) && rowsSent === 0;
  }

  #open({ filename = '', vfs, simulateError }) {
    if (simulateError) throw new Error('Throwing because of simulateError flag.');
    const { capi, oo1 } = this.#sqlite3;
    const db = new oo1.DB({ filename, vfs });
    capi.sqlite3_progress_handler(
      db.pointer, STEPS, () => (this.#cancellation.isCancelled() ? 1 : 0), 0,
    );
    const dbId = `db#${++this.#count}@${db.pointer}`;
    this.#dbs.set(dbId, db);
    const vfsName = db.dbVfsName();
    // SQLite names the default VFS for databases in memory, too.
    const persistent = vfsName === 'litevfs' && !['', ':memory:'].includes(db.filename);
    return { filename: db.filename, persistent, dbId, vfs: vfsName };
  }

  #close(db, args) {
    if (!db) return { filename: undefined };
    const { capi, util } = this.#sqlite3;
    const { filename } = db;
    for (const [id, open] of this.#dbs) if (open === db) this.#dbs.delete(id);
    const vfs = capi.sqlite3_js_db_vfs(db.pointer);
    capi.sqlite3_progress_handler(db.pointer, 0, 0, 0);
    db.close();
    if (args?.unlink && filename && vfs) util.sqlite3__wasm_vfs_unlink(vfs, filename);
    return { filename };
  }

  #run(db, args) {
    const options = typeof args === 'string' ? { sql: args } : args;
    if (options.rowMode === 'stmt') {
      throw new Error("Invalid rowMode for 'exec': stmt mode does not work in the Worker API.");
    }
    if (!options.sql) throw new Error("'exec' requires input SQL.");
    const { capi } = this.#sqlite3;
    const { callback } = options;
    const statements = options.saveSql ?? [];
    const sql = String(options.sql);
    const exec = { sql, statements, rowsSent: 0, wasAutocommit: this.#isAutocommit(db) };
    this.#exec = exec;
    const within = { ...options, saveSql: statements };
    if (typeof callback === 'string') {
      options.columnNames ??= [];
      within.columnNames = options.columnNames;
      within.callback = (row) => {
        exec.rowsSent += 1;
        const { columnNames } = options;
        this.#post({ type: callback, columnNames, rowNumber: exec.rowsSent, row });
      };
    }
    const is64 = options.countChanges === 64;
    const before = options.countChanges && db.changes(true, is64);
    db.exec(within);
    if (options.countChanges) options.changeCount = db.changes(true, is64) - before;
    if (options.lastInsertRowId) {
      const rowid = capi.sqlite3_last_insert_rowid(db.pointer);
      options.lastInsertRowId = Number.isSafeInteger(Number(rowid)) ? Number(rowid) : rowid;
    }
    if (typeof callback === 'string') {
      const { columnNames } = options;
      this.#post({ type: callback, columnNames, rowNumber: null, row: undefined });
    }
    return options;
  }

  #export(db, transfer) {
    const byteArray = this.#sqlite3.capi.sqlite3_js_db_export(db.pointer);
    transfer.push(byteArray.buffer);
    return { byteArray, filename: db.filename, mimetype: 'application/x-sqlite3' };
  }

  #config() {
    const { capi, config, opfs, version } = this.#sqlite3;
    const vfsList = capi.sqlite3_js_vfs_list();
    return { bigIntEnabled: config.bigIntEnabled, version, vfsList, opfsEnabled: !!opfs };
  }

  #isAutocommit(db) {
    return this.#sqlite3.capi.sqlite3_get_autocommit(db.pointer) !== 0;
  }

  #find({ dbId }) {
    return this.#dbs.get(dbId) ?? this.#dbs.values().next().value;
  }

  #need(message) {
    const db = this.#find(message);
    if (!db) throw new Error('DB is not opened.');
    return db;
  }
}
