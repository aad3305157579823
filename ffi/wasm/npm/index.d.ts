/** A value of SQLite's; `bigint` past 2^53. */
export type SqlValue = null | number | bigint | string | Uint8Array;
/** What can be bound; `boolean` becomes 0 or 1, `undefined` NULL. */
export type Bindable = SqlValue | boolean | undefined | Int8Array | ArrayBuffer;
/** For `?` in order, or by name with its prefix: `{ ':id': 7 }`. */
export type Params = readonly Bindable[] | Readonly<Record<string, Bindable>>;
export type Row = Record<string, SqlValue>;

/** A token, or one with the time it ends: milliseconds of Unix time, a date, or RFC 3339. */
export type GivenToken = string | { token: string; expiresAt?: number | string | Date };
/** Called at the start, 10 s before `expiresAt`, and when the server refuses the token. */
export type TokenSource = string | (() => GivenToken | Promise<GivenToken>);

export interface Config {
  /** The server, `https://HOST[:PORT][/PREFIX]`; the page's own origin if not given. */
  host?: string;
  token?: TokenSource;
  /** The cluster, unless the token decides it. With it the cache outlives a renewed token. */
  cluster?: string;
  /** Bound of the cache that survives a reload; 256 MiB if not given, 0 for none. */
  cacheBytes?: number;
  /** More of the variables that the manual names: `{ RUST_LOG: 'debug' }`. */
  env?: Readonly<Record<string, string>>;
}

export interface DatabaseOptions {
  /** SQLite's own: `ro` does not write, `ro` and `rw` make no database. */
  mode?: 'ro' | 'rw' | 'rwc';
  /** The database as that transaction left it, read-only. */
  txid?: string | number;
  /** The database as it was then, read-only: RFC 3339, or `10 minutes ago`. */
  timestamp?: string;
  /** How long a write waits for another writer; 5,000 if not given. */
  busyTimeoutMs?: number;
}

/** A database of another server, cluster or token than its connection's. */
export interface OtherDatabaseOptions extends DatabaseOptions {
  host?: string;
  token?: TokenSource;
  cluster?: string;
}

export interface RunOptions {
  /** Ends the statement with the code ABORTED. */
  signal?: AbortSignal;
}

export interface ExecOptions extends RunOptions {
  rowMode?: 'object' | 'array';
  /** Gets the names, also when there is no row; none when no statement has rows to give. */
  columnNames?: string[];
}

export interface RunResult {
  /** Rows inserted, updated and deleted, those of triggers included. */
  changes: number;
  lastInsertRowid: number | bigint;
}

export interface Executor {
  /** Runs SQL; the rows of the first statement that has any. */
  exec<T = Row>(sql: string, params?: Params, options?: ExecOptions & {
    rowMode?: 'object';
    onRow?: undefined;
  }): Promise<T[]>;
  exec(sql: string, params: Params | undefined, options: ExecOptions & {
    rowMode: 'array';
    onRow?: undefined;
  }): Promise<SqlValue[][]>;
  /**
   * The same with each row handed over as it comes. When `onRow` throws, the statement ends with
   * it.
   */
  exec<T = Row>(sql: string, params: Params | undefined, options: ExecOptions & {
    rowMode?: 'object';
    onRow: (row: T, columnNames: string[]) => void;
  }): Promise<never[]>;
  exec(sql: string, params: Params | undefined, options: ExecOptions & {
    rowMode: 'array';
    onRow: (row: SqlValue[], columnNames: string[]) => void;
  }): Promise<never[]>;
  /** Runs SQL without looking at rows. */
  run(sql: string, params?: Params, options?: RunOptions): Promise<RunResult>;
}

export interface Database extends Executor {
  /**
   * BEGIN IMMEDIATE, `work`, COMMIT; ROLLBACK when `work` throws. Everything else that is asked of
   * the database waits for its end, so `work` must only use what it is given.
   */
  transaction<T>(work: (tx: Executor) => T | Promise<T>): Promise<T>;
  /** Ends the statement that runs, with the code INTERRUPTED. */
  interrupt(): void;
  /** Requests and bytes of bodies of the worker. */
  counters(): Promise<Counters>;
  /** What `PRAGMA litevfs_status` says. It asks the server nothing. */
  status(): Promise<Status>;
  /** The database as a file. */
  export(): Promise<Uint8Array>;
  close(): Promise<void>;
}

export interface Counters {
  requests: number;
  bytesSent: number;
  bytesReceived: number;
}

export interface Status extends Counters {
  /** The text itself. */
  text: string;
  database: string;
  server: string;
  /** null where the token decides it. */
  cluster: string | null;
  mode: string;
  /** `TXID/CHECKSUM`, null when none is known yet. */
  position: string | null;
  pageCount: number | null;
  pageSize: number | null;
  /** When the server last confirmed the position; null for never. */
  confirmedMsAgo: number | null;
  polledMsAgo: number | null;
  lease: string;
  cachedPages: number;
  cachedBytes: number;
  cacheHits: number;
  cacheMisses: number;
  pagesFetched: number;
  pagesPrefetched: number;
  retries: number;
  lastError: string | null;
  /** Why there is no cache that survives a reload, if so. */
  cacheNotice: string | null;
}

/** A worker with any number of databases. */
export interface Connection {
  open(name: string, options?: OtherDatabaseOptions): Promise<Database>;
  /** Ends the worker and all that it is doing. */
  close(): void;
}

/** One database with a worker of its own. */
export function open(name: string, config?: Config & DatabaseOptions): Promise<Database>;
/** A worker for several databases. */
export function connect(config?: Config): Promise<Connection>;

/** `LitevfsError.code`; of SQLite's other errors the name without SQLITE_, as `CONSTRAINT`. */
export type ErrorCode =
  | 'OFFLINE' | 'CORS' | 'BLOCKED' | 'UNREACHABLE' | 'UNAVAILABLE'
  | 'UNAUTHORIZED' | 'FORBIDDEN' | 'NOT_FOUND' | 'CONFLICT' | 'STALE'
  | 'BUSY' | 'READONLY' | 'FULL' | 'CANTOPEN' | 'CORRUPT' | 'CONSTRAINT' | 'ERROR'
  | 'INTERRUPTED' | 'ABORTED' | 'CLOSED' | 'MISUSE' | 'WORKER' | 'CRASHED'
  | (string & {});

export class LitevfsError extends Error {
  constructor(code: ErrorCode, message: string, more?: {
    sqliteCode?: number;
    sql?: string;
    cause?: unknown;
  });
  readonly name: 'LitevfsError';
  readonly code: ErrorCode;
  /** SQLite's extended result code, if SQLite was asked. */
  readonly sqliteCode: number | undefined;
  readonly sql: string | undefined;
}

/** The messages of SQLite's worker1 API. */
export namespace worker1 {
  interface Message {
    type: string;
    dbId?: string;
    args?: object | string;
  }

  interface Answer<R> {
    type: string;
    messageId: string;
    dbId?: string;
    workerReceivedTime: number;
    workerRespondTime: number;
    departureTime?: number;
    result: R;
  }

  interface Failure {
    operation: string;
    message: string;
    errorClass: string;
    input: unknown;
    stack?: string[];
    /** These are ours. */
    code?: ErrorCode;
    sqliteCode?: number;
    sql?: string;
  }

  /** What a promise is rejected with. */
  type ErrorAnswer = Answer<Failure>;

  interface OpenArgs {
    filename?: string;
    vfs?: string;
  }

  interface Opened {
    dbId: string;
    filename: string;
    persistent: boolean;
    vfs: string;
  }

  interface RowMessage {
    type: string;
    columnNames: string[];
    /** From 1; null after the last row. */
    rowNumber: number | null;
    row: unknown;
  }

  interface ExecArgs {
    sql: string;
    dbId?: string;
    bind?: Params | Bindable;
    rowMode?: 'array' | 'object' | number | `$${string}`;
    resultRows?: unknown[];
    columnNames?: string[];
    saveSql?: string[];
    countChanges?: boolean | 64;
    lastInsertRowId?: boolean;
    callback?: (message: RowMessage) => void;
  }

  interface Executed {
    sql: string;
    resultRows?: unknown[];
    columnNames?: string[];
    saveSql?: string[];
    changeCount?: number | bigint;
    lastInsertRowId?: number | bigint;
  }

  interface WorkerConfig {
    version: { libVersion: string; libVersionNumber: number; sourceId: string };
    bigIntEnabled: boolean;
    opfsEnabled: boolean;
    vfsList: string[];
  }

  interface Exported {
    byteArray: Uint8Array;
    filename: string;
    mimetype: 'application/x-sqlite3';
  }
}

export interface Promiser {
  (type: 'open', args: worker1.OpenArgs): Promise<worker1.Answer<worker1.Opened>>;
  (type: 'exec', args: worker1.ExecArgs): Promise<worker1.Answer<worker1.Executed>>;
  (type: 'close', args?: { dbId?: string; unlink?: boolean }):
    Promise<worker1.Answer<{ filename?: string }>>;
  (type: 'export', args?: { dbId?: string }): Promise<worker1.Answer<worker1.Exported>>;
  (type: 'config-get', args?: object): Promise<worker1.Answer<worker1.WorkerConfig>>;
  (message: worker1.Message): Promise<worker1.Answer<unknown>>;
}

/** What SQLite's `sqlite3Worker1Promiser.v2()` does, on a worker of ours. */
export function litevfsPromiser(config?: Config): Promise<Promiser>;

/** What of a Worker there is in browsers and in Node. */
export interface WorkerLike {
  postMessage(message: unknown): void;
  terminate(): unknown;
}

/**
 * A worker that speaks worker1, for SQLite's own promiser: `worker: () => litevfsWorker({ host,
 * token })`. Its token is a text, as it has nobody to renew it.
 */
export function litevfsWorker(config?: Config & { token?: string }): WorkerLike;

/**
 * `config.litevfs` for programs that call `sqlite3InitModule(config)` of `litevfs/sqlite3.mjs` in a
 * worker of their own.
 */
export interface LitevfsInit {
  host?: string;
  /** Without one each database brings `token=` in its URI. */
  token?: string;
  cluster?: string;
  env?: Record<string, string>;
  /** Bound of the cache in OPFS; 256 MiB if not given, 0 for none. */
  maxCacheBytes?: number;
  /** Takes log lines; without it they go to the console. */
  log?(level: 'error' | 'warn' | 'info' | 'debug', text: string): void;
  /** Asked before each request for what to send instead of a token that was renewed. */
  tokenFor?(token: string): string | undefined;
  /** Called on a 401; true when `tokenFor` now has another token, to send the request again. */
  refused?(token: string): boolean;
  /** Asked before each request; true fails it. */
  isCancelled?(): boolean;
  /** Filled in. */
  readonly counters?: Counters;
  /** Filled in: why there is no cache that survives a reload, or null. */
  readonly notice?: string | null;
}
