#!/usr/bin/env python3
"""usage: tests/py/seeing.py [TEST...]

What people can see of what happens, against what a proxy between client and server saw: litevfs_stats,
litevfs_status, the functions; and litevfs_max_staleness, with which a read fails rather than answer with
something too old. Nothing here asserts how long anything takes; waits end with what they wait for.
"""

import re
import time

from harness import TOKEN, Client, Proxy, Server, SqlError, check, equal, main, scratch, until
from harness.kills import frozen

IOERR_OLD = 10 | 0x4F4C44 << 8
ROWS = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < {}) "


def stats(client, columns, schema="main", name="main"):
    return client.sql(f"SELECT {columns} FROM litevfs_stats WHERE schema = ?", (schema,), name)[0]


def position(server, db="db"):
    """The database's position as the server gives it, in the form that functions and columns have."""
    pos = server.position(db)
    return f"{pos['txid']}/{pos['postApplyChecksum']}"


def fill(server, folder, db="db", rows=2000):
    """A database at the server, made by a process of its own."""
    with Client(server, folder, db=db) as client:
        client.acquire()
        client.sql("CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB)")
        client.sql(ROWS.format(rows) + "INSERT INTO t SELECT i, randomblob(300) FROM n")


def add_row(server, folder, db="db"):
    with Client(server, folder, db=db) as client:
        client.acquire()
        client.sql("INSERT INTO t (b) VALUES (x'00')")


def wait_until_older(client, ms, name="main"):
    until(f"lag of {ms} ms", lambda: client.one("SELECT litevfs_lag_ms()", name=name) > ms)


def numbers_are_what_the_network_saw():
    with scratch() as folder, Server(folder) as server, Proxy(server) as proxy:
        with Client(proxy, folder, db="db") as client:
            client.acquire()
            client.sql("CREATE TABLE t (a INTEGER PRIMARY KEY, b BLOB)")
            client.sql(ROWS.format(500) + "INSERT INTO t SELECT i, randomblob(300) FROM n")
            for _ in range(20):
                client.sql("UPDATE t SET b = randomblob(300) WHERE a % 50 = abs(random()) % 50")
            client.sql("PRAGMA litevfs_release_lease")

            def compare(client):
                counted = "requests, bytes_out, bytes_in"
                totals = "server_requests, server_bytes_out, server_bytes_in"
                seen = (proxy.count(), proxy.bytes_out, proxy.bytes_in)
                return stats(client, counted) == seen == stats(client, totals)

            # The thread that prolongs the lease may have one request under way.
            until("numbers of a writer", lambda: compare(client))
            check(stats(client, "bytes_out")[0] > 150_000, "what was written went out")
            client.close()
            before = (proxy.count(), proxy.bytes_out, proxy.bytes_in)
            proxy.requests.clear()
            proxy.bytes_out = proxy.bytes_in = 0
            with Client(proxy, folder, db="db") as reader:
                reader.sql("SELECT sum(length(b)) FROM t")
                check(compare(reader), f"numbers of a reader, after {before}")
                check(reader.one("SELECT bytes_in FROM litevfs_stats") > 150_000, "what was read came in")


def a_poll_counts_for_each_database_and_once_for_the_server():
    with scratch() as folder, Server(folder) as server, Proxy(server) as proxy:
        for db in ("a", "b"):
            fill(server, folder, db, 10)
        with Client(proxy, folder, db="a") as client:
            client.sql("ATTACH 'file:b?vfs=litevfs' AS b")
            for sql in ("SELECT count(*) FROM main.t", "SELECT count(*) FROM b.t"):
                client.sql(sql)
            for schema in ("main", "b"):
                client.sql(f"PRAGMA {schema}.litevfs_cache_sync_period = 0")

            def requests():
                return (*stats(client, "requests, server_requests"), *stats(client, "requests", "b"))

            before = requests()
            check(before[0] < before[1] > before[2], f"each has requests of its own: {before}")
            client.sql("PRAGMA litevfs_cache_sync_period = '1ms'")
            for _ in range(5):
                time.sleep(0.002)
                client.sql("SELECT count(*) FROM main.t")
            client.sql("PRAGMA litevfs_cache_sync_period = 0")
            equal("requests", requests(), tuple(n + 5 for n in before))
            equal("all of them", before[1] + 5, proxy.count())


def hits_and_misses_are_the_pages_that_were_read():
    with scratch() as folder, Server(folder) as server, Proxy(server) as proxy:
        fill(server, folder)
        with Client(proxy, folder, db="db") as client:
            client.sql("SELECT sum(length(b)) FROM t")
            columns = "cache_misses, pages_fetched, pages_prefetched, cached_pages, page_count, cache_hits"
            misses, fetched, prefetched, cached, count, hits = stats(client, columns)
            # Each request brings a page that was asked for; opening page 1, before any read of SQLite's.
            equal("requests for pages", proxy.count("/db/page") + proxy.count("/db/open"), fetched - prefetched)
            equal("cached", (cached, fetched), (count, count))
            check(hits + misses >= count, f"{hits} + {misses} reads of {count} pages")
            client.open("db", "other")
            client.sql("SELECT sum(length(b)) FROM t", name="other")
            again = stats(client, columns)
            equal("nothing more to fetch", again[:5], (misses, fetched, prefetched, cached, count))
            check(again[5] >= hits + count, f"{again[5]} hits after {hits} and {count} pages")
            equal("both connections tell of one database",
                  stats(client, columns[:-12], name="other"), stats(client, columns[:-12]))


def retries_are_counted():
    with scratch() as folder, Server(folder) as server, Proxy(server) as proxy:
        fill(server, folder)
        with Client(proxy, folder, db="db") as client:
            equal("none at first", stats(client, "retries, server_retries"), (0, 0))
            proxy.break_with(lambda exchange: exchange.answer(503, b"{}"), "/db/page", times=2)
            client.sql("SELECT count(*) FROM t")
            equal("retries", stats(client, "retries, server_retries"), (2, 2))
            equal("requests", stats(client, "requests")[0], proxy.count())
            equal("bytes", stats(client, "bytes_in")[0], proxy.bytes_in)


def status_is_for_people():
    with scratch() as folder, Server(folder) as server:
        fill(server, folder)
        with Client(server, folder, db="db") as client:
            client.sql("SELECT sum(length(b)) FROM t")
            client.acquire()
            client.error("SELECT * FROM nowhere.t")
            client.error("PRAGMA litevfs_max_staleness = soon")
            text = client.one("PRAGMA litevfs_status")
            lines = dict(line.split(": ", 1) for line in text.splitlines())
            equal("names", list(lines), [
                "database", "server", "cluster", "mode", "position", "size", "confirmed", "last poll", "lease",
                "cache", "page reads", "pages fetched", "requests", "sent", "received", "last error"])
            equal("database", (lines["database"], lines["server"]), ("db", server.url))
            equal("position", lines["position"], position(server))
            count = client.one("PRAGMA page_count")
            equal("size", lines["size"], f"{count} pages of 4096 bytes")
            equal("cache", lines["cache"], f"{count} pages, {count * 4096} bytes")
            check(re.fullmatch(r"held, \d+ ms left", lines["lease"]), lines["lease"])
            check(re.fullmatch(r"\d+ ms ago", lines["last poll"]), lines["last poll"])
            check("soon" in lines["last error"], lines["last error"])
            rows = client.sql("SELECT * FROM litevfs_stats")
            check(TOKEN not in text and TOKEN not in repr(rows), "the token shows")
            client.open("db", "other")
            equal("of another connection", stats(client, "lease", name="other"), ("elsewhere",))


def functions_tell_what_the_transaction_sees():
    with scratch() as folder, Server(folder) as server:
        fill(server, folder)
        with Client(server, folder, db="db") as client:
            client.open("db", "other")
            for name in ("main", "other"):
                client.sql("PRAGMA litevfs_cache_sync_period = '1ms'", name=name)
            client.sql("BEGIN")
            txid, pos = client.sql("SELECT litevfs_txid(), litevfs_pos() FROM t LIMIT 1")[0]
            equal("position", pos, position(server))
            equal("number", txid, int(pos[:16], 16))
            add_row(server, folder)
            time.sleep(0.002)
            newest = client.sql("SELECT litevfs_txid(), litevfs_pos() FROM t LIMIT 1", name="other")[0]
            equal("another connection moved on", newest, (txid + 1, position(server)))
            equal("the transaction did not", client.one("SELECT litevfs_txid() FROM t LIMIT 1"), txid)
            wait_until_older(client, 100)
            client.sql("SELECT 1 FROM t LIMIT 1", name="other")
            lags = [client.one("SELECT litevfs_lag_ms()", name=name) for name in ("main", "other")]
            check(lags[0] > 100 and lags[0] > lags[1], f"lags: {lags}")
            client.sql("COMMIT")
            equal("afterwards", client.one("SELECT litevfs_txid()"), txid + 1)


def modes_are_told_apart():
    with scratch() as folder, Server(folder) as server:
        fill(server, folder)
        with Client(server, folder) as client:
            for name, parameters, expected in (
                ("usual", "", ("read-write", 2)),
                ("ro", "&mode=ro", ("read-only", 2)),
                ("immutable", "&immutable=1", ("read-only", 2)),
                ("past", "&txid=1", ("past", 1)),
            ):
                client.open("db", name, parameters)
                equal(name, stats(client, "mode, txid", name=name), expected)
                mode = f"mode: {expected[0]}\n"
                check(mode in client.one("PRAGMA litevfs_status", name=name), mode)
                equal(name, client.one("SELECT litevfs_txid()", name=name), expected[1])


def every_connection_has_them():
    with scratch() as folder, Server(folder) as server:
        fill(server, folder)
        with Client(server, folder) as client:
            for number in range(50):
                name = f"memory {number}"
                client.open_uri(":memory:", name)
                equal("nothing to tell", client.sql("SELECT litevfs_txid(), litevfs_lag_ms()", name=name),
                      [(None, None)])
                equal("no rows", client.sql("SELECT * FROM litevfs_stats", name=name), [])
            # The last way in: a connection that had no database of ours attaches one.
            client.sql("ATTACH 'file:db?vfs=litevfs' AS ours", name="memory 7")
            equal("attached", stats(client, "txid", "ours", "memory 7"), (2,))
            equal("attached", client.one("SELECT litevfs_txid('ours')", name="memory 7"), 2)


def expect_too_old(client, why):
    error = client.error("SELECT count(*) FROM t")
    equal("code", error.code, IOERR_OLD)
    text = client.last_error()
    check("litevfs_max_staleness" in text and why in text, text)


def a_read_fails_rather_than_lie():
    with scratch() as folder, Server(folder) as server, Proxy(server) as proxy:
        fill(server, folder)
        with Client(proxy, folder, db="db") as client:
            count = client.one("SELECT count(*) FROM t")
            client.sql("PRAGMA litevfs_cache_sync_period = 0")
            client.sql("PRAGMA litevfs_max_staleness = '200ms'")
            client.sql("BEGIN")
            client.sql("SELECT count(*) FROM t")
            proxy.down()
            wait_until_older(client, 200)
            equal("a transaction that has begun goes on", client.one("SELECT count(*) FROM t"), count)
            client.sql("COMMIT")
            for _ in range(3):
                expect_too_old(client, "refused")
            client.open("db", "lenient")
            equal("without the bound", client.one("SELECT count(*) FROM t", name="lenient"), count)
            client.sql("PRAGMA litevfs_max_staleness = off")
            equal("with the bound off", client.one("SELECT count(*) FROM t"), count)
            client.sql("PRAGMA litevfs_max_staleness = '200ms'")
            expect_too_old(client, "refused")
            add_row(server, folder)
            proxy.up()
            equal("when the server is back", client.one("SELECT count(*) FROM t"), count + 1)


def the_bound_polls_where_the_sync_period_does_not():
    with scratch() as folder, Server(folder) as server:
        fill(server, folder)
        with Client(server, folder, db="db") as client:
            count = client.one("SELECT count(*) FROM t")
            for period in ("0", "1h"):
                client.sql(f"PRAGMA litevfs_cache_sync_period = '{period}'")
                client.sql("PRAGMA litevfs_max_staleness = off")
                add_row(server, folder)
                equal("as it was", client.one("SELECT count(*) FROM t"), count)
                client.sql("PRAGMA litevfs_max_staleness = '100ms'")
                wait_until_older(client, 100)
                count += 1
                equal("as it is", client.one("SELECT count(*) FROM t"), count)
                lag = client.one("SELECT litevfs_lag_ms() FROM t LIMIT 1")
                check(lag is not None, "confirmed")


def a_slow_answer_is_an_old_one():
    with scratch() as folder, Server(folder) as server, Proxy(server) as proxy:
        fill(server, folder)

        def slow(exchange):
            answer = exchange.forward()
            time.sleep(0.5)
            exchange.answer(answer[0], answer[2], answer[1])

        with Client(proxy, folder, db="db") as client:
            count = client.one("SELECT count(*) FROM t")
            client.sql("PRAGMA litevfs_max_staleness = '400ms'")
            wait_until_older(client, 400)
            proxy.break_with(slow, "/sync")
            polls = proxy.count("/sync")
            expect_too_old(client, "takes longer")
            equal("polls", proxy.count("/sync") - polls, 2)
            proxy.break_with(slow, "/sync", times=1)
            equal("slow once", client.one("SELECT count(*) FROM t"), count)
            proxy.break_with(slow, "/sync")
            client.sql("PRAGMA litevfs_max_staleness = '60s'")
            equal("slow, within the bound", client.one("SELECT count(*) FROM t"), count)


def a_frozen_server_is_away():
    with scratch() as folder, Server(folder) as server:
        fill(server, folder)
        with Client(server, folder, db="db") as client:
            count = client.one("SELECT count(*) FROM t")
            client.sql("PRAGMA litevfs_max_staleness = '100ms'")
            wait_until_older(client, 100)
            with frozen(server.process):
                expect_too_old(client, "no answer in time")
            equal("thawed", client.one("SELECT count(*) FROM t"), count)


def a_frozen_client_notices():
    with scratch() as folder, Server(folder) as server, Proxy(server) as proxy:
        fill(server, folder)
        with Client(proxy, folder, db="db") as client:
            client.sql("PRAGMA litevfs_cache_sync_period = 0")
            client.sql("PRAGMA litevfs_max_staleness = '2s'")
            count = client.one("SELECT count(*) FROM t")
            for away in (False, True):
                with frozen(client.process):
                    add_row(server, folder)
                    if away:
                        proxy.down()
                    time.sleep(2.1)
                if away:
                    expect_too_old(client, "refused")
                else:
                    equal("thawed", client.one("SELECT count(*) FROM t"), count + 1)


def what_an_earlier_process_left_is_old():
    with scratch() as folder, Server(folder) as server, Proxy(server) as proxy:
        fill(server, folder)
        cache = folder / "cache"
        with Client(proxy, folder, cache, db="db") as client:
            count = client.one("SELECT count(*) FROM t")
        proxy.down()
        with Client(proxy, folder, cache, db="db") as client:
            equal("without the bound", client.one("SELECT count(*) FROM t"), count)
            equal("its lag", client.sql("SELECT litevfs_txid(), litevfs_lag_ms()"), [(2, None)])
            client.sql("PRAGMA litevfs_max_staleness = '1h'")
            expect_too_old(client, "earlier process")


def the_environment_has_a_default():
    with scratch() as folder, Server(folder) as server, Proxy(server) as proxy:
        fill(server, folder)
        with Client(proxy, folder, db="db", LITEVFS_MAX_STALENESS="300ms") as client:
            equal("default", client.one("PRAGMA litevfs_max_staleness"), "300ms")
            client.sql("SELECT count(*) FROM t")
            proxy.down()
            wait_until_older(client, 300)
            expect_too_old(client, "refused")
            client.open("db", "other")
            error = client.error("SELECT count(*) FROM t", name="other")
            equal("of every connection", error.code, IOERR_OLD)
        try:
            Client(proxy, folder, LITEVFS_MAX_STALENESS="soon")
            check(False, "loaded with a bad LITEVFS_MAX_STALENESS")
        except SqlError as error:
            check("LITEVFS_MAX_STALENESS" in str(error), str(error))


if __name__ == "__main__":
    main(
        numbers_are_what_the_network_saw,
        a_poll_counts_for_each_database_and_once_for_the_server,
        hits_and_misses_are_the_pages_that_were_read,
        retries_are_counted,
        status_is_for_people,
        functions_tell_what_the_transaction_sees,
        modes_are_told_apart,
        every_connection_has_them,
        a_read_fails_rather_than_lie,
        the_bound_polls_where_the_sync_period_does_not,
        a_slow_answer_is_an_old_one,
        a_frozen_server_is_away,
        a_frozen_client_notices,
        what_an_earlier_process_left_is_old,
        the_environment_has_a_default,
    )
