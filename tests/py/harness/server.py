"""Starts, kills and asks the server under test (`litevfs-cloud serve`)."""

import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import time
import urllib.parse
import urllib.request

from .ports import Port

ROOT = pathlib.Path(__file__).resolve().parents[3]
COMMAND = shlex.split(os.environ.get("SERVER") or str(ROOT / "target/release/litevfs-cloud"))
TOKEN = "test-token-that-must-not-leak"

# Options of a server that merges and drops files all the time, so that seconds show what days do.
COMPACT = ("--level0-keep", "2s", "--compact", "1=1s:4s", "--compact", "2=2s:1h", "--snapshot", "5s:1h")


def client_environment(server, **more):
    """The environment of a client of that server or URL: the caller's, without what would lead it elsewhere."""
    leads = ("LITEFS_", "LITEVFS_", "RUST_LOG", "SSL_CERT_")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(leads) and not k.upper().endswith("_PROXY")}
    return {**kept, "LITEFS_CLOUD_HOST": getattr(server, "url", server), "LITEFS_CLOUD_TOKEN": TOKEN, **more}


class Server:
    """One server process on a loopback port that stays the same after `start`.

    It keeps its databases in a data folder, or in `store` ("s3://bucket/prefix"; several servers may
    share one). `options` are more of `serve`'s, `environment` goes on top of the test's own.
    """

    def __init__(self, folder, name="server", store=None, options=(), environment=None):
        self.data = folder / f"{name}.data"
        self.log = folder / f"{name}.log"
        self._kept = Port()
        self.port = self._kept.number
        self.process = None
        self.place = ["--store", store] if store else ["--data", str(self.data)]
        self.options = list(options)
        self.environment = {**os.environ, **(environment or {})}
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self._kept.close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        """Starts it and waits for the line that names its address."""
        offset = self.log.stat().st_size if self.log.exists() else 0
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*COMMAND, "serve", *self.place, "--listen", f"127.0.0.1:{self.port}",
                 "--token", TOKEN, *self.options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment,
            )
        for _ in range(1200):
            with open(self.log, "rb") as log:
                log.seek(offset)
                found = re.search(rb"litevfs-cloud listening on https?://127\.0\.0\.1:\d+\s", log.read())
            if found:
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.025)
        raise RuntimeError(f"the server did not start: {self.log.read_text()[-2000:]}")

    def kill(self):
        """As a power cut sees it: no goodbye."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()

    def get(self, path, **query):
        """The body of a GET request with the token."""
        url = f"{self.url}{path}?{urllib.parse.urlencode(query)}"
        request = urllib.request.Request(url, headers={"Authorization": TOKEN})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=60) as answer:
            return answer.read()

    def position(self, db):
        """The database's position as the server gives it, None when it has no such database."""
        return json.loads(self.get("/pos")).get(db)

    def snapshot(self, db, path):
        """Writes the database as a plain SQLite file and returns the path."""
        pathlib.Path(path).write_bytes(self.get("/db/snapshot", db=db, format="sqlite"))
        return path
