#!/usr/bin/env bash
# The status page in a real browser: tests/web/*.test.mjs, driven by playwright-core. The tests
# start their servers and make their databases themselves; here is what they need of the machine.
. "$(dirname "$0")/lib.sh"

export EXT SERVER SQLITE3 TMP
for file in "$ROOT"/tests/web/*.test.mjs; do
  LIMIT=600 limited "$ROOT/scripts/playwright" node --test-reporter=spec --test "$file" || fail "$(basename "$file")"
done
echo "the status page works in $("${CHROMIUM:-chromium}" --version 2>/dev/null | cut -d' ' -f1-2)"
