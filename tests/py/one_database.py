"""What a program does with one database through Python's functions: the answers of a plain local file.

The same steps run in two processes, one on a file and one here; what they say must be the same.
"""

import os
import pathlib
import sqlite3
import subprocess
import sys

from harness import EXT, TOKEN, Server, equal, main, scratch

COUNT = "SELECT count(*), sum(length(x)) FROM t"


def rows(db, sql, *parameters):
    return db.execute(sql, parameters).fetchall()


def create(db):
    db.create_collation("backwards", lambda a, b: (a[::-1] > b[::-1]) - (a[::-1] < b[::-1]))
    db.executescript("""
        PRAGMA page_size = 1024;
        CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB, y TEXT COLLATE backwards);
        CREATE INDEX t_y ON t (y);
        CREATE VIEW v AS SELECT id, y FROM t;
    """)
    db.executemany("INSERT INTO t VALUES (?, zeroblob(?), ?)", [(i, i * 50, f"row {i}") for i in range(1, 200)])
    return rows(db, COUNT)


def blobs(db):
    with db.blobopen("t", "x", 100) as blob:
        blob.write(b"hello")
        blob.seek(4990)
        blob.write(b"0123456789")
        blob.seek(0)
        read = blob.read(6), len(blob)
    return read, rows(db, "SELECT substr(x, 1, 5), substr(x, -10) FROM t WHERE id = 100")


def blob_while_rows_change(db):
    """A handle ends when its row is written otherwise."""
    with db.blobopen("t", "x", 100, readonly=True) as blob:
        db.execute("UPDATE t SET x = zeroblob(7) WHERE id = 100")
        return blob.read(3)


def serialize(db):
    image = db.serialize()
    copy = sqlite3.connect(":memory:")
    copy.deserialize(image)
    return len(image), image[:24], rows(copy, COUNT)


def backup_to_and_fro(db):
    memory = sqlite3.connect(":memory:")
    steps = []
    db.backup(memory, pages=50, progress=lambda *step: steps.append(step))
    memory.create_collation("backwards", lambda a, b: (a[::-1] > b[::-1]) - (a[::-1] < b[::-1]))
    memory.execute("DELETE FROM t WHERE id > 150")
    memory.commit()
    memory.backup(db, pages=7)
    return steps, rows(db, COUNT), rows(db, "PRAGMA integrity_check")


def interrupted_vacuum(db):
    told = []
    for limit in (1, 40, 200):
        calls = iter(range(limit))
        db.set_progress_handler(lambda calls=calls: next(calls, None) is None, 20)
        try:
            db.execute("PRAGMA page_size = 512")
            db.execute("VACUUM")
            told.append("done")
        except sqlite3.Error as error:
            told.append(str(error))
        finally:
            db.set_progress_handler(None, 0)
    return told, rows(db, COUNT), rows(db, "PRAGMA page_size"), rows(db, "PRAGMA integrity_check")


def vacuum_with_functions(db):
    db.create_function("half", 1, lambda n: n // 2, deterministic=True)
    db.execute("CREATE INDEX t_half ON t (half(id))")
    db.execute("PRAGMA page_size = 8192")
    db.execute("VACUUM")
    db.execute("REINDEX")
    return rows(db, "PRAGMA page_size"), rows(db, "SELECT max(y), min(y) FROM t"), rows(db, "PRAGMA integrity_check")


def vacuum_where_it_must_not(db):
    told = []
    for before, after in (("BEGIN", "ROLLBACK"), ("SAVEPOINT s", "RELEASE s"), ("PRAGMA query_only = 1",
                                                                                "PRAGMA query_only = 0")):
        db.execute(before)
        try:
            db.execute("VACUUM")
        except sqlite3.Error as error:
            told.append(str(error))
        db.execute(after)
    cursor = db.execute("SELECT * FROM t")
    cursor.fetchone()
    try:
        db.execute("VACUUM")
    except sqlite3.Error as error:
        told.append(str(error))
    return told, len(cursor.fetchall())


def full(db):
    pages = rows(db, "PRAGMA page_count")[0][0]
    db.execute(f"PRAGMA max_page_count = {pages + 3}")
    try:
        db.execute("INSERT INTO t VALUES (7000, zeroblob(1000000), 'x')")
    except sqlite3.Error as error:
        told = str(error), error.sqlite_errorname
    db.execute("PRAGMA max_page_count = 1000000")
    return told, rows(db, COUNT), rows(db, "PRAGMA integrity_check")


def limits(db):
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 5000)
    try:
        db.execute("INSERT INTO t VALUES (7001, zeroblob(6000), 'x')")
    except sqlite3.Error as error:
        return str(error)
    finally:
        db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1_000_000_000)


def dump(db):
    return list(db.iterdump())


def vacuum_elsewhere(db):
    db.execute("VACUUM INTO ':memory:'")
    db.execute("ATTACH ':memory:' AS m")
    db.execute("CREATE TABLE m.z AS SELECT * FROM t")
    db.execute("VACUUM m")
    db.execute("CREATE TEMP TABLE tt AS SELECT * FROM t")
    db.execute("VACUUM temp")
    return rows(db, "SELECT count(*) FROM m.z"), rows(db, "SELECT count(*) FROM tt"), db.execute("DETACH m").fetchall()


def deserialize_in_place(db):
    """The connection's main database becomes one in memory: what is stored is not touched."""
    image = db.serialize()
    db.deserialize(image)
    db.execute("DELETE FROM t")
    return rows(db, COUNT)


STEPS = [create, blobs, serialize, blob_while_rows_change, backup_to_and_fro, interrupted_vacuum,
         vacuum_with_functions, vacuum_where_it_must_not, full, limits, dump, vacuum_elsewhere, deserialize_in_place]


def child(uri, ext):
    """Runs the steps and says what each gave."""
    if ext:
        loader = sqlite3.connect(":memory:")
        loader.enable_load_extension(True)
        loader.load_extension(ext)
        loader.close()
    db = sqlite3.connect(uri, uri=True, isolation_level=None)
    db.execute("PRAGMA litevfs_acquire_lease")
    for step in STEPS:
        try:
            print(step.__name__, repr(step(db)))
        except sqlite3.Error as error:
            print(step.__name__, type(error).__name__, error)
    db.close()


def run(uri, ext="", **environment):
    done = subprocess.run([sys.executable, "-B", __file__, "--child", uri, ext], env=os.environ | environment,
                          capture_output=True, text=True, timeout=180)
    equal("the child's errors", (done.returncode, done.stderr[-1500:]), (0, ""))
    return done.stdout.splitlines()


def as_on_a_local_file():
    with scratch() as folder, Server(folder) as server:
        plain = run(f"file:{folder}/plain.db")
        ours = run("file:db?vfs=litevfs", EXT, LITEFS_CLOUD_HOST=server.url, LITEFS_CLOUD_TOKEN=TOKEN,
                   LITEVFS_LOG_FILE=str(folder / "log"))
        equal("steps", len(ours), len(STEPS))
        for theirs, here in zip(plain, ours, strict=True):
            equal("a step", here, theirs)
        copy = pathlib.Path(server.snapshot("db", folder / "copy.db")).read_bytes()
        plain_bytes = (folder / "plain.db").read_bytes()
        equal("pages", len(copy), len(plain_bytes))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main(as_on_a_local_file)
