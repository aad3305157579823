#!/usr/bin/env bash
# Upstream's own extension (LiteVFS 0.1.1, from its npm package) on our server: it creates, writes and
# reads databases, reads ours, and ours reads its. The other direction of "any client ever written".
. "$(dirname "$0")/lib.sh"

UPSTREAM=$("$ROOT/scripts/upstream") || fail "no upstream"

start_server "$TMP/data"
OURS=$EXT

# as EXTENSION DATABASE: the shell with that extension and an empty cache; SQL on standard input.
as() {
  local EXT=$1
  with_new_cache sql "$2" -bail
}

rows="WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
  INSERT INTO t SELECT i, printf('row %d %s', i, hex(zeroblob(i % 300))) FROM n;"

# write EXTENSION DATABASE: creates the database in several transactions.
write() {
  as "$1" "$2" <<SQL
SELECT 1;
PRAGMA litevfs_acquire_lease;
CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT);
CREATE INDEX t_x ON t (x);
$rows
UPDATE t SET x = 'changed' WHERE id % 10 = 0;
DELETE FROM t WHERE id > 1500;
CREATE VIEW v AS SELECT count(*) AS n, sum(length(x)) AS total FROM t;
PRAGMA litevfs_release_lease;
SQL
}

# more EXTENSION DATABASE: writes to a database that is there.
more() {
  as "$1" "$2" <<SQL
SELECT count(*) FROM t;
PRAGMA litevfs_acquire_lease;
INSERT INTO t (x) VALUES ('one more'), ('and another');
PRAGMA litevfs_release_lease;
SQL
}

dump() { as "$1" "$2" <<<$'.dump\nPRAGMA integrity_check;'; }

echo "upstream writes"
write "$UPSTREAM" theirs >"$TMP/out" 2>&1 || { cat "$TMP/out" >&2; fail "upstream can't write"; }
dump "$UPSTREAM" theirs >"$TMP/theirs.upstream"
dump "$OURS" theirs >"$TMP/theirs.ours"
same "upstream's database" "$TMP/theirs.upstream" "$TMP/theirs.ours"

echo "ours writes"
write "$OURS" ours >"$TMP/out" 2>&1 || { cat "$TMP/out" >&2; fail "ours can't write"; }
dump "$OURS" ours >"$TMP/ours.ours"
dump "$UPSTREAM" ours >"$TMP/ours.upstream"
same "our database" "$TMP/ours.ours" "$TMP/ours.upstream"
same "the two databases" "$TMP/ours.ours" "$TMP/theirs.ours"

echo "each goes on with the other's"
more "$OURS" theirs >"$TMP/out"
equal "rows ours found" 1500 "$(head -n 1 "$TMP/out")"
more "$UPSTREAM" ours >"$TMP/out"
equal "rows upstream found" 1500 "$(head -n 1 "$TMP/out")"
for db in ours theirs; do
  dump "$OURS" "$db" >"$TMP/$db.ours"
  dump "$UPSTREAM" "$db" >"$TMP/$db.upstream"
  same "$db, afterwards" "$TMP/$db.ours" "$TMP/$db.upstream"
  equal "$db is intact" ok "$(tail -n 1 "$TMP/$db.ours")"
done
grep -q 'and another' "$TMP/theirs.upstream" || fail "upstream does not see our rows"
grep -q 'and another' "$TMP/ours.ours" || fail "ours does not see upstream's rows"

echo "a name that was made anew"
limited env LITEFS_CLOUD_HOST="$URL" LITEFS_CLOUD_TOKEN="$TOKEN" "$SERVER" delete theirs --yes >"$TMP/out" ||
  fail "the database can't be deleted"
write "$UPSTREAM" theirs >"$TMP/out" 2>&1 || { cat "$TMP/out" >&2; fail "upstream can't make it anew"; }
more "$OURS" theirs >"$TMP/out"
equal "rows of the one made anew" 1500 "$(head -n 1 "$TMP/out")"
dump "$UPSTREAM" theirs >"$TMP/anew.upstream"
dump "$OURS" theirs >"$TMP/anew.ours"
same "the one made anew" "$TMP/anew.upstream" "$TMP/anew.ours"

echo "upstream's extension and ours read and write each other's databases"
