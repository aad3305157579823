"""Runs in a process of its own, for private_faults.py: a workload in which the n-th call fails, for each n.

usage: disk_faults.py ENVIRONMENT-OF-A-RUN as JSON: injector, library, kind, goes_on, few, journal, url, token, db, plain,
first, step, limit. Prints one line of JSON: {"faults": n, "failed": statements that failed}. Not a test.

Beside every database lies a plain file, to which each statement that succeeded is done as well. A statement that
failed must have had no effect; where SQLite has ended the transaction, all of it is gone. The plain file
always has a journal, so that its rollback is one whatever the mode under test is.
"""

import ctypes
import json
import os
import pathlib
import sqlite3
import sys
import urllib.parse
import urllib.request

ROWS = 260
KINDS = {"full": 1, "ioerr": 2, "short": 3}
FILL = ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) "
        "INSERT INTO t SELECT i, 'row ' || i, zeroblob(1700 + i), 0 FROM n")
CONTENT = "SELECT id, v, length(pad), turn FROM t ORDER BY id"


def statements(turn, journal):
    """One turn of the workload. `?` is the turn, so that every one writes something else."""
    has_journal = journal != "off"
    yield "BEGIN"
    yield f"UPDATE t SET v = 'first', turn = {turn} WHERE id < 130"
    if has_journal:
        yield "SAVEPOINT a"
        yield f"UPDATE t SET v = 'second', pad = zeroblob(2000), turn = {turn} WHERE id > 60"
        # Fails at its last row: what it did is undone.
        yield f"UPDATE t SET v = CASE WHEN id < {ROWS} THEN 'no' ELSE hex(zeroblob(99)) END, turn = -1"
        yield "ROLLBACK TO a"
        yield "DELETE FROM t WHERE id % 5 = 0"
        yield "RELEASE a"
    yield "DELETE FROM t WHERE id % 7 = 0"
    yield f"INSERT INTO t SELECT id + 1000, v, pad, {turn} FROM t WHERE id < 90"
    yield "COMMIT"
    yield "BEGIN"
    yield "UPDATE t SET v = 'never', turn = -2"
    yield "DELETE FROM t WHERE id > 50"
    yield "ROLLBACK"
    yield "CREATE INDEX IF NOT EXISTS t_v ON t (v, pad)"
    yield "DROP INDEX IF EXISTS t_v"
    if turn % 8 == 0:
        yield "VACUUM"
    yield "DELETE FROM t"
    yield FILL.format(ROWS)


class Differs(Exception):
    """Ours is not what plain SQLite has."""


class Run:
    def __init__(self, **settings):
        self.__dict__.update(settings)
        self.library_ = ctypes.CDLL(self.library)
        self.arm_ = getattr(self.library_, f"fault_{self.injector}_arm")
        self.disarm_ = getattr(self.library_, f"fault_{self.injector}_disarm")
        self.failed = 0
        loader = sqlite3.connect(":memory:")
        loader.enable_load_extension(True)
        loader.load_extension(os.environ["EXT"])
        if self.injector == "vfs":
            loader.execute("SELECT load_extension(?, 'sqlite3_faultvfs_init')", (self.library,))
        self.path = pathlib.Path(self.plain)
        self.mirror = sqlite3.connect(self.path, isolation_level=None)
        self.mirror.execute("PRAGMA synchronous = off")
        self.mirror.execute("PRAGMA temp_store = memory")

    def open(self):
        name = "faulty" if self.injector == "vfs" else "litevfs"
        db = sqlite3.connect(f"file:{self.db}?vfs={name}", uri=True, isolation_level=None, cached_statements=0)
        for pragma in (f"journal_mode = {self.journal}", "cache_size = 5", "litevfs_auto_lease = 1",
                       "litevfs_max_reqs_per_query = 0"):
            db.execute(f"PRAGMA {pragma}")
        return db

    def begin(self):
        """The table, on both sides alike."""
        for db in (self.open(), self.mirror):
            db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT CHECK (length(v) < 99), pad BLOB, turn)")
            db.execute(FILL.format(ROWS))
            if db is not self.mirror:
                db.close()

    def turn(self, n):
        """The workload with its n-th call failing; whether it got that far."""
        db = self.open()
        self.arm_(ctypes.c_long(n), KINDS[self.kind], int(self.goes_on), int(self.few))
        try:
            for sql in statements(n, self.journal):
                self.both(n, db, sql)
        finally:
            fired = self.disarm_()
        if db.in_transaction:
            self.both(n, db, "ROLLBACK")
        self.compare(n, "the server", self.stored(), self.committed())
        # What is cached, and what a connection that begins anew sees.
        self.compare(n, "its own view", self.rows(db), self.rows(self.mirror))
        db.close()
        db = self.open()
        self.compare(n, "another connection", self.rows(db), self.rows(self.mirror))
        # And it can be written again.
        for sql in ("DELETE FROM t", FILL.format(ROWS)):
            self.both(n, db, sql, may_fail=False)
        self.compare(n, "after the fault", self.stored(), self.committed())
        db.close()
        return fired

    def both(self, n, db, sql, may_fail=True):
        was_open = db.in_transaction
        if sql == "ROLLBACK" and not was_open:
            return
        if sql in ("ROLLBACK TO a", "RELEASE a") and not self.has_savepoint:
            return
        is_own_failure = "turn = -1" in sql
        try:
            db.execute(sql).fetchall()
        except sqlite3.Error as error:
            if not may_fail:
                raise
            self.failed += 1
            if is_own_failure and "constraint" in str(error) and db.in_transaction:
                return self.look(n, db, sql)
            if db.in_transaction and (self.journal == "off" or sql == "ROLLBACK TO a"):
                # What a statement did that fails can't be undone without a journal, and where undoing itself
                # failed (SQLite had no file for a statement journal), only all of it can.
                db.execute("ROLLBACK")
            self.follow(db)
            return self.look(n, db, sql)
        if is_own_failure:
            raise Differs(f"call {n}: {sql!r} succeeded")
        self.mirror.execute(sql)
        if sql == "SAVEPOINT a":
            self.has_savepoint = True
        elif sql in ("RELEASE a", "COMMIT", "ROLLBACK", "BEGIN"):
            self.has_savepoint = False
        if sql.startswith(("ROLLBACK", "COMMIT")):
            self.look(n, db, sql)

    has_savepoint = False

    def follow(self, db):
        """Where SQLite has ended the transaction, nothing of it is left."""
        if not db.in_transaction and self.mirror.in_transaction:
            self.mirror.execute("ROLLBACK")
            self.has_savepoint = False

    def look(self, n, db, sql):
        """What the connection itself sees now."""
        if db.in_transaction != self.mirror.in_transaction:
            raise Differs(f"call {n}, after {sql!r}: in a transaction: {db.in_transaction}")
        if not self.goes_on:
            try:
                ours = self.rows(db)
            except sqlite3.Error:
                # That was the call; SQLite ends the transaction then, too.
                return self.follow(db)
            self.compare(n, f"after {sql!r}", ours, self.rows(self.mirror))

    def compare(self, n, what, ours, plain):
        if ours != plain:
            different = [(a, b) for a, b in zip(ours, plain) if a != b][:3]
            raise Differs(f"call {n}, {what}: {len(ours)} rows, plain has {len(plain)}; {different}")

    def rows(self, db):
        return db.execute(CONTENT).fetchall()

    def committed(self):
        other = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)
        try:
            return self.rows(other)
        finally:
            other.close()

    def stored(self):
        """What the server has, as plain SQLite reads it."""
        query = urllib.parse.urlencode({"db": self.db, "format": "sqlite"})
        request = urllib.request.Request(f"{self.url}/db/snapshot?{query}", headers={"Authorization": self.token})
        image = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60).read()
        db = sqlite3.connect(":memory:")
        db.deserialize(image)
        try:
            integrity = db.execute("PRAGMA integrity_check").fetchall()
            if integrity != [("ok",)]:
                raise Differs(f"integrity: {integrity}")
            return self.rows(db)
        finally:
            db.close()


def bound(run):
    """A disk that takes nothing for long: what may stay in memory does, then the error says what to do."""
    db = run.open()
    db.execute("PRAGMA page_size = 65536")
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
    db.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2600) "
               "INSERT INTO t SELECT i, zeroblob(60000) FROM n")
    said = []
    for sql in ("UPDATE t SET x = zeroblob(60001) WHERE id <= 1000", "UPDATE t SET x = zeroblob(60002)"):
        # The journal's file is opened; without it, another folder would do.
        run.arm_(ctypes.c_long(2), KINDS["full"], 1, 1)
        try:
            db.execute(sql)
            said.append("done")
        except sqlite3.Error as error:
            said.append(f"{error}: {db.execute('PRAGMA litevfs_last_error').fetchone()[0]}")
        run.disarm_()
    lengths = db.execute("SELECT length(x), count(*) FROM t GROUP BY 1").fetchall()
    db.execute("UPDATE t SET x = zeroblob(60003)")
    print(json.dumps({"said": said, "lengths": lengths,
                      "after": db.execute("SELECT DISTINCT length(x) FROM t").fetchall()}))


def main():
    run = Run(**json.loads(sys.argv[1]))
    if run.limit == 0:
        return bound(run)
    run.begin()
    faults, n = 0, run.first
    while n <= run.limit:
        if not run.turn(n):
            break
        faults += 1
        n += run.step
    print(json.dumps({"faults": faults, "failed": run.failed, "reached": n}))


if __name__ == "__main__":
    try:
        main()
    except Differs as problem:
        sys.exit(f"{sys.argv[1]}\n{problem}")
