"""`export --force` over a database with logs, killed at each step.

Under the name is the old database with its logs, the new one without any, or no file: never one without its logs.
Where it is none, the old one is complete under other names.
"""

import contextlib
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess

from harness import Server, check, equal, injectors, main, scratch
from harness.server import COMMAND, client_environment

OLD_ROWS, NEW_ROWS = 300, 20
LIMIT_S = 120
MAX_CALLS = 60
# SQLite looks into the -shm for those that use the file just now, and makes it anew when there is none.
LOGS = ("", "-wal", "-journal")


def database(path, *pragmas):
    db = sqlite3.connect(path, isolation_level=None)
    for pragma in pragmas:
        db.execute(f"PRAGMA {pragma}").fetchall()
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
    return db


def fill(db, rows):
    db.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
               "INSERT INTO t SELECT i, hex(randomblob(300)) FROM n", (rows,))


def left_log(folder):
    """A database whose rows are in its -wal, as a program leaves it that is killed."""
    folder.mkdir()
    db = database(folder / "live", "journal_mode = wal", "wal_autocheckpoint = 0")
    fill(db, OLD_ROWS)
    for log in ("", "-wal"):
        shutil.copy(folder / f"live{log}", folder / f"old{log}")
    db.close()


def left_journal(folder):
    """One with a journal that is to be rolled back."""
    folder.mkdir()
    db = database(folder / "live", "cache_size = 5", "cache_spill = 5")
    fill(db, OLD_ROWS)
    db.execute("BEGIN")
    db.execute("UPDATE t SET x = x || 'undone'")
    for log in ("", "-journal"):
        shutil.copy(folder / f"live{log}", folder / f"old{log}")
    db.rollback()
    db.close()


def encrypted(folder):
    """One that only who has the key can read, for all that is known here."""
    left_log(folder)
    with open(folder / "old", "r+b") as file:
        file.write(bytes(range(16)))


@contextlib.contextmanager
def nobody(_):
    yield


@contextlib.contextmanager
def reader(path):
    """A program that has it open, and an old view of it."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("BEGIN")
    db.execute("SELECT count(*) FROM t").fetchall()
    try:
        yield
    finally:
        db.close()


def bytes_of(path):
    """What is under a name, with its logs."""
    found = {log: pathlib.Path(f"{path}{log}") for log in LOGS}
    return {log: file.read_bytes() for log, file in found.items() if file.exists() and file.stat().st_size}


def rows_of(parts, folder):
    """The rows that SQLite finds in a file with its logs, asked of a copy; the bytes of what is no database to it."""
    folder.mkdir()
    for log, content in parts.items():
        (folder / f"copy{log}").write_bytes(content)
    db = sqlite3.connect(folder / "copy")
    try:
        return db.execute("SELECT count(*), total(x LIKE '%undone') FROM t").fetchone()
    except sqlite3.DatabaseError:
        return parts
    finally:
        db.close()
        shutil.rmtree(folder)


def judge(what, target, old, new, folder):
    """Which of the three is there."""
    there = bytes_of(target)
    if there == {"": new}:
        return "new"
    parts, outcome = there, "old"
    if not target.exists():
        aside = sorted(path for path in target.parent.iterdir() if path.name.endswith("-old"))
        equal(f"{what}: what was put aside", len(aside), 1)
        parts, outcome = {**there, **bytes_of(aside[0])}, "none"
    check(rows_of(parts, folder / "asked") == rows_of(old, folder / "asked"), f"{what}: not all is there ({outcome})")
    return outcome


def killed_at_each_step(make, other, outcomes):
    """`other` uses the database meanwhile. Every one of the outcomes is met, and no other."""
    with scratch() as folder, Server(folder) as server:
        db = database(folder / "source")
        fill(db, NEW_ROWS)
        db.close()
        subprocess.run([*COMMAND, "import", folder / "source", "db"], env=client_environment(server), check=True,
                       capture_output=True, timeout=LIMIT_S)
        new = (folder / "source").read_bytes()
        make(folder / "template")
        library = injectors.build(folder, "kill_at", "-ldl")
        met = set()
        for when in ("before", "after"):
            for call in range(1, MAX_CALLS):
                what = f"killed {when} call {call}"
                work = folder / "work"
                work.mkdir()
                target = work / "target"
                for log in LOGS:
                    if (folder / f"template/old{log}").exists():
                        shutil.copy(folder / f"template/old{log}", f"{target}{log}")
                with other(target):
                    old = bytes_of(target)
                    done = subprocess.run([*COMMAND, "export", "db", target, "--force"], capture_output=True,
                                          timeout=LIMIT_S, stdin=subprocess.DEVNULL,
                                          env=client_environment(server, LD_PRELOAD=library, KILL_AT=str(call),
                                                                 KILL_WHEN=when))
                    check(done.returncode in (0, -signal.SIGKILL), f"{what}: {done}")
                    outcome = judge(what, target, old, new, folder)
                    met.add(outcome)
                    if done.returncode == 0:
                        equal(f"{what}, not at all: files", (outcome, sorted(os.listdir(work))), ("new", ["target"]))
                shutil.rmtree(work)
                if done.returncode == 0:
                    break
            else:
                check(False, f"{when}: still killed at call {MAX_CALLS}")
        equal("outcomes", sorted(met), sorted(outcomes))


def logs_that_a_killed_program_left():
    killed_at_each_step(left_log, nobody, ["old", "new"])
    killed_at_each_step(left_journal, nobody, ["old", "new"])


def one_that_another_program_uses():
    killed_at_each_step(left_log, reader, ["old", "none", "new"])


def one_that_nobody_here_can_read():
    killed_at_each_step(encrypted, nobody, ["old", "none", "new"])


if __name__ == "__main__":
    main(
        logs_that_a_killed_program_left,
        one_that_another_program_uses,
        one_that_nobody_here_can_read,
    )
