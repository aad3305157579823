# Several writers against a model, 100,000 transactions.
. "$(dirname "$0")/../sh/lib.sh"

cd "$ROOT"
export HOME=$CALLERS_HOME
WRITER_ROUNDS=100000 cargo test --quiet --locked --lib no_update_is_lost -- --nocapture \
  >"$TMP/out" 2>&1 || { tail -n 30 "$TMP/out" >&2; fail "an update was lost, or the test does not build"; }
grep ' rounds: ' "$TMP/out"
