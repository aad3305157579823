# What touches the pager in unusual ways, through a sqlite3 shell that has everything on: each script
# prints the same on a plain file and on us, errors included, and leaves the same database, byte for
# byte, as a process with an empty cache reads it and as the server exports it.
#
# TESTS="extensions" ONLY="fts5 dbpage": only these scripts.
. "$(dirname "$0")/lib.sh"

HOME=$CALLERS_HOME "$ROOT/scripts/setup" sqlite3
HOME=$CALLERS_HOME "$ROOT/scripts/sqlite-object" >"$TMP/build.log" 2>&1 ||
  { tail -n 30 "$TMP/build.log" >&2; fail "SQLite does not build"; }
cc -O1 -I"$ROOT/build/sqlite-source" -o "$TMP/shell" "$ROOT/build/shell.o" "$ROOT/build/sqlite3.o" \
  "$ROOT/tests/c/load_ext.c" -lpthread -ldl -lm
start_server "$TMP/data"
scripts=0
export LITEVFS_AUTO_LEASE=1

# shell EXTENSION plain|ours: standard input through the shell, in a folder of its own, on the database
# $name; then the exit code.
shell() {
  local rc=0
  cd "$TMP/$name.$2" || exit
  EXT=$1 LITEVFS_LOG_FILE=$TMP/log limited "$TMP/shell" -batch -init /dev/null "$name" >"$TMP/raw" 2>&1 ||
    rc=$?
  sed -E 's/^(Runtime |Parse )?[Ee]rror:?( (near|in) line [0-9]+)?: (stepping, )?/Error: /' "$TMP/raw"
  echo "[exit $rc]"
}

# both NAME: runs the script on standard input on a plain file and on us.
both() {
  [ -z "${ONLY:-}" ] || [[ " $ONLY " == *" $1 "* ]] || return 0
  scripts=$((scripts + 1)) name=$1
  mkdir "$TMP/$name.plain" "$TMP/$name.ours"
  cat >"$TMP/script"
  (shell "" plain) <"$TMP/script" >"$TMP/plain.out"
  (with_new_cache shell "$EXT" ours) <"$TMP/script" >"$TMP/ours.out"
  [ -z "${SHOW:-}" ] || cat "$TMP/plain.out"
  same "$name: what is printed" "$TMP/plain.out" "$TMP/ours.out"
  ! grep -q '^Error: \(no such\|near\)' "$TMP/plain.out" || { cat "$TMP/plain.out" >&2; fail "$name"; }
  $SERVER export --force "$name" "$TMP/ours.db" >"$TMP/export.log" 2>&1 || fail "export: $(cat "$TMP/export.log")"
  cmp "$TMP/$name.plain/$name" "$TMP/ours.db" >&2 || fail "$name: the databases differ"
  (echo '.dump' && echo 'PRAGMA integrity_check;') >"$TMP/check"
  (shell "" plain) <"$TMP/check" >"$TMP/plain.out"
  (with_new_cache shell "$EXT" ours) <"$TMP/check" >"$TMP/ours.out"
  same "$name: what a new process reads" "$TMP/plain.out" "$TMP/ours.out"
  equal "$name: integrity_check" ok "$(tail -n 2 "$TMP/plain.out" | head -n 1)"
}

both fts5 <<'SQL'
CREATE VIRTUAL TABLE mail USING fts5(subject, body, prefix='2 3');
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
  INSERT INTO mail SELECT printf('subject %d word%d', i, i % 37), printf('body %d of item%d ', i % 10, i % 101) ||
    hex(zeroblob(i % 90)) FROM n;
SELECT count(*), min(rowid) FROM mail WHERE mail MATCH 'word7';
SELECT rowid, highlight(mail, 0, '[', ']'), round(bm25(mail), 6) FROM mail WHERE mail MATCH 'ite* AND word3' ORDER BY rank, rowid LIMIT 3;
BEGIN;
DELETE FROM mail WHERE rowid % 3 = 0;
SAVEPOINT s;
UPDATE mail SET subject = 'changed' WHERE rowid BETWEEN 100 AND 300;
SELECT count(*) FROM mail('changed');
ROLLBACK TO s;
SELECT count(*) FROM mail('changed');
COMMIT;
BEGIN; INSERT INTO mail(mail) VALUES ('optimize'); ROLLBACK;
INSERT INTO mail(mail, rank) VALUES ('merge', 100);
INSERT INTO mail(mail) VALUES ('optimize');
INSERT INTO mail(mail) VALUES ('integrity-check');
CREATE TABLE doc (id INTEGER PRIMARY KEY, text);
CREATE VIRTUAL TABLE doc_fts USING fts5(text, content=doc, content_rowid=id, tokenize='porter unicode61');
CREATE TRIGGER doc_ai AFTER INSERT ON doc BEGIN INSERT INTO doc_fts(rowid, text) VALUES (new.id, new.text); END;
CREATE TRIGGER doc_ad AFTER DELETE ON doc BEGIN INSERT INTO doc_fts(doc_fts, rowid, text) VALUES ('delete', old.id, old.text); END;
INSERT INTO doc(text) VALUES ('running quickly'), ('he runs'), ('walks');
DELETE FROM doc WHERE id = 1;
SELECT rowid FROM doc_fts('run');
INSERT INTO doc_fts(doc_fts) VALUES ('rebuild');
CREATE VIRTUAL TABLE words USING fts5vocab(mail, 'row');
SELECT term, doc, cnt FROM words ORDER BY term LIMIT 5;
CREATE VIRTUAL TABLE old USING fts4(a, b);
INSERT INTO old VALUES ('one two', 'three'), ('four', 'one');
SELECT docid, snippet(old) FROM old WHERE old MATCH 'one';
DROP TABLE mail;
SQL

both rtree <<'SQL'
CREATE VIRTUAL TABLE box USING rtree(id, x0, x1, y0, y1, +name);
INSERT INTO box SELECT value, value % 97, value % 97 + 3, value % 89, value % 89 + 2, 'box ' || value FROM generate_series(1, 3000);
SELECT count(*), sum(id) FROM box WHERE x0 > 10 AND x1 < 30 AND y0 > 5 AND y1 < 40;
UPDATE box SET x1 = x1 + 100 WHERE id % 7 = 0;
DELETE FROM box WHERE id % 5 = 0;
BEGIN; DELETE FROM box; ROLLBACK;
SELECT count(*), sum(id) FROM box WHERE x1 > 100;
SELECT rtreecheck('box');
CREATE VIRTUAL TABLE shape USING geopoly(name);
INSERT INTO shape(name, _shape) VALUES ('square', '[[0,0],[4,0],[4,4],[0,4],[0,0]]'), ('far', '[[10,10],[12,10],[12,12],[10,10]]');
SELECT name, geopoly_area(_shape) FROM shape WHERE geopoly_overlap(_shape, '[[1,1],[2,1],[2,2],[1,1]]');
SQL

both json <<'SQL'
CREATE TABLE j (id INTEGER PRIMARY KEY, body, kind TEXT GENERATED ALWAYS AS (body ->> '$.kind') STORED, n AS (json_array_length(body, '$.list')));
CREATE INDEX j_kind ON j (kind);
CREATE INDEX j_deep ON j (json_extract(body, '$.deep.x'));
INSERT INTO j(body) SELECT json_object('kind', 'k' || value % 5, 'list', json_array(value, value + 1), 'deep', json_object('x', value * 2)) FROM generate_series(1, 500);
SELECT kind, count(*), sum(n) FROM j GROUP BY kind ORDER BY kind;
SELECT id FROM j WHERE json_extract(body, '$.deep.x') = 200;
UPDATE j SET body = json_set(body, '$.kind', 'new') WHERE id <= 10;
UPDATE j SET body = jsonb(body) WHERE id > 490;
SELECT count(*) FROM j WHERE kind = 'new';
SELECT sum(e.value) FROM j, json_each(j.body, '$.list') AS e;
SELECT json_group_array(id) FROM j WHERE id < 5;
SQL

both tables <<'SQL'
CREATE TABLE strict1 (id INTEGER PRIMARY KEY, n INT NOT NULL, t TEXT, b BLOB, a ANY) STRICT;
INSERT INTO strict1 VALUES (1, 2, 'x', x'00', 'any');
INSERT INTO strict1 VALUES (2, 'no', 'x', x'00', 1);
CREATE TABLE wr (a TEXT, b INT, c ANY, PRIMARY KEY (a, b)) WITHOUT ROWID, STRICT;
CREATE TABLE wr2 (a TEXT, b INT, c, PRIMARY KEY (a, b DESC)) WITHOUT ROWID;
INSERT INTO wr2 SELECT 'a' || value % 50, value, zeroblob(value % 3000) FROM generate_series(1, 1000);
INSERT INTO wr2 VALUES ('a1', 1, 'again') ON CONFLICT (a, b) DO UPDATE SET c = excluded.c RETURNING a, b, c;
INSERT INTO wr2 VALUES ('a1', 1, 'more') ON CONFLICT DO NOTHING RETURNING a;
UPDATE wr2 SET c = NULL WHERE b < 4 RETURNING a, b, typeof(c);
DELETE FROM wr2 WHERE b % 2;
SELECT count(*), sum(length(c)) FROM wr2;
CREATE TABLE parent (id INTEGER PRIMARY KEY);
CREATE TABLE child (id INTEGER PRIMARY KEY, p REFERENCES parent ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED);
PRAGMA foreign_keys = on;
BEGIN; INSERT INTO child VALUES (1, 77); COMMIT;
INSERT INTO parent VALUES (77); COMMIT;
DELETE FROM parent;
SELECT count(*) FROM child;
CREATE VIEW v AS SELECT a, count(*) AS n FROM wr2 GROUP BY a;
CREATE TRIGGER v_i INSTEAD OF INSERT ON v BEGIN INSERT INTO wr2 VALUES (new.a, new.n, 'by view'); END;
PRAGMA trusted_schema = off;
INSERT INTO v VALUES ('view', 12345);
SELECT * FROM wr2 WHERE a = 'view';
SQL

both dbpage <<'SQL'
.dbconfig defensive off
PRAGMA page_size = 1024;
CREATE TABLE t (id INTEGER PRIMARY KEY, x);
INSERT INTO t SELECT value, printf('row %d', value) FROM generate_series(1, 300);
SELECT pgno, length(data), hex(substr(data, 1, 8)) FROM sqlite_dbpage ORDER BY pgno;
CREATE TEMP TABLE saved AS SELECT pgno, data FROM sqlite_dbpage('main');
UPDATE t SET x = replace(x, 'row', 'ROW');
BEGIN;
UPDATE sqlite_dbpage SET data = (SELECT data FROM saved WHERE saved.pgno = sqlite_dbpage.pgno) WHERE pgno > 2 AND pgno <= (SELECT max(pgno) FROM saved);
ROLLBACK;
SELECT count(*) FROM t WHERE x LIKE 'ROW%' AND x = upper(x);
UPDATE sqlite_dbpage SET data = (SELECT data FROM saved WHERE saved.pgno = sqlite_dbpage.pgno) WHERE pgno <= (SELECT max(pgno) FROM saved);
SELECT count(*) FROM t WHERE x = upper(x);
UPDATE sqlite_dbpage SET data = zeroblob(5) WHERE pgno = 2;
SELECT name, pageno, pagetype, ncell, payload, unused, mx_payload, pgoffset, pgsize FROM dbstat ORDER BY pageno;
SELECT name, pageno, ncell FROM dbstat WHERE aggregate = TRUE;
SQL

both session <<'SQL'
CREATE TABLE a (id INTEGER PRIMARY KEY, x);
CREATE TABLE b (k TEXT PRIMARY KEY, v) WITHOUT ROWID;
INSERT INTO a SELECT value, 'x' FROM generate_series(1, 50);
.session open main s
.session s attach *
UPDATE a SET x = 'y' WHERE id % 10 = 0;
DELETE FROM a WHERE id > 45;
INSERT INTO b VALUES ('k1', 1), ('k2', 2);
BEGIN; INSERT INTO a(x) VALUES ('gone'); ROLLBACK;
.session s changeset out.changeset
.session s patchset out.patchset
.session s isempty
.session s close
SELECT hex(readfile('out.changeset'));
SELECT hex(readfile('out.patchset'));
SQL

both import <<'SQL'
CREATE TABLE csv (id INTEGER PRIMARY KEY, name TEXT, n REAL);
SELECT writefile('in.csv', (SELECT group_concat(printf('%d,"name, %d",%d.5', value, value, value), char(10)) FROM generate_series(1, 2000)));
.mode csv
.import in.csv csv
.import --skip 1995 in.csv fresh
.mode list
SELECT count(*), sum(n), max(name) FROM csv;
SELECT * FROM fresh;
.import in.csv csv
SELECT count(*) FROM csv;
SQL

both shell <<'SQL'
CREATE TABLE t (id INTEGER PRIMARY KEY, x UNIQUE, y DEFAULT 'z');
INSERT INTO t(id, x) SELECT value, hex(zeroblob(value % 200)) || value FROM generate_series(1, 500);
CREATE VIEW v AS SELECT count(*) FROM t;
CREATE TRIGGER tr AFTER DELETE ON t BEGIN UPDATE t SET y = 'old' WHERE id = 1; END;
DELETE FROM t WHERE id > 400;
.recover
.dump t
.sha3sum --schema
.dbinfo
.tables
.schema --indent
.lint fkey-indexes
.expert
SELECT * FROM t WHERE y = 'z' AND x > 'a';
.save file:saved.db?vfs=unix
.backup main file:backup.db?vfs=unix
.clone other
VACUUM INTO 'file:into.db?vfs=unix';
.open file:saved.db?vfs=unix
SELECT count(*), sum(length(x)) FROM t;
PRAGMA integrity_check;
.open file:backup.db?vfs=unix
SELECT count(*), sum(length(x)) FROM t;
.open file:into.db?vfs=unix
SELECT count(*), sum(length(x)), (SELECT * FROM v) FROM t;
CREATE TABLE more (x); INSERT INTO more VALUES ('restored');
.open other
SELECT count(*), sum(length(x)) FROM t;
PRAGMA integrity_check;
.restore file:into.db?vfs=unix
SELECT * FROM more;
.open shell
.restore file:into.db?vfs=unix
SELECT * FROM more;
INSERT INTO more VALUES ('and written');
.dbinfo
SQL

both into <<'SQL'
PRAGMA auto_vacuum = full;
CREATE TABLE t (id INTEGER PRIMARY KEY, x);
INSERT INTO t SELECT value, zeroblob(value) FROM generate_series(1, 1000);
DELETE FROM t WHERE id % 3;
VACUUM INTO 'into2';
VACUUM INTO 'into2';
ATTACH 'into2' AS i;
SELECT count(*), sum(length(x)) FROM i.t;
PRAGMA i.integrity_check;
SELECT count(*) FROM (SELECT * FROM t EXCEPT SELECT * FROM i.t);
DETACH i;
.open into2
INSERT INTO t(x) VALUES ('more');
SELECT count(*) FROM t;
SQL

echo "$scripts scripts print and leave what they do on plain SQLite"
