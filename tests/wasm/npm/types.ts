// What the types must allow, and, marked, what they must not. Checked, not run.

import {
  connect, LitevfsError, litevfsPromiser, litevfsWorker, open,
  type Database, type LitevfsInit, type Row, type SqlValue, type Status,
} from 'litevfs';

interface Visit {
  at: string;
  who: string | null;
}

export async function all(): Promise<void> {
  const db: Database = await open('db1', {
    host: 'https://litevfs.example.com',
    token: async () => ({ token: 'text', expiresAt: new Date() }),
    cluster: 'east',
    cacheBytes: 2 ** 20,
    env: { RUST_LOG: 'debug' },
    mode: 'ro',
  });
  const rows: Row[] = await db.exec('SELECT 1');
  const value: SqlValue | undefined = rows[0]?.['x'];
  const visits: Visit[] = await db.exec<Visit>('SELECT at, who FROM visit WHERE at > ?', ['2026']);
  const arrays: SqlValue[][] = await db.exec('SELECT 1', { ':a': true }, { rowMode: 'array' });
  await db.exec<Visit>('SELECT 1', [], { onRow: ({ who }, names) => void [who, names.length] });
  await db.exec('SELECT 1', [], { rowMode: 'array', onRow: (row) => void row.length });
  const changes: number = (await db.run('DELETE FROM visit', [], {
    signal: AbortSignal.timeout(1000),
  })).changes;
  const count: number = await db.transaction(async (tx) => (await tx.exec('SELECT 1')).length);
  const status: Status = await db.status();
  const position: string | null = status.position;
  db.interrupt();
  await db.close();

  const connection = await connect();
  const other = await connection.open('db2', { token: 'text', timestamp: '10 minutes ago' });
  const bytes: number = (await other.counters()).bytesReceived;
  connection.close();

  const promiser = await litevfsPromiser({ token: 'text' });
  const { dbId } = await promiser('open', { filename: 'db1' });
  const executed = await promiser('exec', {
    dbId: dbId ?? '', sql: 'SELECT 1', callback: ({ rowNumber, row }) => void [rowNumber, row],
  });
  const sql: string = executed.result.sql;
  await promiser('close');
  litevfsWorker({ token: 'text' }).terminate();

  const error: unknown = await db.exec('SELECT 1').catch((thrown: unknown) => thrown);
  if (error instanceof LitevfsError && error.code === 'CORS') void error.sqliteCode?.toFixed();
  const init: LitevfsInit = { isCancelled: () => false, log: (level) => void level };

  // @ts-expect-error: no such mode
  await open('db1', { mode: 'w' });
  // @ts-expect-error: a name is needed
  await open();
  // @ts-expect-error: a function has nobody to call it there
  litevfsWorker({ token: () => 'text' });
  // @ts-expect-error: an object can't be bound
  await db.run('SELECT ?', [{}]);
  // @ts-expect-error: there are no transactions in transactions
  await db.transaction((tx) => tx.transaction(() => 1));
  void [value, visits, arrays, changes, count, position, bytes, sql, init];
}
