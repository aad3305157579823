"""MinIO as the S3 store under test: one node, or a set of four whose drives can be stopped.

The four are processes of their own with a drive each, joined to one erasure set: killing one takes
its drive away as a dead machine does, and the other three go on reading and writing.
"""

import functools
import os
import signal
import subprocess
import time

from .ports import Port
from .s3 import S3, REGION
from .server import ROOT

KEY, SECRET = "tests-key", "tests-secret-key"
BUCKET = "databases"


@functools.cache
def program():
    """The server's path; built now when scripts/setup has not done it."""
    script = subprocess.run([ROOT / "scripts/minio"], stdout=subprocess.PIPE, text=True, check=True)
    return script.stdout.strip()


class Minio:
    """A store on loopback with one empty bucket. `nodes` is 1 or 4."""

    def __init__(self, folder, nodes=1, name="minio"):
        self.folder = folder / name
        # The nodes must know each other's before any of them starts.
        self._kept = [Port() for _ in range(nodes)]
        self.ports = [port.number for port in self._kept]
        drives = [self.folder / f"drive{i}" for i in range(nodes)]
        for drive in drives:
            drive.mkdir(parents=True)
        self._drives = [str(drives[0])] if nodes == 1 else [
            f"http://127.0.0.1:{port}{drive}" for port, drive in zip(self.ports, drives)]
        self.processes = [None] * nodes
        try:
            for node in range(nodes):
                self.start(node)
            self._wait()
            self._make_bucket()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def port(self):
        """The first node's. Requests go there; the others only hold drives."""
        return self.ports[0]

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def client(self):
        return S3(self.url, KEY, SECRET)

    def environment(self, url=None):
        """What a server needs in its environment to use the store, at `url` if a proxy stands before it."""
        return {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": url or self.url,
        }

    def start(self, node=0):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("MINIO_", "AWS_"))}
        env |= {
            "MINIO_ROOT_USER": KEY,
            "MINIO_ROOT_PASSWORD": SECRET,
            "MINIO_REGION": REGION,
            "MINIO_CI_CD": "on",  # drives may be folders of the root file system
            "_MINIO_SERVER_LOCAL": f"127.0.0.1:{self.ports[node]}",  # in a container it can't tell
            "MINIO_BROWSER": "off",
            "MINIO_SCANNER_SPEED": "slowest",
        }
        log = open(self.folder / f"node{node}.log", "ab")
        with log:
            self.processes[node] = subprocess.Popen(
                [program(), "server", "--quiet", "--anonymous",
                 "--address", f"127.0.0.1:{self.ports[node]}", *self._drives],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, cwd=self.folder,
            )

    def take_drive(self, node):
        """Takes one drive away from its node, which goes on without."""
        drive = self.folder / f"drive{node}"
        drive.rename(self.folder / f"drive{node}.gone")
        drive.write_text("not a folder: nothing can be made here")

    def kill(self, node):
        """Takes one node and its drive away, without a goodbye."""
        self.processes[node].send_signal(signal.SIGKILL)
        self.processes[node].wait()

    def close(self):
        running = [p for p in self.processes if p is not None and p.poll() is None]
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for port in self._kept:
            port.close()

    def _wait(self):
        """Until a cluster with write quorum answers."""
        for _ in range(600):
            if any(process.poll() is not None for process in self.processes):
                break
            try:
                if self.client.request("GET", "/minio/health/cluster")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise RuntimeError("MinIO did not start: " + self.log())

    def _make_bucket(self):
        for tries in range(100):
            try:
                return self.client.make_bucket(BUCKET)
            except RuntimeError:  # healthy, but its own bookkeeping is not there yet
                if tries == 99:
                    raise
                time.sleep(0.1)

    def log(self):
        logs = [self.folder / f"node{node}.log" for node in range(len(self.ports))]
        return "\n".join(log.read_text(errors="replace")[-1000:] for log in logs if log.exists())
