"""How a database is opened: mode=, immutable=1, nolock=1. What plain SQLite does, where that can be told."""

import os
import sqlite3
import subprocess

from harness import EXT, TOKEN, Client, Proxy, Server, SqlError, check, equal, main, scratch

SHELL = os.environ.get("SQLITE3") or "sqlite3"

# Through one connection, on a database with the table t of two rows.
TALK = ("SELECT count(*) FROM t", "PRAGMA query_only", "PRAGMA query_only = on", "DELETE FROM t",
        "PRAGMA query_only = off", "BEGIN IMMEDIATE", "SELECT sum(x) FROM t", "COMMIT", "BEGIN EXCLUSIVE", "ROLLBACK",
        "INSERT INTO t VALUES (3)", "BEGIN", "SELECT x FROM t", "UPDATE t SET x = 4", "ROLLBACK",
        "CREATE TEMP TABLE mine AS SELECT * FROM t", "INSERT INTO mine VALUES (5)", "SELECT count(*) FROM mine",
        "PRAGMA user_version = 3", "PRAGMA user_version", "CREATE TABLE u (x)", "VACUUM", "PRAGMA integrity_check",
        "PRAGMA journal_mode = memory", "SELECT count(*) FROM t")


def outcome(client, sql):
    try:
        return client.sql(sql)
    except SqlError as error:
        return error.code, str(error)


def opened(client, uri):
    try:
        client.open_uri(uri)
    except SqlError as error:
        return str(error)
    return outcome(client, "SELECT count(*) FROM sqlite_schema")


def as_plain_sqlite():
    """Every mode on a database and on none: the same answers and errors as from a local file."""
    with scratch() as folder, Server(folder) as server, Client(server, folder, folder / "c") as client:
        for mode in ("", "&mode=ro", "&mode=rw", "&mode=rwc", "&mode=memory", "&immutable=1", "&mode=ro&immutable=on",
                     "&immutable=0", "&nolock=0", "&mode=rwx"):
            name = f"db{mode.replace('&', '-').replace('=', '.')}"
            plain = sqlite3.connect(folder / name, isolation_level=None)
            client.open(name)
            client.acquire()
            for sql in ("CREATE TABLE t (x)", "INSERT INTO t VALUES (1), (2)"):
                plain.execute(sql)
                client.sql(sql)
            plain.close()
            client.sql("PRAGMA litevfs_release_lease")
            for path, uri in ((folder / name, name), (folder / "none", "none")):
                local, far = f"file:{path}?cache=private{mode}", f"file:{uri}?vfs=litevfs{mode}"
                expected = opened(client, local)
                if uri == "none" and expected == [(0,)]:
                    (folder / "none").unlink(missing_ok=True)
                equal(f"{uri} with {mode}", opened(client, far), expected)
            answers = []
            for uri in (f"file:{folder / name}?cache=private{mode}", f"file:{name}?vfs=litevfs{mode}"):
                if isinstance(opened(client, uri), str):
                    continue
                outcome(client, "PRAGMA litevfs_acquire_lease")
                answers.append([(sql, outcome(client, sql)) for sql in TALK])
            if answers:
                for plain, far in zip(*answers):
                    equal(f"with {mode}", far, plain)


def read_only():
    """mode=ro takes no lease, follows what others write, and says why it does not write."""
    with scratch() as folder, Server(folder) as server, Proxy(server) as proxy:
        with Client(proxy, folder, folder / "c") as client:
            client.open("db", "writer")
            client.acquire("writer")
            client.sql("CREATE TABLE t (x)", name="writer")
            client.open("db", "reader", "&mode=ro")
            client.sql("PRAGMA litevfs_cache_sync_period = '1ms'", name="reader")
            for n in range(3):
                client.sql("INSERT INTO t VALUES (1)", name="writer")
                equal("rows", client.one("SELECT count(*) FROM t", name="reader"), n + 1)
            equal("before any failure", client.last_error("writer"), "")
            client.sql("PRAGMA litevfs_release_lease", name="writer")
            leases = proxy.count("/lease")
            equal("an insert", client.error("INSERT INTO t VALUES (1)", name="reader").code, 8)
            check("mode=ro" in client.last_error("reader"), client.last_error("reader"))
            error = client.error("PRAGMA litevfs_acquire_lease", name="reader")
            check(error.primary == 8 and "mode=ro" in str(error), f"{error.code} {error}")
            equal("requests for leases", proxy.count("/lease") - leases, 0)


def immutable():
    """All reads of immutable=1 are of one state, though others write, and nothing is polled."""
    with scratch() as folder, Server(folder) as server, Proxy(server) as proxy:
        with Client(server, folder, folder / "w", "db") as writer, Client(proxy, folder, folder / "c") as client:
            writer.acquire()
            writer.sql("CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
            writer.sql("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) "
                       "INSERT INTO t SELECT i, zeroblob(3000) FROM n")
            client.open_uri("file:db?vfs=litevfs&immutable=1")
            client.sql("PRAGMA cache_size = 10")
            client.sql("PRAGMA litevfs_max_prefetch_pages = 0")  # more requests than one query may have
            client.sql("PRAGMA litevfs_cache_sync_period = '1ms'")
            asked = len(proxy.requests)
            equal("rows", client.one("SELECT count(*) FROM t WHERE id <= 100"), 100)
            client.open_uri("file:db?vfs=litevfs", "present")
            client.sql("PRAGMA litevfs_max_reqs_per_query = 0", name="present")
            for n in range(3):
                writer.sql("UPDATE t SET x = ?, id = -id WHERE id % 3 = ?", (f"new {n}", n))
                writer.sql("DELETE FROM t WHERE id > 200")
                if n == 1:
                    client.one("SELECT count(*) FROM t", name="present")
                equal("the sum", client.sql("SELECT sum(id), sum(length(x)), count(*) FROM t"),
                      [(45150, 900_000, 300)])
            equal("the present's", client.one("SELECT max(id) FROM t", name="present"), writer.one("SELECT max(id) FROM t"))
            client.close_db("present")
            asked = len(proxy.requests)
            client.one("SELECT sum(id) FROM t")
            equal("polls", [path for _, path in proxy.requests[asked:] if path != "/db/page"], [])
            equal("an insert", client.error("INSERT INTO t VALUES (0, 0)").code, 8)
            check("immutable=1" in client.last_error(), client.last_error())


def what_is_not_there():
    """nolock=1 is refused; a user of the shell sees why a database can't be opened."""
    with scratch() as folder, Server(folder) as server:
        env = {"PATH": os.environ["PATH"], "LITEFS_CLOUD_HOST": server.url, "LITEFS_CLOUD_TOKEN": TOKEN}
        for uri, why in (("file:db?vfs=litevfs&nolock=1", "nolock=1"), ("file:db?vfs=litevfs&mode=ro", "no such database"),
                         ("file:db?vfs=litevfs&txid=1", "no such database"), ("file:a/b?vfs=litevfs", "'a/b'"),
                         ("file:db?vfs=litevfs&host=x", "URI parameter host")):
            run = subprocess.run(
                [SHELL, "-batch", "-init", "/dev/null", "-cmd", f".load {EXT}", "-cmd", f".open '{uri}'"],
                input="SELECT 1;", env=env, cwd=folder, capture_output=True, text=True, timeout=60)
            for words in ("unable to open database", why):
                check(words in run.stderr, f"{uri}: the shell says {run.stderr!r}")


if __name__ == "__main__":
    main(as_plain_sqlite, read_only, immutable, what_is_not_there)
