"""What three servers on one bucket promise each other's clients, step by step.

A lease taken through one is honoured by the others; of two commits on one base exactly one wins; what
one commits the others show; a store that ignores conditions is refused.
"""

import contextlib
import random
import threading
import time

from harness import COMPACT, Client, Failed, Proxy, Server, check, equal, main, raw, scratch, until
from harness.history import History
from harness.minio import BUCKET, Minio

STORE = f"s3://{BUCKET}/several"


@contextlib.contextmanager
def servers(count=2, options=()):
    with scratch() as folder, Minio(folder) as minio, contextlib.ExitStack() as stack:
        yield folder, [stack.enter_context(Server(folder, f"server{i}", store=STORE, options=options,
                                                  environment=minio.environment())) for i in range(count)]


def refused(code, ask, *arguments, **more):
    """The refusal of a request that must be refused."""
    try:
        ask(*arguments, **more)
    except raw.Refused as refusal:
        equal("the code", refusal.code, code)
        return refusal
    raise Failed(f"{ask.__name__} through {arguments[0]} was not refused")


def statements(n):
    return [("CREATE TABLE IF NOT EXISTS t (n)",), ("INSERT INTO t VALUES (?)", (n,))]


def leases():
    """Honoured by all, and over when they are given back or their server died."""
    with servers() as (_, (a, b)):
        file, copy = raw.Copy("db").changed_by(statements(1))
        raw.push(a.url, "db", file)
        lease = raw.acquire(a.url, "db", 60_000)
        file, after = copy.changed_by(statements(2))
        refused("ELEASE", raw.acquire, b.url, "db")
        refused("ELEASE", raw.push, b.url, "db", file)
        refused("ELEASE", raw.push, b.url, "db", file, lease="0" * 32)
        raw.push(a.url, "db", file, lease)
        raw.release(a.url, "db", lease)
        file, _ = after.changed_by(statements(3))
        lease = raw.acquire(b.url, "db", 1000)
        refused("ELEASE", raw.push, a.url, "db", file)
        b.kill()
        until("a dead server's lease runs out", lambda: granted(a, "db"))
        b.start()
        # What the dead server may have been at is shut out: a transaction that changes nothing has its place.
        refused("EPOSMISMATCH", raw.push, b.url, "db", file, granted.lease)
        after.pull(b.url)
        file, _ = after.changed_by(statements(4))
        raw.push(b.url, "db", file, granted.lease)
        until("the position", lambda: at(a, "db") == at(b, "db") and at(a, "db").startswith(f"{4:016x}"))


def leases_through_any():
    """One client's requests go now to this server and now to that, as a balancer sends them."""
    with servers() as (_, (a, b)):
        names = {raw.answer_to(server.url, "GET", "/pos")[1]("Lfsc-Instance-Id") for server in (a, b)}
        equal("each has a name to be asked for by", len(names - {None}), 2)
        file, copy = raw.Copy("db").changed_by(statements(1))
        raw.push(a.url, "db", file)
        for turn in range(2, 6):
            lease, position = raw.acquire_at(a.url, "db", 60_000)
            copy.pull(b.url)
            equal("where the other server left it", position, copy.position)
            file, _ = copy.changed_by(statements(turn))
            raw.push(b.url, "db", file, lease)
            equal("prolonged through the other", raw.acquire(b.url, "db", 60_000, id=lease), lease)
            refused("ELEASE", raw.acquire, a.url, "db")
            raw.release(b.url, "db", lease)
            refused("ELEASE", raw.acquire, b.url, "db", 60_000, id=lease)
            a, b = b, a


def granted(server, db):
    try:
        granted.lease = raw.acquire(server.url, db, 60_000)
    except raw.Refused as refusal:
        equal("the code", refusal.code, "ELEASE")
        return False
    return True


def pushed(server, db, file):
    try:
        raw.push(server.url, db, file)
    except raw.Refused as refusal:
        equal("the code", refusal.code, "ELEASE")
        return False
    return True


def one_of_two_commits_wins():
    """Two transactions on one base through two servers, at the same moment."""
    rng = random.Random(5)
    with servers() as (_, pair):
        file, copy = raw.Copy("db").changed_by(statements(0))
        raw.push(pair[0].url, "db", file)
        for turn in range(40):
            rivals = [copy.changed_by(statements(rng.random())) for _ in pair]
            outcomes = [None, None]

            def push(i, file, outcomes=outcomes):
                try:
                    raw.push(pair[i].url, "db", file)
                    outcomes[i] = "won"
                except raw.Refused as refusal:
                    outcomes[i] = refusal.code

            threads = [threading.Thread(target=push, args=(i, rival[0])) for i, rival in enumerate(rivals)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            equal(f"turn {turn}", sorted(outcomes), ["EPOSMISMATCH", "won"])
            copy = rivals[outcomes.index("won")][1]
            for server in pair:
                until("both at the winner's position", lambda server=server: at(server, "db") == copy.position)
        check(raw.ask(pair[1].url, "GET", "/db/snapshot", db="db", format="sqlite") == copy.image, "the content")


def at(server, db):
    pos = server.position(db)
    return pos and f"{pos['txid']}/{pos['postApplyChecksum']}"


def commits_are_seen():
    """Through the extension: a connected reader of one server sees what goes in through another."""
    with servers() as (folder, (a, b)):
        with Client(a, folder, folder / "c1", "db") as writer, Client(b, folder, folder / "c2", "db") as reader:
            reader.sql("PRAGMA litevfs_cache_sync_period = '10ms'")
            writer.acquire()
            writer.sql("CREATE TABLE t (n)")
            until("the table", lambda: reader.sql("SELECT count(*) FROM sqlite_schema") == [(1,)])
            for n in range(1, 21):
                writer.sql("INSERT INTO t VALUES (?)", (n,))
                until(f"row {n}", lambda n=n: reader.sql("SELECT max(n), count(*) FROM t") == [(n, n)])
            check("lease" in f"{reader.error('PRAGMA litevfs_acquire_lease')} {reader.last_error()}".lower(),
                  "the other server's lease is not honoured")
            writer.sql("PRAGMA litevfs_release_lease")
            reader.acquire()
            reader.sql("INSERT INTO t VALUES (21)")
            until("the reader's row", lambda: at(a, "db") == at(b, "db"))
            writer.sql("PRAGMA litevfs_cache_sync_period = '10ms'")
            until("the reader's row", lambda: writer.one("SELECT max(n) FROM t") == 21)


def one_compacts_others_read():
    """Files are merged and dropped by whichever server; all read on, now and then."""
    with servers(3, COMPACT) as (_, trio):
        history = History(trio[0].url, "db", 6, 60, pause_s=0.05)
        for _ in range(4):
            for server in trio:
                history.url = server.url
                until("this server has the newest",
                      lambda server=server: at(server, "db") == history.now.position)
                history.commit()
            for server in trio:
                until("all have it", lambda server=server: at(server, "db") == history.now.position)
                check(raw.ask(server.url, "GET", "/db/snapshot", db="db", format="sqlite") == history.now.image,
                      "the content")
                pages = raw.fetch(server.url, "db", history.now.position, list(history.now.pages))
                check(pages == history.now.pages, "the pages")
                held = history.points()
                i, _ = held[len(held) // 2]
                then = history.copies[i]
                try:
                    pages = raw.fetch(server.url, "db", then.position, list(then.pages))
                except raw.Refused as refusal:
                    equal("an old position", refusal.code, "EPOSMISMATCH")
                else:
                    check(pages == then.pages, f"the pages of transaction {i + 1}")
            time.sleep(1.2)
        check(len(held) < len(history.copies), "nothing was compacted")


def dropped_and_made_anew():
    """A database that one server drops is gone for the others, and a new one is not the old one."""
    with servers() as (_, (a, b)):
        file, old = raw.Copy("db").changed_by(statements("old"))
        raw.push(a.url, "db", file)
        until("the other has it", lambda: at(b, "db") == old.position)
        raw.ask(a.url, "DELETE", "/db", db="db")
        until("the other sees that it is gone", lambda: b.position("db") is None)
        file, new = raw.Copy("db").changed_by(statements("new"))
        until("the name is free again", lambda: pushed(b, "db", file))
        for server in (a, b):
            until("the new one", lambda server=server: at(server, "db") == new.position)
            check(raw.ask(server.url, "GET", "/db/snapshot", db="db", format="sqlite") == new.image, "the content")
        file, _ = old.changed_by(statements("late"))
        for server in (a, b):
            refused("EPOSMISMATCH", raw.push, server.url, "db", file)


def a_store_without_conditions():
    """Answers success where a condition failed: the server does not start, and says why."""
    def lie(exchange):
        status, headers, body = exchange.forward()
        if status == 412:
            status, headers, body = 200, [("ETag", '"0123456789abcdef0123456789abcdef"')], b""
        exchange.answer(status, body, headers)

    with scratch() as folder, Minio(folder) as minio, Proxy(minio) as proxy:
        proxy.fault = lie
        try:
            server = Server(folder, "server", store=STORE, environment=minio.environment(proxy.url))
        except RuntimeError as told:
            check(STORE in str(told) and "commits would be lost" in str(told), f"it says only: {told}")
        else:
            server.stop()
            check(False, "the server works on a store that loses commits")


if __name__ == "__main__":
    main(leases, leases_through_any, one_of_two_commits_wins, commits_are_seen, one_compacts_others_read, dropped_and_made_anew,
         a_store_without_conditions)
