"""What `make bench` measures with: one program in a process of its own, a network, a server's CPU."""

import dataclasses
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "py"))

from harness import ROOT  # noqa: E402  (the harness of the tests lies in their folder)

BUILD = ROOT / "build/bench"
SQLITE3 = os.environ.get("SQLITE3") or "sqlite3"


def build_programs():
    """The launcher and the network, compiled now if they are not."""
    BUILD.mkdir(parents=True, exist_ok=True)
    source = ROOT / "tests/bench/launch.c"
    subprocess.run(["cc", "-O1", "-o", BUILD / "launch", source], check=True)
    subprocess.run(["go", "build", "-o", BUILD / "latency", "./latency"], cwd=ROOT / "tests/go",
                   check=True)


@dataclasses.dataclass
class Sample:
    """What one run took. Times in seconds, memory in MB; the counts are None without a network."""

    wall: float
    user: float
    system: float
    rss: float
    output: str
    error: str | None = None
    server_cpu: float | None = None
    requests: int | None = None
    connections: int | None = None
    sent: int | None = None
    received: int | None = None

    @property
    def cpu(self):
        return self.user + self.system


def median(samples, field):
    """The median of a field over the runs that did not fail, None when there is none."""
    values = [getattr(s, field) for s in samples if s.error is None]
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


class Latency:
    """A proxy before `port` that holds each request back for `ms`; see tests/go/latency."""

    def __init__(self, port, ms):
        self._start("-target", f"127.0.0.1:{port}", "-delay", f"{ms}ms")

    def _start(self, *options):
        self._process = subprocess.Popen([BUILD / "latency", *options], text=True,
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = int(self._process.stdout.readline().rpartition(":")[2])
        self.url = f"http://127.0.0.1:{self.port}"

    def counts(self):
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def settled(self):
        """The counts when all connections have ended, which those of a dead process soon have."""
        for _ in range(200):
            counts = self.counts()
            if counts["open"] == 0:
                break
            time.sleep(0.01)
        return counts

    def close(self):
        self._process.stdin.close()
        self._process.wait(10)


class Files(Latency):
    """A plain file server: the least that a server can do, and the most that the network can carry."""

    def __init__(self, folder):
        self._start("-folder", str(folder))


def cpu_clock(process):
    """CPU seconds of a whole running process, those of threads that have ended included."""
    # Linux names the CPU clock of another process so: clock_getcpuclockid(3).
    return time.clock_gettime((~process.pid << 3) | 2)


def run(folder, command, text="", limit=60, environment=None, network=None, server=None):
    """Runs a program with `text` as its input in an empty folder, and returns its Sample."""
    (folder / "input").write_text(text)
    env = {"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "LC_ALL": "C"}
    before = network.settled() if network else None
    cpu = cpu_clock(server) if server else None
    places = [folder / name for name in ("input", "output", "errors")]
    done = subprocess.run([BUILD / "launch", str(limit), *places, *command], cwd=folder, text=True,
                          env=env | (environment or {}), stdout=subprocess.PIPE, check=True)
    wall, user, system, rss, status = done.stdout.split()
    sample = Sample(float(wall), float(user), float(system), int(rss) / 1024,
                    places[1].read_text(errors="replace"))
    if server:
        sample.server_cpu = cpu_clock(server) - cpu
    if network:
        after = network.settled()
        for name in ("requests", "connections", "sent", "received"):
            setattr(sample, name, after[name] - before[name])
    if int(status):
        sample.error = f"longer than {limit} s" if int(status) & 127 == 14 else _said(places[2], status)
    return sample


def _said(errors, status):
    """The line of standard error that names an error, or else the last."""
    lines = errors.read_text(errors="replace").strip().splitlines()
    named = [line for line in lines if "rror" in line]
    return (named[:1] or lines[-1:] or [f"status {status}"])[0].strip()[:200]


def fresh(folder, name):
    """An empty folder of that name."""
    place = folder / name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    return place


def say(text):
    """Progress, for who waits for it."""
    print(text, file=sys.stderr, flush=True)
