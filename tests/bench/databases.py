"""The databases that `make bench` reads: made once from a seed, kept in build/bench."""

import os
import random
import sqlite3

from measure import BUILD, say

ROWS = int(os.environ.get("ROWS") or 1_000_000)
WORDS = """lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut
labore et dolore magna aliqua""".split()


def main_database():
    """The one that all scenarios share: 95 MB with a million rows."""
    return _made(f"rows-{ROWS}.db", lambda path: _generate(path, ROWS))


def grown(megabytes):
    """One of about that size: the same rows over and over, so with every page in use."""
    rows = round(megabytes * 1_000_000 / 95)
    if rows <= ROWS:
        return _made(f"rows-{rows}.db", lambda path: _generate(path, rows))
    return _made(f"rows-{rows}.db", lambda path: _multiply(path, main_database(), rows))


def sparse(gigabytes):
    """One that says it is so large. Its rows are those of a database of 1 MB; the other pages are
    empty, which a server can't know before it has looked at each of them."""
    def make(path):
        _generate(path, 10_000)
        pages = gigabytes * (1 << 30) // 4096
        with open(path, "r+b") as file:
            file.seek(28)
            file.write(pages.to_bytes(4, "big"))
            file.truncate(pages * 4096)
    return _made(f"sparse-{gigabytes}.db", make)


def _made(name, make):
    path = BUILD / name
    if not path.exists():
        say(f"making {path.name}")
        BUILD.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".unfinished")
        unfinished.unlink(missing_ok=True)
        make(unfinished)
        unfinished.rename(path)
    return path


def _empty(path):
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript("PRAGMA page_size = 4096; PRAGMA journal_mode = off; PRAGMA synchronous = off;"
                     "CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER NOT NULL, txt TEXT NOT NULL)")
    return db


def _generate(path, rows):
    seeded = random.Random(42)
    # Lines to choose from: choosing the words of a million one by one takes longer than the bench.
    lines = [" ".join(seeded.choices(WORDS, k=seeded.randrange(6, 15)))[:90] for _ in range(9973)]
    db = _empty(path)
    db.execute("BEGIN")
    db.executemany("INSERT INTO t VALUES (?, ?, ?)", (
        (i, seeded.getrandbits(40), seeded.choice(lines)) for i in range(1, rows + 1)))
    _finish(db)


def _multiply(path, source, rows):
    db = _empty(path)
    db.execute("ATTACH ? AS source", (str(source),))
    db.execute("BEGIN")
    for first in range(0, rows, ROWS):
        db.execute("INSERT INTO t SELECT id + ?, (k * 2654435761 + ?) & 0xffffffffff, txt "
                   "FROM source.t WHERE id <= ?", (first, first, rows - first))
    _finish(db)


def _finish(db):
    db.execute("CREATE INDEX t_k ON t (k)")
    db.execute("COMMIT")
    db.execute("PRAGMA journal_mode = delete")
    db.close()
