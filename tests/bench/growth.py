"""How costs grow: with the size of the database, and with connections. Ours alone, beside plain SQLite.

The databases are kept on a server of their own whose folder stays in build/bench, because importing
them takes longer than all that is measured. Another build of the server imports them again.
"""

import contextlib
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import time

import databases
from measure import BUILD, fresh, median, run, say
from scenarios import LATENCIES, POINT, RUNS, SCAN, lookups
from targets import Place, import_database, ours

from harness import Server
from harness.server import COMMAND

GROWTH = [int(mb) for mb in (os.environ.get("GROWTH") or "1 95 1000").replace(",", " ").split()]
SPARSE_GB = int(os.environ.get("SPARSE_GB") or 10)
# Past its default a scan would be many small requests, and end at the bound on those.
BULK = "PRAGMA litevfs_max_bulk_bytes = '64 GB';\n"
CONNECTIONS = (1, 4, 16, 64)
WORKER = pathlib.Path(__file__).with_name("connections.py")
# Nothing is merged while something is measured: these databases do not change.
QUIET = ("--compact", "1=30d:60d", "--snapshot", "60d:90d")


@contextlib.contextmanager
def _grown_server(files):
    """The server with these files imported."""
    program = hashlib.sha256(pathlib.Path(COMMAND[0]).read_bytes()).hexdigest()[:12]
    for old in BUILD.glob("server-*.data"):
        if program not in old.name:
            shutil.rmtree(old)
    with Server(BUILD, f"server-{program}", options=QUIET) as server:
        for file in files:
            if not server.position(file.stem):
                import_database(server, file, file.stem)
        # Nothing in memory that an import left there.
        server.stop()
        server.start()
        place = Place(server, LATENCIES)
        try:
            yield place
        finally:
            place.close()


def large(bench):
    """Opening a database of many pages, and a small one."""
    files = {"1 MB": databases.grown(1), f"{SPARSE_GB} GB": databases.sparse(SPARSE_GB)}
    say(f"opening {SPARSE_GB} GB")
    found = {}
    with _grown_server(files.values()) as place:
        target = ours(place)
        for ms in LATENCIES:
            for _ in range(RUNS):
                for size, file in files.items():
                    sample = target.run(fresh(bench.folder, "run"), file.stem, POINT.format(5000), ms)
                    found.setdefault((size, ms), []).append(sample)
            for size in files:
                _report(size, ms, found[size, ms])
    bench.extras["large"] = found


def growth(bench):
    """The same work on databases of several sizes."""
    files = {mb: databases.grown(mb) for mb in GROWTH}
    say("growth with the database")
    found = {}
    with _grown_server(files.values()) as place:
        target = ours(place)
        far = max(LATENCIES)
        for mb, file in files.items():
            rows = round(mb * 1_000_000 / 95)
            work = {
                "point": lambda run: (POINT.format(rows * 7 // 9 - run), far, RUNS),
                "lookups": lambda run: (lookups(run, rows), far, 3),
                "scan": lambda run: (BULK + SCAN, 0, 3 if mb < 500 else 1),
            }
            for name, make in work.items():
                samples = found[mb, name] = []
                for number in range(make(0)[2]):
                    text, ms, _ = make(number)
                    samples.append(target.run(fresh(bench.folder, "run"), file.stem, text, ms, limit=120))
                _report(f"{mb} MB, {name}", make(0)[1], samples)
    bench.extras["growth"] = found


def _report(what, ms, samples):
    wall = median(samples, "wall")
    if wall is None:
        return say(f"  {what}, {ms} ms: {samples[0].error}")
    say(f"  {what}, {ms} ms: {wall:.3f} s, {median(samples, 'rss'):.1f} MB")


def connections(bench):
    """Connections of one process, each in a thread; and processes at the same time."""
    say("growth with connections")
    found = {}
    ms = max(LATENCIES)
    for count in CONNECTIONS:
        for name in ("plain", "ours"):
            target = bench.target(name)
            if target:
                db = bench.database if name == "plain" else "bench"
                place = fresh(bench.folder, "run")
                found[name, count] = run(
                    place, [os.environ.get("PYTHON") or sys.executable, WORKER, target.uri.format(db=db),
                            target.extension or "", str(count), str(databases.ROWS)],
                    environment=target.environment(ms, place),
                    network=target.place.networks.get(ms) if target.place else None)
                say(f"  {name}, {count} connections: {found[name, count].output.strip()}")
    for count in CONNECTIONS:
        found["processes", count] = _processes(bench, bench.target("ours"), count)
        say(f"  {count} processes: {found['processes', count]:.3f} s")
    bench.extras["connections"] = found


def _processes(bench, target, count):
    """Seconds until so many shells that start together have each read a row."""
    shells = []
    start = time.perf_counter()
    for number in range(count):
        place = fresh(bench.folder, f"run-{number}")
        env = os.environ | target.environment(0, place)
        shell = subprocess.Popen(target.command("bench"), env=env, text=True, stdin=subprocess.PIPE,
                                 stdout=subprocess.DEVNULL)
        shell.stdin.write(POINT.format(1 + number))
        shell.stdin.close()
        shells.append(shell)
    codes = [shell.wait(120) for shell in shells]
    took = time.perf_counter() - start
    if any(codes):
        raise RuntimeError(f"{sum(map(bool, codes))} of {count} processes failed")
    return took
