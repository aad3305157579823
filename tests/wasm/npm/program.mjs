// A program for Node: bundles.test.mjs runs it with the server's URL and a token.

import { open } from 'litevfs';

const [host, token] = process.argv.slice(2);
const codeOf = (promise) => promise.then(() => 'none', ({ code }) => code);
const endless = 'WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x FROM c) SELECT sum(x) FROM c';

async function attempt(config) {
  const db = await open('db1', config);
  return codeOf(db.exec('SELECT x FROM t').finally(() => db.close()));
}

const db = await open('db1', { host, token });
await db.transaction((tx) => tx.run('CREATE TABLE t AS SELECT 7 AS x'));
const rows = await db.exec('SELECT x FROM t');
setTimeout(() => db.interrupt(), 200);
const interrupted = await codeOf(db.exec(endless));
await db.close();
const refused = await attempt({ host, token: 'no' });
// Nobody listens at port 9.
const away = await attempt({ host: 'http://127.0.0.1:9', token });
console.log(JSON.stringify({ rows, interrupted, refused, away }));
