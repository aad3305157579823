#!/usr/bin/env bash
# LiteFS's side of the protocol, in Go: it uploads single transactions and hundreds in one file, asks
# for positions, fetches snapshots, and starts over where the server is ahead of it.
. "$(dirname "$0")/lib.sh"

command -v go >/dev/null || fail "no Go: install Debian's golang-go, or a newer one"
# The caches stay the caller's; lib.sh has moved HOME.
export GOPATH GOCACHE GOFLAGS=-mod=readonly
GOPATH=$(HOME=$CALLERS_HOME go env GOPATH)
GOCACHE=$(HOME=$CALLERS_HOME go env GOCACHE)

start_server "$TMP/data"
export LITEFS_CLOUD_ENDPOINT=$URL
cd "$ROOT/tests/go"
LIMIT=600 limited go test -count=1 ./litefs >"$TMP/out" 2>&1 || { cat "$TMP/out" >&2; fail "the client's tests"; }
echo "LiteFS's calls, $(go test -list . ./litefs | grep -c ^Test) tests in Go"
