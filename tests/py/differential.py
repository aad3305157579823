"""Random SQL on plain SQLite and on us: every result, every error, and the databases at the end agree.

usage: differential.py [SEED ...]      these seeds only; a failing seed prints its statement
SEEDS=N runs the seeds 1 to N (default 200) in two processes.

A seed decides everything: page size, journal modes, cache size, statements, when to reopen and
whether the cache survives that.
"""

import concurrent.futures
import os
import random
import re
import shutil
import sys

from harness import Client, Server, SqlError, database_content, equal, scratch

PAGE_SIZES = (512, 1024, 2048, 4096, 4096, 8192, 16384, 32768, 65536)
JOURNAL_MODES = ("DELETE", "TRUNCATE", "PERSIST", "MEMORY", "OFF")
STEPS = 120


class Generator:
    """Makes statements; keeps only the names that may exist, never their content.

    With journal_mode=OFF SQLite can't undo a statement that fails half-way and leaves a plain file
    half changed (we drop such a transaction), so there no statement is made that could.
    """

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.tables = []
        self.serial = 0
        self.savepoints = []
        self.in_transaction = False
        self.journal_off = False
        self.page_size = self.random.choice(PAGE_SIZES)

    def name(self, prefix):
        self.serial += 1
        return f"{prefix}{self.serial}"

    def value(self):
        r = self.random
        kind = r.randrange(10)
        if kind < 3:
            return r.randrange(-1000, 1000)
        if kind < 4:
            return r.choice((None, 2**62, -(2**63), 0.5, 1e100, ""))
        if kind < 6:
            return "text %d " % r.randrange(100) * r.randrange(1, 30)
        if kind < 8:
            return r.randbytes(r.randrange(0, 200))
        # Over several pages, compressible or not.
        size = r.randrange(0, 6 * min(self.page_size, 8192))
        return bytes(size) if r.random() < 0.3 else r.randbytes(size)

    def setup(self):
        """Statements for a connection that was just opened, the same on both sides."""
        mode = self.random.choice(JOURNAL_MODES)
        self.journal_off = mode == "OFF"
        yield f"PRAGMA journal_mode = {mode}", ()
        if self.random.random() < 0.6:
            yield f"PRAGMA cache_size = {self.random.choice((1, 5, 10, 50))}", ()
        if self.random.random() < 0.3:
            yield f"PRAGMA synchronous = {self.random.choice((0, 1, 2))}", ()
        if self.random.random() < 0.15:
            yield "PRAGMA locking_mode = EXCLUSIVE", ()

    def statement(self):
        """One statement with its parameters; about one in twenty is meant to fail."""
        r = self.random
        if self.journal_off:
            return self.statement_that_succeeds()
        choices = [
            (30, self.insert), (10, self.insert_many), (15, self.update), (10, self.delete),
            (15, self.select), (4, self.create_table), (3, self.create_index), (1, self.drop),
            (2, self.alter), (2, self.view_or_trigger), (12, self.transaction), (3, self.broken),
            (3, self.vacuum),
        ]
        if not self.tables:
            return self.create_table()
        make = r.choices([c for _, c in choices], [w for w, _ in choices])[0]
        return make()

    def statement_that_succeeds(self):
        make = self.random.choices((self.insert, self.insert_many, self.update, self.delete, self.select,
                                    self.create_table, self.create_index, self.drop, self.transaction),
                                   (30, 10, 15, 10, 15, 4, 3, 1, 12))[0]
        sql, parameters = make() if self.tables else self.create_table()
        for word in ("INSERT", "UPDATE"):
            if re.search(rf"\b{word} (?!OR REPLACE|OR IGNORE)", sql):
                sql = re.sub(rf"\b{word} (OR [A-Z]+ )?", f"{word} OR REPLACE ", sql)
        return sql.replace("CREATE UNIQUE", "CREATE"), parameters

    def table(self):
        return self.random.choice(self.tables)

    def create_table(self):
        name = self.name("t")
        self.tables.append(name)
        form = self.random.randrange(3)
        if form == 0:
            return f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, a, b)", ()
        if form == 1:
            return f"CREATE TABLE {name} (id INTEGER PRIMARY KEY AUTOINCREMENT, a UNIQUE, b DEFAULT 7)", ()
        return f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, a, b) WITHOUT ROWID", ()

    def create_index(self):
        unique = "UNIQUE " if self.random.random() < 0.2 else ""
        column = self.random.choice(("a", "b", "b, a", "length(a)", "a DESC"))
        return f"CREATE {unique}INDEX {self.name('i')} ON {self.table()} ({column})", ()

    def drop(self):
        if len(self.tables) < 2:
            return self.select()
        return f"DROP TABLE {self.table()}", ()

    def alter(self):
        if self.random.random() < 0.5:
            return f"ALTER TABLE {self.table()} ADD COLUMN {self.name('c')} DEFAULT 'added'", ()
        return f"ALTER TABLE {self.table()} RENAME COLUMN b TO b", ()

    def view_or_trigger(self):
        if self.random.random() < 0.5:
            return f"CREATE VIEW {self.name('v')} AS SELECT count(*) AS n FROM {self.table()}", ()
        table, log = self.table(), self.table()
        return (f"CREATE TRIGGER {self.name('r')} AFTER DELETE ON {table} BEGIN "
                f"INSERT OR IGNORE INTO {log} (id, a) VALUES (old.id + 100000, 'gone'); END"), ()

    def insert(self):
        word = self.random.choice(("INSERT", "INSERT", "INSERT OR REPLACE", "INSERT OR IGNORE", "INSERT OR FAIL",
                                   "INSERT OR ABORT"))
        if not self.journal_off and self.random.random() < 0.02:
            word = "INSERT OR ROLLBACK"
        row = (self.random.randrange(1, 400), self.value(), self.value())
        return f"{word} INTO {self.table()} (id, a, b) VALUES (?, ?, ?)", row

    def insert_many(self):
        first, count = self.random.randrange(1, 400), self.random.randrange(1, 60)
        word = self.random.choice(("INSERT", "INSERT OR REPLACE", "INSERT OR IGNORE"))
        return (f"WITH RECURSIVE n(i) AS (SELECT ? UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
                f"{word} INTO {self.table()} (id, a, b) "
                f"SELECT i, printf('%d-%s', i, hex(zeroblob(i % 50))), zeroblob((i * 31) % ?) FROM n",
                (first, first + count, self.random.randrange(1, 3000)))

    def update(self):
        low = self.random.randrange(0, 400)
        span = self.random.randrange(0, 50)
        what = self.random.choice(("a = ?", "b = ?", "a = a || '+', b = ?", "id = id + 400, b = ?"))
        return f"UPDATE {self.table()} SET {what} WHERE id BETWEEN ? AND ?", (self.value(), low, low + span)

    def delete(self):
        if self.random.random() < 0.05:
            return f"DELETE FROM {self.table()}", ()
        low = self.random.randrange(0, 400)
        return f"DELETE FROM {self.table()} WHERE id BETWEEN ? AND ?", (low, low + self.random.randrange(0, 100))

    def select(self):
        table = self.table()
        return self.random.choice((
            f"SELECT * FROM {table} ORDER BY id",
            f"SELECT count(*), sum(length(a)), sum(length(b)) FROM {table}",
            f"SELECT id FROM {table} WHERE length(a) > 20 ORDER BY a, id LIMIT 20",
            f"SELECT x.id, y.id FROM {table} x JOIN {self.table()} y ON x.a = y.a ORDER BY 1, 2 LIMIT 20",
            "SELECT type, name, rootpage FROM sqlite_schema",
            "PRAGMA page_count", "PRAGMA freelist_count",
        )), ()

    def transaction(self):
        r = self.random
        if not self.in_transaction and not self.savepoints:
            if r.random() < 0.3:
                name = self.name("s")
                self.savepoints.append(name)
                return f"SAVEPOINT {name}", ()
            self.in_transaction = True
            return r.choice(("BEGIN", "BEGIN IMMEDIATE", "BEGIN EXCLUSIVE")), ()
        step = r.random()
        if self.savepoints and step < 0.35:
            at = r.randrange(len(self.savepoints))
            name = self.savepoints[at]
            # Without a journal a rollback leaves the database undefined, by SQLite's manual.
            if step < 0.18 and not self.journal_off:
                del self.savepoints[at + 1:]
                return f"ROLLBACK TO {name}", ()
            del self.savepoints[at:]
            return f"RELEASE {name}", ()
        if step < 0.6:
            name = self.name("s")
            self.savepoints.append(name)
            return f"SAVEPOINT {name}", ()
        self.savepoints.clear()
        self.in_transaction = False
        if step < 0.75 and not self.journal_off:
            return "ROLLBACK", ()
        return "COMMIT", ()

    def vacuum(self):
        """Statements that move pages or cut the database; VACUUM is refused in a transaction, and brings
        the page size and the auto_vacuum that were set before it."""
        return self.random.choice(("VACUUM", "VACUUM", f"PRAGMA page_size = {self.random.choice(PAGE_SIZES)}",
                                   f"PRAGMA auto_vacuum = {self.random.choice(('NONE', 'FULL', 'INCREMENTAL'))}",
                                   "PRAGMA incremental_vacuum(3)", "PRAGMA incremental_vacuum",
                                   "ANALYZE", "REINDEX")), ()

    def broken(self):
        return self.random.choice((
            ("SELECT * FROM nowhere", ()),
            (f"INSERT INTO {self.table()} (id, a) VALUES ('not a number', 1)", ()),
            ("SELEC 1", ()),
            (f"INSERT INTO {self.table()} (id, a) SELECT 1, 2 UNION ALL SELECT 500, 3 UNION ALL SELECT 1, 4", ()),
            ("COMMIT", ()) if not self.in_transaction and not self.savepoints else ("SELECT 1", ()),
        ))


class Pair:
    """The same statements to a plain file and to a database of the server, in one client process."""

    def __init__(self, server, folder, seed):
        self.server, self.folder, self.seed = server, folder, seed
        self.caches = 0
        self.client = None
        self.trace = []

    def open(self, new_process, new_cache):
        if self.client and new_process:
            self.client.close()
            self.client = None
        if self.client is None:
            self.caches += new_cache
            self.client = Client(self.server, self.folder, self.folder / f"cache-{self.caches}")
        self.client.open_uri(f"file:{self.folder}/plain.db?vfs=unix", name="plain")
        self.client.open(f"seed-{self.seed}", name="ours")

    def reopen(self, rng):
        self.client.close_db("plain")
        self.client.close_db("ours")
        self.open(new_process=rng.random() < 0.6, new_cache=rng.random() < 0.5)

    def one_side(self, side, sql, parameters):
        try:
            return "rows", self.client.sql(sql, parameters, name=side)
        except SqlError as error:
            return "error", (error.code, str(error))

    def both(self, sql, parameters=()):
        self.trace.append(sql)
        plain = self.one_side("plain", sql, parameters)
        ours = self.one_side("ours", sql, parameters)
        if ours != plain:
            detail = self.client.last_error("ours") if ours[0] == "error" else ""
            equal(f"{sql!r} {parameters!r:.200} {detail}", ours, plain)
        return plain

    def acquire(self):
        self.client.acquire(name="ours")


def run_seed(seed):
    """Runs one seed; returns None or what went wrong."""
    with scratch() as folder, Server(folder) as server:
        pair = Pair(server, folder, seed)
        try:
            work(seed, pair)
            compare(seed, pair, server, folder)
            return None
        except Exception as problem:
            recent = "\n      ".join(pair.trace[-12:])
            log = pair.client.log_tail() if pair.client else ""
            return f"seed {seed}: {type(problem).__name__}: {problem}\n      {recent}\n   log: {log[-600:]}"
        finally:
            if pair.client:
                pair.client.kill()


def work(seed, pair):
    generator = Generator(seed)
    rng = random.Random(f"reopen {seed}")
    pair.open(new_process=True, new_cache=True)
    pair.both(f"PRAGMA page_size = {generator.page_size}")
    pair.acquire()  # the next line begins the database
    pair.both(f"PRAGMA auto_vacuum = {rng.choice(('NONE', 'NONE', 'FULL', 'INCREMENTAL'))}")
    fresh = True
    for step in range(STEPS):
        if fresh:
            for sql, parameters in generator.setup():
                pair.both(sql, parameters)
            pair.acquire()
            fresh = False
        sql, parameters = generator.statement()
        kind, result = pair.both(sql, parameters)
        if kind == "error":
            # Some errors end the transaction; ask SQLite instead of guessing.
            if "ROLLBACK" in sql or sql == "COMMIT":
                in_transaction = still_in_transaction(pair)
                if not in_transaction:
                    generator.in_transaction = False
                    generator.savepoints.clear()
        outside = not generator.in_transaction and not generator.savepoints
        if outside and step > 5 and rng.random() < 0.06:
            pair.reopen(rng)
            fresh = True
    if generator.in_transaction or generator.savepoints:
        pair.both("COMMIT")


def still_in_transaction(pair):
    """True inside BEGIN or a savepoint, told by an immediate BEGIN that SQLite refuses there."""
    kind, _ = pair.both("BEGIN")
    if kind == "rows":
        pair.both("COMMIT")
    return kind == "error"


def compare(seed, pair, server, folder):
    """The connection's own view, a process with an empty cache, and the server's file: all the same."""
    plain = pair.client.content("plain")
    equal("integrity of the plain file", plain["integrity"], [(b"ok",)])
    same("the connection's own view", pair.client.content("ours"), plain)
    pair.client.close()
    pair.client = Client(server, folder, folder / "empty-cache")
    pair.client.open(f"seed-{seed}", name="ours")
    same("a process with an empty cache", pair.client.content("ours"), plain)
    path = server.snapshot(f"seed-{seed}", folder / "snapshot.db")
    same("the server's file", database_content(path), plain)
    shutil.rmtree(folder / "empty-cache", ignore_errors=True)


def same(what, ours, plain):
    for part, expected in plain.items():
        if part == "tables":
            equal(f"{what}: tables", sorted(ours[part]), sorted(expected))
            for name, rows in expected.items():
                equal(f"{what}: rows of {name.decode()}", ours[part][name], rows)
        else:
            equal(f"{what}: {part}", ours[part], expected)


def main():
    seeds = [int(a) for a in sys.argv[1:]] or range(1, int(os.environ.get("SEEDS") or 200) + 1)
    failures = []
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        for problem in pool.map(run_seed, seeds):
            if problem:
                failures.append(problem)
                print(problem, flush=True)
    for problem in failures[:1]:
        print(f"reproduce with: differential.py {problem.split()[1].rstrip(':')}")
    print(f"{len(seeds) - len(failures)} of {len(seeds)} seeds agree")
    sys.exit(1 if failures or not seeds else 0)


if __name__ == "__main__":
    main()
