#!/usr/bin/env bash
# The files in docs/examples: systemd takes the unit, the server takes the options of the
# environment file, and the container's health check tells a live server from a dead one.
. "$(dirname "$0")/lib.sh"
EXAMPLES=$ROOT/docs/examples
# shellcheck disable=SC2153  # of lib.sh
PROGRAM=${SERVER%% *}

echo "the unit"
if command -v systemd-analyze >/dev/null; then
  sed "s|/usr/local/bin/litevfs-cloud|$(realpath "$PROGRAM")|" \
    "$EXAMPLES/litevfs-cloud.service" >"$TMP/litevfs-cloud.service"
  systemd-analyze verify "$TMP/litevfs-cloud.service" 2>"$TMP/verify" || fail "$(cat "$TMP/verify")"
  [ ! -s "$TMP/verify" ] || fail "$(cat "$TMP/verify")"
else
  echo "no systemd-analyze here: the unit is not looked at"
fi

echo "the environment files"
for env in litevfs-cloud.env litevfs-cloud-s3.env; do
  ! grep -Ev '^(#.*|[A-Z_]+=.*|)$' "$EXAMPLES/$env" || fail "$env has a line that is no variable"
  grep -q '^LITEVFS_CLOUD_TOKEN=$' "$EXAMPLES/$env" || fail "$env holds a token"
done
# The value as systemd and docker read it: the rest of the line.
options=$(sed -n 's/^LITEVFS_CLOUD_OPTIONS=//p' "$EXAMPLES/litevfs-cloud.env")
options=${options//\/var\/lib\/litevfs-cloud/$TMP/data}
# As it stands, with no token filled in, it must not start: it listens on every network.
# shellcheck disable=SC2086
if LITEVFS_CLOUD_TOKEN='' limited $SERVER serve ${options/20202/0} >"$TMP/out" 2>&1; then
  fail "it started without a token"
fi
grep -q -- "--token" "$TMP/out" || fail "it does not say what is missing: $(cat "$TMP/out")"
# shellcheck disable=SC2086
LITEVFS_CLOUD_TOKEN=$TOKEN $SERVER serve ${options/0.0.0.0:20202/127.0.0.1:0} \
  >"$TMP/service.log" 2>&1 &
pid=$!
SERVERS+=("$pid")
for _ in $(seq 400); do
  PORT=$(sed -n 's/^litevfs-cloud listening on http:.*:\([0-9]*\)$/\1/p' "$TMP/service.log")
  [ -z "$PORT" ] || break
  sleep 0.025
done
[ -n "$PORT" ] || fail "it did not start: $(cat "$TMP/service.log")"

echo "the health check"
check=$(python3 - "$EXAMPLES/Containerfile" <<'PY'
import json, re, sys
text = open(sys.argv[1], encoding="ascii").read().replace("\\\n", "")
print(json.loads(re.search(r"^HEALTHCHECK .* CMD (\[.*\])$", text, re.M).group(1))[2])
PY
)
limited bash -c "${check//20202/$PORT}" || fail "a live server is called dead"
kill "$pid"
wait "$pid" 2>/dev/null || true
! limited bash -c "${check//20202/$PORT}" 2>/dev/null || fail "a dead server is called live"
echo "the examples work"
