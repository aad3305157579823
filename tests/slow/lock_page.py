"""A database past 1 GiB, where SQLite leaves a page out: written, read, and made anew in other pages.

The page with byte 0x40000000 is never stored, and of another size in every page size. What VACUUM
writes around it is of the new size, while all else is of the old one.
"""

import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "py"))

from harness import Client, Server, check, database_content, equal, main, scratch  # noqa: E402

PENDING_BYTE = 1 << 30
LARGE_ROWS, LARGE_BYTES = 54, 20_000_000
# One client's memory for a transaction of the whole database, beyond what SQLite itself takes.
MAX_PEAK_MB = int(os.environ.get("MAX_PEAK_MB") or 400)
COUNTS = "SELECT count(*), sum(length(x)), sum(id * length(x)), count(DISTINCT y) FROM t"
# The rows with content; they lie behind the large ones, past the lock page.
TEXTS = "SELECT count(*), min(x), max(x), sum(instr(x, 'row ' || id)) FROM t WHERE id > 1000"


def peak_mb(client):
    """The most memory that a client's process ever had."""
    status = pathlib.Path(f"/proc/{client.process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


class Stopwatch:
    """Says what each step took, and the memory of the client that did it."""

    def __init__(self):
        self.since = time.monotonic()

    def tell(self, what, client):
        now = time.monotonic()
        print(f"{what}: {now - self.since:.0f} s, {peak_mb(client)} MB", flush=True)
        self.since = now
        check(peak_mb(client) <= MAX_PEAK_MB, f"{what}: {peak_mb(client)} MB are more than {MAX_PEAK_MB}")


def fill(client):
    client.acquire()
    client.sql("PRAGMA page_size = 65536")
    client.sql("CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB, y TEXT)")
    client.sql("BEGIN")
    client.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
               "INSERT INTO t SELECT i, zeroblob(?), 'large ' || i FROM n", (LARGE_ROWS, LARGE_BYTES))
    client.sql("WITH RECURSIVE n(i) AS (SELECT 1001 UNION ALL SELECT i + 1 FROM n WHERE i < 21000) "
               "INSERT INTO t SELECT i, printf('row %d %.*c', i, i % 2000, 'x'), 'small ' || i FROM n")
    client.sql("CREATE INDEX t_y ON t (y)")
    client.sql("COMMIT")
    size = client.one("PRAGMA page_count") * 65536
    check(size > PENDING_BYTE + (16 << 20), f"the database has {size} bytes only")


def past_the_lock_page():
    with scratch() as folder, Server(folder) as server:
        watch = Stopwatch()
        with Client(server, folder, folder / "c1", "db") as client:
            fill(client)
            watch.tell("written in one transaction", client)
            expected = client.sql(COUNTS), client.sql(TEXTS)
            client.sql("UPDATE t SET x = x || 'y' WHERE id BETWEEN 1001 AND 3000")
            client.sql("UPDATE t SET x = substr(x, 1, length(x) - 1) WHERE id BETWEEN 1001 AND 3000")
        for page_size in (16384, 65536, 65536):
            # The cache of the process before is of no use to it.
            with Client(server, folder, folder / f"r{page_size}", "db") as reader:
                equal("integrity", reader.one("PRAGMA integrity_check"), "ok")
                equal("rows", (reader.sql(COUNTS), reader.sql(TEXTS)), expected)
                watch.tell(f"read in pages of {reader.one('PRAGMA page_size')}", reader)
                reader.acquire()
                reader.sql(f"PRAGMA page_size = {page_size}")
                reader.sql("VACUUM")
                equal("page size", reader.one("PRAGMA page_size"), page_size)
                equal("rows", (reader.sql(COUNTS), reader.sql(TEXTS)), expected)
                watch.tell(f"VACUUM to pages of {page_size}", reader)
        with Client(server, folder, folder / "last", "db") as reader:
            equal("integrity", reader.one("PRAGMA integrity_check"), "ok")
            equal("rows", (reader.sql(COUNTS), reader.sql(TEXTS)), expected)
            watch.tell("read at last", reader)
        copy = server.snapshot("db", folder / "copy.db")
        equal("the server's copy", database_content(copy)["integrity"], [(b"ok",)])


if __name__ == "__main__":
    main(past_the_lock_page)
