"""Reading a database that is not cached: in few requests, within the bounds that are set, and never a wrong page."""

import contextlib
import itertools
import random
import threading

from harness import Client, Proxy, Server, SqlError, check, equal, main, scratch

ROWS = 40_000  # About 1,500 pages of 4 KB, with the index.
SCAN = "SELECT count(*), sum(id), sum(length(x)), min(generation), max(generation) FROM t"
PAGES = "/db/page"
OPEN = "/db/open"


def fill(client):
    client.acquire()
    client.sql("CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER, generation INTEGER, x TEXT)")
    client.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
               "INSERT INTO t SELECT i, i * 7919 % 1000003, 0, printf('row %d %090d', i, i * 7919) FROM n", (ROWS,))
    client.sql("CREATE INDEX t_k ON t (k)")
    client.sql("PRAGMA litevfs_release_lease")


def expect_scan(client, generation=0):
    length = sum(len(f"row {i} {i * 7919:090d}") for i in range(1, ROWS + 1))
    expected = [(ROWS, ROWS * (ROWS + 1) // 2, length, generation, generation)]
    equal("the scan", client.sql(SCAN), expected)


def look_up(client, row):
    equal(f"row {row}", client.one("SELECT k FROM t WHERE id = ?", (row,)), row * 7919 % 1000003)


@contextlib.contextmanager
def cold(folder, server, name, environment=None):
    """A client with a cache of its own, empty the first time, and the proxy that counts what it asks."""
    with Proxy(server) as proxy, Client(proxy, folder, folder / name, **(environment or {})) as client:
        # Not Client.open: that sets pragmas before anything is counted.
        client.open_uri("file:db?vfs=litevfs")
        yield client, proxy


def counted(proxy):
    """Requests and bytes of answers since the last time."""
    counts = len(proxy.requests), proxy.bytes_in
    proxy.requests.clear()
    proxy.bytes_in = 0
    return counts


def few_requests():
    """One row, one row again, many rows, all rows: each from an empty cache."""
    with scratch() as folder, Server(folder) as server:
        with Client(server, folder, folder / "writer", "db") as client:
            fill(client)
        rng = random.Random(5)
        for n in range(5):
            with cold(folder, server, f"point-{n}") as (client, proxy):
                look_up(client, rng.randrange(1, ROWS + 1))
                requests, received = counted(proxy)
                check(requests <= 2 and received <= 100_000, f"a row: {requests} requests, {received} bytes")
        with cold(folder, server, "by-index") as (client, proxy):
            row = rng.randrange(1, ROWS + 1)
            equal("by the index", client.sql("SELECT id FROM t WHERE k = ?", (row * 7919 % 1000003,)), [(row,)])
            requests, received = counted(proxy)
            check(requests <= 4 and received <= 100_000, f"by the index: {requests} requests, {received} bytes")
        with cold(folder, server, "rows") as (client, proxy):
            for _ in range(200):
                look_up(client, rng.randrange(1, ROWS + 1))
            requests, _ = counted(proxy)
            check(requests <= 25, f"200 rows: {requests} requests")
        with cold(folder, server, "scan") as (client, proxy):
            expect_scan(client)
            requests, _ = counted(proxy)
            check(requests <= 8, f"a scan: {requests} requests")
            expect_scan(client)
            requests, _ = counted(proxy)
            check(requests <= 1, f"another scan: {requests} requests")
        with cold(folder, server, "all") as (client, proxy):
            client.sql("PRAGMA litevfs_cache_db")
            requests, received = counted(proxy)
            check(requests <= 3, f"everything: {requests} requests")
            expect_scan(client)
            look_up(client, 1)
            stored = sum(path.stat().st_size for path in server.data.rglob("*.ltx"))
            check(received <= stored + 100_000, f"everything: {received} bytes, where {stored} are stored")


def opened_again():
    """The next process asks once, and gets no page that it has."""
    with scratch() as folder, Server(folder) as server:
        with Client(server, folder, folder / "writer", "db") as client:
            fill(client)
        with Proxy(server) as proxy:
            with Client(proxy, folder, folder / "cache", "db") as client:
                expect_scan(client)
            counted(proxy)
            with Client(proxy, folder, folder / "cache", "db") as client:
                expect_scan(client)
            requests, received = counted(proxy)
            check(requests <= 2 and received < 2_000, f"opened again: {requests} requests, {received} bytes")
            with Client(server, folder, folder / "writer", "db") as client:
                client.acquire()
                client.sql("UPDATE t SET generation = 1")
            with Client(proxy, folder, folder / "cache", "db") as client:
                expect_scan(client, 1)


def bounds_hold():
    """What the user allows to be read ahead is not exceeded, by pragma or from the environment."""
    with scratch() as folder, Server(folder) as server:
        with Client(server, folder, folder / "writer", "db") as client:
            fill(client)
        with cold(folder, server, "single", {"LITEVFS_MAX_BULK_BYTES": "0"}) as (client, proxy):
            client.sql("PRAGMA litevfs_max_prefetch_pages = 0")
            equal("the setting", client.one("PRAGMA litevfs_max_bulk_bytes"), "0")
            expect_scan(client)
            fetched, ahead = client.sql("SELECT pages_fetched, pages_prefetched FROM litevfs_stats")[0]
            equal("pages ahead", ahead, 0)
            check(proxy.count(PAGES) >= fetched - 1, f"{fetched} pages in {proxy.count(PAGES)} requests")
        with cold(folder, server, "windows") as (client, proxy):
            client.sql("PRAGMA litevfs_max_bulk_bytes = 0")
            expect_scan(client)
            check(proxy.count(PAGES) > 6, f"without bulk: {proxy.count(PAGES)} requests")
        with cold(folder, server, "requests") as (client, proxy):
            client.sql("PRAGMA litevfs_max_reqs_per_query = 2")
            equal("beyond the limit", client.error(SCAN).primary, 5)
            equal("requests", proxy.count(PAGES), 2)
        with cold(folder, server, "past-bulk", {"LITEVFS_MAX_BULK_BYTES": "0"}) as (client, proxy):
            client.sql("PRAGMA litevfs_max_prefetch_pages = 1")
            client.sql("PRAGMA litevfs_max_reqs_per_query = 24")
            equal("a scan past a limit that was set", client.error(SCAN).primary, 5)
            equal("requests", proxy.count(PAGES), 24)
        with cold(folder, server, "room") as (client, proxy):
            client.sql("PRAGMA litevfs_max_cached_pages = 20")
            expect_scan(client)
            check(proxy.count(PAGES) <= 20, f"a scan with a small cache: {proxy.count(PAGES)} requests")
            for row in random.Random(7).sample(range(1, ROWS + 1), 50):
                look_up(client, row)
            cached = client.one("SELECT cached_pages FROM litevfs_stats")
            check(cached <= 20, f"{cached} pages are cached")
        for name in ("-1", "many", ""):
            with cold(folder, server, f"wrong-{name}") as (client, _):
                client.error(f"PRAGMA litevfs_max_bulk_bytes = '{name}'")
                check("litevfs_max_bulk_bytes" in client.last_error(), client.last_error())


def plain_server():
    """A server that knows neither the calls nor the ranges nor the frames: the plain calls do, and it is asked once."""
    def plain(exchange):
        if exchange.path == OPEN:
            return exchange.answer(404, b'{"code":"ENOTFOUND","error":"no such call"}')
        if exchange.path == PAGES:
            check("-" not in exchange.target.split("pgno=")[1].split("&")[0], f"a range: {exchange.target}")
            exchange.headers = [(k, v) for k, v in exchange.headers if k.lower() != "accept"]
        return False

    with scratch() as folder, Server(folder) as server:
        with Client(server, folder, folder / "writer", "db") as client:
            fill(client)
        with Proxy(server) as proxy:
            proxy.break_with(plain)
            with Client(proxy, folder, folder / "cold", "db") as client:
                look_up(client, 4711)
                expect_scan(client)
                client.open("db2", name="second")
                client.acquire("second")
                client.sql("CREATE TABLE t (x)", name="second")
                client.sql("PRAGMA litevfs_cache_db")
                equal("asked for the new call", proxy.count(OPEN), 1)
                equal("integrity", client.one("PRAGMA integrity_check"), "ok")


def replaced_server():
    """The server is replaced by an older one under a process that has learned what the new one can."""
    with scratch() as folder, Server(folder) as server:
        with Client(server, folder, folder / "writer", "db") as client:
            fill(client)
        with cold(folder, server, "cold") as (client, proxy):
            look_up(client, 4711)

            def older(exchange):
                if exchange.path != PAGES:
                    return False
                if "-" in exchange.target.split("pgno=")[1].split("&")[0]:
                    return exchange.answer(400, b'{"code":"EBADINPUT","error":"not a page number"}')
                exchange.headers = [(k, v) for k, v in exchange.headers if k.lower() != "accept"]
                return False

            proxy.break_with(older)
            for _ in range(3):
                try:
                    expect_scan(client)
                    break
                except SqlError as error:
                    equal("the error", error.primary, 10)
            else:
                raise AssertionError("no scan succeeds")


def broken_answers():
    """Cut off, damaged, in another order, too much: read again or an error that names the server; then all is well."""
    def cut(at):
        return lambda body: (body[:at], len(body))

    def flipped(at):
        return lambda body: (body[:at] + bytes([body[at % len(body)] ^ 0x55]) + body[at + 1:], None)

    rng = random.Random(3)
    damages = [cut(0), cut(1), cut(11), lambda body: (body[:-6], None), lambda body: (body[:-1], None),
               lambda body: (body + b"\0", None), lambda body: (body[:-6] + body, None), lambda body: (b"", None),
               lambda body: (b"\0" * 6, None), lambda body: (body[:-6] + rng.randbytes(500) + body[-6:], None)]
    damages += [cut(rng.randrange(100_000)) for _ in range(15)] + [flipped(n) for n in range(10)]
    with scratch() as folder, Server(folder) as server:
        with Client(server, folder, folder / "writer", "db") as client:
            fill(client)
        failures = 0
        for n, damage in enumerate(damages):
            with cold(folder, server, f"broken-{n}") as (client, proxy):
                look_up(client, 1)
                # The first request, or one of the longer ones that follow it; and perhaps the next.
                broken = range(n % 4, n % 4 + 1 + n % 2)
                seen = itertools.count()

                def fault(exchange, damage=damage, broken=broken, seen=seen):
                    if exchange.path != PAGES or next(seen) not in broken:
                        return False
                    status, headers, body = exchange.forward()
                    body, length = damage(body)
                    exchange.answer(status, body, headers, length)
                    return exchange.cut() if length else None

                proxy.break_with(fault)
                try:
                    expect_scan(client)
                except SqlError as error:
                    failures += 1
                    equal(f"damage {n}: the error", error.primary, 10)
                    check(proxy.address in client.last_error(), f"damage {n}: {client.last_error()}")
                proxy.heal()
                expect_scan(client)
                look_up(client, 4711)
        check(0 < failures < len(damages), f"{failures} of {len(damages)} damages showed")


def a_writer_meanwhile():
    """Another client commits while all is read, again and again: each scan is of one state, and the newest in the end."""
    rounds = 12
    with scratch() as folder, Server(folder) as server:
        with Client(server, folder, folder / "writer", "db") as writer:
            fill(writer)
            writer.acquire()
            failed = []

            def write():
                try:
                    for generation in range(1, rounds + 1):
                        writer.sql("UPDATE t SET generation = ?", (generation,))
                except Exception as error:  # Shown by the test, not by the thread.
                    failed.append(error)

            with Client(server, folder, folder / "reader", "db") as reader:
                reader.sql("PRAGMA litevfs_cache_sync_period = '1ms'")
                reader.sql("PRAGMA cache_size = 20")
                thread = threading.Thread(target=write)
                thread.start()
                last = 0
                while thread.is_alive():
                    count, _, _, low, high = reader.sql(SCAN)[0]
                    equal("rows and generations", (count, low), (ROWS, high))
                    check(high >= last, f"generation {high} after {last}")
                    last = high
                thread.join()
                equal("errors of the writer", failed, [])
                expect_scan(reader, rounds)
                reader.sql("PRAGMA litevfs_cache_db")
                equal("integrity", reader.one("PRAGMA integrity_check"), "ok")


if __name__ == "__main__":
    main(few_requests, opened_again, bounds_hold, plain_server, replaced_server, broken_answers, a_writer_meanwhile)
