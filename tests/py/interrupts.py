"""What an interrupt ends, and what goes on: as with a plain file, whatever the server was waited for.

SQLite ends a query by itself and leaves the transaction open; of a statement that writes it takes the whole
transaction back. `Program` waits for a server that says nothing; that it ends at all is the proof.
"""

import os
import subprocess
import sys
import threading
import time

from harness import EXT, TOKEN, Client, Proxy, Server, check, equal, main, scratch

PAGES = "/db/page"
ROWS = 2000

# Runs statements, one a line, and says of each how it ended and whether a transaction is open. A lone ! interrupts
# the one that runs.
PROGRAM = """
import os, queue, sqlite3, sys, threading
loader = sqlite3.connect(":memory:")
loader.enable_load_extension(True)
loader.load_extension(os.environ["EXT"])
db = sqlite3.connect(sys.argv[1], uri=True, isolation_level=None, check_same_thread=False)
seen = []
if len(sys.argv) > 2:
    db.set_authorizer(lambda *what: seen.append(what) or sqlite3.SQLITE_OK)
    db.set_trace_callback(lambda sql: seen.append(sql))
lines, ended = queue.Queue(), threading.Event()
def read():
    for line in sys.stdin:
        if line.strip() != "!":
            lines.put(line.strip())
            continue
        while not ended.is_set():
            db.interrupt()
            ended.wait(0.05)
    lines.put("")
threading.Thread(target=read, daemon=True).start()
cursors = []
while line := lines.get():
    ended.clear()
    try:
        if line == "SEEN":
            said = seen
        elif line == "LAST":
            said = db.execute("PRAGMA litevfs_last_error").fetchone()[0]
        elif line == "CLOSE":
            said = cursors.clear()
        elif line.startswith("FIRST "):
            cursors.append(db.execute(line[6:]))
            said = cursors[-1].fetchone()
        else:
            said = db.execute(line).fetchall()
    except sqlite3.Error as error:
        said = str(error)
    ended.set()
    print((said, db.in_transaction), flush=True)
os._exit(0)
"""


class Program:
    """A program that uses one connection."""

    def __init__(self, server, cache, uri="file:db?vfs=litevfs", *options):
        env = os.environ | {"LITEFS_CLOUD_HOST": server.url, "LITEFS_CLOUD_TOKEN": TOKEN, "EXT": str(EXT),
                            "LITEVFS_CACHE_DIR": str(cache)}
        cache.mkdir(exist_ok=True)
        self.process = subprocess.Popen([sys.executable, "-c", PROGRAM, uri, *options], env=env, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def run(self, line):
        """What it came to, and whether a transaction is open."""
        self.say(line)
        return eval(self.process.stdout.readline())

    def interrupted(self, proxy, path, statement, fault=None):
        """The same for a statement that is interrupted when it waits for an answer to `path`."""
        reached = threading.Event()

        def caught(exchange):
            threading.Timer(0.3, reached.set).start()
            (fault or silent)(exchange)

        proxy.break_with(caught, path)
        self.say(statement)
        check(reached.wait(60), f"{path} was not asked for")
        self.say("!")
        said = eval(self.process.stdout.readline())
        proxy.heal()
        return said


def silent(exchange):
    exchange.wait_for_client_to_leave()


def fill(server, folder, name="db", rows=ROWS):
    with Client(server, folder, folder / "writer", name) as client:
        client.acquire()
        client.sql("CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB)")
        client.sql("CREATE TABLE small (id INTEGER PRIMARY KEY, x)")
        client.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
                   "INSERT INTO t SELECT i, randomblob(1000) FROM n", (rows,))
        client.sql("PRAGMA litevfs_release_lease")


def a_query_in_a_transaction():
    """It ends as interrupted, the transaction stays open, and COMMIT commits what was written before it."""
    with scratch() as folder, Server(folder) as server, Proxy(server) as proxy:
        fill(server, folder)
        with Program(proxy, folder / "cache") as program:
            for line in ("PRAGMA litevfs_auto_lease = 1", "BEGIN IMMEDIATE", "INSERT INTO small VALUES (1, 'kept')"):
                program.run(line)
            for _ in range(2):
                equal("the query", program.interrupted(proxy, PAGES, "SELECT sum(length(x)) FROM t"),
                      ("interrupted", True))
            equal("what it wrote", program.run("SELECT x FROM small"), ([("kept",)], True))
            program.run("INSERT INTO small VALUES (2, 'later')")
            equal("the query again", program.run("SELECT sum(length(x)) FROM t"), ([(1000 * ROWS,)], True))
            equal("COMMIT", program.run("COMMIT"), ([], False))
        with Client(server, folder, folder / "reader", "db") as reader:
            equal("rows", reader.sql("SELECT x FROM small"), [("kept",), ("later",)])
            equal("integrity", reader.one("PRAGMA integrity_check"), "ok")


def a_statement_that_writes():
    """It takes the transaction with it: nothing of that gets to the server, and the next one works."""
    write = "INSERT INTO small SELECT id + 10, length(x) FROM t"
    with scratch() as folder, Server(folder) as server, Proxy(server) as proxy:
        fill(server, folder)
        with Program(proxy, folder / "cache") as program:
            for line in ("PRAGMA litevfs_auto_lease = 1", "PRAGMA cache_size = 10", "BEGIN IMMEDIATE",
                         "INSERT INTO small VALUES (1, 'gone')"):
                program.run(line)
            equal("the statement", program.interrupted(proxy, PAGES, write), ("interrupted", False))
            equal("COMMIT", program.run("COMMIT")[0], "cannot commit - no transaction is active")
            equal("rows here", program.run("SELECT x FROM small"), ([], False))
            equal("the next one", program.run("INSERT INTO small VALUES (2, 'next')"), ([], False))
        with Client(server, folder, folder / "reader", "db") as reader:
            equal("rows", reader.sql("SELECT x FROM small"), [("next",)])


def a_rollback_to_a_savepoint():
    """What SQLite has to read for it is no query: ending it half done, it would be committed so."""
    with scratch() as folder, Server(folder) as server, Proxy(server) as proxy:
        fill(server, folder, rows=10)
        with Client(server, folder, folder / "writer", "db") as client:
            client.acquire()
            # To keep the place of a cursor in such a table SQLite reads the whole key.
            client.sql("CREATE TABLE wide (k TEXT PRIMARY KEY, v) WITHOUT ROWID")
            client.sql("INSERT INTO wide VALUES (hex(zeroblob(40000)), 1), (hex(randomblob(40000)), 2)")
            client.sql("PRAGMA litevfs_release_lease")
        with Program(proxy, folder / "cache") as program:
            for line in ("PRAGMA litevfs_auto_lease = 1", "PRAGMA litevfs_max_prefetch_pages = 0",
                         "BEGIN IMMEDIATE", "INSERT INTO small VALUES (1, 'before')", "SAVEPOINT s",
                         "INSERT INTO small VALUES (2, 'after')", "FIRST SELECT 1 FROM wide"):
                program.run(line)
            said = program.interrupted(proxy, PAGES, "ROLLBACK TO s")
            equal("ROLLBACK TO", said, ("disk I/O error", False))
            program.run("CLOSE")
            equal("rows", program.run("SELECT x FROM small"), ([], False))


def granted_but_silent(exchange):
    exchange.forward()
    silent(exchange)


def a_request_for_the_lease():
    """What was granted to a request that was interrupted keeps nobody out: it is asked for by its name."""
    with scratch() as folder, Server(folder) as server, Proxy(server) as proxy:
        fill(server, folder, rows=1)
        with Program(proxy, folder / "cache") as program:
            for line in ("PRAGMA litevfs_auto_lease = 1", "PRAGMA busy_timeout = 0", "SELECT * FROM small"):
                program.run(line)
            for n, (duration, pause_s) in enumerate((("1m", 0), ("300ms", 0.6))):
                program.run("PRAGMA litevfs_acquire_lease")
                program.run("PRAGMA litevfs_release_lease")
                equal("the duration", program.run(f"PRAGMA litevfs_lease_duration = '{duration}'"), ([], False))
                write = f"INSERT INTO small VALUES ({n}, 'x')"
                said = program.interrupted(proxy, "/lease", write, granted_but_silent)
                equal("the statement", said, ("interrupted", False))
                time.sleep(pause_s)
                equal("the same again", program.run(write), ([], False))


def a_commit_over_several():
    """It ends soon after, with and without a super-journal, and says that the outcome is not known: it may be either."""
    for main_uri, where in (("file:db?vfs=litevfs", "main"), (":memory:", "one")):
        for fault in (silent, granted_but_silent):
            with scratch() as folder, Server(folder) as server, Proxy(server) as proxy:
                fill(server, folder, rows=1)
                fill(server, folder, "other", rows=1)
                with Program(proxy, folder / "cache", main_uri) as program:
                    if where == "one":
                        program.run("ATTACH 'file:db?vfs=litevfs' AS one")
                    for line in ("ATTACH 'file:other?vfs=litevfs' AS two", f"PRAGMA {where}.litevfs_auto_lease = 1",
                                 "PRAGMA two.litevfs_auto_lease = 1", "BEGIN",
                                 f"INSERT INTO {where}.small VALUES (1, 'x')", "INSERT INTO two.small VALUES (1, 'x')"):
                        equal(line, program.run(line)[0], [])
                    equal("COMMIT", program.interrupted(proxy, "/db/group", "COMMIT", fault), ("disk I/O error", False))
                    said = program.run(f"PRAGMA {where}.litevfs_last_error")[0][0][0]
                    check("interrupted" in said and "not known" in said, said)
                    rows = [program.run(f"SELECT count(*) FROM {of}.small")[0] for of in (where, "two")]
                    equal("rows", rows, [[(int(fault is not silent),)]] * 2)


def nobody_else_hears_of_it():
    """Whether there was an interrupt is found out without the program's authorizer and trace, which are for its SQL."""
    with scratch() as folder, Server(folder) as server, Proxy(server) as proxy:
        fill(server, folder)
        query = "SELECT sum(length(x)) FROM t"
        for path in ("/db/open", PAGES):
            with Program(proxy, folder / f"cache{len(path)}", "file:db?vfs=litevfs", "watched") as program:
                equal("the query", program.interrupted(proxy, path, query), ("interrupted", False))
                seen, _ = program.run("SEEN")
                statements = [what for what in seen if isinstance(what, str)]
                equal("statements", set(statements) - {query}, set())
                # SQLITE_SELECT, of which the query has one.
                check(sum(what[0] == 21 for what in seen if not isinstance(what, str)) <= 1, seen)


if __name__ == "__main__":
    main(
        a_query_in_a_transaction,
        a_statement_that_writes,
        a_rollback_to_a_savepoint,
        a_request_for_the_lease,
        a_commit_over_several,
        nobody_else_hears_of_it,
    )
