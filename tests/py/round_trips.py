"""What writing costs: requests and bytes, counted on the way to the server. No times, but one that only
makes less of what is counted.
"""

import collections
import contextlib
import subprocess
import time

from harness import EXT, TOKEN, Client, Proxy, Server, check, equal, main, scratch

ROWS = 500
# 27 of them are the User-Agent, without which some fronts refuse requests.
MOST_BYTES_A_COMMIT = 1527


class Counter(Proxy):
    """Counts calls, and the bytes of whole requests."""

    def __init__(self, server):
        super().__init__(server)
        self.start()
        self.fault = self.count_in

    def start(self):
        self.calls, self.bytes = collections.Counter(), collections.Counter()

    def count_in(self, exchange):
        call = f"{exchange.method} {exchange.path}"
        head = f"{exchange.method} {exchange.target} HTTP/1.1\r\n"
        head += "".join(f"{key}: {value}\r\n" for key, value in exchange.headers) + "\r\n"
        with self._lock:
            self.calls[call] += 1
            self.bytes[call] += len(head) + len(exchange.body)
        return False

    def take(self, *but):
        """The calls since the last time, without some."""
        calls = {call: n for call, n in self.calls.items() if call not in but}
        self.start()
        return calls


@contextlib.contextmanager
def counted():
    """A folder, a server, and what counts on the way there."""
    with scratch() as folder, Server(folder) as server, Counter(server) as counter:
        yield folder, server, counter


def shell(folder, counter, sql):
    environment = {
        "LITEFS_CLOUD_HOST": counter.url, "LITEFS_CLOUD_TOKEN": TOKEN, "LITEVFS_CACHE_DIR": str(folder / "cache"),
        "PATH": "/usr/local/bin:/usr/bin:/bin",
    }
    command = ["sqlite3", "-batch", "-bail", "-cmd", f".load {EXT}", "-cmd", ".open file:db?vfs=litevfs"]
    done = subprocess.run(command, input=sql, text=True, capture_output=True, env=environment, check=False)
    check(done.returncode == 0 and not done.stderr, f"sqlite3: {done.returncode} {done.stderr}")
    return done.stdout


def one_row_commits():
    """One request a commit, small ones, whichever way the lease is held."""
    rows = "".join(f"INSERT INTO w (a, b) VALUES ({i}, '{f'x{i}y' * 5}');\n" for i in range(ROWS))
    for lease in ("PRAGMA litevfs_acquire_lease;", "PRAGMA litevfs_auto_lease = on;"):
        with counted() as (folder, _, counter):
            table = "CREATE TABLE w (id INTEGER PRIMARY KEY, a INT, b TEXT);"
            equal("rows", shell(folder, counter, f"{lease}\n{table}\n{rows}SELECT count(*) FROM w;\n").split()[-1],
                  str(ROWS))
            sent = counter.bytes["POST /db/tx"] / (ROWS + 1)
            check(sent <= MOST_BYTES_A_COMMIT, f"{lease} {sent:.0f} bytes a commit")
            # A lease is prolonged by the time, and an automatic one given back where the machine pauses.
            calls = counter.take("POST /lease", "DELETE /lease", "GET /db/open", "GET /db/page")
            equal(f"{lease} pushes", calls.pop("POST /db/tx"), ROWS + 1)
            check(calls.pop("POST /sync", 0) <= 2, f"{lease} polls")
            equal(f"{lease} anything else", calls, {})


def leases():
    """Taking one is one request, as long as nobody else writes."""
    with counted() as (folder, server, counter):
        with Client(counter, folder, db="db") as client, Client(server, folder, db="db") as other:
            client.acquire()
            client.sql("CREATE TABLE t (x)")
            client.sql("PRAGMA litevfs_release_lease")
            counter.take()
            for _ in range(3):
                client.acquire()
                client.sql("PRAGMA litevfs_release_lease")
            equal("taken and given back", counter.take(), {"POST /lease": 3, "DELETE /lease": 3})
            other.acquire()
            other.sql("INSERT INTO t VALUES (1)")
            other.sql("PRAGMA litevfs_release_lease")
            client.acquire()
            calls = counter.take("GET /db/page", "POST /lease")
            equal("after another's commit", calls, {"POST /sync": 1})
            equal("what it wrote", client.one("SELECT x FROM t"), 1)


def pages_that_are_replaced():
    """Nothing is asked about pages that are there; of others all at once, when COMMIT needs to know them."""
    with counted() as (folder, server, counter):
        with Client(server, folder, db="db") as first:
            first.acquire()
            first.sql("CREATE TABLE t (x)")
            first.sql("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)"
                      " INSERT INTO t SELECT randomblob(3000) FROM n")
            first.sql("CREATE TABLE kept AS SELECT * FROM t LIMIT 10")
            first.sql("DROP TABLE t")
        with Client(counter, folder, db="db") as client:
            client.acquire()
            client.sql("SELECT count(x) FROM kept")
            client.sql("UPDATE kept SET x = randomblob(3000)")
            counter.take()
            client.sql("UPDATE kept SET x = randomblob(3000)")
            equal("pages that are there", counter.take("POST /lease"), {"POST /db/tx": 1})
            client.sql("BEGIN IMMEDIATE")
            client.sql("CREATE TABLE u (x)")
            for _ in range(60):
                client.sql("INSERT INTO u VALUES (randomblob(3000))")
            counter.take()
            client.sql("COMMIT")
            equal("free pages used again", counter.take("POST /lease"), {"GET /db/page": 1, "POST /db/tx": 1})


def bytes_that_can_not_be_packed():
    """Go as they are: a transaction is never longer than its pages, but for some bytes."""
    with counted() as (folder, _, counter):
        with Client(counter, folder, db="db") as client:
            client.acquire()
            client.sql("CREATE TABLE t (x)")
            counter.take()
            client.sql("INSERT INTO t VALUES (randomblob(400000))")
            pages = 400_000 // (4096 - 4) + 3
            sent = counter.bytes["POST /db/tx"]
            check(400_000 < sent < pages * 4100 + 1000, f"{sent} bytes for {pages} pages")


def who_does_nothing():
    """A reader asks nothing, and the holder of a lease once a second."""
    with counted() as (folder, _, counter):
        with Client(counter, folder, db="db") as holder:
            holder.acquire()
            holder.sql("CREATE TABLE t (x)")
            with Client(counter, folder, db="db") as reader:
                reader.sql("SELECT * FROM t")
                counter.take()
                began = time.monotonic()
                time.sleep(5)
                calls = counter.take()
                passed = time.monotonic() - began
            check(1 <= calls.pop("POST /lease", 0) <= passed + 1, f"requests in {passed:.1f} s")
            equal("anything else", calls, {})


if __name__ == "__main__":
    main(one_row_commits, leases, pages_that_are_replaced, bytes_that_can_not_be_packed, who_does_nothing)
