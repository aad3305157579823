"""Databases opened with parameters in their URI: another server, cluster, token or cache, in one process."""

import subprocess
import sys
import urllib.parse

from harness import EXT, TOKEN, Client, Recorder, Server, SqlError, check, equal, main, scratch

# For each cluster a token of its own, none of them the environment's.
EAST, WEST = "east-token-that-must-not-leak", "west-token+with/odd =characters"
CLUSTERS = ("--cluster-token", "east", EAST, "--cluster-token", "west", WEST)


def parameters(**given):
    """The end of a URI: SQLite decodes percent signs, and nothing else."""
    return "".join(f"&{name}={urllib.parse.quote(str(value), safe='')}" for name, value in given.items())


def at(server, **more):
    return parameters(host=server.url, token=TOKEN, **more)


def fill(client, name, text):
    client.acquire(name)
    client.sql("CREATE TABLE t (x)", name=name)
    client.sql("INSERT INTO t VALUES (?)", (text,), name=name)
    client.sql("PRAGMA litevfs_release_lease", name=name)


def texts(client, name, table="t"):
    return [x for (x,) in client.sql(f"SELECT x FROM {table} ORDER BY rowid", name=name)]


def several_servers():
    """The same name on two servers is two databases: read, written, attached and cached apart."""
    with scratch() as folder, Server(folder) as one, Server(folder, name="two") as two:
        for _ in range(2):  # the second time from what the first left in the cache
            with Client(one, folder, folder / "cache") as client:
                client.open("db", "one")
                client.open("db", "two", at(two))
                if not client.one("SELECT count(*) FROM sqlite_schema", name="one"):
                    fill(client, "one", "of one")
                    fill(client, "two", "of two")
                equal("the first server's", texts(client, "one"), ["of one"])
                equal("the second server's", texts(client, "two"), ["of two"])
                client.sql(f"ATTACH 'file:db?vfs=litevfs{at(two)}' AS far", name="one")
                equal("the attached one", texts(client, "one", "far.t"), ["of two"])
                equal("both", client.sql("SELECT x FROM t UNION ALL SELECT x FROM far.t", name="one"),
                      [("of one",), ("of two",)])
                client.sql("DETACH far", name="one")
        with Client(two, folder, folder / "other") as client:
            client.open("db")
            fill_more = "INSERT INTO t VALUES ('more')"
            client.acquire()
            client.sql(fill_more)
            with Client(one, folder, folder / "cache") as reader:
                reader.open("db", "one", parameters(host=one.url))  # the environment's, so its token goes there
                reader.open("db", "two", at(two, cache_dir=folder / "third"))
                equal("the first server's, unmoved", texts(reader, "one"), ["of one"])
                equal("the second server's, moved", texts(reader, "two"), ["of two", "more"])
        check(any((folder / "third").iterdir()), "cache_dir was not used")


def clusters_and_tokens():
    """Each token reads its own cluster, also where only the token says which, and from one cache folder."""
    with scratch() as folder, Server(folder, options=CLUSTERS) as server:
        with Client(server, folder, folder / "cache", LITEFS_CLOUD_CLUSTER="main") as client:
            client.open("db", "main")
            client.open("db", "east", parameters(token=EAST, cluster=""))
            client.open("db", "west", parameters(token=WEST, cluster="west"))
            for name in ("main", "east", "west"):
                fill(client, name, name)
            for name in ("main", "east", "west"):
                equal(f"the rows of {name}", texts(client, name), [name])
        with Client(server, folder, folder / "cache", LITEFS_CLOUD_TOKEN=WEST) as client:
            client.open("db", "east", parameters(token=EAST))
            server.kill()  # so that nothing but the cache can tell: of these two it has only one
            equal("the rows of east", texts(client, "east"), ["east"])
            try:
                client.open("db", "west")
                raise AssertionError(f"the rows of west without a server: {texts(client, 'west')}")
            except SqlError:
                pass
            server.start()
            client.open("db", "west")
            for name in ("west", "east"):
                equal(f"the rows of {name}", texts(client, name), [name])
        with Client(server, folder, folder / "c") as client:
            client.open("db", "mixed", parameters(token=EAST, cluster="west"))
            client.error("SELECT * FROM t", name="mixed")
            check("cluster" in client.last_error("mixed"), client.last_error("mixed"))


def a_token_for_each_database():
    """With an empty LITEFS_CLOUD_TOKEN loading works, and a database needs its own."""
    with scratch() as folder, Server(folder, options=CLUSTERS) as server:
        with Client(server, folder, folder / "c", LITEFS_CLOUD_TOKEN="") as client:
            client.not_opened("db", "", "token=")
            client.open("db", "east", parameters(token=EAST))
            fill(client, "east", "with its own")
            equal("the row", texts(client, "east"), ["with its own"])


def the_environment_s_token_stays_home():
    """Another host is not told LITEFS_CLOUD_TOKEN: it needs a token= beside it."""
    stranger = Recorder()
    with scratch() as folder, Server(folder) as server, Client(server, folder, folder / "c") as client:
        client.not_opened("db", parameters(host=stranger.url), "URI parameter host", "token=")
        client.open("db", "strange", parameters(host=stranger.url, token="theirs"))
        client.error("SELECT * FROM t", name="strange")
        check(stranger.seen, "the host was not asked at all")
        for request in stranger.seen:
            check(b"theirs" in request and TOKEN.encode() not in request, f"it saw {request!r}")
    stranger.close()


def bad_values():
    """A value that can't be used is named; a parameter that nobody knows is ignored, as SQLite does."""
    with scratch() as folder, Server(folder) as server, Client(server, folder, folder / "c") as client:
        for name, value in (("host", "ftp://x"), ("host", ""), ("host", "http://u:p@h"), ("token", ""),
                            ("token", "two\nlines"), ("cluster", ".hidden"), ("cluster", "a/b")):
            client.not_opened("db", parameters(**{name: value}), f"URI parameter {name}")
        client.not_opened("db", "&host=%ff", "URI parameter host", "UTF-8")
        client.open("db", "fine", "&nobody=knows&psow=0&modeof=/&hosts=x")
        equal("tables", client.one("SELECT count(*) FROM sqlite_schema", name="fine"), 0)


def names_and_paths():
    """file:///db is file:db; folders and what looks like a full name of ours are refused."""
    with scratch() as folder, Server(folder) as server, Client(server, folder, folder / "c") as client:
        client.open("db", "plain")
        fill(client, "plain", "it")
        for path in ("///db", "//localhost/db", "/db"):
            client.open(path, "path")
            equal(path, texts(client, "path"), ["it"])
            equal(f"{path}: its name", client.sql("PRAGMA database_list", name="path"), [(0, "main", "db")])
        for path in ("a/db", "///a/db", "db/", "db@0123456789abcdef", "db@"):
            client.not_opened(path, "", "a database name is")
            client.not_opened(path, parameters(cluster="east"), "a database name is")


def tokens_do_not_leak():
    """No token in a log of everything, an error, a name that SQLite shows, or the cache folder."""
    with scratch() as folder, Server(folder, options=CLUSTERS) as server:
        shown = []
        with Client(server, folder, folder / "cache", RUST_LOG="trace") as client:
            for token in (EAST, WEST):
                client.open("db", "own", parameters(token=token))
                fill(client, "own", "x")
                client.sql(f"ATTACH 'file:other?vfs=litevfs{parameters(token=token)}' AS a", name="own")
                shown.append(repr(client.sql("PRAGMA database_list", name="own")))
                shown.append(repr(client.error("INSERT INTO t VALUES (1)", name="own")))
                shown.append(client.last_error("own"))
                client.open("db", "wrong", parameters(token=token + " wrong"))
                shown.append(repr(client.error("SELECT * FROM t", name="wrong")))
                shown.append(client.last_error("wrong"))
                client.not_opened("db", parameters(token=token, cluster=".x"), "URI parameter cluster")
                client.not_opened("db", parameters(token=token, host="x"), "URI parameter host")
        shown.append(client.log.read_text())
        check(len(shown[-1]) > 1000, "there is no log")
        for path in (folder / "cache").rglob("*"):
            shown += [str(path), repr(path.read_bytes())]
        for token in (EAST, WEST, TOKEN):
            for text in shown:
                check(token not in text, f"{token} is in {text[:3000]}")


SHARED = """
import os, sqlite3, sys, threading
loader = sqlite3.connect(":memory:")
loader.enable_load_extension(True)
loader.load_extension(os.environ["EXT"])
uri = "file:db?vfs=litevfs&cache=shared"
options = dict(uri=True, isolation_level=None, check_same_thread=False)
writer = sqlite3.connect(uri, **options)
writer.execute("PRAGMA litevfs_acquire_lease")
writer.execute("CREATE TABLE t (x)")
other = sqlite3.connect("file:db?vfs=litevfs&cache=shared" + sys.argv[1], **options)
assert other.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,), "it shares another server's cache"
wrong = []

def read():
    reader = sqlite3.connect(uri, timeout=30, **options)
    reader.execute("PRAGMA read_uncommitted = off")
    while not wrong:
        try:
            count, rows = reader.execute("SELECT count(*), max(x) FROM t").fetchone()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                wrong.append(repr(error))
            continue
        if count and count != rows:
            wrong.append((count, rows))
        if count == 40:
            return

threads = [threading.Thread(target=read) for _ in range(2)]
for thread in threads:
    thread.start()
for n in range(1, 41, 2):
    # A reader of the shared cache may hold the table: SQLITE_LOCKED, which no busy handler waits for.
    while True:
        try:
            writer.execute("BEGIN IMMEDIATE")
            writer.execute("INSERT INTO t VALUES (?)", (n,))
            writer.execute("INSERT INTO t VALUES (?)", (n + 1,))
            writer.execute("COMMIT")
            break
        except sqlite3.OperationalError as error:
            assert "locked" in str(error), error
            if writer.in_transaction:
                writer.execute("ROLLBACK")
for thread in threads:
    thread.join()
assert not wrong, wrong
print(writer.execute("SELECT count(*), sum(x) FROM t").fetchone())
"""


def shared_cache():
    """cache=shared: threads share one database's pages, and databases of two servers none."""
    with scratch() as folder, Server(folder) as one, Server(folder, name="two") as two:
        run = subprocess.run(
            [sys.executable, "-B", "-c", SHARED, at(two)], cwd=folder, capture_output=True, text=True,
            timeout=300,
            env={"EXT": EXT, "LITEFS_CLOUD_HOST": one.url, "LITEFS_CLOUD_TOKEN": TOKEN, "PATH": "/usr/bin:/bin"})
        equal("what the program says", (run.stdout, run.stderr, run.returncode), ("(40, 820)\n", "", 0))
        with Client(one, folder, folder / "c", "db") as client:
            equal("what another process reads", client.sql("SELECT count(*), sum(x) FROM t"), [(40, 820)])


if __name__ == "__main__":
    main(several_servers, clusters_and_tokens, a_token_for_each_database, the_environment_s_token_stays_home,
         bad_values, names_and_paths, tokens_do_not_leak, shared_cache)
