"""An application that knows nothing of leases: several threads or processes of it write to one database.

usage: writers.py DATABASE NAME THREADS COMMITS

Python's sqlite3 with its default settings but for the time-out. Each commit counts a counter up by reading
it first, and notes in a log who did it and what he found. It says "ready", waits for a line on standard
input, and ends with "done". Not a test.
"""

import os
import sqlite3
import sys
import threading

TIMEOUT_S = 120


def load():
    db = sqlite3.connect(":memory:")
    db.enable_load_extension(True)
    db.load_extension(os.environ["EXT"])
    db.close()


def write(database, name, commits, problems):
    try:
        db = sqlite3.connect(f"file:{database}?vfs=litevfs", uri=True, timeout=TIMEOUT_S)
        for _ in range(commits):
            with db:
                # Without this a statement that reads would come first and might be overtaken.
                db.execute("BEGIN IMMEDIATE")
                found = db.execute("SELECT n FROM counter").fetchone()[0]
                db.execute("UPDATE counter SET n = ?", (found + 1,))
                db.execute("INSERT INTO log (who, found) VALUES (?, ?)", (name, found))
        db.close()
    except Exception as problem:
        problems.append(f"{name}: {problem!r}")


def main():
    database, name, threads, commits = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    load()
    print("ready", flush=True)
    sys.stdin.readline()
    problems = []
    names = [name if threads == 1 else f"{name}.{i}" for i in range(threads)]
    running = [threading.Thread(target=write, args=(database, n, commits, problems)) for n in names]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    for problem in problems:
        print(problem, file=sys.stderr)
    print("done", flush=True)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
