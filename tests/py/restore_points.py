"""Every point of a history gives exactly the database of that point.

A history of some hundred transactions is pushed while a copy of every state is kept. Then random
points of it are read and restored, by transaction and by time, with and without compaction at work.

POINTS=N random points (default 100).
"""

import bisect
import json
import os
import subprocess

from harness import COMPACT, TOKEN, Client, Server, check, equal, main, raw, scratch
from harness.checks import content_of
from harness.history import History, now_ms, rfc3339, txid_of
from harness.server import COMMAND

POINTS = int(os.environ.get("POINTS") or 100)
TRANSACTIONS = 400

# Nothing of the history goes before the test has seen it.
KEEP_ALL = ("--level0-keep", "1h")


def snapshot(history, **at):
    return raw.ask(history.url, "GET", "/db/snapshot", db=history.name, format="sqlite", **at)


def check_point(history, i):
    """All ways to read the point `i` give its bytes."""
    copy, what = history.copies[i], f"{history.name} at transaction {i + 1}"
    check(snapshot(history, txid=txid_of(i)) == copy.image, f"{what}: the snapshot by TXID differs")
    check(snapshot(history, pos=copy.position) == copy.image, f"{what}: the snapshot by position differs")
    check(raw.fetch(history.url, history.name, copy.position, list(copy.pages)) == copy.pages,
          f"{what}: the pages differ")


def points_by_txid():
    with scratch() as folder, Server(folder, options=KEEP_ALL) as server:
        history = History(server.url, "db", 1, TRANSACTIONS, reshape_every=90)
        for i in history.random_points(POINTS):
            check_point(history, i)
        for txid in ("0" * 16, f"{TRANSACTIONS + 1:016x}", "f" * 16):
            try:
                snapshot(history, txid=txid)
            except raw.Refused as refusal:
                check(refusal.status in (400, 404), f"the answer for transaction {txid}: {refusal}")
            else:
                check(False, f"a snapshot of transaction {txid}, which never was")


def points_by_time():
    """A time means the last transaction not after it."""
    with scratch() as folder, Server(folder, options=KEEP_ALL) as server:
        history = History(server.url, "db", 2, TRANSACTIONS // 4, pause_s=0.003)
        times = [ms for _, ms in history.points()]
        equal("restore points", len(times), len(history.copies))
        first, last = times[0], times[-1]
        for _ in range(POINTS):
            at = history.rng.randint(first, last + 5)
            i = bisect.bisect_right(times, at) - 1
            answer = json.loads(raw.ask(server.url, "GET", "/db/restore/check", db="db", timestamp=rfc3339(at)))
            equal(f"the restore point of {rfc3339(at)}", answer["txID"], txid_of(i))
            check(snapshot(history, timestamp=rfc3339(at)) == history.copies[i].image,
                  f"the snapshot of {rfc3339(at)} differs")
        for path in ("/db/snapshot", "/db/restore/check"):
            try:
                raw.ask(server.url, "GET", path, db="db", timestamp=rfc3339(first - 1), format="sqlite")
            except raw.Refused as refusal:
                equal(f"{path} before the first transaction", (refusal.status, refusal.code), (404, "ENOTIMESTAMP"))
            else:
                check(False, f"{path}: a database of before there was one")


def verb(server, *arguments):
    """Runs the server's own client."""
    env = {**os.environ, "LITEFS_CLOUD_HOST": server.url, "LITEFS_CLOUD_TOKEN": TOKEN}
    done = subprocess.run([*COMMAND, *arguments], env=env, capture_output=True, text=True, timeout=120)
    equal(f"exit code of {arguments} ({done.stderr})", done.returncode, 0)
    return done.stdout


def restores():
    """`restore` rolls forward to each of the points; clients that were connected all the time see it."""
    with scratch() as folder, Server(folder, options=KEEP_ALL) as server:
        history = History(server.url, "db", 3, TRANSACTIONS // 2, reshape_every=40)
        with Client(server, folder, folder / "cache", "db") as reader:
            reader.sql("PRAGMA litevfs_cache_sync_period = '1ms'")
            for number, i in enumerate(history.random_points(max(POINTS // 5, 2))):
                at = ("--txid", txid_of(i))
                if number % 2:
                    i, ms = history.points()[i]
                    at = ("--timestamp", rfc3339(ms))
                    i = max(point for point, of in history.points() if of == ms)
                before, sent = server.position("db"), now_ms()
                verb(server, "restore", "db", *at)
                position = server.position("db")
                equal("the position moves on by one", int(position["txid"], 16), int(before["txid"], 16) + 1)
                wanted = content_of(history.copies[i].image)
                equal(f"the content after {at}", content_of(snapshot(history)), wanted)
                equal(f"what a client sees after {at}", reader.content(), wanted)
                history.pull(sent)
                if number % 3 == 0:
                    history.commit()  # life goes on


def points_with_compaction():
    """Files are merged and dropped all the while: a point is exact or refused, and the listed ones are there."""
    with scratch() as folder, Server(folder, options=COMPACT) as server:
        history = History(server.url, "db", 4, TRANSACTIONS // 2, pause_s=0.05, reshape_every=45)
        held = refused = 0
        for i in history.random_points(POINTS):
            try:
                check_point(history, i)
                held += 1
            except raw.Refused as refusal:
                check(refusal.code in ("ENOTXID", "EPOSMISMATCH"), f"transaction {i + 1}: {refusal}")
                refused += 1
        listed = history.points()
        for i, _ in listed:
            try:
                check(snapshot(history, txid=txid_of(i)) == history.copies[i].image,
                      f"restore point {i + 1} is not what it was")
            except raw.Refused as refusal:  # it may have gone since it was listed
                check(refusal.code == "ENOTXID", f"restore point {i + 1}: {refusal}")
        check_point(history, len(history.copies) - 1)
        print(f"{held} points held, {refused} gone, {len(listed)} listed", flush=True)
        check(len(listed) > 1, "nothing to restore to")
        check(len(listed) < len(history.copies), "nothing was compacted")


if __name__ == "__main__":
    main(points_by_txid, points_by_time, restores, points_with_compaction)
