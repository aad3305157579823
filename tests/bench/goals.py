"""The figures that LiteVFS is held against, and what a run found for each of them."""

import dataclasses

from growth import SPARSE_GB
from scenarios import LATENCIES, SCENARIOS

TITLES = {scenario.name: scenario.title for scenario in SCENARIOS}


@dataclasses.dataclass
class Row:
    """One line of the table. `unit` is "s", "MB", "bytes" or a word; values are by target's name, and
    numbers, or text where there is no number. Smaller is better everywhere."""

    what: str
    ms: int | None
    unit: str
    values: dict
    goal: float | None = None
    goal_text: str | None = None
    against: tuple = ("upstream", "litestream", "turbolite")

    @property
    def ours(self):
        return self.values.get("ours")

    @property
    def met(self):
        if self.goal is None or not isinstance(self.ours, (int, float)):
            return None
        return self.ours <= self.goal

    @property
    def best_peer(self):
        found = [self.values.get(name) for name in self.against]
        return min((v for v in found if isinstance(v, (int, float))), default=None)


# (scenario, ms): seconds
SECONDS = {
    ("point", 0): 0.010, ("point", 20): 0.05, ("random_point", 0): 0.010, ("random_point", 20): 0.05,
    ("lookups", 20): 0.4,
    ("scan", 0): 0.25, ("scan", 20): 0.35,
    ("cache_db", 0): 0.3,
    ("commits", 0): 0.4, ("commits", 20): 10.3,
    ("many_rows", 0): 0.08,
}
# scenario: times what plain SQLite needs
TIMES_PLAIN = {"warm_lookups": 1.5, "warm_scan": 1.1}
# The position is asked for at 20 ms, which plain SQLite does not do.
TIMES_PLAIN_AT = 0


def rows(bench):
    yield from _sizes(bench)
    yield from _load(bench)
    for scenario in SCENARIOS[1:]:
        for ms in LATENCIES:
            yield from _scenario(bench, scenario, ms)
    yield from _commit_bytes(bench)
    yield from _memory(bench)
    yield from _idle(bench)
    yield from _large(bench)


def _values(bench, scenario, ms, field="wall"):
    values = {}
    for target in bench.targets:
        value = bench.results.median(scenario, ms, target.name, field)
        values[target.name] = bench.results.why_not(scenario, ms, target.name) if value is None else value
    return values


def _sizes(bench):
    sizes = bench.extras.get("sizes")
    if not sizes:
        return
    for what, index, goal in (("size of the .so", 0, 1_500_000), ("the same, gzipped", 1, 780_000)):
        values = {name: size[index] for name, size in sizes.items()}
        yield Row(what, None, "bytes", values, goal)
    if "without TLS" in sizes:
        yield Row("the .so without TLS", None, "bytes", {"ours": sizes["without TLS"][0]}, 500_000)


def _load(bench):
    for what, field, unit, more in ((TITLES["load"], "wall", "s", 0.002), ("its memory", "rss", "MB", 2)):
        values = _values(bench, "load", 0, field)
        if isinstance(values.get("plain"), float):
            text = f"{number(more, unit)} over plain"
            yield Row(what, None, unit, values, values["plain"] + more, text)


def _scenario(bench, scenario, ms):
    values = _values(bench, scenario.name, ms)
    if not any(value is not None for value in values.values()):
        return
    goal, text = SECONDS.get((scenario.name, ms)), None
    times = TIMES_PLAIN.get(scenario.name)
    if times and ms == TIMES_PLAIN_AT and isinstance(values.get("plain"), float):
        goal, text = times * values["plain"], f"{times} x plain"
    yield Row(scenario.title, ms, "s", values, goal, text)
    if scenario.name == "point" and ms == 20:
        yield Row("its requests", ms, "requests", _values(bench, "point", ms, "requests"), 2)
        yield Row("its bytes received", ms, "bytes", _values(bench, "point", ms, "received"), 100_000)
    if scenario.name == "cache_db" and ms and bench.extras.get("stored"):
        yield Row("its bytes received", ms, "bytes", _values(bench, "cache_db", ms, "received"),
                  bench.extras["stored"] * 1.01, "as stored, " + number(bench.extras["stored"], "bytes"))


def _commit_bytes(bench):
    ms = max(LATENCIES)
    values = {name: value / 500 if isinstance(value, (int, float)) else value
              for name, value in _values(bench, "commits", ms, "sent").items()}
    if isinstance(values.get("ours"), float):
        yield Row("bytes sent for a commit of one row", ms, "bytes", values, 1500)
    values = _values(bench, "one_commit", ms, "sent")
    if isinstance(values.get("ours"), (int, float)):
        yield Row("the same in the large database", ms, "bytes", values, 1500)


def _memory(bench):
    """The most that any scenario took over plain SQLite."""
    values = {}
    for (scenario, ms, name), _ in bench.results.samples.items():
        used = bench.results.median(scenario, ms, name, "rss")
        plain = bench.results.median(scenario, ms, "plain", "rss")
        if used is not None and plain is not None and name != "plain":
            values[name] = max(values.get(name, 0), used - plain)
    if values:
        yield Row("memory over plain SQLite, at most", None, "MB", values, 3)


def _idle(bench):
    for role, goal in (("reader", 0.1), ("lease holder", 1)):
        values = {name: value for (name, whose), value in bench.extras.get("idle", {}).items()
                  if whose == role}
        if values:
            yield Row(f"requests of an idle {role}", None, "a second", values, goal)


def _large(bench):
    found = bench.extras.get("large")
    if not found:
        return
    from measure import median

    big = f"{SPARSE_GB} GB"
    for ms in LATENCIES:
        # What repeated runs of the same differ by: a few ms, a few digits.
        for field, unit, slack in (("wall", "s", 0.005), ("received", "bytes", 200)):
            small = median(found["1 MB", ms], field)
            ours = median(found[big, ms], field)
            if small is not None:
                what = f"one row of {big}, nothing cached" if unit == "s" else "its bytes received"
                yield Row(what, ms, unit, {"ours": ours}, small + slack,
                          f"as of 1 MB, {number(small, unit)}")


def number(value, unit):
    """A value as people read it."""
    if not isinstance(value, (int, float)):
        return value[:40] if value else "-"
    if unit == "s":
        return f"{value:.3f} s" if value < 10 else f"{value:.1f} s"
    if unit == "MB":
        return f"{value:.1f} MB"
    if unit == "bytes":
        return f"{value:,.0f}" if value < 1e6 else f"{value / 1e6:.2f} MB"
    if unit == "requests":
        return f"{value:.0f}"
    return f"{value:.1f} {unit}"


