#!/usr/bin/env bash
# `make run` without its build: SQL from standard input runs against a server of its own, the exit code
# is sqlite3's, the server is gone afterwards, and the next run finds the data again.
. "$(dirname "$0")/lib.sh"
export DATA=$TMP/data EXT SERVER SQLITE3
export LITEVFS_LOG_FILE=$TMP/log

# How many processes have our data folder as an argument.
servers_on_data() {
  local arguments
  arguments=$(cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' '\n') || true
  grep -cxF -- "$DATA" <<<"$arguments" || true
}

limited "$ROOT/scripts/run" >"$TMP/out" <<'SQL'
CREATE TABLE t (x);
INSERT INTO t VALUES ('first run');
SELECT * FROM t;
SQL
equal "the first run prints" "first run" "$(cat "$TMP/out")"
equal "servers left behind" 0 "$(servers_on_data)"

equal "the second run prints" "first run" "$(limited "$ROOT/scripts/run" <<<'SELECT * FROM t;')"
equal "another database is empty" 0 "$(limited "$ROOT/scripts/run" db2 <<<'SELECT count(*) FROM sqlite_schema;')"

# It stops at the first error, with sqlite3's exit code.
rc=0
limited "$ROOT/scripts/run" >"$TMP/out" 2>"$TMP/err" <<<$'SELECT * FROM nowhere;\nSELECT 2;' || rc=$?
equal "exit code of a failing script" 1 "$rc"
equal "it prints after the error" "" "$(cat "$TMP/out")"
grep -q 'no such table' "$TMP/err" || fail "the error is not shown: $(cat "$TMP/err")"
equal "servers left after an error" 0 "$(servers_on_data)"

# Killed from outside, it still stops its server.
(sleep 2; echo 'SELECT 1;') | "$ROOT/scripts/run" >"$TMP/out" 2>&1 &
pid=$!
for _ in $(seq 100); do [ "$(servers_on_data)" = 0 ] || break; sleep 0.05; done
equal "servers while it runs" 1 "$(servers_on_data)"
kill "$pid"
wait "$pid" || true
equal "servers left after SIGTERM" 0 "$(servers_on_data)"

echo "make run: runs, remembers, fails and stops as it should"
