"""A transaction over several databases of one connection: all of it for everyone, or nothing for anyone.

Money moves between databases, each transfer logged in both that take part, so every state that anybody
reads shows whether it is the sum of whole transfers: the total never changes, and each log row has its
other half. Readers are another connection of the same process, other processes, and plain requests.

ROUNDS=N kills client and server N times each (default 15).
"""

import contextlib
import itertools
import json
import os
import random
import sqlite3
import threading
import time

from harness import (
    TOKEN, Client, Disconnected, Proxy, Server, SqlError, check, database_content, equal, main, raw, scratch)
from harness.checks import content_of

ROUNDS = int(os.environ.get("ROUNDS") or 15)
NAMES = ("a", "b", "c")
START = 1000

SCHEMA = (
    "CREATE TABLE account (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL)",
    "CREATE TABLE log (n INTEGER PRIMARY KEY, other TEXT, amount INTEGER, filler BLOB)",
    f"INSERT INTO account VALUES (1, {START}), (2, {START})",
)


def schema(i):
    """SQLite's name for the i-th database of a bank."""
    return NAMES[i] if i else "main"


class Bank:
    """A client's connection to the databases of a bank, the first as the main one."""

    def __init__(self, client, names=NAMES, connection="main", memory=False):
        self.client, self.names, self.connection = client, names, connection
        self.schemas = list(names) if memory else ["main", *names[1:]]
        client.open_uri("file::memory:" if memory else f"file:{names[0]}?vfs=litevfs", connection)
        for name in names[0 if memory else 1:]:
            self.sql(f"ATTACH 'file:{name}?vfs=litevfs' AS {name}")
        for of in self.schemas:
            self.sql(f"PRAGMA {of}.litevfs_max_reqs_per_query = 0")

    def sql(self, sql, parameters=()):
        return self.client.sql(sql, parameters, self.connection)

    def acquire(self):
        for of in self.schemas:
            self.sql(f"PRAGMA {of}.litevfs_acquire_lease")

    def acquire_when_free(self):
        """The lease of a client that was killed runs out by itself."""
        for _ in range(300):
            try:
                return self.acquire()
            except SqlError:
                time.sleep(0.05)
        raise AssertionError(f"the lease never ran out: {self.client.log_tail()}")

    def create(self):
        self.acquire()
        for of in self.schemas:
            for statement in SCHEMA:
                self.sql(statement.replace(" account", f" {of}.account").replace(" log", f" {of}.log"))

    def transfer(self, n, rng, begin="BEGIN"):
        source, target = rng.sample(range(len(self.names)), 2)
        amount = rng.randint(1, 50)
        self.sql(begin)
        for one, other, delta in ((source, target, -amount), (target, source, amount)):
            of = self.schemas[one]
            self.sql(f"UPDATE {of}.account SET balance = balance + ? WHERE id = ?", (delta, rng.randint(1, 2)))
            filler = rng.randbytes(rng.choice((5, 200, 6000)))
            self.sql(f"INSERT INTO {of}.log VALUES (?, ?, ?, ?)", (n, self.names[other], delta, filler))
        self.sql("COMMIT")

    def give_up(self):
        with contextlib.suppress(SqlError):  # SQLite has rolled back by itself
            self.sql("ROLLBACK")

    def state(self):
        """Balances and logs as one read transaction sees them."""
        self.sql("BEGIN")
        try:
            return {
                name: (self.sql(f"SELECT sum(balance) FROM {of}.account")[0][0],
                       self.sql(f"SELECT n, other, amount FROM {of}.log ORDER BY n"))
                for name, of in zip(self.names, self.schemas)
            }
        finally:
            self.give_up()


def verify(state, what):
    """Whole transfers only; returns their numbers."""
    total = sum(balance for balance, _ in state.values())
    halves = {(n, name, other): amount for name, (_, log) in state.items() for n, other, amount in log}
    for (n, name, other), amount in halves.items():
        equal(f"{what}: the other half of transfer {n}, {name} to {other}", halves.get((n, other, name)), -amount)
    for name, (balance, log) in state.items():
        equal(f"{what}: the balance of {name}", balance, 2 * START + sum(amount for _, _, amount in log))
    equal(f"{what}: the total", total, 2 * START * len(state))
    return sorted({n for n, _, _ in halves})


def raw_state(url, names=NAMES):
    """What plain requests say: positions that were answered together, and the databases there."""
    zero = {"txid": "0" * 16, "postApplyChecksum": "0" * 16}
    question = json.dumps({"positions": {name: zero for name in names}}).encode()
    changes = json.loads(raw.ask(url, "POST", "/sync", question))["changes"]
    state = {}
    for name in names:
        txid = changes[name]["pos"]["txid"]
        image = raw.ask(url, "GET", "/db/snapshot", db=name, format="sqlite", txid=txid)
        db = sqlite3.connect(":memory:")
        db.deserialize(image)
        equal(f"{name} at {txid}", db.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
        state[name] = (db.execute("SELECT sum(balance) FROM account").fetchone()[0],
                       db.execute("SELECT n, other, amount FROM log ORDER BY n").fetchall())
        db.close()
    return state


def opened(server, folder, names=NAMES, **environment):
    """A client with a cache of its own, and the bank in it."""
    client = Client(server, folder, folder / f"cache-{time.monotonic_ns()}", **environment)
    return client, Bank(client, names)


# What plain SQLite does with the same statements on local files.

SCRIPTS = {
    "commit": ["BEGIN", "INSERT INTO main.t VALUES (1, 'x')", "INSERT INTO b.t VALUES (1, 'y')", "COMMIT"],
    "three": ["BEGIN IMMEDIATE", "UPDATE main.t SET v = v || '+'", "DELETE FROM b.t", "INSERT INTO c.t SELECT * FROM main.t",
              "COMMIT"],
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
    "one statement": ["INSERT INTO main.t SELECT id + 60, v FROM b.t", "DELETE FROM c.t WHERE id IN (SELECT id FROM main.t)"],
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


def check_all(server, folder, acknowledged, what):
    """Everybody sees whole transfers, with all that were acknowledged; returns the newest.

    The last request of a client that was killed may arrive between two looks.
    """
    newest = acknowledged
    client, bank = opened(server, folder)
    with client:
        for look in (lambda: raw_state(server.url), bank.state, lambda: raw_state(server.url)):
            numbers = verify(look(), what)
            equal(f"{what}: transfers", numbers, list(range(1, len(numbers) + 1)))
            check(newest <= len(numbers) <= acknowledged + 1,
                  f"{what}: {acknowledged} were acknowledged, {newest} were seen, the newest is {len(numbers)}")
            newest = len(numbers)
    return newest


def kill_client():
    """kill -9 of the client at a random moment, with and without a super-journal."""
    rng = random.Random(1)
    with scratch() as folder, Server(folder) as server:
        with Client(server, folder) as client:
            Bank(client).create()
        acknowledged = 0
        for i in range(ROUNDS):
            client = Client(server, folder, folder / "cache")
            bank = Bank(client, memory=i % 3 == 2)
            bank.acquire_when_free()
            equal(f"round {i}: the cache that was left", len(verify(bank.state(), f"round {i}")), acknowledged)
            timer = threading.Timer(rng.uniform(0, 0.3), client.process.kill)
            timer.start()
            try:
                while True:
                    bank.transfer(acknowledged + 1, rng)
                    acknowledged += 1
            except Disconnected:
                pass
            finally:
                timer.join()
                client.kill()
            acknowledged = check_all(server, folder, acknowledged, f"round {i}")
        print(f"{ROUNDS} kills of the client, {acknowledged} transfers", flush=True)
        check(acknowledged >= ROUNDS // 2, "too few transfers for a meaningful test")


def kill_server():
    """kill -9 of the server, which comes back; the client goes on. A refused transfer is in no database."""
    rng = random.Random(2)
    with scratch() as folder, Server(folder) as server:
        client, bank = opened(server, folder)
        bank.create()
        acknowledged = 0
        for i in range(ROUNDS):
            back = threading.Event()

            def crash():
                time.sleep(rng.uniform(0, 0.2))
                server.kill()
                time.sleep(rng.uniform(0, 0.1))
                server.start()
                back.set()

            crasher = threading.Thread(target=crash)
            crasher.start()
            while not back.is_set():
                try:
                    bank.transfer(acknowledged + 1, rng)
                    acknowledged += 1
                except SqlError:
                    bank.give_up()
                    acknowledged = after_failure(bank, acknowledged)
            crasher.join()
            bank.acquire_when_free()
            acknowledged = check_all(server, folder, after_failure(bank, acknowledged), f"round {i}")
        client.close()
        print(f"{ROUNDS} kills of the server, {acknowledged} transfers", flush=True)
        check(acknowledged >= ROUNDS // 2, "too few transfers for a meaningful test")


def after_failure(bank, acknowledged):
    """How many transfers there are after one that failed, once the server can be asked."""
    texts = " ".join(bank.sql(f"PRAGMA {of}.litevfs_last_error")[0][0] or "" for of in bank.schemas)
    for _ in range(600):
        try:
            bank.acquire()
            newest = len(verify(bank.state(), "after a failure"))
        except SqlError:
            bank.give_up()
            time.sleep(0.05)
            continue
        most = acknowledged + ("not known" in texts)
        check(acknowledged <= newest <= most,
              f"{acknowledged} were acknowledged, {newest} are there; {texts}")
        return newest
    raise AssertionError(f"the server is back, but: {bank.client.log_tail()}")


def lost_answers():
    """Requests and answers of every kind get lost; COMMIT tells the truth."""
    def cut_before(exchange):
        exchange.cut()

    def cut_after(exchange):
        exchange.forward()
        exchange.cut()

    def unavailable(exchange):
        exchange.answer(503, b'{"code":"EINTERNAL","error":"try again"}')

    def unavailable_after(exchange):
        exchange.forward()
        exchange.answer(502, b"<html>bad gateway</html>")

    rng = random.Random(3)
    with scratch() as folder, Server(folder) as server, Proxy(server) as proxy:
        client, bank = opened(proxy, folder)
        bank.create()
        done = failed = 0
        for i in range(4 * ROUNDS):
            bank.acquire_when_free()
            fault = rng.choice((cut_before, cut_after, unavailable, unavailable_after))
            times = rng.randint(1, 4)
            what = f"step {i}, {fault.__name__} {times} times"
            proxy.break_with(fault, rng.choice(("/db/group", "/db/group", None)), times)
            before = len(proxy.requests)
            try:
                bank.transfer(done + 1, rng, rng.choice(("BEGIN", "BEGIN IMMEDIATE")))
                proxy.heal()
                done += 1
            except SqlError:
                proxy.heal()
                bank.give_up()
                failed += 1
                done = after_failure(bank, done)
            check(len(proxy.requests) - before < 60, f"{what}: it spins")
            equal(f"{what}: for others", len(verify(raw_state(server.url), what)), done)
        client.close()
        check_all(server, folder, done, "at the end")
        print(f"{done} transfers, {failed} failed COMMITs", flush=True)
        check(done >= 2 * ROUNDS, "too few transfers for a meaningful test")


def readers_see_one_state():
    """While a client moves money, nobody ever sees half a transfer: not in its process, not in others."""
    with scratch() as folder, Server(folder) as server:
        with Client(server, folder) as client:
            Bank(client).create()
        stop = threading.Event()
        problems, seen = [], {}

        def guarded(name, body):
            try:
                while not stop.is_set():
                    seen.setdefault(name, set()).add(len(verify(body(), name)))
            except Exception as problem:  # told by the main thread
                problems.append(problem)
                stop.set()

        with contextlib.ExitStack() as clients:
            threads = [threading.Thread(target=guarded, args=("plain requests", lambda: raw_state(server.url)))]
            for name, memory in (("another process", False), ("another process with :memory:", True)):
                client = clients.enter_context(Client(server, folder, folder / name.replace(":", "")))
                bank = Bank(client, memory=memory)
                bank.sql(f"PRAGMA {bank.schemas[0]}.litevfs_cache_sync_period = '1ms'")
                bank.sql(f"PRAGMA {bank.schemas[1]}.litevfs_cache_sync_period = '1ms'")
                bank.sql(f"PRAGMA {bank.schemas[2]}.litevfs_cache_sync_period = '1ms'")
                threads.append(threading.Thread(target=guarded, args=(name, lambda bank=bank: patient(bank))))
            writer = clients.enter_context(Client(server, folder, folder / "writer"))
            bank, beside = Bank(writer), Bank(writer, connection="beside")
            bank.acquire()
            for thread in threads:
                thread.start()
            rng = random.Random(4)
            for n in range(1, 8 * ROUNDS + 1):
                # A reader of the same process that begins in one database before, in the others after.
                beside.sql("BEGIN")
                beside.sql("SELECT sum(balance) FROM main.account")
                bank.transfer(n, rng)
                state = {name: (beside.sql(f"SELECT sum(balance) FROM {of}.account")[0][0],
                                beside.sql(f"SELECT n, other, amount FROM {of}.log"))
                         for name, of in zip(beside.names, beside.schemas)}
                count = len(verify(state, "the same process, begun before"))
                check(count in (n - 1, n), f"it sees {count} of {n} transfers")
                beside.give_up()
                equal("the same process", len(verify(beside.state(), "the same process")), n)
                if stop.is_set():
                    break
            stop.set()
            for thread in threads:
                thread.join()
        if problems:
            raise problems[0]
        print({name: len(states) for name, states in seen.items()}, flush=True)
        check(min(len(states) for states in seen.values()) >= 3, f"too few states were seen: {seen}")


def patient(bank):
    """A state, after as many tries as it takes; what fails is never half."""
    for _ in range(100):
        try:
            return bank.state()
        except SqlError as error:
            check(error.primary in (5, 10), f"reading failed with {error.code}: {bank.client.log_tail()}")
    raise AssertionError(f"a hundred tries to read: {bank.client.log_tail()}")


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
                for begin, changed, path in (("BEGIN", [first], "/db/tx"), ("BEGIN IMMEDIATE", ["b1" if memory else "b0"], "/db/tx"),
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
    main(every_mode, one_request, attached_twice, different_servers, with_local_files, readers_see_one_state, lost_answers, kill_client, kill_server)
