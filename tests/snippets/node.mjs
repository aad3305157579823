import { DatabaseSync } from 'node:sqlite';

// Once a process: the extension stays loaded and registers the VFS for every later connection.
const loader = new DatabaseSync(':memory:', { allowExtension: true });
loader.loadExtension('./target/release/liblitevfs.so');

const db = new DatabaseSync('file:db1?vfs=litevfs');
db.exec('PRAGMA litevfs_auto_lease = on');
db.exec('CREATE TABLE IF NOT EXISTS visit (at TEXT, who TEXT)');
db.prepare("INSERT INTO visit VALUES (datetime('now'), ?)").run('node');
for (const row of db.prepare('SELECT who, count(*) AS visits FROM visit GROUP BY who ORDER BY who').all()) {
  console.log(row.who, row.visits);
}
db.close();
