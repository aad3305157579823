"""kill -9 of a client or a server while the test goes on with its work, and processes that are frozen."""

import contextlib
import pathlib
import signal
import threading
import time

from .checks import until
from .client import Disconnected


@contextlib.contextmanager
def frozen(process):
    """Stops all threads of a process while the body runs. On a busy machine they run on for a while."""
    def is_stopped():
        stats = [path.read_text() for path in pathlib.Path(f"/proc/{process.pid}/task").glob("*/stat")]
        return all(stat.rpartition(")")[2].split()[0] == "T" for stat in stats)

    process.send_signal(signal.SIGSTOP)
    try:
        until("the process stands still", is_stopped)
        yield
    finally:
        process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def killed(client, after_s):
    """Kills the client so many seconds from now; the body works with it for as long as it is there."""
    timer = threading.Timer(after_s, client.process.kill)
    timer.start()
    try:
        with contextlib.suppress(Disconnected):
            yield
    finally:
        timer.join()
        client.kill()


@contextlib.contextmanager
def restarted(server, after_s, away_s):
    """Kills the server so many seconds from now, and starts it again on the same data and port.

    The body gets an event to go on until; it is set when the server is back.
    """
    back = threading.Event()

    def crash():
        try:
            time.sleep(after_s)
            server.kill()
            time.sleep(away_s)
            server.start()
        finally:
            back.set()

    crasher = threading.Thread(target=crash)
    crasher.start()
    try:
        yield back
    finally:
        crasher.join()
