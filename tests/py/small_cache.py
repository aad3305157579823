"""Reading more than the cache holds, or than may be had in bulk: it ends, with the defaults, and in few requests."""

import random

from harness import Client, Proxy, Server, check, equal, main, scratch

ROWS = 20_000
PAGES = "/db/page"


def fill(client, rows):
    """A table and an index whose order has nothing to do with the table's, each of some thousand pages."""
    client.acquire()
    client.sql("PRAGMA page_size = 512")
    client.sql("CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER, x BLOB)")
    client.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
               "INSERT INTO t SELECT i, abs(random()), randomblob(60) FROM n", (rows,))
    client.sql("CREATE INDEX tk ON t (k)")


def filled(folder, server, rows=ROWS):
    with Client(server, folder, folder / "writer", "db") as client:
        fill(client, rows)
        return client.one("PRAGMA page_count")


def look_up(client, rows, name="main"):
    for row in rows:
        equal(f"row {row}", client.sql("SELECT length(x) FROM t WHERE id = ?", (row,), name), [(60,)])


def a_check_with_a_small_cache():
    """A page that the cache did not keep is not fetched hundreds of times, and the bound holds again afterwards."""
    with scratch() as folder, Server(folder) as server:
        pages = filled(folder, server)
        for environment in ({}, {"TMPDIR": "/no/such/folder"}):
            with Proxy(server) as proxy, Client(proxy, folder, None, "db", **environment) as client:
                client.sql("PRAGMA cache_size = 10")
                client.sql("PRAGMA litevfs_max_cached_pages = 400")
                equal("the check", client.one("PRAGMA integrity_check"), "ok")
                requests = proxy.count(PAGES)
                fetched, cached = client.sql("SELECT pages_fetched, cached_pages FROM litevfs_stats")[0]
                check(requests < 600, f"{requests} requests for {pages} pages")
                check(fetched < 4 * pages, f"{fetched} pages fetched of {pages}")
                check(cached <= 400, f"{cached} pages are cached")


def a_check_of_what_others_change():
    """What a reader fetches of a view that the database has moved on from is kept as long as the view."""
    with scratch() as folder, Server(folder) as server:
        rows = 3 * ROWS
        pages = filled(folder, server, rows)
        with Proxy(server) as proxy, Client(proxy, folder, folder / "cache", "db") as client:
            client.sql("PRAGMA cache_size = 10")
            client.open("db", "other")
            client.sql("BEGIN")
            equal("a row", client.one("SELECT count(*) FROM t WHERE id < 5"), 4)
            client.acquire("other")
            client.sql("UPDATE t SET x = 'new' WHERE id % 100 = 0", name="other")
            equal("the check", client.one("PRAGMA integrity_check"), "ok")
            equal("what is seen", client.one("SELECT count(*) FROM t WHERE x = 'new'"), 0)
            check(proxy.count(PAGES) < 200, f"{proxy.count(PAGES)} requests for {pages} pages")
            client.sql("COMMIT")
            equal("what is seen then", client.one("SELECT count(*) FROM t WHERE x = 'new'"), rows // 100)


def look_ups_past_bulk():
    """Look-ups all over a database that is larger than bulk may bring end well in one transaction."""
    with scratch() as folder, Server(folder) as server:
        filled(folder, server)
        environment = {"LITEVFS_MAX_BULK_BYTES": "100KB"}
        with Proxy(server) as proxy, Client(proxy, folder, None, **environment) as client:
            client.open_uri("file:db?vfs=litevfs")
            equal("the setting", client.one("PRAGMA litevfs_max_reqs_per_query"), "0")
            client.sql("PRAGMA litevfs_max_prefetch_pages = 3")
            client.sql("BEGIN")
            look_up(client, random.Random(5).sample(range(1, ROWS), 300))
            check(proxy.count(PAGES) > 64, f"{proxy.count(PAGES)} requests: bulk did for all")


def exclusive_without_a_schema():
    """An attached database is not told of the locking mode. It counts requests a query nevertheless, and a commit
    that fails does not leave it behind."""
    with scratch() as folder, Server(folder) as server:
        filled(folder, server)
        with Client(server, folder, folder / "cache") as client:
            client.open_uri(":memory:")
            client.sql("ATTACH 'file:db?vfs=litevfs' AS x")
            client.sql("PRAGMA x.litevfs_max_prefetch_pages = 0")
            client.sql("PRAGMA x.litevfs_max_reqs_per_query = 20")
            equal("the mode", client.sql("PRAGMA locking_mode = exclusive"), [("exclusive",)])
            look_up(client, range(1, ROWS, 200))
            # In the ordinary mode the limit counts.
            client.sql("PRAGMA locking_mode = normal")
            client.sql("SELECT count(*) FROM sqlite_schema, x.sqlite_schema")
            client.sql("BEGIN")
            equal("many look-ups", client.error("SELECT sum(length(x)) FROM t").primary, 5)
            client.sql("ROLLBACK")
            client.sql("PRAGMA x.litevfs_max_reqs_per_query = 0")
            equal("the mode", client.sql("PRAGMA locking_mode = exclusive"), [("exclusive",)])
            client.sql("PRAGMA x.litevfs_acquire_lease")
            client.sql("UPDATE t SET x = 'mine' WHERE id = 1")
            client.sql("PRAGMA x.litevfs_release_lease")
            with Client(server, folder, folder / "other", "db") as other:
                other.acquire()
                other.sql("UPDATE t SET x = 'theirs' WHERE id = 2")
            client.sql("PRAGMA x.litevfs_acquire_lease")
            error = client.error("UPDATE t SET x = 'lost' WHERE id = 3")
            check(error.primary in (5, 10), f"an overtaken transaction: {error.code} {error}")
            client.sql("UPDATE t SET x = 'mine' WHERE id = 4")
            equal("the rows", client.sql("SELECT id FROM t WHERE typeof(x) = 'text' ORDER BY id"), [(1,), (2,), (4,)])


if __name__ == "__main__":
    main(a_check_with_a_small_cache, a_check_of_what_others_change, look_ups_past_bulk, exclusive_without_a_schema)
