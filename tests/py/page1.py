"""Page 1 changes hands while connections are open: what they read and write afterwards is what is there.

SQLite trusts its schema as long as the schema cookie stays, and its pages as long as the change counter
does. In every case here another schema comes with numbers that the connection has seen, on each way that
a page 1 can come: then table `a` has the root page that table `b` had. Whoever goes by the old schema
reads the wrong table, and writes into it.
"""

import json
import pathlib
import secrets
import shutil
import sqlite3
import struct
import subprocess

from harness import TOKEN, Client, Server, check, database_content, equal, ltx, main, raw, scratch
from harness.server import COMMAND

OLD = ("CREATE TABLE a (x)", "CREATE TABLE b (x)",
       "INSERT INTO a VALUES ('old a')", "INSERT INTO b VALUES ('old b')")
NEW = ("CREATE TABLE b (x)", "CREATE TABLE a (x)",
       "INSERT INTO b VALUES ('new b')", "INSERT INTO a VALUES ('new a')")
COOKIE, COUNTER = slice(40, 44), slice(24, 28)


def verb(server, *arguments):
    env = {"LITEFS_CLOUD_HOST": server.url, "LITEFS_CLOUD_TOKEN": TOKEN}
    done = subprocess.run([*COMMAND, *map(str, arguments)], env=env, capture_output=True, text=True, timeout=120)
    equal(f"{arguments[0]}: errors", (done.returncode, done.stderr), (0, ""))


def image(folder, statements, page_size=4096, encoding="UTF-8"):
    """A plain SQLite file."""
    path = folder / "image.db"
    path.unlink(missing_ok=True)
    db = sqlite3.connect(path, isolation_level=None)
    for statement in (f"PRAGMA page_size = {page_size}", f"PRAGMA encoding = '{encoding}'", *statements):
        db.execute(statement)
    db.close()
    return path


def stored(server, folder):
    return pathlib.Path(server.snapshot("db", folder / "stored.db")).read_bytes()


def by_another_client(server, folder, statements=NEW):
    with Client(server, folder, db="db") as other:
        other.acquire()
        for statement in statements:
            other.sql(statement)


def write(client, *statements):
    """Runs statements under the lease, and gives it back."""
    client.acquire()
    for statement in statements:
        client.sql(statement)
    client.sql("PRAGMA litevfs_release_lease")


def push(server, folder, after):
    """The next transaction, whatever it makes of the database, as a server or program of another make has it."""
    before, txid = stored(server, folder), int(server.position("db")["txid"], 16)
    status, answer = ltx.push(server, "db", ltx.encode(before, after, txid + 1, txid + 1))
    equal("the push", (status, answer), (200, answer))


def deleted(server):
    verb(server, "delete", "db", "--yes")


# The ways on which another page 1 comes in.

def a_commit(server, folder):
    by_another_client(server, folder, ("DROP TABLE a", "DROP TABLE b", *NEW))


def an_import(server, folder):
    verb(server, "import", image(folder, NEW), "db")


def an_import_of_other_pages(server, folder):
    verb(server, "import", image(folder, NEW, page_size=1024), "db")


def an_upload(server, folder):
    """With the cookie that was there, and a counter as if it were SQLite's next commit."""
    before, after = stored(server, folder), bytearray(image(folder, NEW).read_bytes())
    after[COOKIE] = before[COOKIE]
    counter = struct.pack(">I", struct.unpack(">I", before[COUNTER])[0] + 1)
    after[COUNTER] = after[92:96] = counter
    push(server, folder, bytes(after))


def a_group(server, folder):
    """The same as an upload together with another database."""
    before, after = stored(server, folder), bytearray(image(folder, NEW).read_bytes())
    after[COOKIE] = before[COOKIE]
    txid = int(server.position("db")["txid"], 16)
    files = {"db": ltx.encode(before, bytes(after), txid + 1, txid + 1),
             "beside": ltx.encode(None, bytes(after), 1, 1)}
    listed = [{"db": db, "size": len(file)} for db, file in files.items()]
    head = json.dumps({"id": secrets.token_hex(16), "txs": listed}).encode() + b"\n"
    raw.ask(server.url, "POST", "/db/group", body=head + b"".join(files.values()))


def deleted_and_imported(server, folder):
    deleted(server)
    verb(server, "import", image(folder, NEW), "db")


def deleted_and_made_anew(server, folder):
    deleted(server)
    by_another_client(server, folder)


def deleted_and_made_anew_to_a_later_transaction(server, folder):
    deleted(server)
    by_another_client(server, folder, (*NEW, "PRAGMA user_version = 1", "PRAGMA user_version = 2"))


def a_data_folder_of_before(server, folder):
    """The server's folder is put back as it was before there was anything, then others go on."""
    server.kill()
    shutil.rmtree(server.data)
    server.start()
    by_another_client(server, folder)


WAYS = (a_commit, an_import, an_import_of_other_pages, an_upload, a_group, deleted_and_imported,
        deleted_and_made_anew, deleted_and_made_anew_to_a_later_transaction, a_data_folder_of_before)


def open_connection(server, folder, shared):
    """A client whose SQLite knows the old schema, and that looks for news at once."""
    client = Client(server, folder)
    client.open("db", parameters="&cache=shared" if shared else "")
    client.sql("PRAGMA litevfs_cache_sync_period = '1ms'")
    return client


def every_way_in():
    for shared in (False, True):
        for way in WAYS:
            with scratch() as folder, Server(folder) as server, open_connection(server, folder, shared) as client:
                what = f"{way.__name__}, {'shared' if shared else 'private'} cache"
                write(client, *OLD)
                equal(what, client.sql("SELECT * FROM a"), [("old a",)])
                way(server, folder)
                equal(f"{what}: a", client.sql("SELECT * FROM a"), [("new a",)])
                write(client, "INSERT INTO a VALUES ('mine')")
                content = database_content(server.snapshot("db", folder / "after.db"))
                equal(f"{what}: integrity", content["integrity"], [(b"ok",)])
                equal(f"{what}: tables", content["tables"],
                      {b"a": [(b"new a",), (b"mine",)], b"b": [(b"new b",)]})


def a_change_of_the_schema_after_it():
    """What is stored counts on from what was stored, whatever the connection was shown; and others notice."""
    for shared in (False, True):
        with (scratch() as folder, Server(folder) as server,
              open_connection(server, folder, shared) as client, open_connection(server, folder, shared) as other):
            write(client, *OLD)
            other.sql("SELECT * FROM a")
            an_upload(server, folder)
            before = stored(server, folder)
            write(client, "CREATE TABLE c (x)", "INSERT INTO c VALUES (1)")
            after = stored(server, folder)
            number = lambda page, place: struct.unpack(">I", page[place])[0]
            equal("the stored cookie", number(after, COOKIE), number(before, COOKIE) + 1)
            equal("the stored counter", number(after, COUNTER), number(before, COUNTER) + 2)
            for one in (client, other):
                equal("a", one.sql("SELECT * FROM a"), [("new a",)])
                equal("c", one.sql("SELECT * FROM c"), [(1,)])
            write(client, "BEGIN", "CREATE TABLE d (x)", "ROLLBACK")
            write(other, "CREATE TABLE e (x)")
            check("no such table: d" in str(client.error("SELECT * FROM d")), "d was rolled back")
            equal("e", client.sql("SELECT * FROM e"), [])
            equal("integrity", client.one("PRAGMA integrity_check"), "ok")


def back_to_an_earlier_schema(restore):
    """A restore takes the cookie back, and the next change of the schema makes it what was seen."""
    with scratch() as folder, Server(folder) as server, open_connection(server, folder, False) as client:
        write(client, "CREATE TABLE t (a)")
        txid, then = server.position("db")["txid"], stored(server, folder)
        write(client, "CREATE TABLE u (a)", "INSERT INTO u VALUES ('u')")
        equal("u", client.sql("SELECT * FROM u"), [("u",)])
        restore(server, folder, txid, then)
        by_another_client(server, folder, ("CREATE TABLE secret (x)", "INSERT INTO secret VALUES ('s')"))
        check("no such table: u" in str(client.error("SELECT * FROM u")), "u is no more")
        client.acquire()
        client.error("INSERT INTO u VALUES ('lands elsewhere')")
        equal("secret", client.sql("SELECT * FROM secret"), [("s",)])


def a_restore():
    def restore(server, folder, txid, then):
        before = stored(server, folder)
        verb(server, "restore", "db", "--txid", txid)
        after = stored(server, folder)
        for place in (COOKIE, COUNTER):
            check(after[place] > max(before[place], then[place]), "counter and cookie get past both")
        again = server.position("db")
        verb(server, "restore", "db", "--txid", txid)
        equal("a restore of what is there", server.position("db"), again)
    back_to_an_earlier_schema(restore)


def a_restore_that_does_not_count():
    """As a server of an earlier version restores, or a program that writes what it has kept."""
    back_to_an_earlier_schema(lambda server, folder, txid, then: push(server, folder, then))


def another_encoding():
    for shared in (False, True):
        with scratch() as folder, Server(folder) as server, open_connection(server, folder, shared) as client:
            write(client, *OLD)
            verb(server, "import", image(folder, NEW, encoding="UTF-16le"), "db")
            client.acquire()
            for sql in ("SELECT * FROM a", "INSERT INTO a VALUES ('mine')"):
                check("text encoding" in str(client.error(sql)), "SQLite has one encoding a connection")
            with Client(server, folder, db="db") as other:
                equal("a", other.sql("SELECT * FROM a"), [("new a",)])
                equal("b", other.sql("SELECT * FROM b"), [("new b",)])


def old_image(folder, stale):
    """A file as SQLite before 3.7.0 left it: without its size, or with one that is not valid."""
    path = image(folder, NEW)
    data = bytearray(path.read_bytes())
    data[28:32] = struct.pack(">I", 1) if stale else bytes(4)
    data[92:100] = bytes(8)
    path.write_bytes(data)
    return path


def databases_of_before_3_7_0():
    for stale in (False, True):
        with scratch() as folder, Server(folder) as server:
            by_another_client(server, folder, OLD)
            path = old_image(folder, stale)
            verb(server, "import", path, "new")
            verb(server, "import", path, "db")
            # As a client of another make may commit it, page 1 stays as it is.
            equal("the push", ltx.push(server, "raw", ltx.encode(None, path.read_bytes(), 1, 1))[0], 200)
            for db in ("new", "db", "raw"):
                with Client(server, folder, LITEVFS_AUTO_LEASE="1") as client, \
                        Client(server, folder, db=db) as reader:
                    client.open(db)
                    equal(f"{db}: a", client.sql("SELECT * FROM a"), [("new a",)])
                    equal(f"{db}: pages", client.one("PRAGMA page_count"), path.stat().st_size // 4096)
                    equal(f"{db}: a", reader.sql("SELECT * FROM a"), [("new a",)])
                    client.sql("BEGIN")
                    client.sql("INSERT INTO a VALUES (zeroblob(100000))")
                    client.sql("ROLLBACK")
                    client.sql("INSERT INTO a VALUES ('mine')")
                    equal(f"{db}: a", client.sql("SELECT * FROM a"), [("new a",), ("mine",)])
                    equal(f"{db}: integrity", client.one("PRAGMA integrity_check"), "ok")
                content = database_content(server.snapshot(db, folder / "after.db"))
                equal(f"{db}: integrity", content["integrity"], [(b"ok",)])


if __name__ == "__main__":
    main(every_way_in, a_change_of_the_schema_after_it, a_restore, a_restore_that_does_not_count, another_encoding,
         databases_of_before_3_7_0)
