# Stock Litestream restores a database from the server's files, with the server stopped: the same
# content as the server's own snapshot and as the extension reads, now and at an earlier transaction.
. "$(dirname "$0")/lib.sh"

LITESTREAM=$("$ROOT/scripts/litestream") || fail "no Litestream"

start_server "$TMP/data"

# fetch TARGET FILE: the body of a GET request.
fetch() {
  limited "$PYTHON" - "$URL$1" "$2" "$TOKEN" <<'PY'
import shutil, sys, urllib.request
url, path, token = sys.argv[1:]
with urllib.request.urlopen(urllib.request.Request(url, headers={"Authorization": token})) as answer:
    with open(path, "wb") as file:
        shutil.copyfileobj(answer, file)
PY
}

# pos DATABASE: its position.
pos() {
  fetch /pos "$TMP/pos"
  "$PYTHON" -c 'import json, sys
pos = json.load(open(sys.argv[1]))[sys.argv[2]]
print(pos["txid"] + "/" + pos["postApplyChecksum"])' "$TMP/pos" "$1"
}

rows="WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
  INSERT INTO t (x) SELECT hex(randomblob(i % 200)) FROM n;"

# grow_and_shrink DATABASE PAGE-SIZE: several commits, one of which drops pages.
grow_and_shrink() {
  with_new_cache sql "$1" -bail >"$TMP/out" <<SQL
PRAGMA page_size = $2;
PRAGMA litevfs_acquire_lease;
CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT);
CREATE INDEX t_x ON t (x);
$rows
DELETE FROM t WHERE id > 100;
VACUUM;
UPDATE t SET x = 'changed' WHERE id % 2;
CREATE TABLE empty (a, b);
PRAGMA litevfs_release_lease;
SQL
}

# commits DATABASE FROM TO: one commit each.
commits() {
  {
    echo "PRAGMA litevfs_acquire_lease;"
    [ "$2" != 1 ] || echo "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT);"
    for i in $(seq "$2" "$3"); do echo "INSERT INTO t VALUES ($i, hex(randomblob(100)));"; done
    echo "PRAGMA litevfs_release_lease;"
  } | with_new_cache sql "$1" -bail >"$TMP/out"
}

# reshape PAGE-SIZE ROW: a VACUUM to other pages, and a row.
reshape() {
  with_new_cache sql reshaped -bail >"$TMP/out" <<SQL
PRAGMA litevfs_acquire_lease;
PRAGMA page_size = $1;
VACUUM;
INSERT INTO t VALUES ($2, 'after');
PRAGMA litevfs_release_lease;
SQL
}

# litefs_uploads DATABASE: several transactions in one file, as LiteFS sends them.
litefs_uploads() {
  PYTHONPATH=$ROOT/tests/py limited "$PYTHON" -B - "$URL" "$TOKEN" "$TMP/local.db" "$1" <<'PY'
import pathlib, sqlite3, sys, types, urllib.parse
from harness import ltx
url, token, path, name = sys.argv[1:]
server = types.SimpleNamespace(port=urllib.parse.urlsplit(url).port)
db = sqlite3.connect(path, isolation_level=None)
before = b""
for first, last in [(1, 1), (2, 5), (6, 261)]:
    for txid in range(first, last + 1):
        sql = "CREATE TABLE t (n, x)" if txid == 1 else f"INSERT INTO t VALUES ({txid}, hex(randomblob(50)))"
        db.execute(sql)
    after = pathlib.Path(path).read_bytes()
    status, body = ltx.push(server, name, ltx.encode(before, after, first, last), Authorization=token)
    assert status == 200, body
    before = after
PY
}

dump() { limited "$SQLITE3" -batch -init /dev/null "$1" <<<$'.dump\nPRAGMA page_size;\nPRAGMA integrity_check;'; }

# restored NAME DATABASE SNAPSHOT [OPTION...]: what Litestream restores equals the snapshot.
restored() {
  local name=$1 db=$2 snapshot=$3; shift 3
  limited "$LITESTREAM" restore "$@" -o "$TMP/$name.db" "file://$TMP/data/default/$db" >"$TMP/restore.log" 2>&1 ||
    { cat "$TMP/restore.log" >&2; fail "litestream does not restore $name"; }
  dump "$TMP/$name.db" >"$TMP/$name.litestream"
  dump "$snapshot" >"$TMP/$name.snapshot"
  same "$name, restored" "$TMP/$name.snapshot" "$TMP/$name.litestream"
  equal "$name is intact" ok "$(tail -n 1 "$TMP/$name.litestream")"
}

for size in 512 4096 65536; do grow_and_shrink "p$size" $size; done
litefs_uploads litefs
commits many 1 150
middle=$(pos many)
commits many 151 300
# In pages of one size, then of another, with commits before, between and after.
commits reshaped 1 40
before=$(pos reshaped)
reshape 512 41
between=$(pos reshaped)
commits reshaped 42 60
reshape 16384 61
commits reshaped 62 80

# verb ARGUMENT...: the server's program as a client.
verb() { limited env LITEFS_CLOUD_HOST="$URL" LITEFS_CLOUD_TOKEN="$TOKEN" "$SERVER" "$@"; }
# A name that was made anew, twice, lies where info says.
for round in 1 2; do
  commits anew 1 $((round * 3))
  verb delete anew --yes >"$TMP/out" || fail "a database can't be deleted"
done
commits anew 1 20
anew=$(verb info anew | sed -n "s/^its files are in the store's default\///p")
case $anew in anew/*) ;; *) fail "info says that it lies in '$anew'" ;; esac

databases="p512 p4096 p65536 litefs many reshaped anew"
for db in $databases; do
  fetch "/db/snapshot?db=$db&format=sqlite" "$TMP/$db.copy"
  with_new_cache sql "$db" <<<$'.dump\nPRAGMA page_size;\nPRAGMA integrity_check;' >"$TMP/$db.ours"
done
fetch "/db/snapshot?db=many&format=sqlite&pos=$middle" "$TMP/middle.copy"
for at in before between; do
  fetch "/db/snapshot?db=reshaped&format=sqlite&pos=${!at}" "$TMP/$at.copy"
done
kill "${SERVERS[0]}" && wait "${SERVERS[0]}" || fail "the server did not end well"

for db in $databases; do
  folder=$db
  [ "$db" != anew ] || folder=$anew
  restored "$db" "$folder" "$TMP/$db.copy"
  same "$db, through the extension" "$TMP/$db.ours" "$TMP/$db.litestream"
done
restored middle many "$TMP/middle.copy" -txid "${middle%/*}"
equal "rows at the earlier transaction" 150 "$("$SQLITE3" "$TMP/middle.db" 'SELECT count(*) FROM t')"
for at in before between; do restored "$at" reshaped "$TMP/$at.copy" -txid "${!at%/*}"; done
equal "pages before" 4096 "$("$SQLITE3" "$TMP/before.db" 'PRAGMA page_size')"
equal "pages between" 512 "$("$SQLITE3" "$TMP/between.db" 'PRAGMA page_size')"
equal "pages at the last" 16384 "$("$SQLITE3" "$TMP/reshaped.db" 'PRAGMA page_size')"
equal "rows at the last" 300 "$("$SQLITE3" "$TMP/many.db" 'SELECT count(*) FROM t')"

echo "litestream restores $(wc -w <<<"$databases") databases"
