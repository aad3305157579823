"""What Python's sqlite3 offers beside plain statements: on us as on a plain file.

Blobs in pieces, serialize and deserialize, backup in steps, interrupts and progress handlers in the
middle of a fetch, authorizers, collations and functions of the program's own, many open databases.
"""

import os
import sqlite3
import threading
import time

from harness import EXT, TOKEN, Client, Proxy, Server, check, database_content, equal, main, scratch

MANY = int(os.environ.get("DATABASES") or 100)


def load(server, folder):
    """Loads the extension into this process; all tests of the file share the server it names."""
    os.environ |= {"LITEFS_CLOUD_HOST": server.url, "LITEFS_CLOUD_TOKEN": TOKEN,
                   "LITEVFS_CACHE_DIR": str(folder / "cache"), "LITEVFS_LOG_FILE": str(folder / "log")}
    (folder / "cache").mkdir()
    loader = sqlite3.connect(":memory:")
    loader.enable_load_extension(True)
    loader.load_extension(EXT)
    loader.close()


def ours(name):
    db = sqlite3.connect(f"file:{name}?vfs=litevfs", uri=True, isolation_level=None)
    db.execute("PRAGMA litevfs_acquire_lease")
    return db


def both(name, work):
    """Runs `work` on a plain file and on us; answers, errors and the bytes of the file agree."""
    plain = sqlite3.connect(FOLDER / f"{name}.db", isolation_level=None)
    there = ours(name)
    expected, actual = (outcome(work, db) for db in (plain, there))
    equal(name, actual, expected)
    plain.close()
    there.close()
    path = SERVER.snapshot(name, FOLDER / f"{name}.snapshot")
    check(path.read_bytes() == (FOLDER / f"{name}.db").read_bytes(), f"{name}: the files differ")
    equal("integrity", database_content(path)["integrity"], [(b"ok",)])


def outcome(work, db):
    seen = []

    def attempt(what):
        try:
            seen.append(what())
        except sqlite3.Error as error:
            seen.append((type(error).__name__, str(error)))

    work(db, attempt)
    return seen


def fill(db, values):
    """A row for each value, in one transaction."""
    db.execute("BEGIN")
    db.executemany("INSERT INTO t(x) VALUES (?)", [(value,) for value in values])
    db.execute("COMMIT")


def blobs_in_pieces():
    def work(db, attempt):
        db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, b)")
        db.execute("INSERT INTO t VALUES (1, zeroblob(300000)), (2, x'00')")
        with db.blobopen("t", "b", 1) as blob:
            for at in range(0, 300_000, 7_001):
                blob.seek(at)
                blob.write(at.to_bytes(4, "big"))
            blob.seek(140_020)
            attempt(lambda: blob.read(8))
            attempt(lambda: len(blob))
        db.execute("BEGIN")
        with db.blobopen("t", "b", 1) as blob:
            blob[0:5] = b"never"
        db.execute("ROLLBACK")
        with db.blobopen("t", "b", 1, readonly=True) as blob:
            attempt(lambda: blob[0:8])
            attempt(lambda: blob.write(b"no"))
            db.execute("UPDATE t SET b = x'01' WHERE id = 1")
            attempt(lambda: blob.read(1))
        attempt(lambda: db.blobopen("t", "b", 99))
        attempt(lambda: db.execute("SELECT id, length(b), hex(substr(b, 1, 4)) FROM t").fetchall())
    both("blobs", work)


def serialized_and_back():
    def work(db, attempt):
        db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
        fill(db, ["row %d" % i * 20 for i in range(500)])
        image = db.serialize()
        attempt(lambda: image)
        memory = sqlite3.connect(":memory:")
        memory.deserialize(image)
        attempt(lambda: memory.execute("SELECT count(*), sum(length(x)) FROM t").fetchall())
        memory.execute("DELETE FROM t WHERE id % 2")
        memory.execute("CREATE INDEX t_x ON t (x)")
        memory.commit()
        memory.backup(db)
        attempt(lambda: db.execute("SELECT count(*), sum(length(x)) FROM t").fetchall())
        attempt(lambda: db.execute("PRAGMA integrity_check").fetchall())
        memory.close()
    both("serialized", work)


def copied_in_steps_while_written():
    def work(db, attempt):
        db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
        fill(db, [bytes(500) for _ in range(300)])
        copy, progress = sqlite3.connect(":memory:"), []

        def step(_status, remaining, total):
            progress.append((remaining, total))
            if len(progress) in (2, 4):
                db.execute("INSERT INTO t(x) VALUES (zeroblob(700))")

        db.backup(copy, pages=7, progress=step)
        attempt(lambda: progress)
        attempt(lambda: copy.execute("SELECT count(*), sum(length(x)) FROM t").fetchall())
        attempt(lambda: copy.execute("PRAGMA integrity_check").fetchall())
        copy.close()
    both("stepwise", work)


def functions_and_hooks_of_the_program():
    def work(db, attempt):
        db.create_function("twice", 1, lambda x: x * 2, deterministic=True)
        db.create_collation("backwards", lambda a, b: (a < b) - (a > b))
        db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
        fill(db, [f"x{i % 7}" for i in range(200)])
        query = "SELECT id FROM t WHERE twice(id) BETWEEN 10 AND 20 ORDER BY x COLLATE backwards, id"
        attempt(lambda: db.execute(query).fetchall())
        db.create_function("fails", 1, lambda x: 1 // (x - 150))
        attempt(lambda: db.execute("UPDATE t SET x = fails(id)"))
        deny = (sqlite3.SQLITE_DELETE,)
        db.set_authorizer(lambda action, *_: sqlite3.SQLITE_DENY if action in deny else sqlite3.SQLITE_OK)
        attempt(lambda: db.execute("DELETE FROM t"))
        db.set_authorizer(None)
        attempt(lambda: db.execute("SELECT count(*), max(x) FROM t").fetchall())
        attempt(lambda: db.total_changes)
        statements = []
        db.set_trace_callback(statements.append)
        db.execute("DELETE FROM t WHERE id > 100")
        db.set_trace_callback(None)
        attempt(lambda: statements)
    both("functions", work)


def stopped_by_a_progress_handler():
    def work(db, attempt):
        db.execute("PRAGMA cache_size = 5")
        db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
        fill(db, [bytes(900) for _ in range(500)])
        calls = []
        db.set_progress_handler(lambda: len(calls) > 20 or calls.append(1), 100)
        attempt(lambda: db.execute("UPDATE t SET x = zeroblob(1000)"))
        db.set_progress_handler(None, 0)
        attempt(lambda: db.execute("SELECT sum(length(x)) FROM t").fetchall())
        attempt(lambda: db.in_transaction)
        db.execute("BEGIN")
        db.execute("DELETE FROM t WHERE id <= 10")
        calls.clear()
        db.set_progress_handler(lambda: len(calls) > 20 or calls.append(1), 100)
        attempt(lambda: db.execute("UPDATE t SET x = zeroblob(1000)"))
        db.set_progress_handler(None, 0)
        attempt(lambda: db.in_transaction)
        if db.in_transaction:
            db.execute("ROLLBACK")
        attempt(lambda: db.execute("SELECT count(*), sum(length(x)) FROM t").fetchall())
    both("progress", work)


def interrupted_in_the_middle_of_fetching():
    """An interrupt while pages come slowly ends the query, and the next one works."""
    with ours("slow") as db:
        db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
        db.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) "
                   "INSERT INTO t SELECT i, zeroblob(3000) FROM n")
    db.close()
    cold = sqlite3.connect("file:slow?vfs=litevfs", uri=True, check_same_thread=False)
    cold.execute("PRAGMA litevfs_max_reqs_per_query = 0")
    cold.execute("PRAGMA litevfs_max_prefetch_pages = 0")
    rows = cold.execute("SELECT id, length(x) FROM t")
    equal("the first row", rows.fetchone(), (1, 3000))
    errors = []

    def fetch():
        try:
            rows.fetchall()
        except sqlite3.Error as error:
            errors.append(str(error))

    fetching = threading.Thread(target=fetch)
    fetching.start()
    while fetching.is_alive() and not errors:
        cold.interrupt()
        time.sleep(0.001)
    fetching.join()
    equal("errors", errors, ["interrupted"])
    equal("rows afterwards", cold.execute("SELECT count(*) FROM t").fetchone(), (2000,))
    cold.close()


def a_large_blob():
    """Larger than any cache of SQLite's, incompressible, in one transaction."""
    size = 120_000_000
    db = ours("large")
    db.execute("PRAGMA page_size = 65536")
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, b)")
    data = os.urandom(size)
    db.execute("INSERT INTO t VALUES (1, ?)", (data,))
    db.close()
    with Client(SERVER, FOLDER, FOLDER / "other-cache", "large") as client:
        equal("length", client.one("SELECT length(b) FROM t"), size)
        check(client.one("SELECT b FROM t") == data, "another process reads other bytes")


def many_databases_in_one_process():
    """All open at once, ten attached to a connection each, written and read in turns."""
    connections = []
    for group in range(MANY // 10):
        db = ours(f"many-{group}")
        for other in range(9):
            db.execute(f"ATTACH 'file:many-{group}-{other}?vfs=litevfs' AS a{other}")
        connections.append(db)
    for step, db in enumerate(connections):
        db.execute("CREATE TABLE t (x)")
        db.execute("INSERT INTO t VALUES (?)", (step,))
    for step, db in enumerate(connections):
        equal("row", db.execute("SELECT x FROM t").fetchall(), [(step,)])
        equal("another's schema", db.execute("SELECT count(*) FROM a8.sqlite_schema").fetchone(), (0,))
    for db in connections:
        db.close()
    equal("a database of many", ours(f"many-{MANY // 20}").execute("SELECT x FROM t").fetchall(), [(MANY // 20,)])


with scratch() as FOLDER, Server(FOLDER) as SERVER:
    load(SERVER, FOLDER)
    main(
        blobs_in_pieces,
        serialized_and_back,
        copied_in_steps_while_written,
        functions_and_hooks_of_the_program,
        stopped_by_a_progress_handler,
        interrupted_in_the_middle_of_fetching,
        a_large_blob,
        many_databases_in_one_process,
    )
