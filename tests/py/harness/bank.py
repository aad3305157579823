"""A bank: transfers between accounts, and a ledger of which of them were acknowledged.

Every transaction moves an amount between two accounts and leaves one row in `log`, so each state of
the database shows whether it is the sum of whole transactions, each once, and the ledger tells which
transactions must be in it and in which order.
"""

import collections
import sqlite3
import threading
import time

from .checks import check, equal

ACCOUNTS = 40
START_BALANCE = 1000
TOTAL = ACCOUNTS * START_BALANCE

SCHEMA = (
    ("CREATE TABLE account (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL)",),
    ("CREATE TABLE log (id INTEGER PRIMARY KEY, writer INTEGER, seq INTEGER, source INTEGER, target INTEGER,"
     " amount INTEGER)",),
    ("CREATE INDEX log_writer ON log (writer, seq)",),
    ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
     " INSERT INTO account SELECT i, ? FROM n", (ACCOUNTS, START_BALANCE)),
)


def transfer(rng, writer, seq):
    """The statements of one transaction."""
    source, target = rng.sample(range(1, ACCOUNTS + 1), 2)
    amount = rng.randint(1, 100)
    return (
        ("UPDATE account SET balance = balance - ? WHERE id = ?", (amount, source)),
        ("UPDATE account SET balance = balance + ? WHERE id = ?", (amount, target)),
        ("INSERT INTO log (writer, seq, source, target, amount) VALUES (?, ?, ?, ?, ?)",
         (writer, seq, source, target, amount)),
    )


class Ledger:
    """What the writers of one database tried, and what of it was acknowledged. Any thread may use it."""

    def __init__(self, name):
        self.name = name
        self._lock = threading.Lock()
        self._started, self._acknowledged, self._refused = {}, {}, set()
        self._newest = collections.Counter()

    def start(self, writer):
        """The next sequence number of a writer, about to be tried."""
        with self._lock:
            self._newest[writer] += 1
            seq = self._newest[writer]
            self._started[writer, seq] = time.monotonic()
            return seq

    def acknowledge(self, writer, seq):
        with self._lock:
            self._acknowledged[writer, seq] = time.monotonic()

    def refuse(self, writer, seq):
        """It failed for good: it may not be in the database."""
        with self._lock:
            self._refused.add((writer, seq))

    def acknowledged(self):
        """The transactions that must be in any state from now on."""
        with self._lock:
            return set(self._acknowledged)

    @property
    def unknown(self):
        """How many ended without a word."""
        return len(self._started) - len(self._acknowledged) - len(self._refused)

    def verify(self, rows, wanted, what):
        """`rows` of `state`: whole transactions, each once, in order, with all those `wanted`."""
        keys = [(writer, seq) for _, writer, seq, *_ in rows]
        equal(f"{what}: log ids", [row[0] for row in rows], list(range(1, len(rows) + 1)))
        twice = [key for key, count in collections.Counter(keys).items() if count > 1]
        check(not twice, f"{what}: in it twice: {twice[:5]}")
        missing = wanted - set(keys)
        check(not missing, f"{what}: {len(missing)} acknowledged commits are missing: {sorted(missing)[:5]}")
        with self._lock:
            wrong = self._refused & set(keys)
            check(not wrong, f"{what}: refused, but in it: {sorted(wrong)[:5]}")
            self._verify_order(keys, what)

    def _verify_order(self, keys, what):
        """What was acknowledged before another began comes before it."""
        newest_start = 0.0
        for key in keys:
            check(key in self._started, f"{what}: nobody tried {key}")
            done = self._acknowledged.get(key)
            check(done is None or done >= newest_start, f"{what}: {key} comes after one that began after it")
            newest_start = max(newest_start, self._started[key])


def state(connection):
    """(balances, log rows) as a connection sees them in one statement each; use it in a transaction."""
    balances = dict(connection.execute("SELECT id, balance FROM account"))
    rows = connection.execute("SELECT id, writer, seq, source, target, amount FROM log ORDER BY id").fetchall()
    return balances, rows


def verify_balances(balances, rows, what):
    """The sum never changes, and every balance is what the log makes of it."""
    equal(f"{what}: the sum of all balances", sum(balances.values()), TOTAL)
    wanted = {account: START_BALANCE for account in range(1, ACCOUNTS + 1)}
    for *_, source, target, amount in rows:
        wanted[source] -= amount
        wanted[target] += amount
    equal(f"{what}: balances", balances, wanted)


def verify_image(image, ledger, wanted, what):
    """Everything about a database file; returns how many transfers it has."""
    db = sqlite3.connect(":memory:")
    try:
        db.deserialize(image)
        equal(f"{what}: integrity_check", db.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
        balances, rows = state(db)
    finally:
        db.close()
    verify_balances(balances, rows, what)
    ledger.verify(rows, wanted, what)
    return len(rows)
