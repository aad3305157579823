"""A bucket that fails in every way a store can: no commit is lost or doubled, no page is wrong.

A proxy between server and MinIO breaks every few requests (harness/storefault.py). Some clients, each
with a database of its own, commit raw LTX files and read pages, changes and snapshots, of now and of
earlier positions. Each has a model of its database: all that is read must be in it. A failure must be
told as an error that says so; what an unanswered commit did is found out later and must be one of the
two. The server is killed now and then, so that it reads everything anew. At the end a second server
that has never seen a fault shows the same.

FAULTS=N faults end the run (default 500; 10,000 is the full size).
"""

import os
import random
import threading
import time

from harness import COMPACT, Proxy, Server, check, equal, main, raw, scratch
from harness.minio import BUCKET, Minio
from harness.storefault import GETS, PUTS, StoreFaults

FAULTS = int(os.environ.get("FAULTS") or 500)
SHARE = 0.1
CLIENTS = 6
PAGE_SIZE = 512
KEPT = 300  # positions of the past that are read


def page(rng, pgno, commit):
    """Random bytes, and in page 1 what SQLite needs to open a database."""
    data = bytearray(rng.randbytes(rng.choice((20, PAGE_SIZE))).ljust(PAGE_SIZE, b"."))
    if pgno == 1:
        data[:16] = b"SQLite format 3\0"
        data[16:18] = PAGE_SIZE.to_bytes(2, "big")
        data[18:24] = bytes((1, 1, 0, 64, 32, 32))
        data[44:60] = bytes(16)
        data[100] = 13
        data[24:32] = rng.randbytes(4) + commit.to_bytes(4, "big")
        data[92:96] = data[24:28]
    return bytes(data)


class Model:
    """One client: its database at every position it had, and what else may have become of it."""

    def __init__(self, server, name, seed):
        self.server, self.name = server, name
        self.rng = random.Random(seed)
        self.now = raw.Copy(name)
        self.history = []
        self.maybe = {}  # position: copy, of commits on top of `now` without an answer
        self.commits = self.errors = self.forgotten = 0

    @property
    def url(self):
        return self.server.url

    def next(self):
        """A transaction on top of now: (LTX file, the copy after it)."""
        rng, size = self.rng, len(self.now.pages)
        commit = max(1, size + rng.randint(-2, 4))
        pages = {n: self.now.pages.get(n) or page(rng, n, commit) for n in range(1, commit + 1)}
        for pgno in (1, *(rng.randint(1, commit) for _ in range(rng.randint(0, 4)))):
            pages[pgno] = page(rng, pgno, commit)
        return self.now.changed_to(pages)

    def commit(self):
        """Pushes a transaction; without an answer again, or not."""
        file, after = self.next()
        self.maybe[after.position] = after
        for _ in range(self.rng.choice((1, 3, 50))):
            try:
                raw.push(self.url, self.name, file)
                self.settle(after.position, "an acknowledged commit")
                return
            except raw.Unanswered:
                pass
            except raw.Refused as refusal:
                self.told(refusal)
                if refusal.status == 409:
                    equal("the code", refusal.code, "EPOSMISMATCH")
                    self.moved(refusal.answer["pos"])
                    return
            time.sleep(0.05)

    def told(self, refusal):
        """An error is one of the server's own, and says something."""
        self.errors += 1
        check(refusal.code and len(refusal.answer.get("error", "")) > 10, f"not a clear error: {refusal}")
        check(refusal.status in (404, 409) or refusal.status >= 500, f"blames the client: {refusal}")

    def moved(self, pos):
        """The server has told its position: it may have moved by one commit without an answer."""
        position = f"{pos['txid']}/{pos['postApplyChecksum']}"
        if position != self.now.position:
            self.settle(position, "a position")

    def settle(self, position, what):
        check(position in self.maybe, f"{self.name}: {what} {position} out of nowhere, after {self.now.position}")
        self.now = self.maybe[position]
        self.maybe = {}
        self.history = [*self.history, self.now][-KEPT:]
        self.commits += 1

    def read_pages(self):
        """Some pages of now or of the past."""
        then = self.rng.choice((self.now, self.rng.choice(self.history)))
        size = len(then.pages)
        wanted = sorted(self.rng.sample(range(1, size + 1), self.rng.randint(1, min(size, 8))))
        pages = raw.fetch(self.url, self.name, then.position, wanted)
        for pgno in wanted:
            check(pages[pgno] == then.pages[pgno], f"page {pgno} of {self.name} at {then.position} is wrong")

    def read_changes(self):
        """What changed since some position covers what did."""
        then = self.rng.choice(self.history)
        before = self.now
        answer = raw.json.loads(raw.ask(self.url, "GET", "/db/sync", db=self.name, pos=then.position))
        self.moved(answer["pos"])
        if not answer["all"]:
            told = set(answer["pgnos"] or ())
            changed = {n for n, data in self.now.pages.items() if then.pages.get(n) != data}
            check(changed <= told, f"{self.name}: {changed - told} changed between {then.position} and "
                                   f"{self.now.position} (seen at {before.position}), and are not told")

    def read_snapshot(self):
        """The whole database, now or then."""
        then = self.rng.choice((None, self.rng.choice(self.history)))
        query = {"pos": then.position} if then else {}
        image = raw.ask(self.url, "GET", "/db/snapshot", db=self.name, format="sqlite", **query)
        wanted = [then] if then else [self.now, *self.maybe.values()]
        check(image in [copy.image for copy in wanted], f"a snapshot of {self.name} is wrong")

    def step(self):
        work = (self.commit, self.commit, self.commit, self.read_pages, self.read_pages, self.read_changes,
                self.read_snapshot)
        doing = self.rng.choice(work) if self.history else self.commit
        try:
            doing()
        except raw.Unanswered:
            pass
        except raw.Refused as refusal:
            self.told(refusal)
            # Compaction may have merged a position of the past away; never the newest.
            self.forgotten += refusal.status == 409


def run(folder, minio, proxy):
    faults = StoreFaults(7, SHARE, FAULTS)
    store = f"s3://{BUCKET}/faulty"
    with Server(folder, "faulty", store=store, options=COMPACT,
                environment=minio.environment(proxy.url)) as server:
        models = [Model(server, f"db{i}", i) for i in range(CLIENTS)]
        failures = []

        def client(model):
            try:
                while faults.total < FAULTS and not failures:
                    model.step()
            except BaseException as failure:
                failures.append(failure)

        proxy.fault = faults
        threads = [threading.Thread(target=client, args=(model,)) for model in models]
        for thread in threads:
            thread.start()
        rng = random.Random(8)
        while any(thread.is_alive() for thread in threads):
            time.sleep(rng.uniform(0.5, 6))
            restart(server, proxy, faults)
        if failures:
            raise failures[0]
        proxy.heal()
        verify(models, server, "the server at the end")
        with Server(folder, "clean", store=store, options=COMPACT, environment=minio.environment()) as other:
            verify(models, other, "a second server")
    return models, faults


def restart(server, proxy, faults):
    """What it knew is gone. It may refuse to start on a store that fails; nobody wants that tested here."""
    server.kill()
    proxy.heal()
    server.start()
    proxy.fault = faults


def verify(models, server, what):
    for model in models:
        position = server.position(model.name)
        model.moved(position)
        image = raw.ask(server.url, "GET", "/db/snapshot", db=model.name, format="sqlite")
        check(image == model.now.image, f"{what}: {model.name} differs at {position}")
        equal(f"{what}: commits of {model.name}", model.now.txid, model.commits)
        for then in model.rng.sample(model.history, min(20, len(model.history))):
            try:
                pages = raw.fetch(server.url, model.name, then.position, list(then.pages))
            except raw.Refused as refusal:
                equal(f"{what}: the answer for an old position", refusal.code, "EPOSMISMATCH")
            else:
                check(pages == then.pages, f"{what}: {model.name} at {then.position} differs")


def every_fault():
    with scratch() as folder, Minio(folder) as minio, Proxy(minio) as proxy:
        start = time.monotonic()
        models, faults = run(folder, minio, proxy)
        commits = sum(model.commits for model in models)
        errors = sum(model.errors for model in models)
        forgotten = sum(model.forgotten for model in models)
        print(f"{faults.total} faults in {time.monotonic() - start:.0f} s, {commits} commits, {errors} errors told, "
              f"{forgotten} old positions gone: {dict(faults.injected)}", flush=True)
        missing = {*PUTS, *GETS} - set(faults.injected)
        check(not missing or FAULTS < 500, f"never injected: {missing}")
        check(commits > CLIENTS, "too few commits for a meaningful test")


if __name__ == "__main__":
    main(every_fault)
