#!/usr/bin/env bash
# Sourced by every tests/sh/*.sh and by tests/sql/run: programs, a folder of the test's own, servers
# that end with the test, and a few checks.
#
#   EXT      the extension under test        SERVER   the server's command, without "serve"
#   SQLITE3  the sqlite3 shell               PYTHON   a Python that can load extensions
#   TMP      this test's folder, removed at the end
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
EXT=${EXT:-$ROOT/target/release/liblitevfs.so}
SERVER=${SERVER:-$ROOT/target/release/litevfs-cloud}
SQLITE3=${SQLITE3:-sqlite3}
TOKEN=test-token-$$
TMP=$(mktemp -d "${TMPDIR:-/tmp}/litevfs-test.XXXXXX")
SERVERS=()

# Nothing of the caller's surroundings may change what is tested.
unset LITEFS_CLOUD_HOST LITEFS_CLOUD_TOKEN LITEFS_CLOUD_CLUSTER LITEVFS_CACHE_DIR LITEVFS_LOG_FILE \
  LITEVFS_CLOUD_TOKEN LITEVFS_CLOUD_TOKENS_FILE LITEVFS_CLOUD_LOG_FORMAT RUST_LOG \
  HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY http_proxy https_proxy all_proxy no_proxy
CALLERS_HOME=$HOME
export HOME=$TMP LC_ALL=C TZ=UTC

cleanup() {
  local pid
  for pid in "${SERVERS[@]}"; do kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true; done
  rm -rf "$TMP"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

fail() { echo "FAIL: $*" >&2; exit 1; }

# start_server DATA: a server on a free port; its address goes to URL and to LITEFS_CLOUD_HOST.
start_server() {
  local log=$TMP/server-${#SERVERS[@]}.log pid
  : >"$log" # there before the first look at it
  # shellcheck disable=SC2086  # SERVER may be a command with arguments
  $SERVER serve --data "$1" --listen 127.0.0.1:0 --token "$TOKEN" >"$log" 2>&1 </dev/null &
  pid=$!
  SERVERS+=("$pid")
  URL=
  for _ in $(seq 400); do
    URL=$(sed -n 's/^litevfs-cloud listening on \(http[^ ]*\)$/\1/p' "$log")
    [ -z "$URL" ] || break
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.025
  done
  [ -n "$URL" ] || { cat "$log" >&2; fail "the server did not start"; }
  export LITEFS_CLOUD_HOST=$URL LITEFS_CLOUD_TOKEN=$TOKEN
}

# Limits how long one program may run; a hang is a failure, not an endless test.
limited() { timeout --kill-after=5 "${LIMIT:-120}" "$@"; }

# sql DATABASE [OPTION...]: runs standard input through the shell on a database of the server.
# The cache is whatever LITEVFS_CACHE_DIR says; the extension's log goes to $TMP/log.
sql() {
  local db=$1; shift
  LITEVFS_LOG_FILE=$TMP/log limited "$SQLITE3" -batch -init /dev/null "$@" \
    -cmd ".load $EXT" -cmd ".open file:$db?vfs=litevfs"
}

# with_new_cache COMMAND...: runs it with an empty cache folder, as another machine would.
with_new_cache() {
  LITEVFS_CACHE_DIR=$(mktemp -d "$TMP/cache.XXXXXX") "$@"
}

# same WHAT FILE FILE: the files are equal, else their difference is shown and the test fails.
same() {
  diff -u "$2" "$3" >"$TMP/diff" || { head -n 40 "$TMP/diff" >&2; fail "$1 differs"; }
}

# equal WHAT EXPECTED ACTUAL
equal() { [ "$2" = "$3" ] || fail "$1: expected '$2', got '$3'"; }
