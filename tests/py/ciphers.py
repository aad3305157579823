"""Databases that a codec above the VFS encrypts: SQLCipher in SQLite's pager, SQLite3MultipleCiphers in a VFS of
its own. The pages are opaque to the extension and the server, which do with them what SQLite would with a file.
"""

import contextlib
import os
import pathlib
import random
import sqlite3
import subprocess
import time

from harness import ROOT, TOKEN, Client, Server, SqlError, check, equal, ltx, main, scratch
from harness.server import COMMAND

KEY = "PRAGMA key = 'correct horse'"
WRONG = "PRAGMA key = 'battery staple'"
LIBRARIES = subprocess.run([ROOT / "scripts/ciphers"], check=True, capture_output=True, text=True).stdout.strip()


class Codec:
    """A library, and the cipher that it is told to use."""

    def __init__(self, cipher=None):
        self.name = cipher or "SQLCipher"
        self.module = "multiple_ciphers" if cipher else "sqlcipher3.dbapi2"
        self.vfs = "multipleciphers-litevfs" if cipher else "litevfs"
        # Few rounds from password to key: there is nothing to protect.
        self.setup = ([f"PRAGMA cipher = '{cipher}'", "PRAGMA kdf_iter = 100"] if cipher else
                      ["PRAGMA cipher_default_kdf_iter = 100"])

    def client(self, server, folder, **environment):
        return Client(server, folder, SQLITE_MODULE=self.module, PYTHONPATH=LIBRARIES, LITEVFS_AUTO_LEASE="1",
                      **environment)

    def open(self, client, db, name="main", key=KEY, parameters=""):
        client.open_uri(f"file:{db}?vfs={self.vfs}{parameters}", name)
        self.begin(client, name, key)
        client.sql("PRAGMA litevfs_cache_sync_period = '1ms'", name=name)
        client.sql("PRAGMA busy_timeout = 20000", name=name)

    def open_file(self, client, path, name):
        client.open_uri(f"file:{path}", name)
        self.begin(client, name)

    def begin(self, client, name, key=KEY):
        for sql in (*self.setup, key):
            client.sql(sql, name=name)


SQLCIPHER, CHACHA = Codec(), Codec("chacha20")
BOTH = (SQLCIPHER, CHACHA)
ALL = (*BOTH, *map(Codec, ("sqlcipher", "aes128cbc", "aes256cbc", "rc4", "ascon128", "aegis")))


def verb(server, *arguments):
    env = {"LITEFS_CLOUD_HOST": server.url, "LITEFS_CLOUD_TOKEN": TOKEN}
    done = subprocess.run([*COMMAND, *map(str, arguments)], env=env, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def settled(server, *arguments):
    """What needs the lease waits until a client gives back the one that it took by itself."""
    for _ in range(400):
        code, said = verb(server, *arguments)
        if "write lease" not in said:
            break
        time.sleep(0.05)
    return code, said


def done(server, *arguments):
    code, said = settled(server, *arguments)
    equal(f"{arguments}: {said}", code, 0)


def rows(client, table="t", name="main"):
    return client.sql(f"SELECT * FROM {table}", name=name)


def integrity(client, name="main"):
    equal("integrity", client.one("PRAGMA integrity_check", name=name), "ok")


def is_encrypted(image):
    return not image.startswith(b"SQLite format 3")


def exported(codec, client, server, folder, db="db"):
    """What a copy of the server's opens as, with the key."""
    path = folder / "exported.db"
    done(server, "export", db, path, "--force")
    check(is_encrypted(path.read_bytes()), "the copy is encrypted")
    codec.open_file(client, path, "file")
    integrity(client, "file")
    try:
        return rows(client, name="file")
    finally:
        client.close_db("file")
        path.unlink()


@contextlib.contextmanager
def two_clients(codec):
    with (scratch() as folder, Server(folder) as server, codec.client(server, folder) as one,
          codec.client(server, folder) as two):
        yield folder, server, one, two


def every_cipher():
    """Made, written and read by two processes, with the schema changed by each; a copy opens with the key."""
    for codecs in (ALL[:1], ALL[1:]):
        with two_clients(codecs[0]) as (folder, server, one, two):
            for codec in codecs:
                one_cipher(codec, folder, server, one, two)


def one_cipher(codec, folder, server, one, two):
    db = codec.name
    codec.open(one, db)
    one.sql("CREATE TABLE t (a)")
    one.sql("INSERT INTO t VALUES (1)")
    codec.open(two, db)
    equal(f"{db}: two", rows(two), [(1,)])
    two.sql("INSERT INTO t VALUES (2)")
    equal(f"{db}: one", rows(one), [(1,), (2,)])
    two.sql("CREATE TABLE u (b)")
    one.sql("INSERT INTO u VALUES (zeroblob(100000))")
    equal(f"{db}: u", two.one("SELECT length(b) FROM u"), 100_000)
    two.sql("DROP TABLE u")
    two.sql("VACUUM")
    one.sql("INSERT INTO t VALUES (3)")
    equal(f"{db}: two", rows(two), [(1,), (2,), (3,)])
    for client in (one, two):
        integrity(client)
    equal(f"{db}: a copy", exported(codec, one, server, folder, db), [(1,), (2,), (3,)])
    codec.open(two, db, "wrong", WRONG)
    check("not a database" in str(two.error("SELECT * FROM t", name="wrong")), "the wrong key opens nothing")
    two.close_db("wrong")
    with Client(server, folder, db=db) as plain:
        check("not a database" in str(plain.error("SELECT * FROM t")), "nor does none")


def what_is_rolled_back_stays_away():
    """Also when pages were written before, and put back encrypted in another way."""
    for codec in BOTH:
        with two_clients(codec) as (_, server, client, other):
            for mode in ("delete", "truncate", "persist", "memory", "off"):
                rolled_back(codec, mode, server, client, other)


def rolled_back(codec, mode, server, client, other):
    what = f"{codec.name}, {mode}"
    codec.open(client, mode)
    equal(what, client.one(f"PRAGMA journal_mode = {mode}"), mode)
    client.sql("PRAGMA cache_size = 10")
    client.sql("CREATE TABLE t (a, b)")
    client.sql("WITH RECURSIVE n(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM n WHERE a < 300) "
               "INSERT INTO t SELECT a, zeroblob(300) FROM n")
    codec.open(other, mode)
    position = server.position(mode)
    client.sql("BEGIN")
    client.sql("UPDATE t SET b = randomblob(900)")
    if mode != "off":
        client.sql("CREATE TABLE gone (a)")
        client.sql("ROLLBACK")
        equal(f"{what}: position", server.position(mode), position)
        equal(f"{what}: rows", client.one("SELECT total(b = zeroblob(300)) FROM t"), 300)
        client.sql("BEGIN")
        client.sql("UPDATE t SET b = randomblob(900)")
        client.sql("SAVEPOINT s")
        client.sql("DELETE FROM t")
        client.sql("ROLLBACK TO s")
    client.sql("COMMIT")
    expected = client.sql("SELECT a, hex(b) FROM t")
    equal(f"{what}: read elsewhere", other.sql("SELECT a, hex(b) FROM t"), expected)
    client.sql("DELETE FROM t WHERE a > 10")
    client.sql("VACUUM")
    equal(f"{what}: rows", other.one("SELECT count(*) FROM t"), 10)
    equal(f"{what}: pages", other.one("PRAGMA page_count"), client.one("PRAGMA page_count"))
    integrity(other)
    integrity(client)


def brought_in():
    """An encrypted file comes in through the extension, and stock Litestream gives the same bytes back."""
    for codec in BOTH:
        with scratch() as folder, Server(folder) as server, codec.client(server, folder) as client:
            codec.open_file(client, folder / "local.db", "file")
            client.sql("CREATE TABLE t (a)", name="file")
            client.sql("INSERT INTO t VALUES (zeroblob(100000))", name="file")
            if codec is SQLCIPHER:
                client.sql("ATTACH 'file:db?vfs=litevfs' AS new KEY 'correct horse'", name="file")
                client.sql("SELECT sqlcipher_export('new')", name="file")
                client.sql("DETACH new", name="file")
            else:
                codec.open(client, "db", "new")
                client.copy("new", name="file")
            codec.open(client, "db")
            equal(codec.name, client.one("SELECT length(a) FROM t"), 100_000)
            integrity(client)
            client.sql("INSERT INTO t VALUES (2)")
            image = pathlib.Path(server.snapshot("db", folder / "image.db")).read_bytes()
            check(is_encrypted(image), f"{codec.name}: it is encrypted")
            program = subprocess.run([ROOT / "scripts/litestream"], stdout=subprocess.PIPE, text=True, check=True)
            out = folder / "restored.db"
            replica = f"file://{server.data / 'default/db'}"
            subprocess.run([program.stdout.strip(), "restore", "-o", out, replica], check=True, capture_output=True)
            check(out.read_bytes() == image, "Litestream restores other bytes")


def restored():
    """Whoever has read it is told, as SQLite would not notice; opened again, what is there is right."""
    for codec in BOTH:
        with (scratch() as folder, Server(folder) as server, codec.client(server, folder) as client,
              codec.client(server, folder) as unread):
            codec.open(client, "db")
            client.sql("CREATE TABLE t (a)")
            client.sql("INSERT INTO t VALUES (1)")
            codec.open(client, "db", "second")
            txid = server.position("db")["txid"]
            client.sql("INSERT INTO t VALUES (2)")
            codec.open(unread, "db")
            equal("rows", rows(client, name="second"), [(1,), (2,)])
            done(server, "restore", "db", "--txid", txid)
            with codec.client(server, folder) as other:
                codec.open(other, "db")
                equal("restored", rows(other), [(1,)])
                other.sql("INSERT INTO t VALUES (3)")
            for name in ("main", "second", "main"):
                client.error("SELECT * FROM t", name=name)
                check("open it again" in client.last_error(name), client.last_error(name))
                client.error("INSERT INTO t VALUES (9)", name=name)
            equal("one that had read nothing", rows(unread), [(1,), (3,)])
            for name in ("main", "second"):
                client.close_db(name)
                codec.open(client, "db", name)
                equal("opened again", rows(client, name=name), [(1,), (3,)])
            client.sql("INSERT INTO t VALUES (4)")
            equal("rows", rows(unread), [(1,), (3,), (4,)])
            integrity(client)
            # To what it is, which changes nothing.
            position = server.position("db")
            done(server, "restore", "db", "--txid", position["txid"])
            equal("position", server.position("db"), position)
            codec.open(client, "db", "past", parameters=f"&txid={txid}")
            equal("the past", rows(client, name="past"), [(1,)])


def deleted_and_made_anew():
    for codec in BOTH:
        with (scratch() as folder, Server(folder) as server, codec.client(server, folder) as client,
              codec.client(server, folder) as other):
            codec.open(client, "db")
            client.sql("CREATE TABLE t (a)")
            done(server, "delete", "db", "--yes")
            codec.open(other, "db")
            other.sql("CREATE TABLE u (a)")
            client.error("SELECT * FROM t")
            check("open it again" in client.last_error(), client.last_error())
            client.close_db()
            codec.open(client, "db")
            equal("u", rows(client, "u"), [])


def many_changes_by_commits_are_no_restore():
    """What is too much to tell, or makes the database smaller, is still told to be commits."""
    for codec in BOTH:
        with (scratch() as folder, Server(folder) as server, codec.client(server, folder) as client,
              codec.client(server, folder) as other):
            codec.open(client, "db")
            client.sql("CREATE TABLE t (a)")
            client.sql("CREATE TABLE u (b)")
            client.sql("INSERT INTO u VALUES (randomblob(1000000))")
            codec.open(other, "db")
            equal("rows", other.one("SELECT count(*) FROM u"), 1)
            client.sql("DELETE FROM u")
            client.sql("VACUUM")
            client.sql("INSERT INTO t VALUES (1)")
            equal("rows", rows(other), [(1,)])
            integrity(other)


def a_new_key():
    """The pages are all encrypted anew; who has the old key reads nothing."""
    for codec in BOTH:
        with (scratch() as folder, Server(folder) as server, codec.client(server, folder) as client,
              codec.client(server, folder) as other):
            codec.open(client, "db")
            client.sql("CREATE TABLE t (a)")
            client.sql("INSERT INTO t VALUES (zeroblob(50000))")
            codec.open(other, "db")
            equal("rows", other.one("SELECT count(*) FROM t"), 1)
            client.sql("PRAGMA rekey = 'battery staple'")
            client.sql("INSERT INTO t VALUES (2)")
            other.error("SELECT count(*) FROM t")
            codec.open(other, "db", "again", WRONG)
            equal("rows", other.one("SELECT count(*) FROM t", name="again"), 2)
            integrity(other, "again")


def what_is_refused():
    for codec in BOTH:
        with (scratch() as folder, Server(folder) as server, codec.client(server, folder) as client):
            codec.open(client, "db")
            client.sql("CREATE TABLE t (a)")
            client.sql("INSERT INTO t VALUES (1)")
            position = server.position("db")
            client.sql("PRAGMA locking_mode = exclusive")
            equal("read", rows(client), [(1,)])
            client.error("INSERT INTO t VALUES (2)")
            check("locking_mode" in client.last_error(), client.last_error())
            client.sql("PRAGMA locking_mode = normal")
            equal("rows", rows(client), [(1,)])
            equal("nothing was stored", server.position("db"), position)
            client.sql("INSERT INTO t VALUES (2)")
            image = pathlib.Path(server.snapshot("db", folder / "image.db")).read_bytes()
            code, said = verb(server, "import", folder / "image.db", "raw")
            check(code != 0 and "sqlcipher_export" in said, said)
            pages = {n + 1: image[n * 4096:n * 4096 + 4096] for n in range(len(image) // 4096)}
            file = ltx.encode_changes(pages, len(pages), 4096, 1, 1, 0, ltx.database_checksum(pages))
            status, answer = ltx.push(server, "raw", file)
            check(status == 422 and "codec" in str(answer), f"{status} {answer}")
            plain = sqlite3.connect(folder / "plain.db")
            plain.execute("CREATE TABLE t (x)")
            plain.close()
            position = server.position("db")
            code, said = settled(server, "import", folder / "plain.db", "db")
            check(code != 0 and "is encrypted" in said, said)
            equal("it stays", server.position("db"), position)
            equal("raw", server.position("raw"), None)


def a_header_that_can_be_read():
    for codec, more in (
        (SQLCIPHER, ("PRAGMA cipher_plaintext_header_size = 32", f"PRAGMA cipher_salt = \"x'{'01' * 16}'\"")),
        (Codec("sqlcipher"), ("PRAGMA plaintext_header_size = 32",)),
    ):
        with scratch() as folder, Server(folder) as server, codec.client(server, folder) as client:
            client.open_uri(f"file:db?vfs={codec.vfs}")
            for sql in (*codec.setup, KEY, *more) if codec is SQLCIPHER else (*codec.setup, *more, KEY):
                client.sql(sql)
            client.error("CREATE TABLE t (a)")
            check("no plaintext header" in client.last_error(), client.last_error())
            equal("nothing is stored", server.position("db"), None)


def two_attached():
    """Both are written, or neither."""
    for codec in BOTH:
        with (scratch() as folder, Server(folder) as server, codec.client(server, folder) as client,
              codec.client(server, folder) as other):
            codec.open(client, "one")
            client.sql(f"ATTACH 'file:two?vfs={codec.vfs}' AS two KEY 'correct horse'")
            client.sql("PRAGMA cache_size = 10")
            for name in ("main", "two"):
                client.sql(f"PRAGMA {name}.auto_vacuum = full")
            client.sql("CREATE TABLE main.t (a)")
            client.sql("CREATE TABLE two.t (a)")
            for end in ("COMMIT", "ROLLBACK", "COMMIT"):
                client.sql("BEGIN")
                client.sql("INSERT INTO main.t VALUES (randomblob(200000))")
                client.sql("INSERT INTO two.t VALUES (randomblob(200000))")
                client.sql(end)
            client.sql("DELETE FROM two.t WHERE rowid = 1")
            for name, count in (("one", 2), ("two", 1)):
                check(is_encrypted(server.get("/db/snapshot", db=name, format="sqlite")), f"{name} is encrypted")
                codec.open(other, name, name)
                equal(f"{codec.name}: {name}", other.one("SELECT count(*) FROM t", name=name), count)
                integrity(other, name)
            client.sql("BEGIN")
            client.sql("DELETE FROM main.t")
            client.sql("DELETE FROM two.t")
            client.sql("COMMIT")
            client.sql("VACUUM")
            for name in ("one", "two"):
                equal(f"{codec.name}: {name}", other.one("SELECT count(*) FROM t", name=name), 0)
                integrity(other, name)


def killed():
    """Whenever the process dies, the database is as it was before or after the transaction."""
    for codec in BOTH:
        with scratch() as folder, Server(folder) as server:
            with codec.client(server, folder) as client:
                codec.open(client, "db")
                client.sql("CREATE TABLE t (a, b)")
            for n in range(2):
                victim = codec.client(server, folder, cache=folder / "cache")
                codec.open(victim, "db")
                victim.sql("PRAGMA cache_size = 10")
                victim.sql("BEGIN")
                victim.sql("INSERT INTO t VALUES (?, randomblob(300000))", (n,))
                victim.sql("INSERT INTO t VALUES (?, randomblob(300000))", (n,))
                if n % 2:
                    victim.send("COMMIT")
                victim.kill()
                with codec.client(server, folder, cache=folder / "cache") as reader:
                    codec.open(reader, "db")
                    integrity(reader)
                    counts = reader.sql("SELECT a, count(*) FROM t GROUP BY a")
                    check(all(count == 2 for _, count in counts), f"{codec.name}: {counts}")


STATEMENTS = (
    "INSERT INTO t VALUES ({n}, randomblob({size}))",
    "INSERT INTO t SELECT a + {n}, zeroblob({size}) FROM t LIMIT 20",
    "UPDATE t SET b = zeroblob({size}) WHERE a % 7 = {n} % 7",
    "DELETE FROM t WHERE a % 5 = {n} % 5",
    "CREATE INDEX IF NOT EXISTS i{k} ON t (a, b)",
    "DROP INDEX IF EXISTS i{k}",
    "CREATE TABLE IF NOT EXISTS u{k} AS SELECT * FROM t LIMIT 3",
    "DROP TABLE IF EXISTS u{k}",
    "VACUUM",
    "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT s", "ROLLBACK TO s", "RELEASE s",
)


def as_a_file():
    """The same statements, on a file that the codec encrypts and by two processes in turn, come to the same."""
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    print(f"SEED={seed}")
    dice = random.Random(seed)
    for codec in BOTH:
        with (scratch() as folder, Server(folder) as server, codec.client(server, folder) as one,
              codec.client(server, folder) as two):
            codec.open_file(one, folder / "local.db", "file")
            one.sql("CREATE TABLE t (a, b)", name="file")
            codec.open(one, "db")
            one.sql("CREATE TABLE t (a, b)")
            # Opened before, some codecs would not read what another process has made the salt of.
            codec.open(two, "db")
            for client in (one, two):
                client.sql("PRAGMA cache_size = 8")
            client = one
            for n in range(150):
                sql = dice.choice(STATEMENTS).format(n=n, k=n % 3, size=dice.choice((10, 900, 9000)))
                sql = sql.replace("randomblob", "zeroblob")
                outcomes = []
                for of, name in ((one, "file"), (client, "main")):
                    try:
                        outcomes.append(of.sql(sql, name=name))
                    except SqlError as error:
                        outcomes.append((error.primary, str(error)))
                equal(f"{codec.name}, SEED={seed}, {n}: {sql}", outcomes[1], outcomes[0])
                if not one.in_transaction("file") and dice.random() < 0.3:
                    client.sql("PRAGMA litevfs_release_lease")
                    client = two if client is one else one
                    client.acquire()
            for of, name in ((one, "file"), (client, "main")):
                if of.in_transaction(name):
                    of.sql("COMMIT", name=name)
            queries = ("SELECT type, name, sql FROM sqlite_schema", "SELECT a, hex(b) FROM t")
            for sql in queries:
                equal(f"{codec.name}, SEED={seed}: {sql}", two.sql(sql), one.sql(sql, name="file"))
            integrity(one)
            integrity(two)


if __name__ == "__main__":
    main(every_cipher, what_is_rolled_back_stays_away, brought_in, restored, deleted_and_made_anew,
         many_changes_by_commits_are_no_restore, a_new_key, what_is_refused, a_header_that_can_be_read, two_attached,
         killed, as_a_file)
