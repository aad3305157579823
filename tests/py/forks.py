"""fork(): the child has what its parent had open, and the two must not get in each other's way."""

import subprocess
import sys

from harness import EXT, TOKEN, Client, Server, check, equal, main, scratch

ROWS = 2000
# Each program names its databases in the environment; what a child prints comes before it ends.
START = """
import os, random, sqlite3, sys, traceback

def connect(name):
    db = sqlite3.connect(f"file:{name}?vfs=litevfs", uri=True, isolation_level=None, timeout=0)
    db.execute("PRAGMA litevfs_max_reqs_per_query = 0").fetchall()
    db.execute("PRAGMA cache_size = 5")  # reads come from the cache folder, not from SQLite's memory
    return db

def forked(work):
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)

def joined(pid):
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status:
        sys.exit(f"a child ended with {status}")

db = sqlite3.connect(":memory:")
db.enable_load_extension(True)
db.load_extension(os.environ["EXT"])
db.close()
"""

READ_AND_WRITE = START + """
def work(db, seed, writes_to):
    rng = random.Random(seed)
    own = connect(writes_to)
    own.execute("PRAGMA litevfs_acquire_lease").fetchall()
    own.execute("CREATE TABLE own (n, x)")
    for n in range(400):
        start = rng.randrange(ROWS)
        wrong = db.execute("SELECT id FROM t JOIN twin USING (id) WHERE id BETWEEN ? AND ? AND hex(x) <> y",
                           (start, start + rng.randrange(50))).fetchall()
        if wrong:
            sys.exit(f"{writes_to}: rows {wrong} differ from their twins")
        if n % 10:
            continue
        own.execute("INSERT INTO own VALUES (?, randomblob(3000))", (n,))
        rows = own.execute("SELECT count(*), max(n) FROM own").fetchone()
        if rows != (n // 10 + 1, n):
            sys.exit(f"{writes_to}: {rows} at row {n}")
    if own.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
        sys.exit(f"{writes_to}: not intact")
    own.close()

parent = connect("db")
parent.execute("SELECT count(*) FROM t WHERE id < 5").fetchall()
children = [forked(lambda: work(connect("db"), n, f"child{n}")) for n in range(2)]
work(parent, 99, "parent")
for child in children:
    joined(child)
print("done")
""".replace("ROWS", str(ROWS))

CLOSES_WHAT_IT_INHERITED = START + """
parent = connect("db")
parent.execute("PRAGMA litevfs_acquire_lease").fetchall()
parent.execute("INSERT INTO t VALUES (5000, 'before')")
joined(forked(parent.close))
print("forked", flush=True)
sys.stdin.readline()
parent.execute("INSERT INTO t VALUES (5001, 'after')")
print("written", flush=True)
sys.stdin.readline()
parent.close()
"""

USES_WHAT_IT_INHERITED = START + """
def refused(db, sql):
    try:
        rows = db.execute(sql).fetchall()
    except sqlite3.OperationalError:
        why, = db.execute("PRAGMA litevfs_last_error").fetchone()
        if "fork()" in why:
            return
        sys.exit(f"{sql}: {why}")
    sys.exit(f"{sql}: {rows}")

def child():
    for db in parents:
        refused(db, "SELECT count(*) FROM t WHERE x < 'a'")
        refused(db, "INSERT INTO t VALUES (7000, 'child')")
        refused(db, "PRAGMA litevfs_release_lease")
        # Nothing is known, and no lock waited for that a thread of the parent had.
        told = db.execute("SELECT litevfs_txid(), litevfs_pos(), litevfs_lag_ms()").fetchone()
        if told != (None,) * 3:
            sys.exit(f"the functions tell {told}")
    refused(writing, "COMMIT")
    own = connect("db")
    if own.execute("SELECT count(*) FROM t").fetchone() != (ROWS,):
        sys.exit("the child's own connection reads something else")

writing, reading, idle = parents = [connect("db") for _ in range(3)]
for db in parents:
    db.execute("SELECT count(*) FROM t WHERE id < 5").fetchall()
writing.execute("PRAGMA litevfs_acquire_lease").fetchall()
writing.execute("BEGIN IMMEDIATE")
writing.execute("INSERT INTO t VALUES (6000, 'parent')")
reading.execute("BEGIN")
reading.execute("SELECT count(*) FROM t WHERE id < 5").fetchall()
joined(forked(child))
writing.execute("COMMIT")
for db in parents:
    print(db.execute("SELECT count(*) FROM t").fetchone()[0] - ROWS)
""".replace("ROWS", str(ROWS))


def start(program, server, cache):
    env = {"EXT": EXT, "LITEFS_CLOUD_HOST": server.url, "LITEFS_CLOUD_TOKEN": TOKEN, "PATH": "/usr/bin:/bin",
           "LITEVFS_CACHE_DIR": str(cache)}
    return subprocess.Popen([sys.executable, "-B", "-c", program], cwd=cache.parent, env=env, text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def setup(server, folder):
    with Client(server, folder, folder / "setup", "db") as client:
        client.acquire()
        client.sql("CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB)")
        client.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
                   "INSERT INTO t SELECT i, randomblob(300) FROM n", (ROWS,))
        client.sql("CREATE TABLE twin (id INTEGER PRIMARY KEY, y TEXT)")
        client.sql("INSERT INTO twin SELECT id, hex(x) FROM t")


def parent_and_children_read_and_write():
    """Children open their own connections while the parent has one, all on one cache folder."""
    with scratch() as folder, Server(folder) as server:
        setup(server, folder)
        (folder / "cache").mkdir()
        process = start(READ_AND_WRITE, server, folder / "cache")
        try:
            out, _ = process.communicate(timeout=180)
        finally:
            process.kill()
        equal("the program", (out, process.returncode), ("done\n", 0))
        for name in ("parent", "child0", "child1"):
            with Client(server, folder, folder / f"look-{name}", name) as reader:
                equal(f"{name}: rows", reader.sql("SELECT count(*), sum(length(x)) FROM own"), [(40, 120_000)])
                equal(f"{name}: integrity", reader.one("PRAGMA integrity_check"), "ok")


def child_closes_what_it_inherited():
    """The parent's lease stays the parent's."""
    with scratch() as folder, Server(folder) as server:
        setup(server, folder)
        (folder / "cache").mkdir()
        process = start(CLOSES_WHAT_IT_INHERITED, server, folder / "cache")
        try:
            equal("the program", process.stdout.readline(), "forked\n")
            with Client(server, folder, folder / "other", "db") as other:
                error = other.error("PRAGMA litevfs_acquire_lease")
                check("lease" in f"{error} {other.last_error()}".lower(), f"the error names no lease: {error}")
                process.stdin.write("\n")
                process.stdin.flush()
                equal("the program", process.stdout.readline(), "written\n")
                other.error("PRAGMA litevfs_acquire_lease")
            out, _ = process.communicate("\n", timeout=60)
            equal("the program's end", (out, process.returncode), ("", 0))
        finally:
            process.kill()
        with Client(server, folder, folder / "reader", "db") as reader:
            equal("rows", reader.sql("SELECT id FROM t WHERE id >= 5000"), [(5000,), (5001,)])


def child_uses_what_it_inherited():
    """In and out of a transaction that is an error that names fork(), and the parent notices nothing."""
    with scratch() as folder, Server(folder) as server:
        setup(server, folder)
        process = start(USES_WHAT_IT_INHERITED, server, folder / "cache")
        try:
            out, _ = process.communicate(timeout=180)
        finally:
            process.kill()
        said = [line for line in out.splitlines() if not line.startswith("[")]
        equal("the parent's rows more", (said, process.returncode), (["1", "0", "1"], 0))
        check(out.count("fork()") <= 6, f"a line for each call: {out}")


if __name__ == "__main__":
    main(parent_and_children_read_and_write, child_closes_what_it_inherited, child_uses_what_it_inherited)
