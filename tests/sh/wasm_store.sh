#!/usr/bin/env bash
# The browser's page cache on a file system that fails (tests/wasm/store), without a browser.
. "$(dirname "$0")/lib.sh"

LIMIT=300 limited node --test-reporter=spec --test "$ROOT"/tests/wasm/store/*.test.mjs ||
  fail "node --test"
