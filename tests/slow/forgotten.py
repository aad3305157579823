"""A process that is stopped for longer than a connection is kept, on a network that forgets connections.

Nothing tells that the connection is dead: what is sent on it would never be answered.
"""

import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "py"))

from harness import Client, Server, check, equal, main, scratch  # noqa: E402
from harness.kills import frozen  # noqa: E402
from harness.wire import Wire  # noqa: E402

STOPPED_S = 47


def reads_and_commits_after_a_freeze():
    """Each at the first try, over a new connection."""
    with scratch() as folder, Server(folder) as server, Wire(server.port) as wire:
        with Client(wire.url, folder, folder / "cache", "db") as client:
            client.acquire()
            client.sql("CREATE TABLE t (x)")
            before = wire.connections
            with frozen(client.process):
                wire.forget()
                time.sleep(STOPPED_S)
            client.acquire()  # is asked for once: on the dead connection it would fail
            client.sql("INSERT INTO t VALUES (1)")
            equal("rows", client.one("SELECT count(*) FROM t"), 1)
            check(wire.connections > before, "the old connection was used")


if __name__ == "__main__":
    main(reads_and_commits_after_a_freeze)
