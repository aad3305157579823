# Counts the instructions of the paths that are run most: reading pages that are cached, and beginning
# and ending a read transaction. Counts do not drift with the machine's load as times do, so they have
# bounds: what was measured, and a tenth for other compilers. Past a bound, look for the cause; below
# it by much, lower the bound.
#
# Of the release build. Instructions of the kernel are not counted.
. "$(dirname "$0")/lib.sh"

command -v valgrind >/dev/null || { echo "SKIPPED: no valgrind, which scripts/setup test installs"; exit 0; }
case $EXT in */debug/*) echo "SKIPPED: $EXT is no release build"; exit 0 ;; esac

# instructions OPEN SQL: those of one shell.
instructions() {
  LITEVFS_LOG_FILE=$TMP/log limited valgrind --tool=callgrind --callgrind-out-file=/dev/null \
    "$SQLITE3" -batch -bail -init /dev/null -cmd ".load $EXT" -cmd ".open $1" \
    <<<"PRAGMA cache_size = 10; PRAGMA litevfs_cache_sync_period = 0; $2" >"$TMP/out" 2>"$TMP/valgrind" ||
    { cat "$TMP/valgrind" >&2; fail "the shell failed"; }
  sed -nE 's/.*Collected *: *([0-9]+).*/\1/p' "$TMP/valgrind"
}

# repeated COUNT SQL
repeated() { for _ in $(seq "$1"); do printf '%s\n' "$2"; done; }

# lookups COUNT: rows all over the table, each in a transaction of its own.
lookups() { for i in $(seq "$1"); do echo "SELECT x FROM t WHERE id = $((i * 7919 % 20000 + 1));"; done; }

# bound WHAT COUNT LIMIT
bound() {
  echo "$1: $2 instructions, at most $3"
  [ "$2" -le "$3" ] || over=$((over + 1))
}

start_server "$TMP/data"
export LITEVFS_CACHE_DIR=$TMP/cache
mkdir "$LITEVFS_CACHE_DIR"
make="CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT);
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
  INSERT INTO t SELECT i, printf('%.90d', i) FROM n;"
sql db -bail <<<"PRAGMA litevfs_acquire_lease; $make SELECT sum(length(x)) FROM t;" >"$TMP/out"
limited "$SQLITE3" -batch -init /dev/null "$TMP/plain.db" <<<"$make"
pages=$("$SQLITE3" "$TMP/plain.db" 'PRAGMA page_count')

scan="SELECT sum(length(x)) FROM t;"
declare -A page lookup first
for name in ours plain; do
  open=$TMP/plain.db
  [ $name = plain ] || open="file:db?vfs=litevfs"
  none=$(instructions "$open" "SELECT x FROM t LIMIT 1;")
  once=$(instructions "$open" "$scan")
  thrice=$(instructions "$open" "$(repeated 3 "$scan")")
  few=$(instructions "$open" "$(lookups 100)")
  many=$(instructions "$open" "$(lookups 600)")
  first[$name]=$(((once - none) / pages))
  page[$name]=$(((thrice - once) / (2 * pages)))
  lookup[$name]=$(((many - few) / 500))
done
echo "plain SQLite: a page ${page[plain]}, at first ${first[plain]}; a lookup ${lookup[plain]}"

# All of them over what plain SQLite takes for the same.
over=0
bound "a page read by an earlier process" $((first[ours] - first[plain])) 7300
# Some 80 of them are there so that sqlite3_interrupt ends a wait, and a forked child is told.
bound "a page read before" $((page[ours] - page[plain])) 780
bound "a transaction that looks up a row" $((lookup[ours] - lookup[plain])) 19300
[ $over = 0 ] || fail "$over of 3 took more instructions"
echo "a page costs $((page[ours] - page[plain])) instructions more than plain SQLite's"
