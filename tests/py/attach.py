"""A transaction over several databases of one connection: what it does, and what is refused.

What becomes of it when something fails is in attach_faults.py.
"""

import contextlib
import itertools
import sqlite3

from harness import TOKEN, Client, Proxy, Server, SqlError, check, database_content, equal, main, scratch
from harness.banks import NAMES, Bank
from harness.checks import content_of

# What plain SQLite does with the same statements on local files.
SCRIPTS = {
    "commit": ["BEGIN", "INSERT INTO main.t VALUES (1, 'x')", "INSERT INTO b.t VALUES (1, 'y')", "COMMIT"],
    "three": ["BEGIN IMMEDIATE", "UPDATE main.t SET v = v || '+'", "DELETE FROM b.t",
              "INSERT INTO c.t SELECT * FROM main.t", "COMMIT"],
    "rollback": ["BEGIN", "INSERT INTO main.t VALUES (7, 'no')", "DELETE FROM b.t", "ROLLBACK"],
    "one of them": ["BEGIN IMMEDIATE", "INSERT INTO b.t VALUES (11, 'only')", "COMMIT"],
    "nothing": ["BEGIN EXCLUSIVE", "COMMIT"],
    "savepoints": ["SAVEPOINT one", "INSERT INTO main.t VALUES (21, 'in')", "SAVEPOINT two",
                   "INSERT INTO b.t VALUES (21, 'out')", "ROLLBACK TO two", "INSERT INTO c.t VALUES (21, 'in')",
                   "RELEASE one"],
    "constraint": ["BEGIN", "INSERT INTO main.t VALUES (31, 'a')", "INSERT INTO b.t VALUES (31, NULL)",
                   "INSERT INTO b.t VALUES (31, 'b')", "COMMIT"],
    "abort": ["BEGIN", "INSERT INTO main.t VALUES (41, 'a')", "INSERT INTO b.t VALUES (41, 'b')",
              "INSERT OR ROLLBACK INTO c.t VALUES (41, NULL)", "COMMIT"],
    "deferred": ["PRAGMA foreign_keys = on", "BEGIN", "INSERT INTO main.t VALUES (51, 'a')",
                 "INSERT INTO b.child VALUES (1, 99)", "COMMIT", "DELETE FROM b.child", "COMMIT",
                 "PRAGMA foreign_keys = off"],
    "one statement": ["INSERT INTO main.t SELECT id + 60, v FROM b.t",
                      "DELETE FROM c.t WHERE id IN (SELECT id FROM main.t)"],
    "large": ["PRAGMA main.cache_size = 5", "PRAGMA b.cache_size = 5", "BEGIN",
              "WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 1150)"
              " INSERT INTO main.t SELECT i, hex(zeroblob(900)) FROM n",
              "INSERT INTO b.t SELECT id, v FROM main.t WHERE id >= 1000", "COMMIT",
              "BEGIN", "DELETE FROM main.t WHERE id >= 1000", "DELETE FROM b.t WHERE id >= 1000",
              "UPDATE c.t SET v = 'small'", "ROLLBACK", "BEGIN", "DELETE FROM main.t WHERE id >= 1000",
              "DELETE FROM b.t WHERE id >= 1000", "COMMIT"],
    "schema": ["BEGIN", "CREATE TABLE main.u (x)", "CREATE TABLE b.u (x)", "INSERT INTO b.u VALUES (1)", "COMMIT",
               "BEGIN", "DROP TABLE main.u", "DROP TABLE b.u", "COMMIT"],
    "detach": ["DETACH c", "BEGIN", "INSERT INTO main.t VALUES (71, 'x')", "INSERT INTO b.t VALUES (71, 'y')", "COMMIT",
               "ATTACH '{c}' AS c", "BEGIN", "INSERT INTO c.t VALUES (72, 'z')", "DELETE FROM b.t WHERE id = 71",
               "COMMIT"],
}

TABLES = (
    "CREATE TABLE {}.t (id INTEGER PRIMARY KEY, v TEXT NOT NULL)",
    "CREATE TABLE {}.parent (id INTEGER PRIMARY KEY)",
    "CREATE TABLE {}.child (id INTEGER PRIMARY KEY, p REFERENCES parent DEFERRABLE INITIALLY DEFERRED)",
)


def outcome(run, sql):
    try:
        return run(sql)
    except sqlite3.Error as error:
        return f"error {error.sqlite_errorcode & 0xFF}"
    except SqlError as error:
        return f"error {error.primary}"


def every_mode():
    """In every journal mode, the same as plain SQLite says, for this client and for others."""
    with scratch() as folder, Server(folder) as server:
        for number, (journal, synchronous, locking) in enumerate(itertools.product(
                ("delete", "truncate", "persist", "memory", "off"), ("full", "off"), ("normal", "exclusive"))):
            memory = number % 3 == 2
            what = f"{journal}, synchronous={synchronous}, {locking}, main is {'memory' if memory else 'ours'}"
            one_mode(server, folder, f"m{number}", what, journal, synchronous, locking, memory)


def one_mode(server, folder, prefix, what, journal, synchronous, locking, memory):
    names = [f"{prefix}-{name}" for name in NAMES]
    plain = sqlite3.connect(f"file:{folder}/{names[0]}.db", uri=True, isolation_level=None)
    with Client(server, folder, folder / prefix) as client:
        client.open_uri("file::memory:" if memory else f"file:{names[0]}?vfs=litevfs")
        ours = client.sql
        schemas = {"main": "a" if memory else "main", "b": "b", "c": "c"}
        for i, name in enumerate(names):
            if i or memory:
                ours(f"ATTACH 'file:{name}?vfs=litevfs' AS {NAMES[i]}")
            if i:
                plain.execute(f"ATTACH 'file:{folder}/{name}.db' AS {NAMES[i]}")
        for of in schemas:
            # Without a rollback journal plain SQLite can't undo; ours drops what was not committed.
            reference = "delete" if journal == "off" else journal
            plain.execute(f"PRAGMA {of}.journal_mode = {reference}")
            ours(f"PRAGMA {schemas[of]}.litevfs_acquire_lease")
            ours(f"PRAGMA {schemas[of]}.journal_mode = {journal}")
            ours(f"PRAGMA {schemas[of]}.synchronous = {synchronous}")
            ours(f"PRAGMA {schemas[of]}.locking_mode = {locking}")
            for table in TABLES:
                plain.execute(table.format(of))
                ours(table.format(schemas[of]))
        for title, script in SCRIPTS.items():
            if journal == "off" and title in ("rollback", "savepoints", "constraint", "abort", "deferred", "large"):
                continue  # "the application must not ROLLBACK": the manual
            for statement in script:
                mine = statement.replace("{c}", f"file:{names[2]}?vfs=litevfs")
                for of, other in schemas.items():
                    mine = mine.replace(f" {of}.", f" {other}.")
                theirs = statement.replace("{c}", f"file:{folder}/{names[2]}.db")
                got = outcome(ours, mine)
                if mine.startswith("ATTACH"):
                    ours("PRAGMA c.litevfs_acquire_lease")
                expected = outcome(lambda sql: plain.execute(sql).fetchall(), theirs)
                equal(f"{what}: {title}: {statement}: {client.last_error()}", got, expected)
            for of in schemas:
                query = "SELECT id, v FROM {}.t ORDER BY id"
                equal(f"{what}: {title}: {of}", ours(query.format(schemas[of])),
                      plain.execute(query.format(of)).fetchall())
        for name in names:
            image = content_of(server.get("/db/snapshot", db=name, format="sqlite"))
            equal(f"{what}: {name} for others", image["tables"], database_content(f"{folder}/{name}.db")["tables"])
            equal(f"{what}: integrity", image["integrity"], [(b"ok",)])
    plain.close()


def different_servers():
    """A transaction over databases of two servers is refused, and neither has it; each alone works."""
    with scratch() as folder, Server(folder, "one") as one, Server(folder, "two") as two:
        for memory in (False, True):
            name = f"db{memory:d}"
            with Client(one, folder, folder / name) as client:
                ours = "here" if memory else "main"
                client.open_uri("file::memory:" if memory else f"file:{name}?vfs=litevfs")
                if memory:
                    client.sql(f"ATTACH 'file:{name}?vfs=litevfs' AS here")
                client.sql(f"ATTACH 'file:{name}?vfs=litevfs&host={two.url}&token={TOKEN}' AS there")
                for of in (ours, "there"):
                    client.sql(f"PRAGMA {of}.litevfs_acquire_lease")
                    client.sql(f"CREATE TABLE {of}.t (x)")
                before = one.position(name), two.position(name)
                client.sql("BEGIN")
                client.sql(f"INSERT INTO {ours}.t VALUES (1)")
                client.sql("INSERT INTO there.t VALUES (1)")
                client.error("COMMIT")
                with contextlib.suppress(SqlError):
                    client.sql("ROLLBACK")
                text = client.sql("PRAGMA there.litevfs_last_error")[0][0]
                check(name in text and "different servers" in text, f"the error says: {text}")
                equal("positions", (one.position(name), two.position(name)), before)
                for of in (ours, "there"):
                    equal("rows", client.sql(f"SELECT * FROM {of}.t"), [])
                    client.sql(f"INSERT INTO {of}.t VALUES (2)")
                # Locked both, changed one.
                client.sql("BEGIN IMMEDIATE")
                client.sql("INSERT INTO there.t VALUES (3)")
                client.sql("COMMIT")
                equal("rows", client.sql(f"SELECT x FROM {ours}.t UNION ALL SELECT x FROM there.t"), [(2,), (2,), (3,)])


def with_local_files():
    """A local file in the same transaction: refused where it can't be atomic, and then nothing is there."""
    with scratch() as folder, Server(folder) as server:
        with Client(server, folder) as client:
            Bank(client).create()
        # The databases in SQLite's order, what begins, which of them change, and whether that works.
        cases = [
            (("a", "local", "b"), "BEGIN", ("a", "local", "b"), False),
            (("a", "local", "b"), "BEGIN IMMEDIATE", ("local", "b"), False),
            (("a", "local"), "BEGIN IMMEDIATE", ("local",), True),
            (("a", "local"), "BEGIN", ("a", "local"), False),
            (("a", "b", "local"), "BEGIN", ("a", "b"), True),
            (("local", "a", "b"), "BEGIN", ("a", "b"), False),
            (("local", "a", "b"), "BEGIN", ("local", "a", "b"), False),
            (("local", "a", "b"), "BEGIN", ("b",), True),
            (("local", "a", "b"), "BEGIN", ("local",), True),
        ]
        for number, (order, begin, changed, works) in enumerate(cases):
            what = f"{', '.join(order)}; {begin}, {', '.join(changed)} change"
            path = folder / f"local-{number}.db"
            local = sqlite3.connect(path, isolation_level=None)
            local.execute("CREATE TABLE log (n INTEGER PRIMARY KEY, other TEXT, amount INTEGER, filler BLOB)")
            with Client(server, folder, folder / f"local-{number}") as client:
                uris = {name: f"file:{name}?vfs=litevfs" for name in NAMES} | {"local": f"file:{path}?vfs=unix"}
                schemas = {name: name if i else "main" for i, name in enumerate(order)}
                client.open_uri(uris[order[0]])
                for name in order[1:]:
                    client.sql(f"ATTACH '{uris[name]}' AS {name}")
                for name in order:
                    if name != "local":
                        client.sql(f"PRAGMA {schemas[name]}.litevfs_acquire_lease")
                for n in (2 * number + 1, 2 * number + 2):  # SQLite goes on where the first left it
                    before = {name: counts(server, local, name) for name in order}
                    client.sql(begin)
                    for name in changed:
                        client.sql(f"INSERT INTO {schemas[name]}.log VALUES (?, 'x', 0, zeroblob(5000))", (n,))
                    if works:
                        client.sql("COMMIT")
                    else:
                        client.error("COMMIT")
                    with contextlib.suppress(SqlError):
                        client.sql("ROLLBACK")
                    after = {name: count + (works and name in changed) for name, count in before.items()}
                    equal(what, {name: counts(server, local, name) for name in order}, after)
                    equal(f"{what}, for itself", {name: client.one(f"SELECT count(*) FROM {schemas[name]}.log")
                                                  for name in order}, after)
            local.close()


def counts(server, local, name):
    """How many log rows others see."""
    if name == "local":
        return local.execute("SELECT count(*) FROM log").fetchone()[0]
    return len(content_of(server.get("/db/snapshot", db=name, format="sqlite"))["tables"][b"log"])


def attached_twice():
    """One database under two names: as with a local file, one of them writes at a time."""
    with scratch() as folder, Server(folder) as server:
        with Client(server, folder, db="a") as client:
            client.acquire()
            client.sql("CREATE TABLE t (x)")
            client.sql("ATTACH 'file:a?vfs=litevfs' AS again")
            client.sql("ATTACH 'file:b?vfs=litevfs' AS b")
            client.sql("PRAGMA b.litevfs_acquire_lease")
            client.sql("CREATE TABLE b.t (x)")
            for n in range(3):
                client.sql("BEGIN")
                client.sql("INSERT INTO main.t VALUES (?)", (n,))
                equal("the other name sees what is committed", client.one("SELECT count(*) FROM again.t"), n)
                client.error("INSERT INTO again.t VALUES ('no')")
                client.sql("INSERT INTO b.t VALUES (?)", (n,))
                client.sql("COMMIT")
                equal("rows", client.sql("SELECT count(*) FROM main.t UNION ALL SELECT count(*) FROM again.t"
                                         " UNION ALL SELECT count(*) FROM b.t"), [(n + 1,)] * 3)


def one_request():
    """A transaction over databases is one request, one over a single one of them a plain commit."""
    with scratch() as folder, Server(folder) as server, Proxy(server) as proxy:
        for memory in (False, True):
            with Client(proxy, folder) as client:
                bank = Bank(client, [f"{name}{memory:d}" for name in NAMES], memory=memory)
                bank.create()
                first = bank.schemas[0]
                for begin, changed, path in (("BEGIN", [first], "/db/tx"),
                                             ("BEGIN IMMEDIATE", [bank.schemas[1]], "/db/tx"),
                                             ("BEGIN", bank.schemas, "/db/group")):
                    proxy.requests.clear()
                    bank.sql(begin)
                    for of in changed:
                        bank.sql(f"UPDATE {of}.account SET balance = balance + 0, id = id")
                    bank.sql(f"INSERT INTO {changed[0]}.account VALUES (?, 0)", (len(changed) + 10,))
                    bank.sql("COMMIT")
                    pushes = [path for method, path in proxy.requests if method == "POST" and path.startswith("/db")]
                    equal(f"{begin}, {changed}", pushes, [path])


if __name__ == "__main__":
    main(every_mode, one_request, attached_twice, different_servers, with_local_files)
