"""What every target does in `make bench`, one sqlite3 process a run.

The targets take turns, run after run, so that what disturbs the machine disturbs all of them. Those
that read must find what plain SQLite finds.
"""

import dataclasses
import os
import random
from typing import Callable

from databases import ROWS
from measure import fresh, median, say

RUNS = int(os.environ.get("RUNS") or 5)
LATENCIES = [int(ms) for ms in (os.environ.get("LATENCY") or "0 20").replace(",", " ").split()]
# A peer that has used so many seconds of a scenario gets no further run of it (ours and plain SQLite
# get four times as many), and a run that takes as long as LIMIT is ended: nobody waits for the slow.
SECONDS = 6
LIMIT = 30

POINT = "SELECT k, length(txt) FROM t WHERE id = {};\n"
SCAN = "SELECT count(*), sum(length(txt)) FROM t;\n"
TABLE = "CREATE TABLE w (id INTEGER PRIMARY KEY, a INT, b TEXT);\n"


@dataclasses.dataclass
class Scenario:
    """`text` makes the SQL of a run from the target and the run's number."""

    name: str
    title: str
    text: Callable
    latencies: list = dataclasses.field(default_factory=lambda: LATENCIES)
    takes_part: Callable = lambda target: True
    db: str | None = "bench"  # None: a new one each run
    before: str | None = None  # SQL for another process that fills the cache
    environment: dict = dataclasses.field(default_factory=dict)

    @property
    def reads(self):
        return self.db == "bench" and self.name != "cache_db"


def lookups(run, rows=ROWS):
    """200 rows at random, other ones in each run, so that nobody knows them beforehand."""
    seeded = random.Random(f"lookups {run}")
    return "".join(POINT.format(seeded.randrange(1, rows + 1)) for _ in range(200))


def _random_point(run):
    return POINT.format(random.Random(f"point {run}").randrange(1, ROWS + 1))


def _commits(target, _run):
    rows = "".join(f"INSERT INTO w (a, b) VALUES ({i}, '{f'x{i}y' * 5}');\n" for i in range(500))
    return target.lease + TABLE + rows + "SELECT count(*) FROM w;\n"


def _many_rows(target, _run):
    return target.lease + TABLE + """BEGIN;
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)
        INSERT INTO w (a, b) SELECT i, printf('%.60d', i) FROM n;
        COMMIT; SELECT count(*) FROM w;\n"""


def writes(target):
    return target.writes


def keeps(target):
    return target.keeps


def takes_leases_itself(target):
    return target.name in ("plain", "ours")


def caches_all(target):
    return bool(target.lease)


SCENARIOS = [
    Scenario("load", "load the extension", lambda *_: "SELECT 1;\n", latencies=[0], db=None),
    Scenario("point", "one row, nothing cached",
             lambda *_: POINT.format(max(1, ROWS * 7 // 9))),
    Scenario("random_point", "one random row, nothing cached",
             lambda _, run: _random_point(run)),
    Scenario("lookups", "200 random rows, nothing cached", lambda _, run: lookups(run)),
    Scenario("warm_lookups", "200 random rows, cached by a process before", lambda *_: lookups("warm"),
             takes_part=keeps, before=lookups("warm")),
    Scenario("scan", "a whole table, nothing cached", lambda *_: SCAN),
    Scenario("warm_scan", "a whole table, cached by a process before", lambda *_: SCAN,
             takes_part=keeps, before=SCAN),
    Scenario("cache_db", "`PRAGMA litevfs_cache_db`", lambda *_: "PRAGMA litevfs_cache_db;\n",
             takes_part=caches_all),
    Scenario("commits", "500 commits of one row, under a lease", _commits, takes_part=writes, db=None),
    Scenario("auto_commits", "500 commits of one row, auto lease",
             lambda target, run: _commits(dataclasses.replace(target, lease=""), run),
             takes_part=takes_leases_itself, db=None, environment={"LITEVFS_AUTO_LEASE": "1"}),
    Scenario("many_rows", "one commit of 50,000 rows", _many_rows, takes_part=writes, db=None),
]


class Results:
    """Samples by scenario, latency and target."""

    def __init__(self):
        self.samples = {}

    def of(self, scenario, ms, target):
        return self.samples.setdefault((scenario, ms, target), [])

    def median(self, scenario, ms, target, field="wall"):
        return median(self.samples.get((scenario, ms, target), []), field)

    def why_not(self, scenario, ms, target):
        """The reason when no run came to an end."""
        samples = self.samples.get((scenario, ms, target), [])
        failed = [s.error for s in samples if s.error]
        return failed[0] if failed and len(failed) == len(samples) else None


def measure(scenario, ms, targets, database, folder, results):
    """All runs of one scenario at one latency."""
    say(f"{scenario.title}, {ms} ms")
    targets = [t for t in targets if scenario.takes_part(t)]
    caches = {}
    if scenario.before:
        for target in targets:
            caches[target.name] = cache = fresh(folder, f"cache-{target.name}")
            db = database if target.name == "plain" else scenario.db
            # Under the same address: the cache is that server's.
            target.run(fresh(folder, "run"), db, scenario.before, ms, cache, limit=2 * LIMIT)
    for number in range(RUNS):
        expected = None
        for target in targets:
            samples = results.of(scenario.name, ms, target.name)
            if _enough(target, samples):
                continue
            place = fresh(folder, "run")
            db = _database(scenario, target, database, place, number, ms)
            cache = caches.get(target.name) or fresh(folder, "cache")
            sample = target.run(place, db, scenario.text(target, number), ms, cache,
                                limit=LIMIT * (1 if scenario.db else 2), environment=scenario.environment)
            if target.name == "plain":
                expected = sample.output
            elif scenario.reads and not sample.error and expected not in (None, sample.output):
                sample.error = "another answer than plain SQLite's"
            samples.append(sample)
    for target in targets:
        _report(target, results.of(scenario.name, ms, target.name))


def _enough(target, samples):
    """Whether the target has had its time. Ours gets more of it, and goes on after an error."""
    peer = target.name not in ("plain", "ours")
    took = [s.wall for s in samples]
    return bool(took) and (sum(took) + took[-1] > SECONDS * (1 if peer else 4)
                           or peer and samples[-1].error is not None)


def _database(scenario, target, database, place, number, ms):
    """What the target opens: the common database, a new one, or none."""
    if scenario.name == "load":
        return None
    if scenario.db:
        return database if target.name == "plain" else scenario.db
    name = f"{scenario.name}-{target.name}-{ms}-{number}"
    return place / f"{name}.db" if target.name == "plain" else name


def _report(target, samples):
    wall = median(samples, "wall")
    if wall is None:
        return say(f"  {target.title}: {samples[0].error if samples else 'no run'}")
    text = f"  {target.title}: {wall:.3f} s, {median(samples, 'rss'):.1f} MB"
    if (requests := median(samples, "requests")) is not None:
        text += f", {requests:.0f} requests, {median(samples, 'received') / 1000:.0f} KB"
    say(text)
