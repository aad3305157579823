"""Databases that others put on the server: in WAL mode, by LiteFS's chunked uploads, without a lease."""

import functools
import pathlib
import sqlite3

from harness import Client, Server, check, equal, ltx, main, scratch

ROWS = 100


def wal_database(folder):
    """A WAL-mode database file, checkpointed: bytes 18 and 19 are 2."""
    path = folder / "wal.db"
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)")
    db.executemany("INSERT INTO t VALUES (?, ?)", [(i, f"row {i} " * 20) for i in range(ROWS)])
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    data = path.read_bytes()
    equal("the version bytes", data[18:20], b"\2\2")
    return data


def wal_mode():
    """A WAL database is read and written here, and is still a WAL database for everyone else."""
    with scratch() as folder, Server(folder) as server:
        data = wal_database(folder)
        status, body = ltx.push(server, "db", ltx.encode(b"", data, 1, 1))
        equal("the upload", (status, body if status != 200 else b""), (200, b""))
        with Client(server, folder, folder / "c1", "db") as client:
            equal("rows", client.one("SELECT count(*) FROM t"), ROWS)
            equal("integrity", client.one("PRAGMA integrity_check"), "ok")
            client.acquire()
            client.sql("UPDATE t SET x = 'changed' WHERE id % 2 = 0")
            client.sql("INSERT INTO t VALUES (1000, 'new')")
            check(client.one("PRAGMA journal_mode") != "wal", "there is no WAL here")
        with Client(server, folder, folder / "c2", "db") as reader:
            equal("rows for others", reader.sql("SELECT count(*), sum(x = 'changed') FROM t"), [(ROWS + 1, ROWS // 2)])
        copy = server.snapshot("db", folder / "copy.db")
        equal("the version bytes at the server", pathlib.Path(copy).read_bytes()[18:20], b"\2\2")
        db = sqlite3.connect(copy)
        equal("the mode of the copy", db.execute("PRAGMA journal_mode").fetchone(), ("wal",))
        equal("its rows", db.execute("SELECT count(*) FROM t").fetchone(), (ROWS + 1,))
        db.close()


def wal_mode_restored():
    """A WAL database copied over one of ours, new or not: the same connection reads and writes on."""
    with scratch() as folder, Server(folder) as server:
        wal_database(folder)
        for name in ("new", "old"):
            with Client(server, folder, folder / name, name) as client:
                client.acquire()
                if name == "old":
                    client.sql("CREATE TABLE before AS SELECT zeroblob(9000) AS x")
                client.restore(folder / "wal.db")
                for n in range(3):
                    equal(f"{name}: rows after {n} writes", client.one("SELECT count(*) FROM t"), ROWS + n)
                    client.sql("INSERT INTO t VALUES (?, 'new')", (1000 + n,))
                equal(f"{name}: integrity", client.one("PRAGMA integrity_check"), "ok")
                content = client.content()
            with Client(server, folder, folder / f"{name}-reader", name) as reader:
                equal(f"{name}: content for others", reader.content(), content)
                equal(f"{name}: rows for others", reader.one("SELECT count(*) FROM t"), ROWS + 3)


def litefs_uploads():
    """Several transactions in one chunked upload, without a lease; the extension follows along."""
    with scratch() as folder, Server(folder) as server:
        path = folder / "local.db"
        db = sqlite3.connect(path, isolation_level=None)
        db.execute("CREATE TABLE t (n INTEGER, x BLOB)")
        versions = [b"", path.read_bytes()]
        for n in range(6):
            db.execute("INSERT INTO t VALUES (?, randomblob(6000))", (n,))
            versions.append(path.read_bytes())
        db.execute("DELETE FROM t WHERE n < 3")
        versions.append(path.read_bytes())
        db.execute("VACUUM")
        versions.append(path.read_bytes())
        db.close()

        @functools.cache
        def upload_file(first, last):
            """The transactions first to last as one file; version i is the state after transaction i."""
            return ltx.encode(versions[first - 1], versions[last], first, last)

        def upload(first, last):
            return ltx.push(server, "db", upload_file(first, last))

        with Client(server, folder, folder / "cache") as client:
            equal("transaction 1", upload(1, 1)[0], 200)
            client.open("db")
            client.sql("PRAGMA litevfs_cache_sync_period = '1ms'")
            equal("rows", client.one("SELECT count(*) FROM t"), 0)
            equal("transactions 2 to 5", upload(2, 5)[0], 200)
            equal("rows", client.one("SELECT count(*) FROM t"), 4)
            equal("the same once more", upload(2, 5)[0], 200)
            status, body = upload(2, 3)
            check(status == 409 and b"EPOSMISMATCH" in body, f"an old transaction: {status} {body}")
            last = len(versions) - 1
            equal("the rest", upload(6, last)[0], 200)
            equal("rows", client.sql("SELECT count(*), min(n) FROM t"), [(3, 3)])
            equal("integrity", client.one("PRAGMA integrity_check"), "ok")
            equal("the server's file", pathlib.Path(server.snapshot("db", folder / "copy.db")).read_bytes(),
                  versions[last])
            # A lease fences: while the extension holds it LiteFS's upload is refused.
            client.acquire()
            client.sql("INSERT INTO t VALUES (100, NULL)")
            changed = versions[last] + bytes(ltx.page_size_of(versions[last]))
            status, body = ltx.push(server, "db", ltx.encode(versions[last], changed, last + 1, last + 1))
            equal("an upload against the lease", status, 409)


if __name__ == "__main__":
    main(wal_mode, wal_mode_restored, litefs_uploads)
