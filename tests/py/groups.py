"""Money moves between two databases by groups, while servers die: no reader ever sees it in half.

The writers make raw LTX files and send them by POST /db/group; without an answer they send the same
again through any server, or fence the group and go by what holds then. Others write to one of the
databases only. The readers ask for both positions at once and look at both databases there. In the end
every transfer that was acknowledged is in both, and each that was refused in neither.

TRANSFERS=N acknowledged groups end a run.
"""

import contextlib
import json
import os
import random
import secrets
import sqlite3
import threading
import time

from harness import COMPACT, Server, check, equal, main, raw, scratch
from harness.minio import BUCKET, Minio

TRANSFERS = int(os.environ.get("TRANSFERS") or 60)
DATABASES = ("left", "right")
TOTAL = 1000
SCHEMA = [("CREATE TABLE account (balance)",), ("INSERT INTO account VALUES (?)", (TOTAL // 2,)),
          ("CREATE TABLE log (id TEXT PRIMARY KEY)",)]


def push_group(url, group, files):
    """POST /db/group: the positions. Refused, Unanswered."""
    listed = [{"db": db, "size": len(file)} for db, file in files.items()]
    head = json.dumps({"id": group, "txs": listed}).encode() + b"\n"
    body = head + b"".join(files.values())
    return json.loads(raw.ask(url, "POST", "/db/group", body=body))["positions"]


def fence(url, group):
    """DELETE /db/group: how the group is decided. Refused, Unanswered."""
    return json.loads(raw.ask(url, "DELETE", "/db/group", id=group))["outcome"]


class Run:
    """What the threads share."""

    def __init__(self, servers):
        self.servers = servers
        self.over = threading.Event()
        self.failure = None
        self.acknowledged, self.refused, self.plain = set(), set(), set()
        self.unanswered = self.reads = 0

    def any(self, rng):
        return rng.choice(self.servers).url

    def guard(self, work, *arguments):
        """A thread's whole life: the first failure ends the run."""
        try:
            work(self, *arguments)
        except BaseException as failure:
            self.failure = self.failure or failure
            self.over.set()

    def decided(self, rng, group, files):
        """Whether a group was committed; stubborn until that is known."""
        while True:
            try:
                push_group(self.any(rng), group, files)
                return True
            except raw.Unanswered:
                self.unanswered += 1
            except raw.Refused as refusal:
                if refusal.status // 100 != 5:
                    return False
            time.sleep(rng.uniform(0, 0.2))
            if rng.random() < 0.3:
                with contextlib.suppress(raw.Refused, raw.Unanswered):
                    return fence(self.any(rng), group) == "committed"


def move(run, number):
    """Transfers."""
    rng = random.Random(number)
    copies = {db: raw.Copy(db) for db in DATABASES}
    while not run.over.is_set():
        group, amount = secrets.token_hex(16), rng.randint(1, 9)
        try:
            for copy in copies.values():
                copy.pull(run.any(rng))
        except (raw.Refused, raw.Unanswered):
            time.sleep(0.05)
            continue
        files = {}
        for db, change in zip(DATABASES, (-amount, amount)):
            files[db], _ = copies[db].changed_by([("UPDATE account SET balance = balance + ?", (change,)),
                                                  ("INSERT INTO log VALUES (?)", (group,))])
        if run.decided(rng, group, files):
            run.acknowledged.add(group)
            if len(run.acknowledged) >= TRANSFERS:
                run.over.set()
        else:
            run.refused.add(group)


def write_one(run, number):
    """Transactions of one database, by a client that knows nothing of groups."""
    rng = random.Random(number)
    while not run.over.is_set():
        copy, row = raw.Copy(rng.choice(DATABASES)), secrets.token_hex(4)
        with contextlib.suppress(raw.Refused, raw.Unanswered):
            copy.pull(run.any(rng))
            file, _ = copy.changed_by([("INSERT INTO log VALUES (?)", (row,))])
            raw.push(run.any(rng), copy.name, file)
            run.plain.add((copy.name, row))
        time.sleep(rng.uniform(0, 0.3))


def look(url):
    """{db: (balance, rows of the log)} of both databases, at positions from one answer."""
    asked = json.dumps({"positions": dict.fromkeys(DATABASES)}).encode()
    changes = json.loads(raw.ask(url, "POST", "/sync", body=asked))["changes"]
    equal("the databases in one answer", sorted(changes), sorted(DATABASES))
    seen = {}
    for db, change in changes.items():
        pos = f"{change['pos']['txid']}/{change['pos']['postApplyChecksum']}"
        image = raw.ask(url, "GET", "/db/snapshot", db=db, format="sqlite", pos=pos)
        with contextlib.closing(sqlite3.connect(":memory:")) as copy:
            copy.deserialize(image)
            balance = copy.execute("SELECT balance FROM account").fetchone()[0]
            seen[db] = balance, {row for row, in copy.execute("SELECT id FROM log")}
    return seen


def verify(seen, where):
    """The same groups are in both, and the sum is what it was."""
    equal(f"the sum {where}", sum(balance for balance, _ in seen.values()), TOTAL)
    groups = [{row for row in rows if len(row) == 32} for _, rows in seen.values()]
    equal(f"the groups in one but not in the other {where}", groups[0] ^ groups[1], set())
    return groups[0]


def read(run, number):
    rng = random.Random(number)
    while not run.over.is_set():
        with contextlib.suppress(raw.Refused, raw.Unanswered):
            verify(look(run.any(rng)), "meanwhile")
            run.reads += 1


def kill(run, number):
    """Now and then a server dies and comes back."""
    rng = random.Random(number)
    while not run.over.wait(rng.uniform(0.3, 2)):
        server = rng.choice(run.servers)
        server.kill()
        run.over.wait(rng.uniform(0, 0.5))
        server.start()


def work(servers):
    files = {db: raw.Copy(db).changed_by(SCHEMA)[0] for db in DATABASES}
    push_group(servers[0].url, secrets.token_hex(16), files)
    run = Run(servers)
    jobs = [move, move, write_one, read, read, kill]
    threads = [threading.Thread(target=run.guard, args=(job, number)) for number, job in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if run.failure is not None:
        raise run.failure
    # A server may be as far behind the others, and no further.
    time.sleep(1)
    for server in servers:
        seen = look(server.url)
        groups = verify(seen, "in the end")
        equal("groups acknowledged and lost", run.acknowledged - groups, set())
        equal("groups refused and there", run.refused & groups, set())
        lost = {(db, row) for db, row in run.plain if row not in seen[db][1]}
        equal("plain transactions acknowledged and lost", lost, set())
    check(run.reads > 0, "nobody read anything")
    print(f"{len(run.acknowledged)} groups, {len(run.refused)} refused, {run.unanswered} without an answer, "
          f"{len(run.plain)} plain commits, {run.reads} reads", flush=True)


def one_server_and_a_folder():
    with scratch() as folder, Server(folder, options=COMPACT) as server:
        work([server])


def two_servers_and_a_bucket():
    with scratch() as folder, Minio(folder) as minio, contextlib.ExitStack() as stack:
        work([stack.enter_context(Server(folder, f"server{i}", store=f"s3://{BUCKET}/groups", options=COMPACT,
                                         environment=minio.environment())) for i in range(2)])


if __name__ == "__main__":
    main(one_server_and_a_folder, two_servers_and_a_bucket)
