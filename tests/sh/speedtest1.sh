# SQLite's own speedtest1, every set of its tests, with LiteVFS as the default VFS: it prints what it
# prints on a plain file (times aside), hashes of all results included, and leaves the same database,
# byte for byte.
#
# SIZE is speedtest1's --size (default 4, full 100): the program is one and the same, see tests/c.
. "$(dirname "$0")/lib.sh"

SIZE=${SIZE:-4}
SPEEDTEST1=$TMP/speedtest1
export LITEVFS_AUTO_LEASE=1
source=$ROOT/build/sqlite-source
SETS=(main orm cte fp trigger parsenumber rtree debug1)
# How a database can be: each with the sets that write most.
MODES=(
  "--journal memory --pagesize 512 --cachesize 10"
  "--journal truncate --incrvacuum --utf16le"
  "--journal persist --exclusive --without-rowid"
  "--journal off --nosync --pagesize 65536"
  "--autovacuum --strict --primarykey --notnull"
  "--reserve 32 --temp 6 --big-transactions"
)

HOME=$CALLERS_HOME "$ROOT/scripts/setup" sqlite3
HOME=$CALLERS_HOME "$ROOT/scripts/sqlite-object" >"$TMP/build.log" 2>&1 ||
  { tail -n 30 "$TMP/build.log" >&2; fail "SQLite does not build"; }
# In this version the set "trigger" creates z1 and z2, and writes to t1 and t2.
sed -E '/^void testset_trigger/,/^}/ s/\bz([12])\b/t\1/g' "$source/test/speedtest1.c" >"$TMP/speedtest1.c"
cc -O1 -DSQLITE_ENABLE_RTREE -I"$source" -o "$SPEEDTEST1" "$TMP/speedtest1.c" \
  "$ROOT/tests/c/load_ext.c" "$ROOT/build/sqlite3.o" -lpthread -ldl -lm

start_server "$TMP/data"
mkdir "$TMP/plain" "$TMP/ours"
runs=0

# run FOLDER EXTENSION OPTION...: without the times. The database is called $name, in the folder or not.
run() {
  cd "$1" || exit
  EXT=$2 LITEVFS_LOG_FILE=$TMP/log LIMIT=${LIMIT:-1200} limited "$SPEEDTEST1" --verify "${@:3}" \
    "$name" 2>&1 | sed -E 's/ +[0-9]+\.[0-9]{3}s$//'
}

# compare OPTION...: on a plain file and on us.
compare() {
  runs=$((runs + 1)) name=speed$runs
  # Without waiting for the disk, which shows nowhere.
  (run "$TMP/plain" "" --nosync "$@") >"$TMP/plain.out"
  (with_new_cache run "$TMP/ours" "$EXT" "$@") >"$TMP/ours.out"
  grep -q '^Verification Hash' "$TMP/plain.out" || { cat "$TMP/plain.out" >&2; fail "$*: plain"; }
  same "speedtest1 $*" "$TMP/plain.out" "$TMP/ours.out"
  [ -s "$TMP/plain/$name" ] || return 0 # some sets only compute
  $SERVER export "$name" "$TMP/ours.db" >"$TMP/export.log" 2>&1 || fail "export: $(cat "$TMP/export.log")"
  # In exclusive mode SQLite counts its first transaction only, and we count them all.
  local counters='$1 > 24 && $1 <= 28 || $1 > 92 && $1 <= 96'
  [[ $* == *--exclusive* ]] || counters=0
  cmp -l "$TMP/plain/$name" "$TMP/ours.db" 2>&1 | awk "!($counters)" >"$TMP/cmp" || :
  [ ! -s "$TMP/cmp" ] || { head "$TMP/cmp" >&2; fail "speedtest1 $*: the databases differ"; }
  rm -f "$TMP/plain/$name" "$TMP/ours.db"
}

for set in "${SETS[@]}"; do compare --size "$SIZE" --testset "$set"; done
for mode in "${MODES[@]}"; do
  # shellcheck disable=SC2086  # several options
  for set in main orm trigger; do compare --size "$((SIZE / 4 + 1))" --testset "$set" $mode; done
done
echo "$runs runs of speedtest1 end as on plain SQLite, size $SIZE"
