"""What can't be kept is refused: another page size, a transaction over several databases.

A refusal is an error that leaves the server's database and every local file as they were, and a
connection that goes on working.
"""

import contextlib
import sqlite3

from harness import Client, Server, SqlError, check, database_content, equal, main, scratch

ROWS = 300


def fill(client):
    client.acquire()
    client.sql("CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB)")
    client.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
               "INSERT INTO t SELECT i, zeroblob(i * 10) FROM n", (ROWS,))


def end_transaction(client):
    """Whether a failed COMMIT ends the transaction depends on the error."""
    with contextlib.suppress(SqlError):
        client.sql("ROLLBACK")


def still_there(client, server, folder, what, position, content):
    """The database is what it was, here and at the server, and the connection writes to it."""
    equal(f"{what}: position", server.position("db"), position)
    equal(f"{what}: content", client.content(), content)
    copy = server.snapshot("db", folder / "copy.db")
    equal(f"{what}: content at the server", database_content(copy), content)
    client.acquire()
    client.sql("INSERT INTO t VALUES (5000, 'one more')")
    equal(f"{what}: rows", client.one("SELECT count(*) FROM t"), ROWS + 1)
    client.sql("DELETE FROM t WHERE id = 5000")
    with Client(server, folder, folder / "reader", "db") as reader:
        equal(f"{what}: rows for others", reader.one("SELECT count(*) FROM t"), ROWS)
        equal(f"{what}: integrity for others", reader.one("PRAGMA integrity_check"), "ok")


def vacuum_into_another_page_size():
    with scratch() as folder, Server(folder) as server, Client(server, folder, folder / "c", "db") as client:
        fill(client)
        for page_size in (8192, 1024, 65536, 512):
            position, content = server.position("db"), client.content()
            client.sql(f"PRAGMA page_size = {page_size}")
            error = client.error("VACUUM")
            check("page size" in f"{error} {client.last_error()}", f"the error names no page size: {error}")
            still_there(client, server, folder, f"VACUUM to {page_size}", position, content)
        client.sql("PRAGMA page_size = 4096")
        client.sql("VACUUM")
        equal("rows after a VACUUM", client.one("SELECT count(*) FROM t"), ROWS)
        equal("integrity after a VACUUM", client.one("PRAGMA integrity_check"), "ok")


def local_file(path, page_size, rows):
    db = sqlite3.connect(path, isolation_level=None)
    db.execute(f"PRAGMA page_size = {page_size}")
    db.execute("CREATE TABLE u (x)")
    db.executemany("INSERT INTO u VALUES (zeroblob(500))", [()] * rows)
    db.close()
    return path


def restore_with_another_page_size():
    """SQLite's backup functions; the source is larger or smaller than the database."""
    with scratch() as folder, Server(folder) as server:
        for page_size in (16384, 1024):
            for rows in (1, 3000):
                source = local_file(folder / f"{page_size}-{rows}.db", page_size, rows)
                what = f"restoring {rows} rows in pages of {page_size}"
                with Client(server, folder, folder / what, "db") as client:
                    if server.position("db") is None:
                        fill(client)
                    client.acquire()
                    position, content = server.position("db"), client.content()
                    try:
                        client.restore(source)
                    except SqlError:
                        pass
                    else:
                        raise AssertionError(f"{what}: not refused")
                    still_there(client, server, folder, what, position, content)
                # A new database takes it as it is.
                new = f"new-{page_size}-{rows}"
                with Client(server, folder, folder / new, new) as client:
                    client.acquire()
                    client.restore(source)
                    equal(f"{new}: rows", client.one("SELECT count(*) FROM u"), rows)
                with Client(server, folder, folder / f"{new}-reader", new) as reader:
                    equal(f"{new}: content for others", reader.content(), database_content(source))


def commit_over_several_databases():
    """A COMMIT over ours and a local file, either of them the main one: refused, neither part is there."""
    with scratch() as folder, Server(folder) as server:
        with Client(server, folder, folder / "setup", "db") as client:
            client.acquire()
            client.sql("CREATE TABLE t (x)")
        for mode in ("delete", "truncate", "persist"):
            for main_is_ours in (True, False):
                several(server, folder, mode, main_is_ours)


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


if __name__ == "__main__":
    main(vacuum_into_another_page_size, restore_with_another_page_size, commit_over_several_databases)
