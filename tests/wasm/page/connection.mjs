// One connection, through SQLite's C functions: as the sqlite3 shell does it, so with primary
// result codes, statements one by one, and every column as text where that is wanted.

export class SqliteError extends Error {
  constructor(phase, code, message, extended = code) {
    super(message);
    Object.assign(this, { phase, code, extended });
  }
}

export class Connection {
  // Opens `uri`, with the default VFS unless the URI or `vfs` names another one.
  constructor(sqlite3, uri, vfs = null) {
    const { capi, wasm } = sqlite3;
    this.sqlite3 = sqlite3;
    const flags = capi.SQLITE_OPEN_READWRITE | capi.SQLITE_OPEN_CREATE | capi.SQLITE_OPEN_URI;
    wasm.scopedAllocCall(() => {
      const out = wasm.scopedAllocPtr();
      const rc = capi.sqlite3_open_v2(uri, out, flags, vfs);
      this.pointer = wasm.peekPtr(out);
      this.check('open', rc);
    });
  }

  close() {
    const rc = this.sqlite3.capi.sqlite3_close_v2(this.pointer);
    this.pointer = 0;
    if (rc) throw new SqliteError('close', rc, `closing a connection: ${rc}`);
  }

  check(phase, rc, done = false) {
    const { capi } = this.sqlite3;
    if (rc === capi.SQLITE_OK || (done && rc === capi.SQLITE_DONE)) return;
    const message = capi.sqlite3_errmsg(this.pointer);
    const extended = capi.sqlite3_extended_errcode(this.pointer);
    if (phase === 'open') this.close();
    throw new SqliteError(phase, rc, message, extended);
  }

  // Runs every statement in `sql`; `onRow(statement)` for each row of theirs.
  each(sql, onRow, bind = []) {
    const { capi, wasm } = this.sqlite3;
    const [text, bytes] = wasm.allocCString(sql, true);
    try {
      wasm.scopedAllocCall(() => {
        const out = wasm.scopedAllocPtr();
        const tail = wasm.scopedAllocPtr();
        for (let at = text; at < text + bytes; at = wasm.peekPtr(tail)) {
          const left = text + bytes - at;
          wasm.pokePtr(out, 0);
          this.check('prepare', capi.sqlite3_prepare_v3(this.pointer, at, left, 0, out, tail));
          const statement = wasm.peekPtr(out);
          if (statement) this.step(statement, onRow, bind);
        }
      });
    } finally {
      wasm.dealloc(text);
    }
  }

  step(statement, onRow, bind) {
    const { capi } = this.sqlite3;
    let finished = false;
    try {
      bind.forEach((value, at) => this.check('bind', this.bind(statement, at + 1, value)));
      let rc;
      while ((rc = capi.sqlite3_step(statement)) === capi.SQLITE_ROW) onRow(statement);
      if (rc !== capi.SQLITE_DONE) this.check('step', rc);
      finished = true;
    } finally {
      const rc = capi.sqlite3_finalize(statement);
      if (finished) this.check('step', rc);
    }
  }

  bind(statement, at, value) {
    const { capi, wasm } = this.sqlite3;
    // sqlite3_bind_null() answers with nothing; a parameter that is not bound is NULL.
    if (value === null) return capi.SQLITE_OK;
    if (typeof value === 'bigint') return capi.sqlite3_bind_int64(statement, at, value);
    if (typeof value === 'number') return capi.sqlite3_bind_double(statement, at, value);
    const freed = capi.SQLITE_WASM_DEALLOC;
    if (typeof value === 'string') {
      // sqlite3_bind_text() of SQLite 3.46.1 takes no string.
      const [text, bytes] = wasm.allocCString(value, true);
      return capi.sqlite3_bind_text(statement, at, text, bytes, freed);
    }
    const blob = wasm.allocFromTypedArray(value);
    return capi.sqlite3_bind_blob(statement, at, blob, value.length, freed);
  }

  // All rows, integers as numbers where these hold them, else as BigInt.
  rows(sql, bind = []) {
    const { capi } = this.sqlite3;
    const found = [];
    this.each(sql, (statement) => {
      const columns = capi.sqlite3_column_count(statement);
      found.push(Array.from({ length: columns }, (_, at) => this.value(statement, at)));
    }, bind);
    return found;
  }

  value(statement, at) {
    const { capi } = this.sqlite3;
    switch (capi.sqlite3_column_type(statement, at)) {
      case capi.SQLITE_NULL: return null;
      case capi.SQLITE_FLOAT: return capi.sqlite3_column_double(statement, at);
      case capi.SQLITE_TEXT: return capi.sqlite3_column_text(statement, at);
      case capi.SQLITE_BLOB: return this.blob(statement, at);
      default: {
        const value = capi.sqlite3_column_int64(statement, at);
        return Number.isSafeInteger(Number(value)) ? Number(value) : value;
      }
    }
  }

  blob(statement, at) {
    const { capi, wasm } = this.sqlite3;
    const bytes = capi.sqlite3_column_blob(statement, at);
    return wasm.heap8u().slice(bytes, bytes + capi.sqlite3_column_bytes(statement, at));
  }

  isInTransaction() {
    return !this.sqlite3.capi.sqlite3_get_autocommit(this.pointer);
  }
}
