"""Names of databases: one bound, 255 bytes, and one text past it, wherever a name is given.

A name is a folder's in the store, so the longest has to fit beside whatever else a name is put into: the
names of journals, the files of a cache, the paths in a bucket.
"""

import json
import os
import pathlib
import sqlite3
import subprocess
import urllib.error
import urllib.parse
import urllib.request

from harness import EXT, TOKEN, Client, Server, check, database_content, equal, main, scratch
from harness.minio import BUCKET, Minio
from harness.server import COMMAND

LONGEST = "0123456789.-_" + "x" * (255 - 13)
TOO_LONG = LONGEST + "x"
WHY = "a database name is 1 to 255 characters of A-Z a-z 0-9 _ . - and does not start with a dot"


def verb(server, *args):
    env = {**os.environ, "LITEFS_CLOUD_HOST": server.url, "LITEFS_CLOUD_TOKEN": TOKEN}
    return subprocess.run([*COMMAND, *map(str, args)], capture_output=True, env=env, text=True, check=False,
                          stdin=subprocess.DEVNULL, timeout=120)


def ask(server, method, path, **query):
    """Status and JSON of a call."""
    url = f"{server.url}{path}?{urllib.parse.urlencode(query)}"
    request = urllib.request.Request(url, method=method, headers={"Authorization": TOKEN})
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def whole_life(server, folder):
    """Every way in and out, a transaction over two databases, a later incarnation: with the longest name."""
    other = LONGEST[:-1] + "y"
    with Client(server, folder, folder / "cache") as client:
        client.open(LONGEST, "long")
        client.acquire("long")
        for statement in ("CREATE TABLE t (x)", "INSERT INTO t VALUES (1)", "PRAGMA litevfs_release_lease"):
            client.sql(statement, name="long")
        client.sql(f"ATTACH 'file:{other}?vfs=litevfs' AS other", name="long")
        for statement in ("PRAGMA litevfs_acquire_lease", "PRAGMA other.litevfs_acquire_lease",
                          "CREATE TABLE other.t (x)", "BEGIN", "INSERT INTO t VALUES (2)",
                          "INSERT INTO other.t VALUES (2)", "COMMIT", "PRAGMA other.litevfs_release_lease",
                          "PRAGMA litevfs_release_lease"):
            client.sql(statement, name="long")
        client.open(LONGEST, "then", f"&txid=1&cache_dir={folder / 'third'}")
        equal("a past", client.one("SELECT count(*) FROM sqlite_schema", name="then"), 1)
    with Client(server, folder, folder / "cache") as client:
        client.open(LONGEST)
        equal("rows", client.sql("SELECT x FROM t"), [(1,), (2,)])
    copy = folder / f"{server.port}.db"
    for args in (["export", LONGEST, copy], ["import", copy, LONGEST], ["info", LONGEST],
                 ["restore", LONGEST, "--txid", f"{2:016x}"], ["delete", LONGEST, "--yes"],
                 ["import", copy, LONGEST]):
        done = verb(server, *args)
        equal(f"{args[0]} ({done.stderr})", done.returncode, 0)
    listed = [database["name"] for database in json.loads(verb(server, "list", "--json").stdout)]
    equal("names", sorted(listed), [LONGEST, other])
    again = folder / f"{server.port}-again.db"
    equal("export", verb(server, "export", LONGEST, again).returncode, 0)
    equal("content", database_content(again), database_content(copy))


def the_longest_name_lives_in_a_folder():
    with scratch() as folder, Server(folder) as server:
        whole_life(server, folder)
        server.kill()
        server.start()
        check(server.position(LONGEST), "it is gone after a restart")
        # The names of files that are made for it stay within what a folder takes.
        longest = max(len(entry.name) for entry in folder.rglob("*"))
        equal("the longest name of a file", longest, 255)


def the_longest_name_lives_in_a_bucket():
    with scratch() as folder, Minio(folder) as minio:
        with Server(folder, store=f"s3://{BUCKET}/names", environment=minio.environment()) as server:
            whole_life(server, folder)


def one_byte_more_is_refused_with_one_text():
    with scratch() as folder, Server(folder) as server:
        local = folder / "local.db"
        db = sqlite3.connect(local)
        db.execute("CREATE TABLE t (x)")
        db.close()
        for method, path, query in [
            ("GET", "/db/snapshot", {}), ("GET", "/db/open", {}), ("GET", "/db/info", {}),
            ("GET", "/db/page", {"pgno": "1"}), ("POST", "/db/tx", {}), ("POST", "/db/upload", {}),
            ("POST", "/lease", {"duration": "1000"}), ("DELETE", "/db", {}),
        ]:
            status, body = ask(server, method, path, db=TOO_LONG, **query)
            equal(f"{method} {path}", (status, body["code"], body["error"]), (400, "EBADDB", WHY))
            status, body = ask(server, method, path, db=LONGEST, **query)
            check(body is None or body.get("code") != "EBADDB", f"{method} {path}, the longest name: {body}")
        for args in (["import", local, TOO_LONG], ["export", TOO_LONG, folder / "x"], ["info", TOO_LONG],
                     ["restore", TOO_LONG, "--txid", "1" * 16], ["delete", TOO_LONG, "--yes"]):
            done = verb(server, *args)
            equal(f"{args[0]}: exit code", done.returncode, 2)
            check(WHY in done.stderr, f"{args[0]}: {done.stderr}")
        # More than SQLite has room for, and less.
        with Client(server, folder, folder / "cache") as client:
            for name in (TOO_LONG, "x" * 1000, "x" * 2000, "x" * 100_000):
                client.not_opened(name, "", WHY)
                client.not_opened(name, f"&host={server.url}&token=other", WHY)


def the_shell_tells_the_same():
    with scratch() as folder, Server(folder) as server:
        env = {**os.environ, "LITEFS_CLOUD_HOST": server.url, "LITEFS_CLOUD_TOKEN": TOKEN, "LITEVFS_AUTO_LEASE": "1"}

        def shell(name, *statements):
            lines = [f".load {pathlib.Path(EXT).resolve()}", f".open 'file:{name}?vfs=litevfs'", *statements]
            return subprocess.run(["sqlite3", "-batch", ":memory:"], env=env, text=True, capture_output=True,
                                  input="\n".join(lines), timeout=120, check=False)

        done = shell(LONGEST, "CREATE TABLE t (x);", "INSERT INTO t VALUES (7);", "SELECT x FROM t;")
        equal(f"the longest ({done.stderr})", done.stdout.strip(), "7")
        check(server.position(LONGEST), "the server does not have it")
        done = shell(TOO_LONG, "CREATE TABLE t (x);")
        check(WHY in done.stderr, f"one more: {done.stderr}")
        equal("on the server", list(json.loads(server.get("/pos"))), [LONGEST])


if __name__ == "__main__":
    main(
        the_longest_name_lives_in_a_folder,
        the_longest_name_lives_in_a_bucket,
        one_byte_more_is_refused_with_one_text,
        the_shell_tells_the_same,
    )
