#!/usr/bin/env bash
# `make sqlite3`: a shell with the extension linked in opens a database in the cloud without .load, and
# is plain SQLite without a token.
. "$(dirname "$0")/lib.sh"

user_home=$(getent passwd "$(id -u)" | cut -d: -f6)
HOME=$user_home "$ROOT/scripts/setup" sqlite3
HOME=$user_home "$ROOT/scripts/build-sqlite3" >"$TMP/build.log" 2>&1 ||
  { tail -n 30 "$TMP/build.log" >&2; fail "the static shell does not build"; }
shell=$ROOT/build/sqlite3

start_server "$TMP/data"
export LITEVFS_LOG_FILE=$TMP/log
with_new_cache limited "$shell" -batch -bail >"$TMP/out" <<'SQL'
.open file:db1?vfs=litevfs
PRAGMA litevfs_acquire_lease;
CREATE TABLE t (x);
INSERT INTO t VALUES ('static');
SELECT * FROM t;
SELECT litevfs_txid() - 2, txid - 2 FROM litevfs_stats;
SQL
equal "the static shell prints" $'static\n0|0' "$(cat "$TMP/out")"
equal "the loadable extension reads" static "$(with_new_cache sql db1 <<<'SELECT * FROM t;')"

unset LITEFS_CLOUD_TOKEN
equal "without a token" 3 "$(limited "$shell" -batch :memory: 'SELECT 1 + 2')"

echo "the static shell works"
