"""What can't be kept is refused: a transaction over several databases, or past the last transaction id.

A refusal is an error that leaves the server's database and every local file as they were, and a
connection that goes on working.
"""

import contextlib
import sqlite3

from harness import Client, Server, SqlError, check, equal, ltx, main, scratch


def end_transaction(client):
    """Whether a failed COMMIT ends the transaction depends on the error."""
    with contextlib.suppress(SqlError):
        client.sql("ROLLBACK")


def commit_over_several_databases():
    """A COMMIT over ours and a local file, either of them the main one: refused, neither part is there."""
    with scratch() as folder, Server(folder) as server:
        with Client(server, folder, folder / "setup", "db") as client:
            client.acquire()
            client.sql("CREATE TABLE t (x)")
        for mode in ("delete", "truncate", "persist"):
            for main_is_ours in (True, False):
                several(server, folder, mode, main_is_ours)


def commit_after_the_last_transaction_id():
    """Where there is no id left, the error says so, and the database can still be read."""
    last = 1 << 56
    with scratch() as folder, Server(folder) as server:
        local = sqlite3.connect(folder / "local.db", isolation_level=None)
        local.execute("CREATE TABLE t (x)")
        local.close()
        image = (folder / "local.db").read_bytes()
        equal("an upload to one before it", ltx.push(server, "db", ltx.encode(None, image, 1, last - 1))[0], 200)
        with Client(server, folder, db="db") as client:
            client.acquire()
            client.sql("INSERT INTO t VALUES (1)")
            equal("the last id", client.one("SELECT litevfs_txid()"), last)
            client.error("INSERT INTO t VALUES (2)")
            check("last transaction id" in client.last_error(), client.last_error())
            equal("rows", client.sql("SELECT * FROM t"), [(1,)])


def several(server, folder, mode, main_is_ours):
    what = f"{mode}, main is {'ours' if main_is_ours else 'local'}"
    path = folder / f"{mode}-{main_is_ours}.db"
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("CREATE TABLE u (x)")
    uris = [f"file:{path}?vfs=unix", "file:db?vfs=litevfs"]
    local, ours = ("second", "main") if main_is_ours else ("main", "second")
    with Client(server, folder, folder / path.stem) as client:
        client.open_uri(uris[main_is_ours])
        client.sql(f"ATTACH '{uris[not main_is_ours]}' AS second")
        for schema in ("main", "second"):
            equal(f"{what}: journal", client.one(f"PRAGMA {schema}.journal_mode = {mode}"), mode)
        client.sql(f"PRAGMA {ours}.litevfs_acquire_lease")
        rows = client.sql(f"SELECT x FROM {ours}.t")
        for n in range(2):
            position = server.position("db")
            client.sql("BEGIN")
            client.sql(f"INSERT INTO {local}.u VALUES ('refused')")
            client.sql(f"INSERT INTO {ours}.t VALUES ('refused')")
            client.error("COMMIT")
            end_transaction(client)
            equal(f"{what}: position", server.position("db"), position)
            equal(f"{what}: our rows", client.sql(f"SELECT x FROM {ours}.t"), rows)
            equal(f"{what}: local rows", client.sql(f"SELECT x FROM {local}.u"), [(i,) for i in range(n)])
            equal(f"{what}: the local file", db.execute("SELECT x FROM u").fetchall(), [(i,) for i in range(n)])
            client.sql(f"INSERT INTO {ours}.t VALUES (?)", (what,))
            client.sql(f"INSERT INTO {local}.u VALUES (?)", (n,))
            rows.append((what,))
            equal(f"{what}: our rows afterwards", client.sql(f"SELECT x FROM {ours}.t"), rows)
    equal(f"{what}: the local file at the end", db.execute("SELECT x FROM u").fetchall(), [(0,), (1,)])
    db.close()
    with Client(server, folder, folder / f"{path.stem}-reader", "db") as reader:
        equal(f"{what}: rows for others", reader.sql("SELECT x FROM t"), rows)


def commit_that_is_too_long():
    """A COMMIT that the server does not take for its length: what is cached stays, without what was refused."""
    with scratch() as folder, Server(folder, options=("--max-body", "60000")) as server:
        with Client(server, folder, folder / "cache", "db") as client:
            client.acquire()
            client.sql("CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB)")
            for _ in range(10):
                client.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10) "
                           "INSERT INTO t (x) SELECT randomblob(3000) FROM n")
            before = client.one("SELECT cached_pages FROM litevfs_stats")
            equal("too long", client.error("UPDATE t SET x = randomblob(3000)").primary, 10)
            check("413" in client.last_error(), client.last_error())
            equal("cached pages", client.one("SELECT cached_pages FROM litevfs_stats"), before)
            equal("rows", client.sql("SELECT count(*), sum(length(x)) FROM t"), [(100, 300_000)])
            equal("integrity", client.one("PRAGMA integrity_check"), "ok")
            client.sql("DELETE FROM t WHERE id > 1")
            content = client.content()
        with Client(server, folder, folder / "reader", "db") as reader:
            equal("what is stored", reader.content(), content)


if __name__ == "__main__":
    main(commit_over_several_databases, commit_after_the_last_transaction_id, commit_that_is_too_long)
