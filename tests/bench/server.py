"""`make bench-server`: what the server does, against what the same disk and bucket do without it.

Prints a Markdown page. Everything runs on this one machine, the load, the server and MinIO, so the
numbers say little by themselves; the ratios to the bare store in the same run say more.

SECONDS_EACH=N is how long each load runs (default 5), SPARSE_GB the size of the large database (10).
"""

import datetime
import json
import os
import pathlib
import platform
import sqlite3
import subprocess
import sys
import tempfile
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "py"))

from harness import ROOT, TOKEN, Server, equal
from harness.minio import BUCKET, Minio
from harness.server import COMMAND

SECONDS = int(os.environ.get("SECONDS_EACH") or 5)
SPARSE_GB = int(os.environ.get("SPARSE_GB") or 10)
CLIENTS = (1, 8, 64)
DATABASES = 1000
LIMIT_MB = 256
LOAD = ROOT / "build/load"


def load(mode, clients, place, prefix, **more):
    """Runs one load and returns its result; `environment` is a keyword of its own."""
    env = {**os.environ, "LITEFS_CLOUD_TOKEN": TOKEN, **more.pop("environment", {})}
    options = {"mode": mode, "clients": clients, "place": place, "prefix": prefix, "for": f"{SECONDS}s", **more}
    command = [LOAD, *(f"-{name}={value}" for name, value in options.items())]
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True)
    result = json.loads(done.stdout)
    print(f"  {mode}, {clients} clients: {result['per_s']:.0f} /s", file=sys.stderr, flush=True)
    return result


class Table:
    """Markdown with one more line each time, so that what is there when something breaks is seen."""

    def __init__(self, title, *columns):
        print(f"\n## {title}\n\n| {' | '.join(columns)} |\n|{' --- |' * len(columns)}", flush=True)

    def row(self, *cells):
        print(f"| {' | '.join(str(cell) for cell in cells)} |", flush=True)


def commits(folder, minio):
    """Each client commits to a database of its own; bare, it only makes the bytes durable."""
    table = Table("Commits", "store", "clients", "commits/s", "p50", "p99", "bare/s", "bare p50", "bare p99",
                  "of the bare rate")

    def measure(store, mode, place, server, environment):
        for clients in CLIENTS:
            bare = load(mode, clients, place, f"bare{clients}", environment=environment)
            ours = load("commits", clients, server.url, f"ours{clients}")
            table.row(store, clients, f"{ours['per_s']:.0f}", *times(ours), f"{bare['per_s']:.0f}", *times(bare),
                      f"{100 * ours['per_s'] / bare['per_s']:.0f} %")

    with Server(folder, "disk") as server:
        measure("directory", "disk", folder / "bare", server, {})
    env = minio.environment()
    with Server(folder, "bucket", store=f"s3://{BUCKET}/commits", environment=env) as server:
        measure("MinIO", "bucket", f"{BUCKET}/bare", server, env)


def times(result):
    return f"{result['p50_ms']:.1f} ms", f"{result['p99_ms']:.1f} ms"


def reads(folder, minio):
    """Random pages of databases of 1,000 pages that 50 commits have changed."""
    table = Table("Page reads", "store", "clients", "pages a request", "pages/s", "p50", "p99")
    env = minio.environment()
    for store, place in (("directory", None), ("MinIO", f"s3://{BUCKET}/reads")):
        with Server(folder, f"reads-{store}", store=place, environment=env) as server:
            load("commits", max(CLIENTS), server.url, "db", pages=1000, rounds=50)
            server.kill()
            server.start()  # so that nothing is in memory
            for clients in CLIENTS:
                for pages in (1, 32):
                    result = load("pages", clients, server.url, "db", pages=1000, touched=pages)
                    table.row(store, clients, pages, f"{result['per_s'] * pages:.0f}", *times(result))


def memory(folder, minio):
    table = Table("Memory", "what", "store", f"resident, of {LIMIT_MB} MB", "highest")
    bad = []

    def row(what, store, server):
        now, peak = resident_mb(server)
        table.row(what, store, f"{now:.0f} MB", f"{peak:.0f} MB")
        if peak >= LIMIT_MB:
            bad.append(what)

    for store, place in (("directory", None), ("MinIO", f"s3://{BUCKET}/many")):
        with Server(folder, f"many-{store}", store=place, environment=minio.environment()) as server:
            row("just started", store, server)
            for first in range(0, DATABASES, 100):
                load("commits", 100, server.url, f"many{first}", pages=50, rounds=5)
            row(f"{DATABASES} databases made", store, server)
            server.kill()
            server.start()
            for first in range(0, DATABASES, 100):
                load("pages", 100, server.url, f"many{first}", pages=50, rounds=20)
            row(f"{DATABASES} databases read after a restart", store, server)
    large(folder, row)
    return bad


def large(folder, row):
    """One database of many pages, nearly all of them empty."""
    what = f"a {SPARSE_GB} GB database"
    file = sparse_database(folder)
    with Server(folder, "large") as server:
        env = {**os.environ, "LITEFS_CLOUD_HOST": server.url, "LITEFS_CLOUD_TOKEN": TOKEN}
        subprocess.run([*COMMAND, "import", str(file), "large-0"], env=env, check=True, stdout=subprocess.DEVNULL)
        row(f"{what} imported", "directory", server)
        server.kill()
        server.start()
        load("pages", 1, server.url, "large", touched=32, pages=file.stat().st_size // 4096)
        row(f"{what} read after a restart", "directory", server)
        equal("bytes of the snapshot", snapshot_length(server, "large-0"), file.stat().st_size)
        row(f"{what} exported", "directory", server)


def snapshot_length(server, name):
    """Reads a whole snapshot and forgets it."""
    request = urllib.request.Request(f"{server.url}/db/snapshot?db={name}&format=sqlite",
                                     headers={"Authorization": TOKEN})
    length = 0
    with urllib.request.urlopen(request) as answer:
        while chunk := answer.read(1 << 20):
            length += len(chunk)
    return length


def sparse_database(folder):
    """A file that says it is a database of so many pages; but for the first two they are holes."""
    file, pages = folder / "large.db", SPARSE_GB * (1 << 30) // 4096
    db = sqlite3.connect(file)
    db.execute("CREATE TABLE t (x)")
    db.close()
    with open(file, "r+b") as opened:
        opened.seek(28)
        opened.write(pages.to_bytes(4, "big"))
        opened.truncate(pages * 4096)
    return file


def resident_mb(server):
    """(now, highest so far) of the server's process."""
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text().split("\n")
    fields = dict(line.split(":", 1) for line in status if ":" in line)
    return tuple(int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))


def machine():
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return (f"{platform.system()} on {platform.machine()}, {os.cpu_count()} cores and {memory_gb:.0f} GB for all of it: "
            f"load, server and MinIO. {datetime.date.today()}, {SECONDS} s a line.")


def main():
    subprocess.run(["go", "build", "-o", LOAD, "./load"], cwd=ROOT / "tests/go", check=True)
    print(f"# The server under load\n\nPrinted by `make bench-server`. {machine()}\n\n"
          "A commit changes 3 pages of 4 KB that do not compress, of a database of 100. `bare` makes the same bytes\n"
          "durable without the server: a file, synced with its folder; or a conditional PUT of an object.")
    with tempfile.TemporaryDirectory(prefix="litevfs-bench.") as name:
        folder = pathlib.Path(name)
        with Minio(folder) as minio:
            commits(folder, minio)
            reads(folder, minio)
            bad = memory(folder, minio)
    if bad:
        sys.exit(f"bench-server: more than {LIMIT_MB} MB: {', '.join(bad)}")


if __name__ == "__main__":
    main()
