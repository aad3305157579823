"""Random SQL on plain SQLite and on us, over a disk that fails, or a SQLite that does, at the n-th call, for every n.

usage: differential_faults.py [SEED ...]
FAULT_SEEDS=N runs the seeds 1 to N, two at a time; TURNS bounds the scripts of a seed. Where all calls count, every
EVERY-th fails.

A seed decides what fails and how, and makes scripts, one after the other on the same database. In the n-th of them
the n-th call fails, until scripts have fewer; then from the first one again. A statement that fails for it is followed by
ROLLBACK on both sides, and has not been on the plain one: nothing of it may be left, in the view of the connection or
at the server. All that succeeds has the same result as on the plain file.
"""

import concurrent.futures
import os
import random
import sys

from differential import same
from harness import Client, Server, SqlError, check, database_content, equal, injectors, scratch
from harness.statements import JOURNAL_MODES, PAGE_SIZES, Generator

SEEDS = int(os.environ.get("FAULT_SEEDS") or 16)
TURNS = int(os.environ.get("TURNS") or 16)
EVERY = int(os.environ.get("EVERY") or 29)
STATEMENTS = 12
# SQLITE_NOMEM, READONLY, IOERR, FULL, CANTOPEN: what a call that failed may be told as.
FAULTS = (7, 8, 10, 13, 14)
# These say what failed in their rows, or pass over it.
TOLD_IN_ROWS = ("integrity_check", "quick_check", "foreign_key_check", "rtreecheck", "integrity-check", "optimize", "shrink")
# (injector, how, whether all that follows fails as well, whether only the calls count that decide)
KINDS = [(injector, kind, goes_on, few) for few in (True, False)
         for kind, goes_on in (("full", False), ("ioerr", False), ("short", False), ("full", True))
         for injector in ("disk", "vfs")]


class Run:
    def __init__(self, server, folder, seed, library):
        self.server, self.folder, self.seed, self.library = server, folder, seed, library
        self.injector, kind, self.goes_on, self.few = KINDS[seed % len(KINDS)]
        self.kind = injectors.KINDS[kind]
        self.rng = random.Random(f"faults {seed}")
        self.generator = Generator(seed, JOURNAL_MODES[:4])
        self.generator.page_size = self.rng.choice(PAGE_SIZES[:5])
        self.db = f"seed-{seed}"
        watched = folder / f"disk-{seed}"
        (watched / "tmp").mkdir(parents=True)
        more = {"LD_PRELOAD": library, "FAULT_FOLDER": str(watched)} if self.injector == "disk" else {}
        self.ours = Client(server, folder, watched / "cache", SQLITE_TMPDIR=str(watched / "tmp"), **more)
        self.plain = Client(server, folder)
        if self.injector == "vfs":
            self.ours.load(library, "sqlite3_faultvfs_init")
        self.trace, self.failed = [], 0

    def open(self):
        self.plain.open_uri(f"file:{self.folder / self.db}.plain?vfs=unix")
        self.ours.open_uri(f"file:{self.db}?vfs={'faulty' if self.injector == 'vfs' else 'litevfs'}")
        for pragma in ("litevfs_auto_lease = 1", "litevfs_max_reqs_per_query = 0"):
            self.ours.sql(f"PRAGMA {pragma}")
        for sql, parameters in self.generator.setup():
            for client in (self.plain, self.ours):
                client.sql(sql, parameters)
        # So small that pages leave SQLite's memory before a commit.
        self.ours.sql("PRAGMA cache_size = 3")

    def both(self, sql, parameters=(), may_fail=True):
        """Runs a statement on ours, and, unless it failed for a fault, on the plain file."""
        self.trace.append(sql)
        try:
            ours = self.ours.sql(sql, parameters)
        except SqlError as error:
            ours = (error.code, str(error))
            if may_fail and error.primary in FAULTS:
                self.failed += 1
                return self.roll_back()
        try:
            plain = self.plain.sql(sql, parameters)
        except SqlError as error:
            plain = (error.code, str(error))
        if not may_fail or not any(word in sql for word in TOLD_IN_ROWS):
            equal(f"{sql!r} {parameters!r:.200}", ours, plain)
        sides = [client.in_transaction() for client in (self.ours, self.plain)]
        equal(f"in a transaction after {sql!r}", *sides)
        if not sides[0]:
            self.generator.ended()

    def roll_back(self):
        for client in (self.ours, self.plain):
            if client.in_transaction():
                client.sql("ROLLBACK")
        self.generator.ended()

    def turn(self, n):
        """A script with its n-th call failing; whether it has so many."""
        self.trace.clear()
        self.ours.arm(self.injector, self.library, n, self.kind, self.goes_on, self.few)
        for _ in range(STATEMENTS):
            self.both(*self.generator.statement())
        if self.ours.in_transaction():
            self.both("COMMIT")
        fired = self.ours.disarm(self.injector, self.library)
        self.roll_back()
        # What SQLite and the extension keep of it, and what the server has.
        plain = self.plain.content()
        same(f"call {n}: its own view", self.ours.content(), plain)
        if self.server.position(self.db) is not None:
            stored = self.server.snapshot(self.db, self.folder / f"{self.db}.stored")
            same(f"call {n}: the server's file", database_content(stored), plain)
        equal("integrity", plain["integrity"], [(b"ok",)])
        return fired

    def all_turns(self):
        self.open()
        for client in (self.plain, self.ours):
            client.sql(f"PRAGMA page_size = {self.generator.page_size}")
        for _ in range(STATEMENTS):
            self.both(*self.generator.statement())
        self.roll_back()
        faults, n, fewer = 0, 1, 0
        step = 1 if self.few else EVERY
        for _ in range(TURNS):
            fired = self.turn(n)
            faults, fewer = faults + fired, 0 if fired else fewer + 1
            n += step if fired else 0
            if fewer == 3:
                n, fewer = 1, 0
            if self.rng.random() < 0.2:
                for client in (self.ours, self.plain):
                    client.close_db()
                self.open()
        self.both("CREATE TABLE last (x)", may_fail=False)
        self.turn(1_000_000_000)
        return faults, self.failed


def run_seed(seed):
    """Runs one seed; returns its faults and the statements that failed, or what went wrong."""
    with scratch() as folder, Server(folder) as server:
        injector = KINDS[seed % len(KINDS)][0]
        library = injectors.build(folder, f"fault_{injector}", *(["-ldl"] if injector == "disk" else []))
        run = Run(server, folder, seed, library)
        try:
            done = run.all_turns()
            check("panic" not in run.ours.log.read_text(errors="replace"), "a panic")
            return done
        except Exception as problem:
            return (f"seed {seed}, {KINDS[seed % len(KINDS)]}: {type(problem).__name__}: {problem}\n      "
                    + "\n      ".join(run.trace[-12:]) + f"\n   log: {run.ours.log_tail()[-600:]}")
        finally:
            run.ours.kill()
            run.plain.kill()


def main():
    seeds = [int(a) for a in sys.argv[1:]] or range(1, SEEDS + 1)
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        done = list(pool.map(run_seed, seeds))
    wrong = [problem for problem in done if isinstance(problem, str)]
    for problem in wrong:
        print(problem)
    faults, failed = (sum(run[at] for run in done if not isinstance(run, str)) for at in (0, 1))
    print(f"{len(seeds) - len(wrong)} of {len(seeds)} seeds agree: {faults} faults, {failed} statements failed")
    sys.exit(1 if wrong or not faults or not failed else 0)


if __name__ == "__main__":
    main()
