"""A database and all it ever was, for tests that go back in time."""

import datetime
import json
import random
import re
import time

from . import raw
from .checks import check, equal

PRAGMAS = {"page_size": 1024, "auto_vacuum": 1}  # so that it shrinks as well


class History:
    """Commits made through the raw API. `copies[i]` is the state after transaction i + 1.

    Every so many commits, if `reshape_every` is given, the page size changes. `early_ms` is how much a
    time may be too early: a disk's clock is coarser than this one.
    """

    def __init__(self, url, name, seed, transactions, pause_s=0.0, reshape_every=0, early_ms=0):
        self.url, self.name, self.reshape_every = url, name, reshape_every
        self.early_ms = early_ms
        self.rng = random.Random(seed)
        self.copies = []
        self._between = []  # when each transaction was sent and acknowledged, in ms
        for _ in range(transactions):
            self.commit()
            time.sleep(pause_s)

    @property
    def now(self):
        return self.copies[-1]

    def commit(self):
        copy = self.now if self.copies else raw.Copy(self.name, PRAGMAS)
        if self.reshape_every and copy.txid % self.reshape_every == self.reshape_every - 1:
            page_size = self.rng.choice([size for size in (512, 2048, 4096) if size != copy.page_size])
            file, copy = copy.reshaped(page_size)
        else:
            file, copy = copy.changed_by(self._statements(copy.txid))
        sent = now_ms()
        raw.push(self.url, self.name, file)
        self.copies.append(copy)
        self._between.append((sent, now_ms()))

    def points(self):
        """[(i, ms)]: the restore points that the server lists, oldest first, checked against what is known."""
        listed = json.loads(raw.ask(self.url, "GET", "/db/info", db=self.name, all="true"))["restorablePaths"]
        points = []
        for point in reversed(listed):
            i, ms = int(point["maxTxId"], 16) - 1, parse_ms(point["maxTimestamp"])
            equal(f"the checksum of transaction {i + 1}", point["postApplyChecksum"], self.copies[i].position[17:])
            sent, done = self._between[i]
            check(sent - self.early_ms <= ms <= done, f"transaction {i + 1} is said to be of {ms}, and came between {sent} and {done}")
            points.append((i, ms))
        check(points == sorted(set(points)), "the restore points are not in order")
        return points

    def _statements(self, txid):
        rng = self.rng
        if txid == 0:
            return [("CREATE TABLE t (id INTEGER PRIMARY KEY, n, x BLOB)",)]
        if rng.random() < 0.1:
            return [("DELETE FROM t WHERE id % 3 = ?", (rng.randrange(3),))]
        if rng.random() < 0.3:
            return [("UPDATE t SET n = ?, x = ? WHERE id % 7 = ?", (txid, rng.randbytes(30), rng.randrange(7)))]
        return [("INSERT INTO t (n, x) VALUES (?, ?)", (txid, rng.randbytes(rng.choice((10, 3000)))))]

    def pull(self, sent):
        """Takes up a transaction that the server has made by itself, since `sent` ms."""
        copy = raw.Copy(self.name, PRAGMAS)
        copy.pull(self.url)  # checks all pages
        self.copies.append(copy)
        self._between.append((sent, now_ms()))

    def random_points(self, count):
        return [self.rng.randrange(len(self.copies)) for _ in range(count)]


def now_ms():
    return time.time_ns() // 1_000_000


def rfc3339(ms):
    at = datetime.datetime.fromtimestamp(ms // 1000, datetime.timezone.utc)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03}Z"


def parse_ms(text):
    """The other way round, whatever the fraction and the offset."""
    whole, fraction = re.fullmatch(r"([^.]*?)(\.\d+)?(?:Z|[+]00:00)", text).groups()
    at = datetime.datetime.fromisoformat(f"{whole}+00:00")
    return int(at.timestamp()) * 1000 + round(float(fraction or 0) * 1000)


def txid_of(i):
    """The TXID of the state `copies[i]`, as the API writes it."""
    return f"{i + 1:016x}"
