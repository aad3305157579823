"""Eight writers, three servers, one bucket: every acknowledged commit is there once and in order.

The writers transfer money in three databases that they share, half of them through the extension,
half with raw LTX files, all through a load balancer. Meanwhile servers die at random, in the middle
of commits and of compactions, and come back, and readers look at snapshots, in which the money must
add up. The same with a MinIO of four nodes and drives, of which a drive, or a node, is taken away in
the middle.

COMMITS=N acknowledged commits end a run (by default some hundred; 10,000 is the full size).
"""

import contextlib
import itertools
import os
import random
import threading
import time

from harness import COMPACT, Client, Failed, Server, SqlError, bank, check, equal, main, raw, scratch
from harness.balancer import Balancer
from harness.minio import BUCKET, Minio

COMMITS = int(os.environ.get("COMMITS") or 0)
DATABASES = ("shared", "odd", "even")
WRITERS = 8
BURST = 6  # commits under one lease
LEASE_MS = 2000


class Run:
    """What all threads of a run share: the ledgers, when to stop, the first failure."""

    def __init__(self, folder, url, commits):
        self.folder, self.url, self.commits = folder, url, commits
        self.ledgers = {name: bank.Ledger(name) for name in DATABASES}
        self.failure = None
        self.over = threading.Event()
        self._done = itertools.count(1)
        self.done = 0

    def acknowledge(self, name, writer, seq):
        self.ledgers[name].acknowledge(writer, seq)
        self.done = next(self._done)
        if self.done >= self.commits:
            self.over.set()

    def guard(self, work, *arguments):
        """A thread's whole life: the first failure ends the run."""
        try:
            work(*arguments)
        except BaseException as failure:
            self.failure = self.failure or failure
            self.over.set()


def pick(rng, writer):
    """Mostly the database that all write to."""
    return "shared" if rng.random() < 0.6 else DATABASES[1 + writer % 2]


def write_through_extension(run, writer):
    """A client process of its own; leases through PRAGMAs, waiting while another has it."""
    rng = random.Random(writer)
    client = None
    try:
        while not run.over.is_set():
            if client is None:
                client = Client(run.url, run.folder, run.folder / f"cache{writer}")
                for name in DATABASES:
                    client.open(name, name)
            try:
                burst(run, rng, client, writer, pick(rng, writer))
            except SqlError:
                time.sleep(rng.uniform(0.01, 0.1))
            if rng.random() < 0.01:
                client.kill()  # its leases run out by themselves
                client = None
    finally:
        if client is not None:
            client.kill()


def burst(run, rng, client, writer, name):
    """Some transfers under one lease."""
    client.acquire(name)
    try:
        for _ in range(rng.randint(1, BURST)):
            seq = run.ledgers[name].start(writer)
            try:
                commit_transfer(client, name, bank.transfer(rng, writer, seq))
            except SqlError as failure:
                # Only a COMMIT whose push was never answered may be there all the same.
                if "not known" not in f"{failure} {client.last_error(name)}":
                    run.ledgers[name].refuse(writer, seq)
                raise
            run.acknowledge(name, writer, seq)
    finally:
        with contextlib.suppress(SqlError):
            client.sql("PRAGMA litevfs_release_lease", name=name)


def commit_transfer(client, name, statements):
    try:
        client.sql("BEGIN IMMEDIATE", name=name)
        for statement in statements:
            client.sql(*statement, name=name)
        client.sql("COMMIT", name=name)
    except SqlError:
        with contextlib.suppress(SqlError):
            client.sql("ROLLBACK", name=name)  # SQLite may have done so by itself
        raise


def write_raw(run, writer):
    """LTX files made by hand: half of them under a lease, half as LiteFS does, without."""
    rng = random.Random(writer)
    copies = {name: raw.Copy(name) for name in DATABASES}
    while not run.over.is_set():
        copy = copies[pick(rng, writer)]
        lease = None
        try:
            if rng.random() < 0.7:
                lease = raw.acquire(run.url, copy.name, LEASE_MS)
            for _ in range(rng.randint(1, BURST)):
                copies[copy.name] = copy = push_transfer(run, rng, writer, copy, lease)
        except (raw.Refused, raw.Unanswered):
            time.sleep(rng.uniform(0.01, 0.1))
        if lease is not None:
            with contextlib.suppress(raw.Refused, raw.Unanswered):
                raw.release(run.url, copy.name, lease)


def push_transfer(run, rng, writer, copy, lease):
    """One transfer on top of the newest position. Without an answer the same file goes again."""
    ledger = run.ledgers[copy.name]
    copy.pull(run.url)
    seq = ledger.start(writer)
    file, after = copy.changed_by(bank.transfer(rng, writer, seq))
    asked = False  # whether an earlier try may have done it
    for _ in range(30):
        try:
            raw.push(run.url, copy.name, file, lease)
        except raw.Unanswered:
            asked = True
        except raw.Refused as refusal:
            if refusal.status // 100 == 5:
                asked = True
            else:
                if not asked:
                    ledger.refuse(writer, seq)
                raise
        else:
            run.acknowledge(copy.name, writer, seq)
            return after
        time.sleep(0.1)
    raise raw.Unanswered("thirty tries")


def read_snapshots(run, servers, seed):
    """Whole databases from a server of its choice."""
    rng = random.Random(seed)
    while not run.over.is_set():
        ledger = run.ledgers[rng.choice(DATABASES)]
        try:
            image = raw.ask(rng.choice(servers).url, "GET", "/db/snapshot", db=ledger.name, format="sqlite")
        except (raw.Refused, raw.Unanswered):
            time.sleep(0.05)
            continue
        bank.verify_image(image, ledger, set(), f"a snapshot of {ledger.name}")
        time.sleep(rng.uniform(0, 0.2))


def read_through_extension(run):
    """One transaction sees one state, whatever is written meanwhile."""
    with Client(run.url, run.folder, run.folder / "cache-reader", "shared") as client:
        client.sql("PRAGMA litevfs_cache_sync_period = '1ms'")
        while not run.over.is_set():
            try:
                client.sql("BEGIN")
                first = client.sql("SELECT sum(balance) FROM account")
                rows = client.sql("SELECT id, writer, seq, source, target, amount FROM log ORDER BY id")
                balances = dict(client.sql("SELECT id, balance FROM account"))
                client.sql("COMMIT")
            except SqlError:
                with contextlib.suppress(SqlError):
                    client.sql("ROLLBACK")
                time.sleep(0.05)
                continue
            equal("the sum in a read transaction", first, [(bank.TOTAL,)])
            bank.verify_balances(balances, rows, "a read transaction")
            time.sleep(0.05)


def kill_servers(run, servers):
    """Now and then one of them dies and comes back on its port."""
    rng = random.Random(99)
    while not run.over.wait(rng.uniform(0.5, 3)):
        server = rng.choice(servers)
        server.kill()
        run.over.wait(rng.uniform(0, 1))
        server.start()


def create(servers):
    for number, name in enumerate(DATABASES):
        file, _ = raw.Copy(name).changed_by(bank.SCHEMA)
        raw.push(servers[number % len(servers)].url, name, file)


def work(folder, servers, commits, halfway=None):
    """The whole run; `halfway` is called once half of the commits are done."""
    create(servers)
    with Balancer(servers) as balancer:
        run = Run(folder, balancer.url, COMMITS or commits)
        jobs = [(write_through_extension if writer < WRITERS // 2 else write_raw, run, writer)
                for writer in range(WRITERS)]
        jobs += [(read_snapshots, run, servers, 1), (read_through_extension, run), (kill_servers, run, servers)]
        threads = [threading.Thread(target=run.guard, args=job) for job in jobs]
        start = time.monotonic()
        for thread in threads:
            thread.start()
        while not run.over.wait(0.2):
            if halfway is not None and run.done >= run.commits // 2:
                halfway()
                halfway = None
        for thread in threads:
            thread.join()
        if run.failure is not None:
            raise run.failure
        seconds = time.monotonic() - start
    verify(run, servers)
    unknown = sum(ledger.unknown for ledger in run.ledgers.values())
    print(f"{run.done} commits in {seconds:.0f} s, {unknown} without an answer", flush=True)


def verify(run, servers):
    """Every server shows the same, and that is what was acknowledged."""
    for name, ledger in run.ledgers.items():
        wanted = ledger.acknowledged()
        position = agreed_position(servers, name)
        images = [raw.ask(s.url, "GET", "/db/snapshot", db=name, format="sqlite") for s in servers]
        for image in images:
            rows = bank.verify_image(image, ledger, wanted, f"{name} at the end")
            # More is fine: a server may take a transaction for nothing, to shut out what is under way.
            check(int(position["txid"], 16) >= rows + 1, f"{name}: {rows} transfers at {position}")
        check(all(image == images[0] for image in images), f"{name}: the servers' snapshots differ")
        with Client(servers[0], run.folder, run.folder / f"end-{name}", name) as client:
            equal(f"{name} through the extension", client.sql("SELECT count(*) FROM log"), [(rows,)])
            equal(f"{name}: integrity_check", client.one("PRAGMA integrity_check"), "ok")


def agreed_position(servers, name):
    """What one server commits the others see about a second later."""
    for _ in range(300):
        positions = [server.position(name) for server in servers]
        if all(position == positions[0] for position in positions):
            return positions[0]
        time.sleep(0.1)
    raise Failed(f"{name}: the servers' positions stay apart: {positions}")


@contextlib.contextmanager
def three_servers(folder, minio):
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Server(folder, f"server{i}", store=f"s3://{BUCKET}/all/of/it", options=COMPACT,
                                          environment=minio.environment())) for i in range(3)]


def one_server_and_a_folder():
    """Without a bucket: the same work on a data folder."""
    with scratch() as folder, Server(folder, options=COMPACT) as server:
        work(folder, [server], commits=300)


def three_servers_and_a_bucket():
    with scratch() as folder, Minio(folder) as minio, three_servers(folder, minio) as servers:
        work(folder, servers, commits=600)


def a_drive_stops():
    """One of the four drives goes away in the middle; its node stays."""
    with scratch() as folder, Minio(folder, nodes=4) as minio, three_servers(folder, minio) as servers:
        work(folder, servers, commits=200, halfway=lambda: minio.take_drive(3))


def a_node_dies():
    """One of the four nodes is killed, with its drive. Each write takes MinIO much longer then."""
    with scratch() as folder, Minio(folder, nodes=4) as minio, three_servers(folder, minio) as servers:
        work(folder, servers, commits=100, halfway=lambda: minio.kill(3))


if __name__ == "__main__":
    main(one_server_and_a_folder, three_servers_and_a_bucket, a_drive_stops, a_node_dies)
