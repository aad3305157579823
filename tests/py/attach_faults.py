"""Transactions over several databases while clients and servers die and answers get lost: all or nothing.

Readers are another connection of the same process, other processes, and plain requests.

ROUNDS=N kills client and server N / 7 times each (default 100): a round is longer than one of crash.py.
"""

import contextlib
import itertools
import os
import random
import threading
import time

from harness import Client, Proxy, Server, SqlError, check, equal, main, scratch
from harness.banks import Bank, opened, raw_state, verify
from harness.kills import killed, restarted

ROUNDS = max(1, int(os.environ.get("ROUNDS") or 100) // 7)


def check_all(server, folder, acknowledged, what):
    """Everybody sees whole transfers, with all that were acknowledged; returns the newest.

    The last request of a client that was killed may arrive between two looks.
    """
    newest = acknowledged
    client, bank = opened(server, folder)
    with client:
        # What it opened may be older than what the first look shows.
        for of in bank.schemas:
            bank.sql(f"PRAGMA {of}.litevfs_cache_sync_period = '1ms'")
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
            with killed(client, rng.uniform(0, 0.3)):
                while True:
                    bank.transfer(acknowledged + 1, rng)
                    acknowledged += 1
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
            with restarted(server, rng.uniform(0, 0.2), rng.uniform(0, 0.1)) as back:
                while not back.is_set():
                    try:
                        bank.transfer(acknowledged + 1, rng)
                        acknowledged += 1
                    except SqlError:
                        bank.give_up()
                        acknowledged = after_failure(bank, acknowledged)
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


def writers_without_a_word_about_leases():
    """Two processes that know nothing of leases move money; what fails is tried again, and nothing is lost."""
    transfers = 2 * ROUNDS
    with scratch() as folder, Server(folder) as server:
        with Client(server, folder) as client:
            Bank(client).create()
        numbers, lock, problems = itertools.count(1), threading.Lock(), []

        def work(bank, seed):
            rng = random.Random(seed)
            bank.sql("PRAGMA busy_timeout = 20000")
            try:
                for _ in range(transfers):
                    with lock:
                        n = next(numbers)
                    while True:
                        try:
                            bank.transfer(n, rng, "BEGIN IMMEDIATE")
                            break
                        except SqlError as error:
                            bank.give_up()
                            check(error.primary == 5, f"{error}: {bank.client.log_tail()}")
            except Exception as problem:  # told by the main thread
                problems.append(problem)

        with contextlib.ExitStack() as clients:
            banks = []
            for i in range(2):
                client = Client(server, folder, folder / f"worker-{i}", LITEVFS_AUTO_LEASE="1")
                banks.append(Bank(clients.enter_context(client)))
            threads = [threading.Thread(target=work, args=(bank, i)) for i, bank in enumerate(banks)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            if problems:
                raise problems[0]
            for bank in banks:
                bank.sql("PRAGMA main.litevfs_cache_sync_period = '1ms'")
                equal("transfers", verify(bank.state(), "a worker"), list(range(1, 2 * transfers + 1)))
        equal("transfers", len(verify(raw_state(server.url), "plain requests")), 2 * transfers)


def patient(bank):
    """A state, after as many tries as it takes; what fails is never half."""
    for _ in range(100):
        try:
            return bank.state()
        except SqlError as error:
            check(error.primary in (5, 10), f"reading failed with {error.code}: {bank.client.log_tail()}")
    raise AssertionError(f"a hundred tries to read: {bank.client.log_tail()}")


if __name__ == "__main__":
    main(readers_see_one_state, writers_without_a_word_about_leases, lost_answers, kill_client, kill_server,
         at_a_time=3)
