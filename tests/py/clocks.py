"""A server whose clock is wrong for a while loses nothing: the time that its commits bear is bounded by the
store's own, and no file is removed by a clock that the store's does not agree with.

The wrong clock is libfaketime's. The disk's stays right, as a bucket's would.
"""

import glob
import json
import os
import re
import subprocess
import time
import urllib.parse

from harness import TOKEN, Client, Server, check, equal, main, raw, scratch
from harness.checks import content_of
from harness.history import History, now_ms, rfc3339, txid_of
from harness.server import COMMAND

LIBRARY = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")[0]
# Merged after a second, and to be kept for an hour, or for days.
KEEP = ("--level0-keep", "1h", "--compact", "1=1s:2d")
# How much the disk's clock may be behind: it goes by the kernel's ticks.
DISK_MS = 10
# How long a server with a wrong clock has to do harm.
WRONG_FOR_S = 8


def restart(server, ahead=None):
    """Starts a server again, with a clock that is ahead by so much."""
    server.stop()
    wrong = {"LD_PRELOAD": LIBRARY, "FAKETIME": f"+{ahead}", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    right = {name: value for name, value in server.environment.items() if name not in wrong}
    server.environment = {**right, **(wrong if ahead else {})}
    server.start()


def point_at(history, **at):
    answer = raw.ask(history.url, "GET", "/db/restore/check", db=history.name, **at)
    return json.loads(answer)["txID"]


def a_time_that_is_ahead_does_not_last():
    with scratch() as folder, Server(folder, options=KEEP) as server:
        history = History(server.url, "db", 1, 3, early_ms=DISK_MS)
        restart(server, ahead="2h")
        history.url = server.url
        history.commit()
        restart(server)
        history.url = server.url
        between = []
        for _ in range(4):
            history.commit()
            time.sleep(0.05)
            between.append(now_ms())
            time.sleep(0.05)
        # Each is said to be of the time between its being sent and acknowledged, also the wrong one.
        equal("restore points", len(history.points()), 8)
        for i, ms in enumerate(between):
            equal(f"the last transaction at {rfc3339(ms)}", point_at(history, timestamp=rfc3339(ms)), txid_of(4 + i))


def a_clock_that_is_ahead_removes_nothing():
    with scratch() as folder, Server(folder, options=KEEP) as server:
        history = History(server.url, "db", 2, 6, early_ms=DISK_MS)
        time.sleep(2)
        restart(server, ahead="400d")
        history.url = server.url
        history.commit()
        deadline = time.monotonic() + WRONG_FOR_S
        gap = 0
        while time.monotonic() < deadline or not gap:
            metrics = raw.ask(server.url, "GET", "/metrics").decode()
            gap = int(re.search(r"^litevfs_cloud_store_clock_gap_seconds (\d+)$", metrics, re.M).group(1))
            check(time.monotonic() < deadline + 30, "the server never looks at the clock")
            time.sleep(0.1)
        check(gap > 300 * 86_400, f"the clocks are said to be {gap} s apart")
        check("clock and the store's are apart" in server.log.read_text(), "the log does not speak of the clock")
        restart(server)
        history.url = server.url
        for i in range(7):
            equal("a restore point", point_at(history, txid=txid_of(i)), txid_of(i))
        equal("restore points", len(history.points()), 7)


def a_client_whose_clock_is_wrong():
    """So long ago is counted from the server's now, by the verbs and in a URI."""
    with scratch() as folder, Server(folder, options=KEEP) as server:
        history = History(server.url, "db", 4, 2, early_ms=DISK_MS)
        time.sleep(4)
        history.commit()
        second_ms = history.points()[1][1]

        def ago():
            # A second after it, and three before the next, for what comes in between.
            return f"{now_ms() - second_ms - 1000} ms ago"

        for off in ("-10m", "+0", "+10m"):
            wrong = {"LD_PRELOAD": LIBRARY, "FAKETIME": off, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
            env = {**os.environ, **wrong, "LITEFS_CLOUD_HOST": server.url, "LITEFS_CLOUD_TOKEN": TOKEN}
            done = subprocess.run([*COMMAND, "restore", "db", "--timestamp", ago(), "--check", "--json"], env=env,
                                  capture_output=True, text=True, timeout=60)
            equal(f"{off}: the transaction ({done.stderr})", json.loads(done.stdout or "{}").get("txID"), txid_of(1))
            with Client(server, folder, folder / "c", **wrong) as client:
                client.open("db", "past", f"&timestamp={urllib.parse.quote(ago())}")
                equal(f"{off}: the content", client.content("past"), content_of(history.copies[1].image))


if __name__ == "__main__":
    main(a_time_that_is_ahead_does_not_last, a_clock_that_is_ahead_removes_nothing,
         a_client_whose_clock_is_wrong)
