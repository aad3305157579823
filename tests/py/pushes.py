"""Pushes that come late, get lost, or are overtaken by another client's, and leases lost to one.

An acknowledged transaction is there once; one that failed for good is not there, however late its
push arrives.
"""

import contextlib
import time

from harness import Client, Proxy, Server, SqlError, check, equal, main, scratch


class Overtaken:
    """A fault: on the first push, lets the client's lease run out and another client commit `sql`.

    The push itself is forwarded before that, or lost; its answer never comes.
    """

    def __init__(self, other, sql, forward):
        self.other, self.sql, self.forward = other, sql, forward
        self.pushed = self.over = False

    def __call__(self, exchange):
        if self.over:
            return False
        if exchange.path == "/lease" and self.pushed:
            exchange.cut()  # it does not get prolonged
        while self.pushed and not self.over:
            time.sleep(0.01)  # whatever the client asks instead of waiting for its answer
        if exchange.path != "/db/tx" or self.pushed:
            return False
        self.pushed = True
        if self.forward:
            exchange.forward()
        write_when_free(self.other, self.sql)
        self.over = True
        exchange.cut()


def write_when_free(client, sql):
    """Waits until the lease is free, writes and gives it back."""
    for _ in range(300):
        with contextlib.suppress(SqlError):
            client.acquire()
            break
        time.sleep(0.05)
    client.sql(sql)
    client.sql("PRAGMA litevfs_release_lease")


def outcome(client, sql):
    """None when the statement succeeds, else all that is told about its failure."""
    try:
        client.sql(sql)
        return None
    except SqlError as error:
        told = f"{error} {client.last_error()}"
    with contextlib.suppress(SqlError):
        client.sql("ROLLBACK")  # some errors leave the transaction open
    return told


def write_within(client, tries, sql):
    """Runs a write that may fail before the connection has its lease and a fresh view again."""
    failures = []
    for _ in range(tries):
        with contextlib.suppress(SqlError):
            client.acquire()
        failure = outcome(client, sql)
        if failure is None:
            return
        failures.append(failure)
    check(False, f"no write in {tries} tries: {failures}")


def late_pushes():
    """The network keeps every push and delivers it when COMMIT has failed: it is refused."""
    for others_too in (False, True):
        kept = []

        def keep(exchange, others_too=others_too, kept=kept):
            if exchange.path == "/db/tx":
                kept.append(exchange)
            elif not (others_too and kept):
                return False
            exchange.cut()

        with scratch() as folder, Server(folder) as server, Proxy(server) as proxy, \
             Client(proxy, folder, folder / "c", "db") as client:
            client.acquire()
            client.sql("CREATE TABLE t (x)")
            position = server.position("db")
            proxy.fault = keep
            failure = outcome(client, "INSERT INTO t VALUES ('late')")
            check(failure is not None and kept, "COMMIT succeeded without a push that arrived")
            for exchange in kept:
                exchange.forward()
            proxy.heal()
            rows = [] if server.position("db") == position else [("late",)]
            check(not rows or "not known" in failure, f"applied after COMMIT had failed with {failure!r}")
            write_within(client, 3, "INSERT INTO t VALUES ('next')")
            equal("rows", client.sql("SELECT x FROM t ORDER BY rowid"), [*rows, ("next",)])
            for exchange in kept:
                exchange.forward()
            with Client(server, folder, folder / "reader", "db") as reader:
                equal("rows for others", reader.sql("SELECT x FROM t ORDER BY rowid"), [*rows, ("next",)])
                equal("integrity", reader.one("PRAGMA integrity_check"), "ok")


def applied_and_overtaken():
    """The push arrives, its answer does not, and another client commits on top: COMMIT succeeds."""
    with scratch() as folder, Server(folder) as server, Proxy(server) as proxy, \
         Client(proxy, folder, folder / "c1", "db") as client, \
         Client(server, folder, folder / "c2", "db") as other:
        client.acquire()
        client.sql("CREATE TABLE t (x)")
        proxy.fault = Overtaken(other, "INSERT INTO t VALUES ('other')", forward=True)
        equal("the failure of COMMIT", outcome(client, "INSERT INTO t VALUES ('mine')"), None)
        proxy.heal()
        rows = [("mine",), ("other",)]
        equal("rows", client.sql("SELECT x FROM t ORDER BY rowid"), rows)
        write_within(client, 3, "INSERT INTO t VALUES ('next')")
        rows.append(("next",))
        equal("rows at the end", client.sql("SELECT x FROM t ORDER BY rowid"), rows)
        client.sql("PRAGMA litevfs_release_lease")
        other.acquire()
        equal("rows for others", other.sql("SELECT x FROM t ORDER BY rowid"), rows)


def lost_and_overtaken_by_the_same():
    """The push is lost, and another client makes the same change to the same base: it counts once."""
    for number in range(3):
        with scratch() as folder, Server(folder) as server, Proxy(server) as proxy, \
             Client(proxy, folder, folder / "c1", "db") as client, \
             Client(server, folder, folder / "c2", "db") as other:
            client.acquire()
            client.sql("CREATE TABLE t (n INTEGER)")
            client.sql("INSERT INTO t VALUES (0)")
            add = "UPDATE t SET n = n + 1"
            proxy.fault = Overtaken(other, add, forward=False)
            added = 1 + (outcome(client, add) is None)
            proxy.heal()
            equal(f"round {number}: n", client.one("SELECT n FROM t"), added)
            write_within(client, 3, add)
            client.sql("PRAGMA litevfs_release_lease")
            other.acquire()
            equal(f"round {number}: n at the end", other.one("SELECT n FROM t"), added + 1)


def exclusive_mode_gets_over_it():
    """locking_mode=exclusive: the lease is lost to another client that writes; then it goes on."""
    for case in ("nothing written", "written before", "in a transaction"):
        with scratch() as folder, Server(folder) as server, Proxy(server) as proxy, \
             Client(proxy, folder, folder / "c1", "db") as client, \
             Client(server, folder, folder / "c2", "db") as other:
            other.acquire()
            other.sql("CREATE TABLE t (x)")
            other.sql("INSERT INTO t VALUES ('first')")
            other.sql("PRAGMA litevfs_release_lease")
            wanted = ["first"]
            client.sql("PRAGMA locking_mode = EXCLUSIVE")
            client.acquire()
            if case == "written before":
                client.sql("INSERT INTO t VALUES ('before')")
                wanted.append("before")
            client.sql("BEGIN IMMEDIATE")
            client.sql("INSERT INTO t VALUES ('mine')" if case == "in a transaction" else "SELECT x FROM t")
            if case != "in a transaction":
                client.sql("COMMIT")
            proxy.break_with(lambda exchange: exchange.cut(), "/lease")
            write_when_free(other, "INSERT INTO t VALUES ('other')")
            wanted.append("other")
            proxy.heal()
            failure = outcome(client, "COMMIT" if case == "in a transaction" else "INSERT INTO t VALUES ('mine')")
            if failure is None:
                wanted.append("mine")
            write_within(client, 3, "INSERT INTO t VALUES ('next')")
            wanted.append("next")
            equal(f"{case}: rows", [x for x, in client.sql("SELECT x FROM t ORDER BY rowid")], wanted)
            with Client(server, folder, folder / "reader", "db") as reader:
                equal(f"{case}: rows for others", [x for x, in reader.sql("SELECT x FROM t ORDER BY rowid")], wanted)
                equal(f"{case}: integrity", reader.one("PRAGMA integrity_check"), "ok")


if __name__ == "__main__":
    main(late_pushes, applied_and_overtaken, lost_and_overtaken_by_the_same, exclusive_mode_gets_over_it,
         at_a_time=4)
