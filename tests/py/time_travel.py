"""Databases opened as they were: each point of a history, by transaction and by time, beside the present.

POINTS=N random points (default 25; full is 100).
"""

import bisect
import datetime
import os
import urllib.parse

from harness import COMPACT, Client, Proxy, Server, SqlError, check, equal, main, scratch
from harness.checks import content_of
from harness.history import History, now_ms, rfc3339, txid_of

POINTS = int(os.environ.get("POINTS") or 25)
TRANSACTIONS = 200
KEEP_ALL = ("--level0-keep", "1h")


def then(**moment):
    """The end of a URI that means a moment."""
    return "".join(f"&{name}={urllib.parse.quote(str(value))}" for name, value in moment.items())


def each_transaction():
    """A transaction's id, in hex or decimal, opens exactly the database that it left."""
    with scratch() as folder, Server(folder, options=KEEP_ALL) as server:
        history = History(server.url, "db", 11, TRANSACTIONS)
        with Client(server, folder, folder / "cache", "db") as client:
            for number, i in enumerate(history.random_points(POINTS)):
                txid = txid_of(i) if number % 2 else i + 1
                client.open("db", "past", then(txid=txid))
                equal(f"the content after transaction {txid}", client.content("past"),
                      content_of(history.copies[i].image))
                if number % 5 == 0:
                    history.commit()
                    client.sql("PRAGMA litevfs_cache_sync_period = '1ms'")
                    equal("the present", client.content(), content_of(history.now.image))
            client.close_db("past")
            kept = [path.name for path in (folder / "cache").iterdir()]
            equal(f"files kept of all that: {kept}", len(kept), 2)
            newest = len(history.copies)
            for txid in (0, newest + 1, "f" * 16):
                client.not_opened("db", then(txid=txid), "db: txid=", "ENOTXID", "held")
            client.not_opened("db", then(txid=newest + 1), txid_of(newest - 1))
            for txid in ("", "x", "-1", "+1", "1.5", "0x10", "1" * 15 + "g", "9" * 30):
                client.not_opened("db", then(txid=txid), "URI parameter txid")
            client.not_opened("db", then(txid=1, timestamp="now"), "URI parameter txid")
            client.not_opened("none", then(txid=1), "ENODB")


def each_moment():
    """A time, in every form, opens the database of the last transaction not after it."""
    with scratch() as folder, Server(folder, options=KEEP_ALL) as server:
        history = History(server.url, "db", 12, TRANSACTIONS // 4, pause_s=0.003)
        times = [ms for _, ms in history.points()]
        east = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
        with Client(server, folder, folder / "cache") as client:
            for number in range(POINTS):
                at = history.rng.randint(times[0], times[-1] + 5)
                i = bisect.bisect_right(times, at) - 1
                local = datetime.datetime.fromtimestamp(at // 1000, east)
                text = (rfc3339(at), rfc3339(at).lower().replace("z", "+00:00"),
                        f"{local:%Y-%m-%dT%H:%M:%S}.{at % 1000:03}+05:30")[number % 3]
                client.open("db", "past", then(timestamp=text))
                equal(f"the content at {text}", client.content("past"), content_of(history.copies[i].image))
            for text in ("now", "0 seconds ago", "9999-12-31T23:59:59Z"):
                client.open("db", "past", then(timestamp=text))
                equal(f"the content of {text}", client.content("past"), content_of(history.now.image))
            client.not_opened("db", then(timestamp=rfc3339(times[0] - 1)), "ENOTIMESTAMP", txid_of(0))
            client.not_opened("db", then(timestamp="10 minutes ago"), "ENOTIMESTAMP", txid_of(0))
            client.not_opened("db", then(timestamp="2 days ago"), "ENOTIMESTAMP", txid_of(0))
            for text in ("yesterday", "5 minutes", "2026-01-31", "2026-13-01T00:00:00Z", "x ago"):
                client.not_opened("db", then(timestamp=text), f"timestamp={text}", "5 minutes ago")
            client.not_opened("db", then(timestamp=""), "URI parameter timestamp")


def so_long_ago():
    """"N milliseconds ago" is a moment of its own each time, also with a shared cache."""
    with scratch() as folder, Server(folder, options=KEEP_ALL) as server:
        history = History(server.url, "db", 13, 3)
        with Client(server, folder, folder / "cache") as client:
            client.open("db", "first", then(timestamp="1ms ago") + "&cache=shared")
            first = client.content("first")
            history.commit()
            before = now_ms()
            while now_ms() < before + 3:
                pass
            client.open("db", "second", then(timestamp="1ms ago") + "&cache=shared")
            equal("the second", client.content("second"), content_of(history.now.image))
            equal("the first, again", client.content("first"), first)


def beside_the_present():
    """A past attached to the present: what changed is a query. It never moves, and it can't be written."""
    with scratch() as folder, Server(folder, options=KEEP_ALL) as server, Proxy(server) as proxy:
        with Client(proxy, folder, folder / "cache", "db") as client:
            client.acquire()
            client.sql("PRAGMA litevfs_cache_sync_period = '1ms'")
            client.sql("CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
            for n in range(1, 6):
                client.sql("INSERT INTO t VALUES (?, ?)", (n, f"row {n}"))
            client.sql("ATTACH 'file:db?vfs=litevfs&txid=4' AS past")
            for _ in range(2):
                equal("what was added", client.sql("SELECT id FROM t EXCEPT SELECT id FROM past.t"), [(4,), (5,)])
                client.sql("UPDATE t SET x = 'changed' WHERE id = 2")
                changed = "SELECT now.id, was.x, now.x FROM t AS now JOIN past.t AS was USING (id) WHERE now.x <> was.x"
                equal("what was changed", client.sql(changed), [(2, "row 2", "changed")])
            names = {name: path for _, name, path in client.sql("PRAGMA database_list")}
            check(names["main"] == "db" and names["past"].startswith("db@"), names)
            for sql in ("INSERT INTO past.t VALUES (9, 9)", "DROP TABLE past.t", "CREATE TABLE past.u (x)",
                        "PRAGMA past.user_version = 3"):
                equal(sql, client.error(sql).primary, 8)
            check("read-only" in client.error("PRAGMA past.litevfs_acquire_lease").args[0], "a lease for a past")
            # Neither is in the way of writing to the other, in one transaction.
            for sql in ("BEGIN IMMEDIATE", "INSERT INTO t SELECT id + 100, x FROM past.t", "COMMIT"):
                client.sql(sql)
            equal("the past's rows, twice", client.one("SELECT count(*) FROM t WHERE id > 100"), 3)

        with Client(proxy, folder, folder / "other") as client:
            client.open("db", "past", then(txid=4))
            equal("the rows", client.one("SELECT count(*) FROM t", name="past"), 3)
            asked = len(proxy.requests)
            client.sql("PRAGMA litevfs_cache_sync_period = '1ms'", name="past")
            client.sql("PRAGMA litevfs_cache_db", name="past")
            server.kill()
            equal("the rows, without the server", client.one("SELECT sum(id) FROM t", name="past"), 6)
            status = client.one("PRAGMA litevfs_status", name="past")
            check("position: 0000000000000004/" in status and "read-only: a past" in status, status)
            equal("the functions", client.sql("SELECT litevfs_txid(), litevfs_lag_ms()", name="past"), [(4, None)])
            client.sql("PRAGMA litevfs_max_staleness = '1ms'", name="past")
            equal("rows, however old", client.one("SELECT count(*) FROM t", name="past"), 3)
            equal("requests since", [path for _, path in proxy.requests[asked:] if path != "/db/page"], [])
            equal("writing", client.error("DELETE FROM t", name="past").primary, 8)
            check("past" in client.last_error("past"), f"why not: {client.last_error('past')!r}")


def after_compaction():
    """While files are merged and dropped a past is exact, or the error says that it is gone and what is near."""
    with scratch() as folder, Server(folder, options=COMPACT) as server:
        history = History(server.url, "db", 14, TRANSACTIONS // 2, pause_s=0.05)
        held = refused = 0
        with Client(server, folder, folder / "cache") as client:
            for i in history.random_points(POINTS) + [i for i, _ in history.points()][-5:]:
                try:
                    client.open("db", "past", then(txid=txid_of(i)))
                    content = client.content("past")
                except SqlError as error:
                    refused += 1
                    said = client.log.read_text()
                    check("ENOTXID" in said or "no longer holds" in said, f"{error}: {said}")
                else:
                    held += 1
                    equal(f"the content after {i + 1}", content, content_of(history.copies[i].image))
            client.not_opened("db", then(txid=1), "ENOTXID", "the oldest held is")
            # A past whose files go away while it is open: what was read stays, the rest is an error.
            history.commit()
            newest = len(history.copies) - 1
            client.open("db", "bound", then(txid=txid_of(newest)))
            client.sql("PRAGMA litevfs_max_prefetch_pages = 0", name="bound")
            equal("tables", client.one("SELECT count(*) FROM sqlite_schema", name="bound"), 1)
            deadline = now_ms() + 120_000
            while newest in [i for i, _ in history.points()]:
                check(now_ms() < deadline, "nothing is merged")
                history.commit()
            try:
                equal("the content", client.content("bound"), content_of(history.copies[newest].image))
            except SqlError as error:
                equal("the code", error.primary, 10)
                said = client.log.read_text()
                check("db: the server no longer holds" in said, said)
                lines = said.count("no longer holds the position")
                for n in range(5):
                    client.error("SELECT * FROM t", name="bound")
                equal("lines for what stays so", client.log.read_text().count("no longer holds the position"), lines)
        print(f"{held} held, {refused} gone", flush=True)
        check(held > 0, "nothing of the past was held")


if __name__ == "__main__":
    main(each_transaction, each_moment, so_long_ago, beside_the_present, after_compaction)
