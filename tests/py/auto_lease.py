"""Applications that know nothing of leases write: PRAGMA litevfs_auto_lease and LITEVFS_AUTO_LEASE=1.

COMMITS is how many transactions each of the hammering processes makes.
"""

import os
import pathlib
import subprocess
import sys
import time

from harness import EXT, Client, Server, check, equal, main, scratch
from harness.kills import frozen
from harness.server import client_environment

COMMITS = int(os.environ.get("COMMITS") or 40)
SQLITE3 = os.environ.get("SQLITE3") or "sqlite3"
WRITERS = pathlib.Path(__file__).with_name("harness") / "writers.py"
HANG_S = 240

SQLITE_BUSY, SQLITE_READONLY, SQLITE_BUSY_SNAPSHOT = 5, 8, 517

APPLICATION = """
import os, sqlite3, sys
loader = sqlite3.connect(":memory:")
loader.enable_load_extension(True)
loader.load_extension(os.environ["EXT"])
db = sqlite3.connect("file:app?vfs=litevfs", uri=True)
db.execute("CREATE TABLE IF NOT EXISTS visit (who TEXT, n INTEGER)")
db.execute("INSERT INTO visit VALUES ('implicit', 1)")
db.executemany("INSERT INTO visit VALUES (?, ?)", [("many", n) for n in range(10)])
db.commit()
with db:
    db.execute("UPDATE visit SET n = n + 1 WHERE who = 'implicit'")
try:
    with db:
        db.execute("DELETE FROM visit")
        raise KeyError
except KeyError:
    pass
print(db.execute("SELECT who, count(*), sum(n) FROM visit GROUP BY who ORDER BY who").fetchall())
"""


def surroundings(server, **more):
    return client_environment(server, EXT=EXT, **more)


def run(command, env, **options):
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=HANG_S, **options)


def python_with_default_settings():
    """Implicit transactions, `with db:`, a rollback; three processes one after the other."""
    with scratch() as folder, Server(folder) as server:
        env = surroundings(server, LITEVFS_AUTO_LEASE="1")
        for turn in range(1, 4):
            ran = run([sys.executable, "-c", APPLICATION], env)
            equal("complaints", (ran.returncode, ran.stderr), (0, ""))
            # Each run finds its predecessors' rows, and adds to all of them.
            total = sum(range(2, 2 + turn))
            equal(f"turn {turn}", ran.stdout.strip(), f"[('implicit', {turn}, {total}), ('many', {10 * turn}, {45 * turn})]")
        ran = run([sys.executable, "-c", APPLICATION], surroundings(server))
        check("readonly database" in ran.stderr and "litevfs_auto_lease=on" in ran.stderr,
              f"without auto lease a write is refused and the text says what to do: {ran.stderr}")


def sqlite3_shell():
    """The shell, whose time-out is 0, with nothing but an environment variable."""
    with scratch() as folder, Server(folder) as server:
        env = surroundings(server, LITEVFS_AUTO_LEASE="on")
        command = [SQLITE3, "-batch", "-bail", "-init", "/dev/null", "-cmd", f".load {EXT}",
                   "-cmd", ".open file:db?vfs=litevfs"]
        script = "CREATE TABLE t (x);\n" + "INSERT INTO t VALUES (1);\n" * 20
        script += "BEGIN;\nSELECT count(*) FROM t;\nDELETE FROM t WHERE rowid > 15;\nCOMMIT;\nSELECT count(*) FROM t;\n"
        ran = run(command, env, input=script)
        equal("the shell", (ran.returncode, ran.stderr, ran.stdout), (0, "", "20\n15\n"))
        ran = run(command, env, input="PRAGMA litevfs_auto_lease;\nINSERT INTO t VALUES (2);\nSELECT sum(x) FROM t;\n")
        equal("another shell", (ran.returncode, ran.stderr, ran.stdout), (0, "", "1\n17\n"))
        ran = run(command, env | {"LITEVFS_AUTO_LEASE": "perhaps"}, input="SELECT 1;\n")
        check("LITEVFS_AUTO_LEASE: 'perhaps'" in ran.stderr, f"a bad value is named: {ran.stderr}")


def hammer(server, folder, caches, threads=1):
    """One process for each cache; the names in the log in the order of the commits."""
    with Client(server, folder, folder / "setup", "db") as client:
        client.sql("PRAGMA litevfs_auto_lease = on")
        client.sql("CREATE TABLE counter (n INTEGER)")
        client.sql("INSERT INTO counter VALUES (0)")
        client.sql("CREATE TABLE log (id INTEGER PRIMARY KEY, who TEXT, found INTEGER)")
    processes = []
    try:
        for i, cache in enumerate(caches):
            cache.mkdir(exist_ok=True)
            env = surroundings(server, LITEVFS_AUTO_LEASE="1", LITEVFS_CACHE_DIR=str(cache))
            processes.append(subprocess.Popen(
                [sys.executable, "-B", str(WRITERS), "db", f"p{i}", str(threads), str(COMMITS)], env=env,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        for process in processes:
            equal("a process is", process.stdout.readline(), "ready\n")
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in processes:
            out, complaints = process.communicate(timeout=HANG_S + COMMITS)
            equal("a process", (process.returncode, out, complaints), (0, "done\n", ""))
    finally:
        for process in processes:
            process.kill()
            process.wait()
    everything = len(caches) * threads * COMMITS
    with Client(server, folder, folder / "check", "db") as client:
        equal("the counter", client.one("SELECT n FROM counter"), everything)
        log = client.sql("SELECT found, who FROM log ORDER BY id")
        equal("what each found", [found for found, _ in log], list(range(everything)))
        equal("integrity", client.one("PRAGMA integrity_check"), "ok")
    return [who for _, who in log]


def check_fair(log, names):
    """While all are at it, nobody is left out for long: counted in transactions, not in time.

    Of a process's threads one is awake and the others sleep in SQLite's busy handler, a tenth of a second
    a time. So what counts ends when the first thread has made its last transaction: nobody of its process
    may be asking then.
    """
    ends = min(max(at for at, other in enumerate(log) if other == who) for who in set(log))
    log = [who.split(".")[0] for who in log]
    window = 10 * len(names)
    check(ends >= 2 * window, f"there is enough to look at: {ends} transactions")
    for start in range(0, ends - window + 1):
        part = log[start:start + window]
        least = min(part.count(name) for name in names)
        check(least >= 2, f"of {window} transactions from the {start}th on one had {least}: {part}")


def two_processes_hammer():
    with scratch() as folder, Server(folder) as server:
        log = hammer(server, folder, [folder / f"c{i}" for i in range(2)])
        check_fair(log, ["p0", "p1"])


def four_processes_hammer():
    with scratch() as folder, Server(folder) as server:
        log = hammer(server, folder, [folder / f"c{i}" for i in range(4)])
        check_fair(log, [f"p{i}" for i in range(4)])


def processes_with_threads_on_one_cache_folder():
    """Two processes on one LITEVFS_CACHE_DIR with three threads each, every one with its connection."""
    with scratch() as folder, Server(folder) as server:
        log = hammer(server, folder, [folder / "cache"] * 2, threads=3)
        check_fair(log, ["p0", "p1"])


def writer(server, folder, number):
    """A process with auto lease and no time-out that always knows the newest state."""
    client = Client(server, folder, folder / f"c{number}", "db", LITEVFS_AUTO_LEASE="1")
    client.sql("PRAGMA litevfs_cache_sync_period = '1ms'")
    return client


def busy_at_once():
    """Without a time-out a write that must wait fails at once, as busy, and reading goes on."""
    with scratch() as folder, Server(folder) as server:
        with writer(server, folder, 1) as first, \
             writer(server, folder, 2) as second:
            first.sql("CREATE TABLE t (x)")
            first.sql("BEGIN IMMEDIATE")
            first.sql("INSERT INTO t VALUES (1)")
            for statement in ("BEGIN IMMEDIATE", "BEGIN EXCLUSIVE", "INSERT INTO t VALUES (2)", "VACUUM"):
                equal(statement, second.error(statement).code, SQLITE_BUSY)
            check("lease" in second.last_error(), f"the text says what is held: {second.last_error()}")
            equal("reading", second.sql("SELECT count(*) FROM t"), [(0,)])
            # A statement that writes elsewhere needs no lease.
            second.sql("CREATE TEMP TABLE copy AS SELECT * FROM t")
            second.sql("INSERT INTO copy SELECT 7 FROM t UNION ALL SELECT 8")
            equal("elsewhere", second.sql("SELECT * FROM copy"), [(8,)])
            # COMMIT of what waits for nobody.
            second.sql("BEGIN")
            second.sql("INSERT INTO copy SELECT count(*) FROM t")
            second.sql("COMMIT")
            first.sql("COMMIT")
            second.sql("PRAGMA busy_timeout = 60000")
            second.sql("INSERT INTO t VALUES (2)")
            equal("rows", second.sql("SELECT x FROM t ORDER BY x"), [(1,), (2,)])


def busy_timeout_waits():
    """With a time-out a write waits for another's transaction to end, and sees what it did."""
    with scratch() as folder, Server(folder) as server:
        with writer(server, folder, 1) as first, \
             writer(server, folder, 2) as second:
            first.sql("CREATE TABLE t (x)")
            second.sql("PRAGMA busy_timeout = 60000")
            for begin in ("BEGIN IMMEDIATE", "BEGIN EXCLUSIVE", "INSERT INTO t SELECT count(*) FROM t"):
                before = first.one("SELECT count(*) FROM t")
                first.sql("BEGIN IMMEDIATE")
                first.sql("INSERT INTO t VALUES ('first')")
                second.send(begin)
                time.sleep(0.5)  # what is right does not depend on it
                first.sql("COMMIT")
                second.finish()
                if begin.startswith("BEGIN"):
                    second.sql("INSERT INTO t SELECT count(*) FROM t")
                    second.sql("COMMIT")
                equal(begin, second.sql("SELECT x FROM t ORDER BY rowid DESC LIMIT 1"), [(before + 1,)])
                first.sql("PRAGMA busy_timeout = 60000")


def stale_reader():
    """Who read first and writes then gets busy if he was overtaken, and may write after a rollback."""
    with scratch() as folder, Server(folder) as server:
        with writer(server, folder, 1) as first, \
             writer(server, folder, 2) as second:
            for client in (first, second):
                client.sql("PRAGMA busy_timeout = 60000")
            first.sql("CREATE TABLE t (x)")
            second.sql("BEGIN")
            equal("the view", second.one("SELECT count(*) FROM t"), 0)
            first.sql("INSERT INTO t VALUES (1)")
            code = SQLITE_BUSY
            while code == SQLITE_BUSY:  # as long as the other's lease lingers
                code = second.error("INSERT INTO t VALUES (2)").code
            equal("overtaken", code, SQLITE_BUSY_SNAPSHOT)
            equal("the view holds", second.one("SELECT count(*) FROM t"), 0)
            second.sql("ROLLBACK")
            second.sql("BEGIN")
            equal("the new view", second.one("SELECT count(*) FROM t"), 1)
            second.sql("INSERT INTO t VALUES (2)")
            second.sql("COMMIT")
            equal("rows", first.sql("SELECT x FROM t"), [(1,), (2,)])


def beside_explicit_leases():
    """Within a process: an acquired lease stays where it is; who has neither lease nor pragma writes not."""
    with scratch() as folder, Server(folder) as server:
        with Client(server, folder, folder / "c1") as client, \
             writer(server, folder, 2) as other:
            for name in ("auto", "auto2", "by_hand", "neither"):
                client.open("db", name=name)
            for name in ("auto", "auto2"):
                equal("before", client.one("PRAGMA litevfs_auto_lease", name=name), "0")
                client.sql("PRAGMA litevfs_auto_lease = on", name=name)
                equal("after", client.one("PRAGMA litevfs_auto_lease", name=name), "1")
            client.sql("CREATE TABLE t (x)", name="auto")
            client.sql("INSERT INTO t VALUES (1)", name="auto2")
            equal("neither", client.error("INSERT INTO t VALUES (0)", name="neither").code, SQLITE_READONLY)
            # Taking over what lingers needs no waiting.
            client.acquire(name="by_hand")
            client.sql("INSERT INTO t VALUES (2)", name="by_hand")
            equal("auto", client.error("INSERT INTO t VALUES (0)", name="auto").code, SQLITE_BUSY)
            time.sleep(0.5)  # longer than a lease lingers: this one does not
            equal("another process", other.error("INSERT INTO t VALUES (0)").code, SQLITE_BUSY)
            client.sql("INSERT INTO t VALUES (3)", name="by_hand")
            client.sql("PRAGMA litevfs_release_lease", name="by_hand")
            client.sql("INSERT INTO t VALUES (4)", name="auto")
            equal("rows", client.sql("SELECT x FROM t", name="neither"), [(1,), (2,), (3,), (4,)])
            # An open transaction keeps it from being taken over, and from being switched off.
            client.sql("BEGIN IMMEDIATE", name="auto")
            client.error("PRAGMA litevfs_acquire_lease", name="by_hand")
            client.error("PRAGMA litevfs_auto_lease = off", name="auto")
            client.sql("COMMIT", name="auto")
            client.sql("PRAGMA litevfs_auto_lease = off", name="auto")
            equal("off", client.error("INSERT INTO t VALUES (0)", name="auto").code, SQLITE_READONLY)
            client.sql("PRAGMA litevfs_auto_lease = off", name="auto2")
            other.sql("INSERT INTO t VALUES (5)")  # at once: nothing lingers
            client.error("PRAGMA litevfs_auto_lease = perhaps", name="auto")


def the_end_of_a_process_frees_it():
    """Closing gives the lease back at once; after kill -9 it is free when its time is over."""
    with scratch() as folder, Server(folder) as server:
        with writer(server, folder, 2) as other:
            first = writer(server, folder, 1)
            first.sql("CREATE TABLE t (x)")
            first.close()
            other.sql("INSERT INTO t VALUES (1)")
            first = writer(server, folder, 1)
            first.sql("PRAGMA busy_timeout = 60000")
            first.sql("PRAGMA litevfs_lease_duration = '300ms'")
            first.sql("BEGIN IMMEDIATE")
            first.sql("INSERT INTO t VALUES ('never')")
            equal("held", other.error("INSERT INTO t VALUES (0)").code, SQLITE_BUSY)
            first.kill()
            other.sql("PRAGMA busy_timeout = 60000")
            other.sql("INSERT INTO t VALUES (2)")
            equal("rows", other.sql("SELECT x FROM t"), [(1,), (2,)])


def frozen_in_a_transaction():
    """A process that is stopped for longer than its lease, before COMMIT: nothing is overwritten."""
    with scratch() as folder, Server(folder) as server:
        with writer(server, folder, 1) as stopped, \
             writer(server, folder, 2) as other:
            for client in (stopped, other):
                client.sql("PRAGMA busy_timeout = 60000")
                client.sql("PRAGMA litevfs_lease_duration = '200ms'")
            stopped.sql("CREATE TABLE t (x)")
            stopped.sql("INSERT INTO t VALUES (0)")
            for is_overtaken in (False, True):
                before = stopped.one("SELECT x FROM t")
                stopped.sql("BEGIN IMMEDIATE")
                stopped.sql("UPDATE t SET x = x + 1")
                with frozen(stopped.process):
                    if is_overtaken:
                        other.sql("UPDATE t SET x = x + 100")  # waits for the lease to run out
                    else:
                        time.sleep(0.5)
                if is_overtaken:
                    # The transaction stays open: a COMMIT that is tried again must not succeed with nothing in it.
                    for _ in range(3):
                        equal("a code that means: again", stopped.error("COMMIT").code, SQLITE_BUSY)
                    stopped.sql("ROLLBACK")
                else:
                    stopped.sql("COMMIT")
                expected = before + (100 if is_overtaken else 1)
                equal("the other sees", other.one("SELECT x FROM t"), expected)
                equal("the frozen one sees", stopped.one("SELECT x FROM t"), expected)
                stopped.sql("UPDATE t SET x = x + 1000")
                equal("and goes on", other.one("SELECT x FROM t"), expected + 1000)


def exclusive_locking_mode():
    """The lease is kept as long as SQLite keeps its lock, however idle."""
    with scratch() as folder, Server(folder) as server:
        with writer(server, folder, 1) as first, \
             writer(server, folder, 2) as other:
            first.sql("CREATE TABLE t (x)")
            first.sql("PRAGMA locking_mode = exclusive")
            first.sql("INSERT INTO t VALUES (1)")
            time.sleep(0.6)  # longer than a lease lingers
            equal("held", other.error("INSERT INTO t VALUES (0)").code, SQLITE_BUSY)
            first.sql("INSERT INTO t VALUES (2)")
            first.sql("PRAGMA locking_mode = normal")
            first.sql("SELECT * FROM t")
            other.sql("PRAGMA busy_timeout = 60000")
            other.sql("INSERT INTO t VALUES (3)")
            equal("rows", other.sql("SELECT x FROM t"), [(1,), (2,), (3,)])


def readers_wait_for_nobody():
    """While one process writes and another waits, readers of both read; views hold."""
    with scratch() as folder, Server(folder) as server:
        with writer(server, folder, 1) as first, \
             writer(server, folder, 2) as second:
            first.sql("CREATE TABLE t (x)")
            first.sql("INSERT INTO t VALUES (1)")
            for client in (first, second):
                for name in ("r1", "r2"):
                    client.open("db", name=name)
                    client.sql("PRAGMA litevfs_cache_sync_period = '1ms'", name=name)
                    client.sql("BEGIN", name=name)
                    equal("the view", client.sql("SELECT x FROM t", name=name), [(1,)])
            first.sql("PRAGMA busy_timeout = 60000")
            first.sql("BEGIN IMMEDIATE")
            first.sql("UPDATE t SET x = 2")
            second.error("UPDATE t SET x = 3")
            for client in (first, second):
                equal("a view", client.sql("SELECT x FROM t", name="r1"), [(1,)])
            first.sql("COMMIT")
            second.sql("PRAGMA busy_timeout = 60000")
            second.sql("UPDATE t SET x = x + 10")
            for client in (first, second):
                equal("an old view", client.sql("SELECT x FROM t", name="r2"), [(1,)])
                client.sql("COMMIT", name="r2")
                equal("a new view", client.sql("SELECT x FROM t", name="r2"), [(12,)])


if __name__ == "__main__":
    main(python_with_default_settings, sqlite3_shell, two_processes_hammer, four_processes_hammer,
         processes_with_threads_on_one_cache_folder, busy_at_once, busy_timeout_waits, stale_reader,
         beside_explicit_leases, the_end_of_a_process_frees_it, frozen_in_a_transaction,
         exclusive_locking_mode, readers_wait_for_nobody)
