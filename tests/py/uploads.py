"""SQLite files of every kind as uploads: what makes no sense is refused in words, and nothing is the server's fault.

SEED=N begins elsewhere, COUNT=N files of each page size and journal mode are sent.
"""

import collections
import json
import os
import random
import sqlite3
import struct
import urllib.error
import urllib.parse
import urllib.request

from harness import TOKEN, Server, check, equal, main, scratch

SEED = int(os.environ.get("SEED") or 1)
COUNT = int(os.environ.get("COUNT") or 24)
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def call(server, method, path, body=None, **query):
    request = urllib.request.Request(f"{server.url}{path}?{urllib.parse.urlencode(query)}", method=method, data=body,
                                     headers={"Authorization": TOKEN, "Accept": "application/vnd.litevfs.pages, */*"})
    try:
        with OPENER.open(request, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def database(path, page_size, mode):
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript(f"PRAGMA page_size = {page_size}; PRAGMA journal_mode = {mode};"
                     "CREATE TABLE t (id INTEGER PRIMARY KEY, x); CREATE INDEX i ON t (x); CREATE VIEW v AS SELECT * FROM t")
    db.executemany("INSERT INTO t VALUES (?, zeroblob(?))", [(i, i * 40) for i in range(30)])
    db.close()
    data = path.read_bytes()
    path.unlink()
    return data


def spoiled(rng, data, page_size):
    """A file with something wrong, and what that is."""
    bad = bytearray(data)
    pages = len(data) // page_size
    kind = rng.choice(["cut", "longer", "header", "first page", "size", "size not kept", "anywhere", "counts"])
    if kind == "cut":
        del bad[rng.randrange(len(bad)):]
    elif kind == "longer":
        bad += bytes(rng.randrange(1, page_size * 2))
    elif kind == "header":
        for _ in range(rng.randrange(1, 4)):
            bad[rng.randrange(100)] = rng.choice([0, 1, 2, 3, 127, 128, 255, rng.randrange(256)])
    elif kind == "first page":
        for _ in range(rng.randrange(1, 6)):
            bad[rng.randrange(100, page_size)] = rng.choice([0, 255, rng.randrange(256)])
    elif kind == "size":
        bad[28:32] = struct.pack(">I", rng.choice([0, 1, pages - 1, pages + 1, 1 << 31, (1 << 32) - 1]))
    elif kind == "size not kept":
        bad[28:32], bad[92:96] = struct.pack(">I", rng.choice([0, 1, (1 << 32) - 1])), rng.randbytes(4)
        del bad[rng.randrange(pages + 1) * page_size:]
    elif kind == "anywhere":
        for _ in range(20):
            bad[rng.randrange(len(bad))] = rng.randrange(256)
    else:
        bad[24:28] = bad[92:96] = bad[40:44] = b"\xff" * 4
    return kind, bytes(bad)


def nothing_is_the_servers_fault():
    rng = random.Random(SEED)
    seen = collections.Counter()
    with scratch() as folder, Server(folder) as server:
        def send(what, data, name):
            status, body = call(server, "POST", "/db/upload", data, db=name)
            seen[status] += 1
            what = f"seed {SEED}, {what}: {status} {body[:200]}"
            check(status in (200, 422), what)
            if status == 422:
                answer = json.loads(body)
                check(answer["code"] in ("EBADFORMAT", "EBADHEADER") and answer["error"], what)
                return
            page = {"pgno": 1, "txid": json.loads(body)["txID"]}
            for path, query in [("/db/open", {}), ("/db/snapshot", {"format": "sqlite"}), ("/db/snapshot", {}),
                                ("/db/info", {}), ("/db/page", page)]:
                status, body = call(server, "GET", path, db=name, **query)
                equal(f"{what}, then {path}: {body[:200]}", status, 200)

        for page_size in (512, 4096, 65536):
            for mode in ("delete", "wal"):
                data = database(folder / "file", page_size, mode)
                send("as it is", data, "db")
                for number in range(COUNT):
                    kind, bad = spoiled(rng, data, page_size)
                    # Over what is there, which may be damaged itself, and anew.
                    send(f"{page_size}, {mode}, {kind}", bad, "db" if number % 2 else f"db{number}")
        for data in (b"", b"x", b"SQLite format 3\0", b"text " * 999, rng.randbytes(8192), bytes(4096)):
            send(repr(data[:20]), data, "db")
        equal("status", call(server, "GET", "/status")[0], 200)
        check("panicked" not in server.log.read_text(), server.log.read_text()[-2000:])
    check(seen[200] > 20 and seen[422] > 20, f"one kind only: {seen}")


if __name__ == "__main__":
    main(nothing_is_the_servers_fault)
