"""Checks, the folder a test works in, and the way a test file runs its tests."""

import concurrent.futures
import contextlib
import os
import pathlib
import shutil
import sqlite3
import sys
import tempfile
import time
import traceback


class Failed(AssertionError):
    """A test found the project wrong."""


def check(condition, message):
    if not condition:
        raise Failed(message)


def equal(what, actual, expected):
    if actual != expected:
        raise Failed(f"{what}: expected {_short(expected)}, got {_short(actual)}")


def until(what, holds):
    """Waits until something is so. A watchdog, not an expectation."""
    for _ in range(1200):
        if holds():
            return
        time.sleep(0.025)
    raise Failed(f"{what}: not within 30 s")


def _short(value):
    text = repr(value)
    return text if len(text) < 600 else f"{text[:280]} ... {text[-280:]} ({len(text)} characters)"


@contextlib.contextmanager
def scratch():
    """A folder that is gone afterwards (kept, and named, with KEEP=1)."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="litevfs-test."))
    try:
        yield folder
    finally:
        if os.environ.get("KEEP"):
            print(f"kept {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def database_content(path):
    """Everything a plain SQLite file holds, in the form `Client.content` gives it."""
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return content(db)
    finally:
        db.close()


def content_of(image):
    """The same for the bytes of such a file."""
    db = sqlite3.connect(":memory:")
    try:
        db.deserialize(image)
        return content(db)
    finally:
        db.close()


def content(db):
    """Schema and rows of a connection's main database, with the result of integrity_check."""
    db.text_factory = bytes  # text that is not UTF-8 must compare too
    schema = db.execute("SELECT type, name, tbl_name, rootpage, sql FROM sqlite_schema").fetchall()
    tables = {}
    for kind, name, _, _, sql in schema:
        if kind == b"table":
            quoted = '"' + name.decode().replace('"', '""') + '"'
            without_rowid = b"WITHOUT ROWID" in (sql or b"").upper()
            order = "" if without_rowid else " ORDER BY rowid"
            rows = db.execute(f"SELECT * FROM {quoted}{order}").fetchall()
            tables[name] = rows
    pragmas = {
        name: db.execute(f"PRAGMA {name}").fetchone()
        for name in ("page_size", "page_count", "user_version", "encoding", "application_id")
    }
    integrity = db.execute("PRAGMA integrity_check").fetchall()
    return {"schema": schema, "tables": tables, "pragmas": pragmas, "integrity": integrity}


def each(items, function, at_a_time=8):
    """Calls the function with every item, so many at a time. All are done when the first failure is raised."""
    with concurrent.futures.ThreadPoolExecutor(at_a_time) as pool:
        for future in [pool.submit(function, item) for item in items]:
            future.result()


def main(*tests, at_a_time=1):
    """Runs the test functions in order, all of them; the exit code says whether all passed.

    With arguments on the command line only the named ones run. Tests that mostly wait, and share nothing, may run
    several at a time.
    """
    chosen = [t for t in tests if len(sys.argv) < 2 or t.__name__ in sys.argv[1:]]
    failed = []

    def run(test):
        start = time.monotonic()
        try:
            test()
            print(f"ok   {test.__name__} ({time.monotonic() - start:.1f} s)\n", end="", flush=True)
        except Exception as problem:  # every kind of failure is a failed test
            failed.append(test.__name__)
            trace = "" if isinstance(problem, Failed) else traceback.format_exc()
            print(f"FAIL {test.__name__}: {problem}\n{trace}", end="", flush=True)

    if at_a_time == 1:
        for test in chosen:  # in the main thread, which alone gets signals
            run(test)
    else:
        each(chosen, run, at_a_time)
    print(f"{len(chosen) - len(failed)} of {len(chosen)} tests passed"
          + (f"; failed: {', '.join(failed)}" if failed else ""))
    sys.exit(1 if failed or not chosen else 0)
