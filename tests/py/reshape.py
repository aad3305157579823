"""Statements that make one database anew: VACUUM, page sizes, backups over it, WAL databases.

Whatever rewrites a whole database happens at once for everyone else, or not at all.
"""

import pathlib
import random
import sqlite3
import time

from harness import Client, Proxy, Server, SqlError, check, database_content, equal, ltx, main, scratch

PAGE_SIZES = (512, 1024, 4096, 16384, 65536)
ROWS = 200
COUNT = "SELECT count(*), sum(length(x)) FROM t"


def fill(client, name="main"):
    client.acquire(name)
    client.sql("CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB)", name=name)
    client.sql("CREATE INDEX t_x ON t (x)", name=name)
    client.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
               "INSERT INTO t SELECT i, zeroblob(i * 7) FROM n", (ROWS,), name=name)


def reshape(client, page_size, name="main"):
    client.sql(f"PRAGMA page_size = {page_size}", name=name)
    client.sql("VACUUM", name=name)
    equal("the page size", client.one("PRAGMA page_size", name=name), page_size)


def local(folder, name, page_size=4096, rows=ROWS, mode="delete"):
    """A plain SQLite file."""
    path = folder / f"{name}.db"
    path.unlink(missing_ok=True)
    db = sqlite3.connect(path, isolation_level=None)
    db.execute(f"PRAGMA page_size = {page_size}")
    db.execute(f"PRAGMA journal_mode = {mode}")
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB)")
    db.execute("BEGIN")
    db.executemany("INSERT INTO t VALUES (?, zeroblob(?))", [(i, i * 11) for i in range(rows)])
    db.execute("COMMIT")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    return path


def stored_version(server, folder, db="db"):
    """The bytes of the stored header that say WAL or not, and what a plain SQLite thinks of the file."""
    path = pathlib.Path(server.snapshot(db, folder / "stored.db"))
    equal("integrity", database_content(path)["integrity"], [(b"ok",)])
    return path.read_bytes()[18:20]


def readers_across_a_change():
    """A reader that began before keeps its pages, even those it has not read; then it sees the new ones."""
    with scratch() as folder, Server(folder) as server:
        with (Client(server, folder, folder / "c1", "db") as writer,
              Client(server, folder, folder / "c2", "db") as reader,
              Client(server, folder, folder / "c3", "db") as other):
            fill(writer)
            writer.open("db", name="beside")
            count = writer.sql(COUNT)
            for page_size in PAGE_SIZES:
                for client in (reader, other):
                    client.sql("PRAGMA litevfs_cache_sync_period = '1ms'")
                before = reader.one("PRAGMA page_size")
                reader.sql("BEGIN")
                reader.sql("SELECT * FROM t WHERE id = 1")
                writer.sql("BEGIN", name="beside")
                writer.sql("SELECT * FROM t WHERE id = 1", name="beside")
                reshape(writer, page_size)
                writer.sql("UPDATE t SET x = zeroblob(length(x) + 1)")
                for client, name in ((reader, "main"), (writer, "beside")):
                    equal("old rows", client.sql(COUNT, name=name), count)
                    equal("old page size", client.one("PRAGMA page_size", name=name), before)
                    equal("integrity", client.one("PRAGMA integrity_check", name=name), "ok")
                    client.sql("COMMIT", name=name)
                count = writer.sql(COUNT)
                for client, name in ((reader, "main"), (writer, "beside"), (other, "main")):
                    equal("new rows", client.sql(COUNT, name=name), count)
                    equal("new page size", client.one("PRAGMA page_size", name=name), page_size)
            content = writer.content()
            equal("content", reader.content(), content)
        with Client(server, folder, folder / "c2", "db") as reader:
            equal("content from the cache", reader.content(), content)
        equal("content of the server's copy", database_content(server.snapshot("db", folder / "copy.db")), content)


def every_journal_and_locking_mode():
    """The page size changes in each of them, and what comes after is written well."""
    with scratch() as folder, Server(folder) as server:
        modes = [(j, l) for j in ("delete", "truncate", "persist", "memory", "off") for l in ("normal", "exclusive")]
        for n, (journal, locking) in enumerate(modes):
            with Client(server, folder, folder / f"c{n}", f"db{n}") as client:
                fill(client)
                client.sql(f"PRAGMA locking_mode = {locking}")
                client.sql(f"PRAGMA journal_mode = {journal}")
                client.sql("INSERT INTO t VALUES (1000, 'before')")
                for page_size in (512, 65536, 1024):
                    reshape(client, page_size)
                    client.sql(f"INSERT INTO t VALUES ({2000 + page_size}, 'after')")
                    client.sql("DELETE FROM t WHERE id % 7 = 3")
                    client.sql("BEGIN")
                    client.sql("UPDATE t SET x = zeroblob(5000)")
                    client.sql("ROLLBACK")
                equal(f"{journal}, {locking}", client.one("PRAGMA integrity_check"), "ok")
                content = client.content()
            with Client(server, folder, folder / f"r{n}", f"db{n}") as reader:
                equal(f"{journal}, {locking}: content for others", reader.content(), content)


def wal_databases_stay_wal():
    """Through every statement that makes page 1 anew; and nobody is told that WAL is in force."""
    with scratch() as folder, Server(folder) as server:
        data = local(folder, "wal", mode="wal").read_bytes()
        equal("the local version bytes", data[18:20], b"\2\2")
        equal("the upload", ltx.push(server, "db", ltx.encode(b"", data, 1, 1))[0], 200)
        plain = local(folder, "plain", page_size=1024)
        with Client(server, folder, folder / "c1", "db") as client:
            client.acquire()
            steps = ["VACUUM", "PRAGMA page_size = 512; VACUUM", "PRAGMA auto_vacuum = incremental; VACUUM",
                     "DELETE FROM t WHERE id > 50; PRAGMA incremental_vacuum",
                     "PRAGMA auto_vacuum = full; PRAGMA page_size = 8192; VACUUM", "restore",
                     "PRAGMA locking_mode = exclusive; VACUUM; PRAGMA page_size = 2048; VACUUM",
                     "PRAGMA locking_mode = normal; PRAGMA user_version = 5", "PRAGMA schema_version = 99"]
            for step in steps:
                if step == "restore":
                    client.restore(plain)
                else:
                    for sql in step.split(";"):
                        client.sql(sql)
                equal(f"the version bytes after {step}", stored_version(server, folder), b"\2\2")
                for ask in ("PRAGMA journal_mode", "PRAGMA journal_mode = wal", "PRAGMA main.journal_mode"):
                    equal(f"{ask} after {step}", client.sql(ask), [("delete",)])
                client.sql("INSERT INTO t (x) VALUES ('more')")
                equal("integrity", client.one("PRAGMA integrity_check"), "ok")
            content = client.content()
        with Client(server, folder, folder / "c2", "db") as reader:
            equal("content for others", reader.content(), content)


def journal_mode_wal_as_frameworks_set_it():
    """It answers with the mode in force and does not fail: at the start, on a new database, without a
    lease, in exclusive locking mode, inside of a transaction."""
    with scratch() as folder, Server(folder) as server:
        with Client(server, folder, folder / "c1", "db") as client:
            equal("new, without a lease", client.sql("PRAGMA journal_mode = WAL"), [("delete",)])
            equal("all databases", client.sql("PRAGMA journal_mode = 'wal'"), [("delete",)])
            for sql in ("PRAGMA synchronous = NORMAL", "PRAGMA wal_autocheckpoint = 1000", "PRAGMA busy_timeout = 5000",
                        "PRAGMA journal_size_limit = 67108864", "PRAGMA mmap_size = 134217728",
                        "PRAGMA cache_size = 2000", "PRAGMA temp_store = MEMORY", "PRAGMA foreign_keys = ON"):
                client.sql(sql)
            fill(client)
            for mode in ("truncate", "memory", "persist", "off", "delete"):
                equal("a mode", client.sql(f"PRAGMA journal_mode = {mode}"), [(mode,)])
                equal("WAL", client.sql("PRAGMA journal_mode = wal"), [(mode,)])
                client.sql("INSERT INTO t (x) VALUES ('row')")
                equal("still", client.sql("PRAGMA journal_mode"), [(mode,)])
            equal("a checkpoint", client.sql("PRAGMA wal_checkpoint(TRUNCATE)"), [(0, -1, -1)])
            client.sql("PRAGMA locking_mode = exclusive")
            equal("exclusive", client.sql("PRAGMA journal_mode = wal"), [("delete",)])
            client.sql("INSERT INTO t (x) VALUES ('row')")
            equal("rows", client.one("SELECT count(*) FROM t WHERE x = 'row'"), 6)


def backups_over_another_page_size():
    """A file of any page size becomes the database, at once for everyone."""
    with scratch() as folder, Server(folder) as server:
        with (Client(server, folder, folder / "c1", "db") as client,
              Client(server, folder, folder / "c2", "db") as reader):
            fill(client)
            reader.sql("PRAGMA litevfs_cache_sync_period = '1ms'")
            for n, page_size in enumerate((1024, 65536, 512, 4096, 4096)):
                path = local(folder, "source", page_size, ROWS + n * 50)
                if n % 2:
                    client.restore(path)
                else:
                    client.deserialize(path.read_bytes())
                expected = database_content(path)
                equal("the page size", expected["pragmas"]["page_size"], (page_size,))
                equal("content", client.content(), expected)
                equal("content for others", reader.content(), expected)
                client.sql("INSERT INTO t (x) VALUES ('after')")
                equal("rows for others", reader.one("SELECT count(*) FROM t"), ROWS + n * 50 + 1)


def backups_of_nothing_over_larger_pages():
    """The file that SQLite leaves is shorter than its only page."""
    with scratch() as folder, Server(folder) as server:
        with Client(server, folder, folder / "c1", "db") as client:
            client.acquire()
            for sql in ("PRAGMA page_size = 8192", "CREATE TABLE t (x)", "INSERT INTO t VALUES (zeroblob(20000))"):
                client.sql(sql)
            for empty in ("memory", "file", "ours"):
                if empty == "ours":
                    client.open("nothing", "nothing")
                    client.copy("main", name="nothing")
                elif empty == "file":
                    client.restore(local_empty(folder))
                else:
                    client.open_uri(":memory:", "memory")
                    client.copy("main", name="memory")
                equal(f"{empty}: content", client.sql("SELECT count(*) FROM sqlite_schema"), [(0,)])
                equal(f"{empty}: pages", client.one("PRAGMA page_count"), 1)
                equal(f"{empty}: integrity", client.one("PRAGMA integrity_check"), "ok")
                content = client.content()
                copy = server.snapshot("db", folder / "copy.db")
                equal(f"{empty}: bytes", len(copy.read_bytes()), 8192)
                equal(f"{empty}: the server's copy", database_content(copy), content)
                client.sql("CREATE TABLE t (x)")
                client.sql("INSERT INTO t VALUES (zeroblob(20000))")
                client.sql("DELETE FROM t")
        with Client(server, folder, folder / "c2", "db") as reader:
            equal("for others", reader.one("PRAGMA integrity_check"), "ok")


def local_empty(folder):
    path = folder / "empty.db"
    path.touch()
    return path


def steps_while_others_write():
    """A backup a page at a time begins anew when somebody writes, and is one state of the database."""
    with scratch() as folder, Server(folder) as server:
        with (Client(server, folder, folder / "c1", "db") as writer,
              Client(server, folder, folder / "c2", "db") as client):
            fill(writer)
            client.sql("PRAGMA litevfs_cache_sync_period = '1ms'")
            client.open_uri(f"file:{folder}/copy.db", name="copy")
            client.send_copy("copy", pages=1)
            for n in range(20):
                writer.sql("UPDATE t SET x = zeroblob(length(x) + 1)")
                if n % 8 == 3:
                    reshape(writer, PAGE_SIZES[n % len(PAGE_SIZES)])
            client.finish()
            copied = client.sql(COUNT, name="copy")[0]
            base = sum(i * 7 for i in range(1, ROWS + 1))
            check(copied[0] == ROWS and (copied[1] - base) % ROWS == 0, f"a mixture: {copied}, {base}")
            equal("integrity", client.one("PRAGMA integrity_check", name="copy"), "ok")
            # And back, into a database that the writer has the lease of: nothing happens.
            before = server.position("db")
            try:
                client.copy("main", name="copy", pages=3)
                check(False, "written without the lease")
            except SqlError as error:
                check("lease" in client.last_error(), f"{error}: {client.last_error()}")
            equal("the position", server.position("db"), before)
            writer.sql("PRAGMA litevfs_release_lease")
            client.acquire()
            client.copy("main", name="copy", pages=3)
            equal("content", client.content(), client.content("copy"))


def killed_on_the_way():
    """kill -9 at some moment of a VACUUM to another page size: the old database, or the new one."""
    with scratch() as folder, Server(folder) as server:
        cache, chance = folder / "c", random.Random(7)
        with Client(server, folder, cache, "db") as client:
            fill(client)
            content = client.content()["tables"]
        for _ in range(12):
            client = Client(server, folder, cache, "db")
            acquire_when_free(client)
            client.sql(f"PRAGMA page_size = {chance.choice(PAGE_SIZES)}")
            client.send("VACUUM")
            time.sleep(chance.random() * 0.12)
            client.kill()
            for reader_cache in (cache, folder / "new"):
                with Client(server, folder, reader_cache, "db") as reader:
                    found = reader.content()
                    equal("rows", found["tables"], content)
                    equal("integrity", found["integrity"], [(b"ok",)])


def acquire_when_free(client):
    for _ in range(300):
        try:
            return client.acquire()
        except SqlError:
            time.sleep(0.05)
    raise AssertionError("the killed client's lease never ran out")


def lost_answers():
    """The push arrives and its answer does not, or the other way round: once, in the new size."""
    for arrives in (True, False):
        with scratch() as folder, Server(folder) as server, Proxy(server) as proxy:
            with Client(proxy, folder, folder / "c1", "db") as client:
                fill(client)
                content = client.content()["tables"]
                cut = []

                def once(exchange, arrives=arrives, cut=cut):
                    if exchange.path != "/db/tx" or cut:
                        return False
                    cut.append(exchange.path)
                    if arrives:
                        exchange.forward()
                    return exchange.cut()

                proxy.fault = once
                before = server.position("db")["txid"]
                reshape(client, 512)
                equal("cut", len(cut), 1)
                equal("transactions", int(server.position("db")["txid"], 16), int(before, 16) + 1)
                client.sql("INSERT INTO t VALUES (0, 'after')")
                client.sql("DELETE FROM t WHERE id = 0")
                equal("rows", client.content()["tables"], content)


def a_refused_change():
    """The server is away when VACUUM commits: the statement fails, and all is as it was."""
    with scratch() as folder, Server(folder) as server, Proxy(server) as proxy:
        with Client(proxy, folder, folder / "c1", "db") as client:
            fill(client)
            content = client.content()
            for page_size in (512, 65536):
                def refuse(exchange):
                    if exchange.path != "/db/tx":
                        return False
                    return exchange.answer(422, b'{"code":"EBADHEADER","error":"not this size"}')

                proxy.fault = refuse
                client.sql(f"PRAGMA page_size = {page_size}")
                check("not this size" in f"{client.error('VACUUM')} {client.last_error()}", client.last_error())
                proxy.fault = None
                equal("content", client.content(), content)
            reshape(client, 1024)
            equal("rows", client.content()["tables"], content["tables"])


def vacuum_into():
    """A local file, in the size asked for; and the content is that of one moment."""
    with scratch() as folder, Server(folder) as server:
        with Client(server, folder, folder / "c1", "db") as client:
            fill(client)
            into = f"file:{folder}/into.db?vfs=unix"
            client.sql("VACUUM INTO ?", (into,))
            equal("content", database_content(folder / "into.db")["tables"], client.content()["tables"])
            check("exists" in str(client.error("VACUUM INTO ?", (into,))), "overwritten")
            client.sql("PRAGMA page_size = 512")
            client.sql("VACUUM INTO ?", (f"file:{folder}/small.db?vfs=unix",))
            equal("page size", database_content(folder / "small.db")["pragmas"]["page_size"], (512,))
            equal("page size here", client.one("PRAGMA page_size"), 4096)


if __name__ == "__main__":
    main(readers_across_a_change, every_journal_and_locking_mode, wal_databases_stay_wal,
         journal_mode_wal_as_frameworks_set_it, backups_over_another_page_size, backups_of_nothing_over_larger_pages, steps_while_others_write,
         killed_on_the_way, lost_answers, a_refused_change, vacuum_into)
