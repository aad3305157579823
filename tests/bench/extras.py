"""What `make bench` measures beside the scenarios: sizes, limits of the machine, idle programs."""

import gzip
import os
import pathlib
import random
import statistics
import subprocess
import time

from databases import ROWS
from growth import connections, growth, large
from measure import Files, Latency, fresh, median, run, say
from scenarios import LATENCIES, LIMIT, POINT, RUNS


IDLE_SECONDS = 20


def sizes(bench):
    """Bytes of each extension as a file and as gzip sends it, and of ours without TLS."""
    say("sizes of the extensions")
    files = {t.name: t.extension for t in bench.targets if t.extension}
    without = os.environ.get("EXT_WITHOUT_TLS")
    if without:
        files["without TLS"] = without
    bench.extras["sizes"] = {
        name: (len(content), len(gzip.compress(content)))
        for name, content in ((name, pathlib.Path(file).read_bytes()) for name, file in files.items())}


def machine(bench):
    """What the network and the disk can do: the raw file by curl, a small file made durable."""
    say("limits of the machine")
    files = Files(bench.database.parent)
    networks = {ms: Latency(files.port, ms) if ms else files for ms in LATENCIES}
    for ms, network in networks.items():
        samples = bench.results.of("curl", ms, "limit")
        for _ in range(RUNS):
            samples.append(run(fresh(bench.folder, "run"), [
                "curl", "-sS", "-o", "/dev/null", f"{network.url}/{bench.database.name}"], limit=LIMIT))
        say(f"  curl of the raw file, {ms} ms: {median(samples, 'wall'):.3f} s")
    for network in {files, *networks.values()}:
        network.close()
    stored = bench.server.data.glob("default/bench/ltx/*/*.ltx")
    bench.extras["stored"] = max(file.stat().st_size for file in stored)
    bench.extras["durable"] = statistics.median(_durable(bench.folder) for _ in range(RUNS))
    say(f"  a small file made durable: {bench.extras['durable'] * 1000:.2f} ms")


def _durable(folder):
    """Seconds to create a file of 1,400 bytes so that it survives a power cut."""
    place = fresh(folder, "durable")
    opened = os.open(place, os.O_RDONLY)
    start = time.perf_counter()
    for number in range(100):
        file = os.open(place / str(number), os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        os.write(file, bytes(1400))
        os.fsync(file)
        os.close(file)
        os.fsync(opened)
    os.close(opened)
    return (time.perf_counter() - start) / 100


def one_commit(bench):
    """One row changed in the large database: what goes over the wire. The row is another each time."""
    say("one row changed in the large database")
    ms = max(LATENCIES)
    for target in bench.targets:
        if not target.lease:
            continue
        samples = bench.results.of("one_commit", ms, target.name)
        for number in range(RUNS):
            row = random.Random(f"change {target.name} {number}").randrange(1, ROWS + 1)
            read, change = POINT.format(row), f"UPDATE t SET txt = 'run {number}' WHERE id = {row};\n"
            # A process that reads the row instead does all the rest, too.
            started, changed = (
                target.run(fresh(bench.folder, "run"), "bench",
                           f"{target.lease}{text}PRAGMA litevfs_release_lease;\n", ms,
                           fresh(bench.folder, "cache"), limit=LIMIT)
                for text in (read, change))
            if ms:
                changed.sent -= started.sent
            samples.append(changed)
        say(f"  {target.title}: {samples[0].error or median(samples, 'sent')} bytes more sent")


def idle(bench):
    """Requests a second of programs that do nothing, with a database open and with a lease."""
    say(f"idle programs, {IDLE_SECONDS} s")
    running = []
    for target in bench.targets:
        if not target.lease:
            continue
        for role in ("reader", "lease holder"):
            network = Latency(bench.server.port, 0)
            place = fresh(bench.folder, f"idle-{target.name}-{role[0]}")
            env = target.environment(0, place) | {"LITEFS_CLOUD_HOST": network.url, "HOME": str(place)}
            db = "bench" if role == "reader" else f"idle-{target.name}"
            shell = subprocess.Popen(target.command(db), env=os.environ | env, text=True,
                                     stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL)
            shell.stdin.write(POINT.format(1) if role == "reader" else
                              f"{target.lease}CREATE TABLE w (x); INSERT INTO w VALUES (1);\n")
            shell.stdin.flush()
            running.append((target.name, role, shell, network))
    time.sleep(2)
    before = [network.counts()["requests"] for *_, network in running]
    time.sleep(IDLE_SECONDS)
    found = {}
    for (name, role, shell, network), first in zip(running, before):
        alive = shell.poll() is None
        found[name, role] = (network.counts()["requests"] - first) / IDLE_SECONDS if alive else None
        shell.stdin.close()
        shell.wait(30)
        network.close()
        say(f"  {name}, {role}: {found[name, role]} requests a second")
    bench.extras["idle"] = found


STEPS = [
    ("sizes", sizes),
    ("machine", machine),
    ("one_commit", one_commit),
    ("idle", idle),
    ("large", large),
    ("growth", growth),
    ("connections", connections),
]
