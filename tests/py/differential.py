"""Random SQL on plain SQLite and on us: every result, every error, and the databases at the end agree.

usage: differential.py [SEED ...]      these seeds only; a failing seed prints its statement
SEEDS=N runs the seeds 1 to N (default 200) in two processes; the full size is 2,000.

A seed decides everything, also which of three kinds it is:

alone      one connection: every journal mode, page size and locking mode, two databases, VACUUM to
           another page size, backups over the database; at the end the files agree byte for byte
turns      three connections, two of them in one process, take turns between transactions
together   the same three with transactions side by side, beside a plain file in WAL mode: snapshots
           hold, writers find each other busy; the database was a WAL database at the server, or not

In between connections are closed, processes end, and caches are kept or lost.
"""

import concurrent.futures
import os
import random
import shutil
import sqlite3
import sys
import time
import urllib.request

from harness import TOKEN, Client, Server, SqlError, database_content, equal, scratch
from harness.statements import JOURNAL_MODES, PAGE_SIZES, Generator

STEPS = 120
BUSY = 5
READONLY = 8
# The connections by name, each with its process.
PROCESS = {"a": 0, "b": 0, "c": 1}


class Pair:
    """The same statements to a plain file and to a database of the server, through the same connections."""

    def __init__(self, server, folder, seed):
        self.server, self.folder, self.seed = server, folder, seed
        self.rng = random.Random(f"pair {seed}")
        self.kind = self.rng.choice(("alone", "alone", "turns", "together", "together"))
        self.names = ["a"] if self.kind == "alone" else list(PROCESS)
        self.databases = [f"seed-{seed}"]
        if self.kind != "together" and self.rng.random() < 0.4:
            self.databases.append(f"seed-{seed}-two")
        modes = () if self.kind == "together" else JOURNAL_MODES if self.kind == "alone" else JOURNAL_MODES[:4]
        self.generator = Generator(seed, modes)
        self.states = {}
        self.clients = {}
        self.caches = 0
        self.holder = None
        self.is_exact = self.kind == "alone"
        self.stays_wal = False
        self.trace = []

    # Connections.

    def plain_path(self, at=0):
        return self.folder / f"plain{at}.db"

    def open(self, name):
        """Opens a connection on both sides, and starts its process if that does not run."""
        process = PROCESS[name]
        if process not in self.clients:
            cache = self.folder / f"cache-{process}-{self.caches}"
            self.clients[process] = Client(self.server, self.folder, cache)
        client = self.clients[process]
        client.open_uri(f"file:{self.plain_path()}?vfs=unix", name=f"plain {name}")
        client.open(self.databases[0], name=f"ours {name}")
        client.sql("PRAGMA litevfs_cache_sync_period = '1ms'", name=f"ours {name}")
        self.states[name] = (False, [], False)
        self.use(name)
        if len(self.databases) > 1:
            client.sql(f"ATTACH 'file:{self.plain_path(1)}?vfs=unix' AS two", name=f"plain {name}")
            client.sql(f"ATTACH 'file:{self.databases[1]}?vfs=litevfs' AS two", name=f"ours {name}")
            client.sql("PRAGMA two.litevfs_max_reqs_per_query = 0", name=f"ours {name}")
            self.generator.attached = True

    def set_up(self, name):
        self.use(name)
        for sql, parameters in self.generator.setup():
            self.both(name, sql, parameters, compares=not sql.startswith("PRAGMA journal_mode"))
        self.keep(name)

    def reopen(self, name):
        """Closes a connection, or its whole process, and opens it again."""
        process = PROCESS[name]
        together = [n for n in self.names if PROCESS[n] == process]
        ends = self.rng.random() < 0.5 and all(self.is_outside(n) for n in together)
        closed = together if ends else [name]
        for n in closed:
            self.clients[process].close_db(f"plain {n}")
            self.clients[process].close_db(f"ours {n}")
            self.holder = None if self.holder == n else self.holder
        if ends:
            self.clients.pop(process).close()
            self.caches += self.rng.random() < 0.5
        for n in closed:
            self.open(n)
            self.set_up(n)

    def use(self, name):
        """Has the generator go on where this connection is."""
        in_transaction, savepoints, journal_off = self.states[name]
        g = self.generator
        g.in_transaction, g.savepoints, g.journal_off = in_transaction, savepoints, journal_off

    def keep(self, name):
        g = self.generator
        self.states[name] = (g.in_transaction, g.savepoints, g.journal_off)

    def is_outside(self, name):
        in_transaction, savepoints, _ = self.states[name]
        return not in_transaction and not savepoints

    # Statements.

    def one_side(self, side, name, sql, parameters):
        try:
            return "rows", self.clients[PROCESS[name]].sql(sql, parameters, name=f"{side} {name}")
        except SqlError as error:
            return "error", (error.code, str(error))

    def both(self, name, sql, parameters=(), compares=True):
        """Runs a statement on both sides; the outcome is plain SQLite's."""
        self.trace.append(f"{name}: {sql}")
        plain = self.one_side("plain", name, sql, parameters)
        has_lease = self.lease_to(name)
        ours = self.one_side("ours", name, sql, parameters)
        if plain[0] == ours[0] == "error" and plain[1][0] & 0xFF == BUSY:
            # Without the lease, which another connection's transaction needs, a write is refused, too.
            if ours[1][0] & 0xFF in ((BUSY,) if has_lease else (BUSY, READONLY)):
                return plain
        if compares and ours != plain:
            detail = self.clients[PROCESS[name]].last_error(f"ours {name}") if ours[0] == "error" else ""
            equal(f"{name}: {sql!r} {parameters!r:.200} {detail}", ours, plain)
        return plain

    def lease_to(self, name):
        """Hands the leases over; False when a transaction of their holder is in the way."""
        if self.holder == name:
            return True
        schemas = ("main", "two")[:len(self.databases)]
        try:
            if self.holder:
                for schema in schemas:
                    self.clients[PROCESS[self.holder]].sql(
                        f"PRAGMA {schema}.litevfs_release_lease", name=f"ours {self.holder}")
            # What others committed is asked for after the sync period, and that is short.
            time.sleep(0.003)
            for schema in schemas:
                self.clients[PROCESS[name]].sql(f"PRAGMA {schema}.litevfs_acquire_lease", name=f"ours {name}")
        except SqlError as error:
            equal("the lease is busy", error.primary, BUSY)
            return False
        self.holder = name
        return True

    def step(self, name):
        self.use(name)
        sql, parameters = self.generator.statement()
        self.both(name, sql, parameters)
        sides = [self.clients[PROCESS[name]].in_transaction(f"{side} {name}") for side in ("plain", "ours")]
        equal(f"{name}: in a transaction after {sql!r}", sides[1], sides[0])
        if not sides[0]:
            self.generator.ended()
        elif self.generator.is_outside():
            self.generator.in_transaction = True
        self.keep(name)

    def restore(self, name):
        """A plain file is copied over both with SQLite's backup functions."""
        page_size, rows = self.rng.choice(PAGE_SIZES), self.rng.randrange(200)
        path = self.folder / "source.db"
        path.unlink(missing_ok=True)
        table = self.generator.name("t")
        source = sqlite3.connect(path)
        source.execute(f"PRAGMA page_size = {page_size}")
        source.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, a, b)")
        source.executemany(f"INSERT INTO {table} VALUES (?, ?, zeroblob(?))", [(i, f"a{i}", i * 9) for i in range(rows)])
        source.commit()
        source.close()
        self.trace.append(f"{name}: restore, {page_size}, {rows} rows")
        self.lease_to(name)
        for side in ("plain", "ours"):
            self.clients[PROCESS[name]].restore(path, name=f"{side} {name}")
        g = self.generator
        g.tables = [table] + [t for t in g.tables if t.startswith("two.")]
        g.searchable, g.boxes = [], []


def upload(server, name, path):
    """A plain file becomes a database of the server."""
    request = urllib.request.Request(f"{server.url}/db/upload?db={name}", path.read_bytes(), {"Authorization": TOKEN})
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60).close()


def begin(pair):
    """The databases come to be, on both sides alike."""
    page_size = pair.generator.page_size
    if pair.kind == "together":
        plain = sqlite3.connect(pair.plain_path(), isolation_level=None)
        plain.execute(f"PRAGMA page_size = {page_size}")
        plain.execute("PRAGMA journal_mode = wal")
        plain.execute("CREATE TABLE t0 (id INTEGER PRIMARY KEY, a, b)")
        plain.close()
        pair.generator.tables.append("t0")
        pair.stays_wal = pair.rng.random() < 0.6
        copy = pair.folder / "upload.db"
        shutil.copy(pair.plain_path(), copy)
        if not pair.stays_wal:
            with sqlite3.connect(copy) as db:
                db.execute("PRAGMA journal_mode = delete")
            db.close()
        upload(pair.server, pair.databases[0], copy)
    for name in pair.names:
        pair.open(name)
        if pair.kind != "together" and name == "a":
            pair.both(name, f"PRAGMA page_size = {page_size}")
            pair.both(name, f"PRAGMA auto_vacuum = {pair.rng.choice(('NONE', 'NONE', 'FULL', 'INCREMENTAL'))}")
    for name in pair.names:
        pair.set_up(name)


def work(pair):
    rng = pair.rng
    begin(pair)
    name = "a"
    for step in range(STEPS):
        everyone_outside = all(pair.is_outside(n) for n in pair.names)
        if pair.kind == "together" or everyone_outside:
            name = rng.choice([*pair.names, name])
        pair.step(name)
        if not pair.is_outside(name) or step < 5:
            continue
        if rng.random() < 0.05:
            pair.reopen(name)
        if pair.kind == "together" or pair.states[name][2] or not all(pair.is_outside(n) for n in pair.names):
            continue
        if rng.random() < 0.03:
            for sql in pair.generator.reshape():
                pair.is_exact &= "EXCLUSIVE" not in sql
                pair.both(name, sql, compares=not sql.startswith("PRAGMA journal_mode"))
        elif rng.random() < 0.01:
            pair.restore(name)
    for name in pair.names:
        if not pair.is_outside(name):
            pair.both(name, "COMMIT")
            if not pair.clients[PROCESS[name]].in_transaction(f"plain {name}"):
                continue
            pair.both(name, "ROLLBACK")


def compare(pair):
    """Every connection's own view, a process with an empty cache, and the server's file: all the same."""
    client = pair.clients[0]
    plain = client.content("plain a")
    equal("integrity of the plain file", plain["integrity"], [(b"ok",)])
    for name in pair.names:
        same(f"the view of connection {name}", pair.clients[PROCESS[name]].content(f"ours {name}"), plain)
    for client in pair.clients.values():
        client.close()
    with Client(pair.server, pair.folder, pair.folder / "empty-cache", pair.databases[0]) as fresh:
        same("a process with an empty cache", fresh.content(), plain)
    for at, database in enumerate(pair.databases):
        if pair.server.position(database) is None:
            equal(f"size of {database}, which nobody wrote to", pair.plain_path(at).stat().st_size, 0)
            continue
        stored = pair.server.snapshot(database, pair.folder / f"snapshot{at}.db")
        same(f"the server's file of {database}", database_content(stored), database_content(pair.plain_path(at)))
        if pair.is_exact:
            equal(f"{database}: pages that differ", different_pages(stored, pair.plain_path(at)), [])
        version = stored.read_bytes()[18:20]
        equal("the version that the header holds", version, bytes((2, 2) if pair.stays_wal else (1, 1)))


def different_pages(ours, plain):
    """Pages that are not the same. What is in a free page is left to chance: whether SQLite's cache
    spilled before the page was freed."""
    pages, free = [], set()
    for path in (ours, plain):
        image = path.read_bytes()
        size = int.from_bytes(image[16:18], "big")
        size = 65536 if size == 1 else size
        pages.append([image[at:at + size] for at in range(0, len(image), size)])
    trunk = int.from_bytes(pages[1][0][32:36], "big")
    while trunk:
        page = pages[1][trunk - 1]
        trunk, leaves = int.from_bytes(page[:4], "big"), int.from_bytes(page[4:8], "big")
        free |= {int.from_bytes(page[8 + 4 * n:12 + 4 * n], "big") for n in range(leaves)}
    if len(pages[0]) != len(pages[1]):
        return [f"{len(pages[0])} pages, not {len(pages[1])}"]
    return [n for n, (a, b) in enumerate(zip(*pages), 1) if a != b and n not in free]


def same(what, ours, plain):
    for part, expected in plain.items():
        if part == "tables":
            equal(f"{what}: tables", sorted(ours[part]), sorted(expected))
            for name, rows in expected.items():
                equal(f"{what}: rows of {name.decode()}", ours[part][name], rows)
        else:
            equal(f"{what}: {part}", ours[part], expected)


def run_seed(seed):
    """Runs one seed; returns None or what went wrong."""
    with scratch() as folder, Server(folder) as server:
        pair = Pair(server, folder, seed)
        try:
            work(pair)
            compare(pair)
            return None
        except Exception as problem:
            recent = "\n      ".join(pair.trace[-12:])
            log = "".join(client.log_tail() for client in pair.clients.values())
            return (f"seed {seed}, {pair.kind}: {type(problem).__name__}: {problem}\n      {recent}\n"
                    f"   log: {log[-600:]}")
        finally:
            for client in pair.clients.values():
                client.kill()


def main():
    seeds = [int(a) for a in sys.argv[1:]] or range(1, int(os.environ.get("SEEDS") or 200) + 1)
    failures = []
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        for problem in pool.map(run_seed, seeds):
            if problem:
                failures.append(problem)
                print(problem, flush=True)
    for problem in failures[:1]:
        print(f"reproduce with: differential.py {problem.split()[1].rstrip(',')}")
    print(f"{len(seeds) - len(failures)} of {len(seeds)} seeds agree")
    sys.exit(1 if failures or not seeds else 0)


if __name__ == "__main__":
    main()
