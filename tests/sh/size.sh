#!/usr/bin/env bash
# What the extension weighs, with TLS and without, plain and packed by gzip: not more than README promises.
. "$(dirname "$0")/lib.sh"

MAX_BYTES=1500000
MAX_PACKED_BYTES=780000
MAX_BYTES_WITHOUT_TLS=540000

# fits NAME BYTES MAX
fits() {
  echo "$1: $2 bytes of $3"
  [ "$2" -le "$3" ] || fail "$1: $2 bytes, more than $3"
}

# The build of a developer is of any size; that of a release has no symbols.
built() { readelf --sections --wide "$1" | grep -q '\.symtab' && return 1 || return 0; }

if built "$EXT"; then
  fits "with TLS" "$(stat -c %s "$EXT")" "$MAX_BYTES"
  fits "with TLS, packed" "$(gzip -9c "$EXT" | wc -c)" "$MAX_PACKED_BYTES"
else
  echo "$EXT has symbols: not looked at"
fi

# Beside the other build, which has the same name.
target=$(realpath -m "${CARGO_TARGET_DIR:-$ROOT/target}")/without-tls
(cd "$ROOT" && HOME=$CALLERS_HOME cargo build --release --locked --quiet --package litevfs-ffi \
  --no-default-features --features loadable --target-dir "$target")
fits "without TLS" "$(stat -c %s "$target/release/liblitevfs.so")" "$MAX_BYTES_WITHOUT_TLS"
