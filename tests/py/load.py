"""What grows with the work does not grow without bound: names, slow readers, connections.

The full loads, with their numbers, are in tests/slow/load.py.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import sqlite3
import stat
import subprocess

from harness import ROOT, TOKEN, Server, check, equal, main, raw, scratch
from harness.server import COMMAND

NAMES = 4300  # more than were kept apart before


def memory_mb(server, field="VmRSS"):
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(rf"{field}:\s+(\d+) kB", status).group(1)) // 1024


def store_requests(server):
    """How often the server asked its store for anything but small files that may not be there."""
    lines = server.get("/metrics").decode().splitlines()
    counted = [line for line in lines if line.startswith("litevfs_cloud_store_requests_total{")]
    return sum(int(float(line.split()[-1])) for line in counted)


def connect(server):
    connection = socket.create_connection(("127.0.0.1", server.port))
    return contextlib.closing(connection)


def image(page_size, rows, row_bytes):
    """A SQLite file."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.execute(f"PRAGMA page_size = {page_size}")
        db.execute("CREATE TABLE t (b)")
        db.executemany("INSERT INTO t VALUES (zeroblob(?))", [(row_bytes,)] * rows)
        return db.serialize()


def names_that_nobody_touched_are_told_without_opening_them_again():
    with scratch() as folder, Server(folder) as server:
        raw.ask(server.url, "POST", "/db/upload", image(4096, 1, 10), db="n0")
        server.stop()
        for n in range(1, NAMES):
            shutil.copytree(server.data / "default/n0", server.data / f"default/n{n}", copy_function=os.link)
        server.options += ["--compact", "1=1h:2h"]
        server.start()
        first = json.loads(server.get("/pos"))
        equal("databases", len(first), NAMES)
        before = store_requests(server)
        for _ in range(3):
            equal("positions", json.loads(server.get("/pos")), first)
        equal("databases on the status page", len(json.loads(server.get("/status"))["databases"]), NAMES)
        check(store_requests(server) - before < NAMES, "databases were opened again")


def slow_readers_cost_a_batch_each():
    with scratch() as folder, Server(folder) as server:
        raw.ask(server.url, "POST", "/db/upload", image(65536, 66, 1_000_000), db="x")
        pos = server.position("x")
        position = f"{pos['txid']}/{pos['postApplyChecksum']}"
        paths = [f"/db/page?db=x&pgno=1-1000&pos={position}", "/db/snapshot?db=x", "/db/snapshot?db=x&format=sqlite"]
        with contextlib.ExitStack() as open_ones:
            for path in paths * 5:
                reader = open_ones.enter_context(connect(server))
                head = f"GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: {TOKEN}\r\n\r\n"
                reader.sendall(head.encode())
                check(reader.recv(15).startswith(b"HTTP/1.1 200"), path)
            check(memory_mb(server) < 150, f"15 slow readers of 66 MB take {memory_mb(server)} MB")
        fetched = raw.fetch(server.url, "x", position, list(range(1, 900)))
        content = server.snapshot("x", folder / "x.db").read_bytes()
        check(b"".join(fetched[n] for n in range(1, 900)) == content[:899 * 65536], "pages in batches")


def who_sends_half_a_header_keeps_out_nobody():
    with scratch() as folder, Server(folder, options=["--max-connections", "20"]) as server:
        with contextlib.ExitStack() as open_ones:
            held = open_ones.enter_context(connect(server))
            ask = f"GET /pos HTTP/1.1\r\nHost: a\r\nAuthorization: {TOKEN}\r\n\r\n".encode()
            held.sendall(ask)
            check(held.recv(15).startswith(b"HTTP/1.1 200"), "the first")
            for n in range(60):
                stranger = open_ones.enter_context(connect(server))
                stranger.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: ")
                if n % 10 == 9:
                    server.get("/pos")
            # Who was let in once has kept the connection.
            held.settimeout(20)
            held.sendall(ask)
            rest = b""
            while rest.count(b"HTTP/1.1 200") < 1:
                rest += held.recv(65536) or b"closed"
                check(b"closed" not in rest, "the connection of a token was given up")


def a_folder_without_hard_links_is_named():
    with scratch() as folder:
        library = folder / "no_links.so"
        source = ROOT / "tests/c/no_links.c"
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-o", library, source], check=True)
        command = [*COMMAND, "serve", "--data", folder / "data", "--listen", "127.0.0.1:0", "--token", TOKEN]
        environment = {**os.environ, "LD_PRELOAD": str(library)}
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        equal("exit code", ended.returncode, 1)
        said = ended.stderr
        check("hard links" in said and str(folder / "data") in said and "--data" in said, said)


def a_new_folder_is_its_owners():
    with scratch() as folder, Server(folder) as server:
        equal("mode", stat.S_IMODE(server.data.stat().st_mode), 0o700)
        server.stop()
        check("chmod" not in server.log.read_text(), "a warning about a good folder")
        server.data.chmod(0o755)
        server.start()
        check(server.log.read_text().count("chmod 700") == 1, "a folder that all can read is not told")


if __name__ == "__main__":
    main(names_that_nobody_touched_are_told_without_opening_them_again, slow_readers_cost_a_batch_each,
         who_sends_half_a_header_keeps_out_nobody, a_folder_without_hard_links_is_named, a_new_folder_is_its_owners)
