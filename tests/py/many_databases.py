"""More open databases in one process than a poll may name, and than the process may have files."""

import subprocess
import sys

from harness import EXT, TOKEN, Client, Proxy, Server, check, equal, main, scratch

MANY = 1_100

PROGRAM = """
import os, resource, sqlite3, sys, time
count, files = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (files, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
db = sqlite3.connect(":memory:")
db.enable_load_extension(True)
db.load_extension(os.environ["EXT"])

def connect(name):
    return sqlite3.connect(f"file:{name}?vfs=litevfs", uri=True, isolation_level=None)

def read_all():
    for db in many:
        if db.execute("SELECT count(*) FROM sqlite_schema").fetchall() != [(0,)]:
            sys.exit("an empty database is not")

many = [connect(f"many{n}") for n in range(count)]
full = connect("db")
read_all()
with open("/proc/self/status") as status:
    threads = [line.split()[1] for line in status if line.startswith("Threads:")]
print("opened", *threads, flush=True)
sys.stdin.readline()
time.sleep(1.1)  # the sync period
read_all()
print(full.execute("SELECT count(*), sum(length(x)) FROM t").fetchall(),
      full.execute("PRAGMA integrity_check").fetchall(), flush=True)
full.execute("INSERT INTO t VALUES (randomblob(3000))")
spare = [open("/dev/null") for _ in range(30)]
"""


def run(folder, server, count, files):
    """Reads many databases twice; answers with the requests of the second time."""
    with Client(server, folder, folder / "writer", "db") as client:
        client.acquire()
        client.sql("CREATE TABLE t (x)")
        client.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) "
                   "INSERT INTO t SELECT randomblob(3000) FROM n")
    with Proxy(server) as proxy:
        env = {"EXT": EXT, "LITEFS_CLOUD_HOST": proxy.url, "LITEFS_CLOUD_TOKEN": TOKEN, "LITEVFS_AUTO_LEASE": "1",
               "LITEVFS_CACHE_DIR": str(folder / "cache"), "PATH": "/usr/bin:/bin"}
        process = subprocess.Popen([sys.executable, "-B", "-c", PROGRAM, str(count), str(files)], cwd=folder, env=env,
                                   text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            equal("the program", process.stdout.readline(), "opened 1\n")
            before = len(proxy.requests)
            out, _ = process.communicate("\n", timeout=120)
            equal("what was read", (out, process.returncode), ("[(300, 900000)] [('ok',)]\n", 0))
            return [path for _, path in proxy.requests[before:]]
        finally:
            process.kill()


def more_than_a_poll_names():
    """A request names a thousand at the most, and does for all that it names."""
    with scratch() as folder, Server(folder) as server:
        asked = run(folder, server, MANY, 3 * MANY)
        polls = asked.count("/sync")
        check(1 <= polls <= 12, f"{polls} polls for {MANY} databases")
        equal("other requests", {path for path in asked if path not in ("/sync", "/db/page")}, {"/lease", "/db/tx"})


def more_than_files():
    """Caches do without a file before requests and the program do."""
    with scratch() as folder, Server(folder) as server:
        run(folder, server, 200, 160)


if __name__ == "__main__":
    main(more_than_a_poll_names, more_than_files)
