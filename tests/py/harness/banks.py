"""A bank over several databases: money moves between them, each transfer logged in both that take part.

So every state that anybody reads shows whether it is the sum of whole transfers: the total never changes,
and each log row has its other half.
"""

import contextlib
import json
import sqlite3
import time

from . import raw
from .checks import equal
from .client import Client, SqlError

NAMES = ("a", "b", "c")
START = 1000

SCHEMA = (
    "CREATE TABLE account (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL)",
    "CREATE TABLE log (n INTEGER PRIMARY KEY, other TEXT, amount INTEGER, filler BLOB)",
    f"INSERT INTO account VALUES (1, {START}), (2, {START})",
)


class Bank:
    """A client's connection to the databases of a bank, the first as the main one."""

    def __init__(self, client, names=NAMES, connection="main", memory=False):
        self.client, self.names, self.connection = client, names, connection
        self.schemas = list(names) if memory else ["main", *names[1:]]
        client.open_uri("file::memory:" if memory else f"file:{names[0]}?vfs=litevfs", connection)
        for name in names[0 if memory else 1:]:
            self.sql(f"ATTACH 'file:{name}?vfs=litevfs' AS {name}")
        for of in self.schemas:
            self.sql(f"PRAGMA {of}.litevfs_max_reqs_per_query = 0")

    def sql(self, sql, parameters=()):
        return self.client.sql(sql, parameters, self.connection)

    def acquire(self):
        for of in self.schemas:
            self.sql(f"PRAGMA {of}.litevfs_acquire_lease")

    def acquire_when_free(self):
        """The lease of a client that was killed runs out by itself."""
        for _ in range(300):
            try:
                return self.acquire()
            except SqlError:
                time.sleep(0.05)
        raise AssertionError(f"the lease never ran out: {self.client.log_tail()}")

    def create(self):
        self.acquire()
        for of in self.schemas:
            for statement in SCHEMA:
                self.sql(statement.replace(" account", f" {of}.account").replace(" log", f" {of}.log"))

    def transfer(self, n, rng, begin="BEGIN"):
        source, target = rng.sample(range(len(self.names)), 2)
        amount = rng.randint(1, 50)
        self.sql(begin)
        for one, other, delta in ((source, target, -amount), (target, source, amount)):
            of = self.schemas[one]
            self.sql(f"UPDATE {of}.account SET balance = balance + ? WHERE id = ?", (delta, rng.randint(1, 2)))
            filler = rng.randbytes(rng.choice((5, 200, 6000)))
            self.sql(f"INSERT INTO {of}.log VALUES (?, ?, ?, ?)", (n, self.names[other], delta, filler))
        self.sql("COMMIT")

    def give_up(self):
        with contextlib.suppress(SqlError):  # SQLite has rolled back by itself
            self.sql("ROLLBACK")

    def state(self):
        """Balances and logs as one read transaction sees them."""
        self.sql("BEGIN")
        try:
            return {
                name: (self.sql(f"SELECT sum(balance) FROM {of}.account")[0][0],
                       self.sql(f"SELECT n, other, amount FROM {of}.log ORDER BY n"))
                for name, of in zip(self.names, self.schemas)
            }
        finally:
            self.give_up()


def verify(state, what):
    """Whole transfers only; returns their numbers."""
    total = sum(balance for balance, _ in state.values())
    halves = {(n, name, other): amount for name, (_, log) in state.items() for n, other, amount in log}
    for (n, name, other), amount in halves.items():
        equal(f"{what}: the other half of transfer {n}, {name} to {other}", halves.get((n, other, name)), -amount)
    for name, (balance, log) in state.items():
        equal(f"{what}: the balance of {name}", balance, 2 * START + sum(amount for _, _, amount in log))
    equal(f"{what}: the total", total, 2 * START * len(state))
    return sorted({n for n, _, _ in halves})


def raw_state(url, names=NAMES):
    """What plain requests say: positions that were answered together, and the databases there."""
    zero = {"txid": "0" * 16, "postApplyChecksum": "0" * 16}
    question = json.dumps({"positions": {name: zero for name in names}}).encode()
    changes = json.loads(raw.ask(url, "POST", "/sync", question))["changes"]
    state = {}
    for name in names:
        txid = changes[name]["pos"]["txid"]
        image = raw.ask(url, "GET", "/db/snapshot", db=name, format="sqlite", txid=txid)
        db = sqlite3.connect(":memory:")
        db.deserialize(image)
        equal(f"{name} at {txid}", db.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
        state[name] = (db.execute("SELECT sum(balance) FROM account").fetchone()[0],
                       db.execute("SELECT n, other, amount FROM log ORDER BY n").fetchall())
        db.close()
    return state


def opened(server, folder):
    """A client with an empty cache, and the bank in it."""
    client = Client(server, folder, folder / f"cache-{time.monotonic_ns()}")
    return client, Bank(client)
