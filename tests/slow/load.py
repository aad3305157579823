"""What a server bears, with its numbers: a line of docs/limits.md for each load.

NAMES="1000 5000 10000" (how many databases), LOADS="names readers ..." (only these). Asserts bounds that hold on any
machine, of memory and of who is answered; seconds are told and not asserted.
"""

import contextlib
import http.client
import json
import os
import pathlib
import random
import shutil
import statistics
import struct
import sys
import threading
import time

PY = pathlib.Path(__file__).resolve().parents[1] / "py"
sys.path.insert(0, str(PY))

import importlib.util  # noqa: E402
from harness import TOKEN, Server, check, equal, main, raw, scratch  # noqa: E402


# The quick test has the same name as this file.
quick = importlib.util.module_from_spec(spec := importlib.util.spec_from_file_location("quick", PY / "load.py"))
spec.loader.exec_module(quick)
connect, image, memory_mb = quick.connect, quick.image, quick.memory_mb
FRAMES = {"Accept": "application/vnd.litevfs.pages"}
NAMES = [int(n) for n in (os.environ.get("NAMES") or "1000 5000 10000").split()]
LOADS = (os.environ.get("LOADS") or "").split()


def cpu_s(server):
    fields = pathlib.Path(f"/proc/{server.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def measured(server, what):
    began, cpu = time.monotonic(), cpu_s(server)
    yield
    print(f"{what}: {time.monotonic() - began:.2f} s, {cpu_s(server) - cpu:.2f} s of CPU, "
          f"{memory_mb(server)} MB", flush=True)


def names():
    """Copies of one database, hard links, so that only the server works."""
    for count in NAMES:
        with scratch() as folder, Server(folder) as server:
            raw.ask(server.url, "POST", "/db/upload", image(4096, 1, 10), db="n0")
            server.stop()
            for n in range(1, count):
                shutil.copytree(server.data / "default/n0", server.data / f"default/n{n}", copy_function=os.link)
            for how in ("after a crash", "after a clean stop"):
                began = time.monotonic()
                server.start()
                print(f"{count} names, start {how}: {time.monotonic() - began:.2f} s", flush=True)
                if how == "after a crash":
                    server.get("/healthz")
                    server.stop()
            with measured(server, f"{count} names, the first minute's compaction and the first /pos"):
                answer = json.loads(server.get("/pos"))
            equal("databases", len(answer), count)
            for path in ("/pos", "/status"):
                with measured(server, f"{count} names, {path} again"):
                    server.get(path)
            asked = json.dumps({"positions": {name: pos for name, pos in list(answer.items())[:1000]}})
            with measured(server, f"{count} names, /sync of 1,000, ten times"):
                for _ in range(10):
                    raw.ask(server.url, "POST", "/sync", asked)
            time.sleep(5)
            with measured(server, f"{count} names, 10 s without a request"):
                time.sleep(10)


def readers():
    with scratch() as folder, Server(folder) as server:
        raw.ask(server.url, "POST", "/db/upload", image(65536, 66, 1_000_000), db="x")
        pos = server.position("x")
        position = f"{pos['txid']}/{pos['postApplyChecksum']}"
        for path in (f"/db/page?db=x&pgno=1-1000&pos={position}", "/db/snapshot?db=x", "/db/snapshot?db=x&format=sqlite"):
            with contextlib.ExitStack() as open_ones:
                for _ in range(40):
                    reader = open_ones.enter_context(connect(server))
                    head = f"GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: {TOKEN}\r\n\r\n"
                    reader.sendall(head.encode())
                time.sleep(20)
                print(f"40 slow readers of {path.split('pos=')[0]}: {memory_mb(server)} MB", flush=True)
                check(memory_mb(server) < 400, "slow readers take too much memory")


def headers():
    with scratch() as folder, Server(folder) as server, contextlib.ExitStack() as open_ones:
        for _ in range(1000):
            open_ones.enter_context(connect(server)).sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: ")
        began, answered = time.monotonic(), 0
        while time.monotonic() - began < 5:
            server.get("/pos")
            answered += 1
        print(f"1,000 half-sent headers: {answered / 5:.0f} requests of a token a second", flush=True)


def hostile_schema(pages, page_size=65536):
    """A schema all of whose pages have thousands of pointers to one row, which leads to a root and to more of itself."""
    page1 = bytearray(image(page_size, 1, 10)[:page_size])
    page1[28:32] = struct.pack(">I", pages)
    page1[100:112] = struct.pack(">BHHHBI", 5, 0, 65535, 0, 0, 2)
    start = page_size - 4 * pages
    room = (start - 112) // 2
    page1[112:112 + 2 * room] = struct.pack(f">{room}H", *(start + 4 * (n % (pages - 1)) for n in range(room)))
    page1[start:start + 4 * (pages - 1)] = struct.pack(f">{pages - 1}I", *range(2, pages + 1))
    result = {1: bytes(page1)}
    cell = page_size - 9000
    pointers = struct.pack(">H", cell) * ((cell - 8) // 2)
    for pgno in range(2, pages + 1):
        page = bytearray(page_size)
        page[0:8] = struct.pack(">BHHHB", 13, 0, 65535, 0, 0)
        page[8:8 + len(pointers)] = pointers
        page[cell:cell + 12] = bytes.fromhex("84a270 01 06 000000 02 00") + struct.pack(">H", pgno % 700 + 1)
        page[cell + 8203:cell + 8207] = struct.pack(">I", pgno % 600 + 2)
        result[pgno] = bytes(page)
    return result


def schema():
    with scratch() as folder, Server(folder) as server:
        file, _ = raw.Copy("x").changed_to(hostile_schema(1000))
        raw.push(server.url, "x", file)
        before, waits, ended = memory_mb(server, "VmHWM"), [], threading.Event()

        def ask():
            while not ended.is_set():
                began = time.monotonic()
                server.get("/healthz")
                waits.append(time.monotonic() - began)
                time.sleep(0.02)

        asker = threading.Thread(target=ask)
        asker.start()
        with measured(server, f"/db/open of a hostile schema, {len(file)} bytes"):
            raw.ask(server.url, "GET", "/db/open", headers=FRAMES, db="x", max_bytes=1 << 20)
        ended.set()
        asker.join()
        grown = memory_mb(server, "VmHWM") - before
        print(f"a hostile schema: {grown} MB more, /healthz waits up to {max(waits) * 1000:.0f} ms", flush=True)
        check(grown < 100, "a hostile schema takes too much memory")


def index():
    """Pages of a database whose page index is larger than what is kept of indexes."""
    with scratch() as folder, Server(folder) as server:
        raw.ask(server.url, "POST", "/db/upload", image(512, 400, 1_000_000), db="x")
        pos = server.position("x")
        position = f"{pos['txid']}/{pos['postApplyChecksum']}"
        for index_memory in (64 << 20, 1 << 20):
            server.stop()
            server.options = ["--index-memory", str(index_memory)]
            server.start()
            raw.fetch(server.url, "x", position, [1])
            with measured(server, f"200 pages of 780,000 with --index-memory {index_memory}"):
                for pgno in random.Random(1).sample(range(1, 780_000), 200):
                    raw.fetch(server.url, "x", position, [pgno])


def shares():
    """One token's imports, and another's commits of a few hundred pages."""
    with scratch() as folder, Server(folder, options=["--token", "other"]) as server:
        big = folder / "big.db"
        noise = random.Random(2).randbytes(1_000_000)
        db = __import__("sqlite3").connect(big)
        db.execute("CREATE TABLE t (b)")
        db.executemany("INSERT INTO t VALUES (?)", [(noise,)] * 150)
        db.commit()
        db.close()
        content, running = big.read_bytes(), [0]

        def bring(n):
            running[0] += 1
            raw.ask(server.url, "POST", "/db/upload", content, db=f"big{n}")
            running[0] -= 1

        def commits(what, count):
            copy, times = raw.Copy(f"small{count}"), []
            for n in range(count):
                sql = [("CREATE TABLE IF NOT EXISTS t (b)", ()), ("INSERT INTO t VALUES (?)", (noise[:400_000],))]
                file, copy = copy.changed_by(sql)
                connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=300)
                began = time.monotonic()
                connection.request("POST", f"/db/tx?db={copy.name}", file, {"Authorization": "other"})
                equal("a commit", connection.getresponse().status, 200)
                times.append((time.monotonic() - began) * 1000)
                connection.close()
            print(f"commits of 400 KB {what}: {statistics.median(times):.0f} ms, at most {max(times):.0f} ms; "
                  f"{running[0]} imports are still under way", flush=True)

        commits("alone", 10)
        with measured(server, "8 imports of 150 MB with one token"):
            threads = [threading.Thread(target=bring, args=(n,)) for n in range(8)]
            for thread in threads:
                thread.start()
            time.sleep(3)
            commits("beside 8 imports of 150 MB", 15)
            for thread in threads:
                thread.join()


if __name__ == "__main__":
    every = [names, readers, headers, schema, index, shares]
    main(*[load for load in every if not LOADS or load.__name__ in LOADS])
