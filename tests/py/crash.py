"""kill -9 of the client and of the server at random moments: no acknowledged commit is lost, none is half.

A writer process adds transactions n = 1, 2, 3, ... and says n after each acknowledged COMMIT. Each
transaction has several rows, over several pages, all marked n, with a checksum of its payload, and
it deletes and rewrites older pages. After each kill the database is read twice, through the cache
folder that all rounds share and through an empty one: every acknowledged n is there, whole, at most
one more, and the database is intact.

ROUNDS=N kills each N times (default 100). A round is reproducible in what is written, not in time.
"""

import os
import random
import time
import zlib

from harness import Client, Server, SqlError, check, each, equal, main, scratch
from harness.kills import killed, restarted

ROUNDS = int(os.environ.get("ROUNDS") or 100)
ROWS = 4  # rows a transaction


def payload(n, row):
    """Different for every transaction and row, larger than a page for some rows."""
    r = random.Random(n * 100 + row)
    return r.randbytes(r.choice((10, 500, 3000, 9000)))


class Writer:
    """Adds transactions through one client process, until it is killed or told to stop."""

    def __init__(self, client):
        self.client = client
        self.client.sql("PRAGMA cache_size = 4")  # pages leave SQLite's cache before the COMMIT

    def prepare(self):
        self.client.sql("PRAGMA litevfs_lease_duration = '1s'")  # so long the next one waits when it is killed
        self.client.acquire()
        self.client.sql("CREATE TABLE IF NOT EXISTS t (n INTEGER, row INTEGER, crc INTEGER, x BLOB)")
        self.client.sql("CREATE INDEX IF NOT EXISTS t_n ON t (n)")
        # The sum over all transactions, rewritten by each: a page every transaction replaces.
        self.client.sql("CREATE TABLE IF NOT EXISTS total (one INTEGER PRIMARY KEY, n INTEGER, sum INTEGER)")
        self.client.sql("INSERT OR IGNORE INTO total VALUES (1, 0, 0)")

    def newest(self):
        return self.client.one("SELECT n FROM total")

    def add(self, n):
        sql = self.client.sql
        sql("BEGIN IMMEDIATE")
        for row in range(ROWS):
            x = payload(n, row)
            sql("INSERT INTO t VALUES (?, ?, ?, ?)", (n, row, zlib.crc32(x), x))
        # Older rows shrink to nothing, so that pages are freed and used again.
        sql("UPDATE t SET x = x'', crc = 0 WHERE n = ?", (n - 20,))
        sql("UPDATE total SET n = ?, sum = sum + ?", (n, n))
        sql("COMMIT")

    def give_up(self):
        try:
            self.client.sql("ROLLBACK")
        except SqlError:
            pass  # SQLite has rolled back by itself


def verify(client, acknowledged, what):
    """Checks the whole database and returns its newest transaction."""
    newest, total = client.sql("SELECT n, sum FROM total")[0]
    check(acknowledged <= newest <= acknowledged + 1,
          f"{what}: {acknowledged} was acknowledged, the newest is {newest}")
    equal(f"{what}: the sum", total, newest * (newest + 1) // 2)
    counts = client.sql("SELECT n, count(*), count(DISTINCT row) FROM t GROUP BY n ORDER BY n")
    equal(f"{what}: transactions", counts, [(n, ROWS, ROWS) for n in range(1, newest + 1)])
    for n, row, crc, x in client.sql("SELECT n, row, crc, x FROM t"):
        wanted = b"" if n <= newest - 20 else payload(n, row)
        check(x == wanted and crc == (zlib.crc32(wanted) if wanted else 0), f"{what}: row {row} of {n} is torn")
    equal(f"{what}: integrity_check", client.sql("PRAGMA integrity_check"), [("ok",)])
    return newest


def verify_both(server, folder, acknowledged, what, db="db"):
    """Through the shared cache folder and through an empty one; both must agree."""
    def newest_in(cache, kind):
        with Client(server, folder, folder / cache, db) as client:
            return verify(client, acknowledged, f"{what}, {kind}")

    newest = newest_in("cache", "used cache")
    other = newest_in(f"empty-{db}-{what.replace(' ', '-')}", "empty cache")
    if other != newest:
        # What the killed client had sent may have been on its way until now.
        newest = newest_in("cache", "used cache again")
    equal(f"{what}: the two readers' newest", other, newest)
    return newest


def wait_for_lease(writer):
    """The killed client's lease runs out by itself; nothing else gives it back."""
    for _ in range(300):
        try:
            writer.prepare()
            return
        except SqlError as error:
            if "lease" not in f"{error} {writer.client.last_error()}".lower():
                raise
            time.sleep(0.1)
    raise AssertionError("the killed client's lease never ran out")


def kill_client():
    """The client dies at a random moment of its work: of two with one cache, for each waits for a lease to run out."""
    commits = [0, 0]
    with scratch() as folder, Server(folder) as server:
        def kill_writers_of(n):
            rng = random.Random(n)
            acknowledged, db = 0, f"db{n}"
            for i in range(n, ROUNDS, len(commits)):
                client = Client(server, folder, folder / "cache", db)
                writer = Writer(client)
                wait_for_lease(writer)
                acknowledged = writer.newest()
                with killed(client, rng.uniform(0, 0.15)):
                    while True:
                        writer.add(acknowledged + 1)
                        acknowledged += 1
                acknowledged = verify_both(server, folder, acknowledged, f"round {i}", db)
            commits[n] = acknowledged

        each(range(len(commits)), kill_writers_of)
        print(f"{ROUNDS} kills of the client, {sum(commits)} commits", flush=True)
        check(sum(commits) >= ROUNDS // 2, "too few commits for a meaningful test")


def kill_server():
    """The server dies and comes back on the same data and port; the client tries again."""
    rng = random.Random(2)
    with scratch() as folder, Server(folder) as server:
        client = Client(server, folder, folder / "cache", "db")
        writer = Writer(client)
        wait_for_lease(writer)
        acknowledged = 0
        retried = 0
        for i in range(ROUNDS):
            with restarted(server, rng.uniform(0, 0.15), rng.uniform(0, 0.1)) as back:
                while not back.is_set():
                    try:
                        writer.add(acknowledged + 1)
                        acknowledged += 1
                    except SqlError:
                        retried += 1
                        writer.give_up()
                        time.sleep(0.02)
                        acknowledged = applied(writer, acknowledged)
            wait_for_lease(writer)
            # The writer itself goes on: what it sees is what it acknowledged.
            acknowledged = verify(client, applied(writer, acknowledged), f"round {i}, writer")
            if i % 5 == 4 or i == ROUNDS - 1:
                with Client(server, folder, folder / f"empty-{i}", "db") as reader:
                    equal("the reader's newest", verify(reader, acknowledged, f"round {i}, empty cache"), acknowledged)
        client.close()
        verify_both(server, folder, acknowledged, "at the end")
        print(f"{ROUNDS} kills of the server, {acknowledged} commits, {retried} failed statements", flush=True)
        check(acknowledged >= ROUNDS // 2, "too few commits for a meaningful test")


def applied(writer, acknowledged):
    """After a COMMIT that failed: was it applied? One more than acknowledged at most."""
    for _ in range(200):
        try:
            writer.client.acquire()
            newest = writer.newest()
        except SqlError:
            time.sleep(0.05)
            continue
        check(acknowledged <= newest <= acknowledged + 1,
              f"{acknowledged} was acknowledged, the newest is {newest}")
        return newest
    raise AssertionError(f"the server is back, but: {writer.client.last_error()}")


if __name__ == "__main__":
    main(kill_client, kill_server, at_a_time=2)
