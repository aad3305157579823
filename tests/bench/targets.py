"""What `make bench` compares: ours, plain SQLite, and the peers that this machine can have.

A target knows how a sqlite3 shell opens a database with it, and which store stands behind it.
"""

import dataclasses
import os
import shutil
import subprocess

from measure import ROOT, SQLITE3, Latency, run, say

from harness import TOKEN
from harness.client import EXT
from harness.minio import BUCKET
from harness.server import COMMAND


def import_database(server, file, name):
    """A SQLite file becomes a database of the server's."""
    say(f"importing {file.name}")
    env = os.environ | {"LITEFS_CLOUD_HOST": server.url, "LITEFS_CLOUD_TOKEN": TOKEN}
    subprocess.run([*COMMAND, "import", str(file), name], env=env, check=True,
                   stdout=subprocess.DEVNULL)


class Place:
    """A store on this machine, near and as far away as each latency says."""

    def __init__(self, server, latencies):
        self.server = server  # has `port` and `process`
        self.networks = {ms: Latency(server.port, ms) for ms in latencies if ms}

    def url(self, ms):
        """Without latency there is nothing in between, so nothing is counted either."""
        return self.networks[ms].url if ms else f"http://127.0.0.1:{self.server.port}"

    def close(self):
        for network in self.networks.values():
            network.close()


@dataclasses.dataclass
class Target:
    name: str
    title: str
    extension: str | None = None
    place: Place | None = None
    uri: str = "file:{db}?vfs=litevfs"
    lease: str = ""
    writes: bool = True  # can create a database and commit to it
    keeps: bool = True  # another process can use what was cached

    def command(self, db, *options):
        load = ["-cmd", f".load {self.extension}"] if self.extension else []
        opened = ["-cmd", f".open {self.uri.format(db=db)}"] if db else []
        return [SQLITE3, "-batch", "-bail", "-init", "/dev/null", *options, *load, *opened]

    def environment(self, ms, cache, db=None):
        return {}

    def run(self, folder, db, text, ms=0, cache=None, **more):
        """One shell, and what it took."""
        environment = self.environment(ms, cache or folder, db) | more.pop("environment", {})
        place = self.place
        return run(folder, self.command(db), text, environment=environment,
                   network=place.networks.get(ms) if place else None,
                   server=place.server.process if place else None, **more)


class LiteVfs(Target):
    """Ours and upstream's read the same variables."""

    def environment(self, ms, cache, db=None):
        return {"LITEFS_CLOUD_HOST": self.place.url(ms), "LITEFS_CLOUD_TOKEN": TOKEN,
                "LITEVFS_CACHE_DIR": str(cache), "LITEVFS_LOG_FILE": "/dev/null"}


class Bucket(Target):
    """A peer that keeps its databases in S3."""

    def environment(self, ms, cache, db=None):
        url = self.place.url(ms)
        endpoint = f"endpoint={url}&forcePathStyle=true&region=us-east-1"
        return self.place.server.environment(url) | {
            "LITESTREAM_LOG_FILE": "/dev/null",
            "LITESTREAM_REPLICA_URL": f"s3://{BUCKET}/litestream?{endpoint}",
            "TURBOLITE_BUCKET": BUCKET,
            "TURBOLITE_PREFIX": f"turbolite/{db}",
            "TURBOLITE_CACHE_DIR": str(cache),
            "TURBOLITE_LOCAL_THEN_FLUSH": "false",
        }


def plain():
    return Target("plain", "plain SQLite", uri="file:{db}")


def ours(place):
    return LiteVfs("ours", "LiteVFS", EXT, place, lease="PRAGMA litevfs_acquire_lease;\n")


def upstream(place):
    """Upstream's extension, on our server."""
    return LiteVfs("upstream", "upstream 0.1.1", _script("upstream"), place,
                   lease="PRAGMA litevfs_acquire_lease;\n")


def litestream(place, database, folder):
    """Litestream's VFS, with the database replicated by Litestream. It only reads."""
    replica = shutil.copy(database, folder / "litestream.db")
    target = Bucket("litestream", "Litestream VFS 0.5.17", _script("litestream-vfs"), place,
                    uri="file:{db}?vfs=litestream", writes=False, keeps=False)
    environment = target.environment(0, folder)
    copied = run(folder, [_script("litestream"), "replicate", "-once", "-force-snapshot", replica,
                          environment["LITESTREAM_REPLICA_URL"]], limit=300, environment=environment)
    if copied.error:
        raise RuntimeError(copied.error)
    return target


def turbolite(place, database, folder):
    """Turbolite, into which the database is copied with SQL. Its cache is of one process."""
    target = Bucket("turbolite", "turbolite 0.5.0", _script("turbolite"), place,
                    uri="file:{db}?vfs=turbolite-s3", keeps=False)
    copied = target.run(folder, "bench", f"""
        PRAGMA page_size = 4096;
        ATTACH 'file:{database}?vfs=unix' AS source;
        BEGIN;
        CREATE TABLE t (id INTEGER PRIMARY KEY, k INTEGER NOT NULL, txt TEXT NOT NULL);
        INSERT INTO t SELECT * FROM source.t;
        CREATE INDEX t_k ON t (k);
        COMMIT;
        PRAGMA wal_checkpoint(TRUNCATE);
        """, limit=300)
    if copied.error:
        raise RuntimeError(copied.error)
    return target


def _script(name):
    """The path that scripts/NAME prints, after it has got hold of what is there."""
    say(f"getting {name}")
    done = subprocess.run([ROOT / "scripts" / name], text=True, capture_output=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return done.stdout.strip()


def wanted(name):
    """TARGETS="ours plain": only these. Turbolite takes minutes to build, so it is asked for."""
    names = os.environ.get("TARGETS", "").split()
    if names:
        return name in names
    built = (ROOT / "build/turbolite-0.5.0").exists() or os.environ.get("TURBOLITE")
    return name != "turbolite" or bool(built)
