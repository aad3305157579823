"""A client process with the extension loaded, driven from the test one statement at a time."""

import contextlib
import itertools
import os
import pathlib
import pickle
import select
import signal
import subprocess
import sys

from .checks import check, equal
from .server import ROOT, client_environment

EXT = os.environ.get("EXT") or str(ROOT / "target/release/liblitevfs.so")
WORKER = pathlib.Path(__file__).with_name("worker.py")
_COUNT = itertools.count(1)

# A watchdog, not an expectation: a client that says nothing for so long hangs.
HANG_S = 180


class SqlError(Exception):
    """SQLite's error: `code` is the extended result code, the text its message."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code

    @property
    def primary(self):
        return self.code & 0xFF


class Disconnected(Exception):
    """The client process is gone."""


class Client:
    """`url` may be a Server, a Proxy or an address; `cache` a folder, None for the default one.
    What else of the environment is None is not set."""

    def __init__(self, url, folder, cache=None, db=None, ext=None, **environment):
        self.log = folder / f"client-{next(_COUNT)}.log"
        env = client_environment(url, EXT=ext or EXT)
        if cache is not None:
            cache.mkdir(parents=True, exist_ok=True)
            env["LITEVFS_CACHE_DIR"] = str(cache)
        env = {k: v for k, v in {**env, **environment}.items() if v is not None}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-B", str(WORKER)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=env, cwd=folder,
            )
        self._answer()
        if db is not None:
            self.open(db)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def open(self, db, name="main", parameters=""):
        """Opens a database of the server under a name of its own within this client.

        Whole databases are read here through empty caches, so the limit on requests is off.
        """
        self._ask("open", name, f"file:{db}?vfs=litevfs{parameters}")
        self.sql("PRAGMA litevfs_max_reqs_per_query = 0", name=name)

    def not_opened(self, db, parameters, *words):
        """Opens a database that can't be opened: SQLite says that, and the log why."""
        before = len(self.log.read_text())
        try:
            self.open(db, "refused", parameters)
        except SqlError as error:
            equal(f"{db}{parameters}: the message", str(error), "unable to open database file")
        else:
            raise AssertionError(f"{db}{parameters} was opened")
        said = self.log.read_text()[before:]
        for word in words:
            check(word in said, f"{db}{parameters}: the log does not say {word!r}: {said!r}")

    def open_uri(self, uri, name="main"):
        self._ask("open", name, uri)

    def sql(self, sql, parameters=(), name="main"):
        """Runs one statement and returns its rows; SqlError when SQLite refuses."""
        return self._ask("sql", name, sql, parameters)

    def one(self, sql, parameters=(), name="main"):
        """The first column of the first row."""
        return self.sql(sql, parameters, name)[0][0]

    def error(self, sql, parameters=(), name="main"):
        """Runs a statement that must fail and returns its SqlError."""
        try:
            rows = self.sql(sql, parameters, name)
        except SqlError as error:
            return error
        raise AssertionError(f"{sql!r} should have failed, it gave {rows!r}")

    def last_error(self, name="main"):
        """What the extension says about the connection's last failure, with the detail SQLite drops."""
        rows = self.sql("PRAGMA litevfs_last_error", name=name)
        return (rows[0][0] or "") if rows else ""

    def acquire(self, name="main"):
        self.sql("PRAGMA litevfs_acquire_lease", name=name)

    def content(self, name="main"):
        """Schema, rows and integrity_check; see checks.content."""
        return self._ask("content", name)

    def restore(self, path, name="main"):
        """Copies a local file over the database with SQLite's backup functions, as `.restore` does."""
        self._ask("restore", name, str(path))

    def send_copy(self, target, pages=-1, name="main"):
        """Starts to copy one open database over another, so many pages a step; `finish` waits for it."""
        self._write(("copy", name, target, pages))

    def copy(self, target, pages=-1, name="main"):
        self.send_copy(target, pages, name)
        self.finish()

    def deserialize(self, image, name="main"):
        """Copies a database that lies in memory as bytes over this one."""
        self._ask("deserialize", name, image)

    def in_transaction(self, name="main"):
        """Whether SQLite has a transaction or savepoint open."""
        return self._ask("in_transaction", name)

    def close_db(self, name="main"):
        self._ask("close", name)

    def load(self, library, entry):
        """Loads another extension, for good."""
        self._ask("load", None, library, entry)

    def arm(self, injector, library, n, kind, goes_on, few):
        """Has the n-th call from now on fail: see tests/c/fault_*.c."""
        self._ask("arm", injector, library, n, kind, int(goes_on), int(few))

    def disarm(self, injector, library):
        """Ends that; whether a call has failed."""
        return self._ask("disarm", injector, library)

    def kill(self):
        """kill -9, now; whatever it was doing stays half done."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(BrokenPipeError):  # a request it never read
                pipe.close()

    def close(self):
        """A clean end: every connection is closed, the process exits."""
        if self.process.poll() is None:
            self.process.stdin.close()
            try:
                self.process.wait(HANG_S)
            except subprocess.TimeoutExpired:
                self.kill()
                raise Disconnected(f"the client did not end; log: {self.log_tail()}") from None
            self.process.stdout.close()

    def log_tail(self):
        return self.log.read_text(errors="replace")[-1500:]

    def send(self, sql, parameters=(), name="main"):
        """Starts a statement without waiting for it; `finish` gets its answer."""
        self._write(("sql", name, sql, parameters))

    def finish(self):
        return self._answer()

    def _ask(self, *request):
        self._write(request)
        return self._answer()

    def _write(self, request):
        try:
            pickle.dump(request, self.process.stdin)
            self.process.stdin.flush()
        except (BrokenPipeError, ValueError):
            raise Disconnected(f"the client is gone; log: {self.log_tail()}") from None

    def _answer(self):
        # Only one answer is ever on its way, so nothing waits in Python's buffer.
        if not select.select([self.process.stdout], [], [], HANG_S)[0]:
            self.kill()
            raise Disconnected(f"no answer in {HANG_S} s; log: {self.log_tail()}")
        try:
            status, *rest = pickle.load(self.process.stdout)
        except (EOFError, pickle.UnpicklingError):
            code = self.process.wait()
            raise Disconnected(f"the client died ({code}); log: {self.log_tail()}") from None
        if status == "error":
            raise SqlError(*rest)
        return rest[0]
