"""`make bench`: our extension on our own server, beside plain SQLite and the peers, in one run.

Writes docs/bench.md and docs/bench.svg after a whole run in which nothing failed, and build/bench/ with
the same names after any other. Ctrl-C ends a run, and what there is by then is written. Every figure is
of this machine in this hour; the ratios in one run say more.

RUNS=N (5), LATENCY="0 20" (ms), ROWS=N (1,000,000), SCENARIOS="point scan growth", TARGETS="plain
ours", GROWTH="1 95 1000" (MB), SPARSE_GB=N (10), TURBOLITE=1.
"""

import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
import traceback

import measure
import extras
import report
from databases import main_database
from measure import say
from scenarios import LATENCIES, SCENARIOS, Results
from scenarios import measure as measure_scenario
from targets import Place, import_database, litestream, ours, plain, turbolite, upstream, wanted

from harness import Server
from harness.minio import Minio


class Bench:
    """What the parts of a run have in common."""

    def __init__(self, folder, closing):
        self.load = os.getloadavg()[0]
        self.commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=measure.ROOT,
                                     text=True, capture_output=True).stdout.strip()
        self.folder = folder
        self.database = main_database()
        self.results = Results()
        self.left_out = {}  # a peer's name: why
        self.extras = {}
        self.server = closing.enter_context(Server(folder))
        self.place = Place(self.server, LATENCIES)
        closing.callback(self.place.close)
        self.targets = [plain()]
        self._add("ours", lambda: ours(self.place))
        self._add("upstream", lambda: upstream(self.place))
        if wanted("litestream") or wanted("turbolite"):
            self._add_bucket(closing)

    def target(self, name):
        return next((t for t in self.targets if t.name == name), None)

    def _add(self, name, make):
        """A peer that can't be had is left out, and named."""
        if not wanted(name):
            if not os.environ.get("TARGETS"):
                self.left_out[name] = "TURBOLITE=1 builds it"
            return
        try:
            self.targets.append(make())
        except Exception as error:
            self.left_out[name] = str(error)
            say(f"{name} is left out: {error}")

    def _add_bucket(self, closing):
        try:
            minio = closing.enter_context(Minio(self.folder))
        except Exception as error:
            for name in ("litestream", "turbolite"):
                if wanted(name):
                    self.left_out[name] = f"no MinIO: {error}"
            return
        minio.process = minio.processes[0]
        place = Place(minio, LATENCIES)
        closing.callback(place.close)
        for name, make in (("litestream", litestream), ("turbolite", turbolite)):
            self._add(name, lambda: make(place, self.database, measure.fresh(self.folder, name)))


def steps(bench):
    """All there is to measure, in order: (name, function)."""
    for ms in LATENCIES:
        for scenario in SCENARIOS:
            if ms in scenario.latencies:
                yield scenario.name, lambda scenario=scenario, ms=ms: measure_scenario(
                    scenario, ms, bench.targets, bench.database, bench.folder, bench.results)
    for name, function in extras.STEPS:
        yield name, lambda function=function: function(bench)


def main():
    names = os.environ.get("SCENARIOS", "").split()
    measure.build_programs()
    with contextlib.ExitStack() as closing:
        folder = pathlib.Path(closing.enter_context(
            tempfile.TemporaryDirectory(prefix="litevfs-bench.")))
        bench = Bench(folder, closing)
        import_database(bench.server, bench.database, "bench")
        failed = []
        for name, step in steps(bench):
            if names and name not in names:
                continue
            try:
                step()
            except KeyboardInterrupt:
                failed.append(f"{name}: broken off, and all that follows")
                break
            except Exception as error:
                traceback.print_exc()
                failed.append(f"{name}: {error}")
        report.write(bench, failed, whole=not (failed or names or os.environ.get("TARGETS")))
    if failed:
        sys.exit("bench: " + "; ".join(failed))


if __name__ == "__main__":
    main()
