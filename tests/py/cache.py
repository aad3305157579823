"""The cache folder across processes: after any end it shows no uncommitted, stale or torn page."""

import os
import pathlib
import random
import subprocess
import time

from harness import Client, Server, SqlError, check, equal, main, scratch

ROWS = 300


def fill(client, generation=0):
    """A table of several hundred pages; every row says which generation wrote it."""
    client.acquire()
    client.sql("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, generation INTEGER, x BLOB)")
    client.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
               "INSERT OR REPLACE INTO t SELECT i, ?, randomblob(3000) FROM n", (ROWS, generation))


def expect(client, generation, what):
    """All rows are of one generation and the database is intact."""
    equal(f"{what}: rows", client.sql("SELECT count(*), min(generation), max(generation), sum(length(x)) FROM t"),
          [(ROWS, generation, generation, ROWS * 3000)])
    equal(f"{what}: integrity", client.sql("PRAGMA integrity_check"), [("ok",)])


def files_of(cache):
    return [p for p in sorted(cache.rglob("*")) if p.is_file()]


def after_a_clean_end():
    """The next process reads from the cache; it need not fetch what is there."""
    with scratch() as folder, Server(folder) as server:
        cache = folder / "cache"
        with Client(server, folder, cache, "db") as client:
            fill(client)
        check(files_of(cache), "nothing is left in the cache folder")
        with Client(server, folder, cache, "db") as client:
            expect(client, 0, "the next process")
        with Client(server, folder, cache, "db") as client:
            # All pages are there, so one request (the poll) and none for pages is allowed.
            client.sql("PRAGMA litevfs_max_reqs_per_query = 1")
            expect(client, 0, "without fetching")


def after_a_kill_in_a_transaction():
    """Killed with pages written and not committed, in each journal mode."""
    with scratch() as folder, Server(folder) as server:
        cache = folder / "cache"
        with Client(server, folder, cache, "db") as client:
            fill(client)
        for mode in ("DELETE", "TRUNCATE", "PERSIST", "MEMORY", "OFF"):
            client = Client(server, folder, cache, "db")
            wait_for_lease(client)
            client.sql(f"PRAGMA journal_mode = {mode}")
            client.sql("PRAGMA cache_size = 2")
            client.sql("BEGIN")
            client.sql("UPDATE t SET generation = 99, x = randomblob(100)")
            client.sql("CREATE TABLE uncommitted (x)")
            client.kill()
            with Client(server, folder, cache, "db") as reader:
                expect(reader, 0, f"after a kill, journal_mode={mode}")
                equal("tables", reader.sql("SELECT name FROM sqlite_schema"), [("t",)])


def wait_for_lease(client):
    """A killed client's lease runs out by itself."""
    for _ in range(300):
        try:
            return client.acquire()
        except SqlError:
            time.sleep(0.1)
    raise AssertionError("the killed client's lease never ran out")


def after_the_database_moved_on():
    """Between two processes with one cache another client commits, grows and shrinks the database."""
    with scratch() as folder, Server(folder) as server:
        cache = folder / "cache"
        with Client(server, folder, cache, "db") as client:
            fill(client, 0)
        for generation in range(1, 6):
            with Client(server, folder, folder / "other", "db") as other:
                fill(other, generation)
                if generation % 2:
                    other.sql("CREATE TABLE extra AS SELECT randomblob(2000) AS x FROM t")
                else:
                    other.sql("DROP TABLE extra")
            with Client(server, folder, cache, "db") as client:
                expect(client, generation, f"generation {generation}")
        # The same while a process stays open, and while it was killed.
        stays = Client(server, folder, cache, "db")
        expect(stays, 5, "before")
        stays.sql("PRAGMA litevfs_cache_sync_period = '1ms'")
        with Client(server, folder, folder / "other", "db") as other:
            fill(other, 6)
        expect(stays, 6, "the process that stayed")
        stays.kill()
        with Client(server, folder, folder / "other", "db") as other:
            fill(other, 7)
        with Client(server, folder, cache, "db") as client:
            expect(client, 7, "after the kill")


def another_database_of_that_name():
    """The server lost its data and has another database of that name: nothing old is shown."""
    with scratch() as folder:
        cache = folder / "cache"
        with Server(folder, "one") as server, Client(server, folder, cache, "db") as client:
            fill(client, 1)
        with Server(folder, "two") as server:
            with Client(server, folder, folder / "other", "db") as other:
                fill(other, 2)
            with Client(server, folder, cache, "db") as client:
                expect(client, 2, "another server")


def corrupted_files():
    """Random bytes changed, files cut or emptied, in every cache file: wrong content is never shown."""
    with scratch() as folder, Server(folder) as server:
        with Client(server, folder, folder / "writer", "db") as client:
            fill(client)
        for seed in range(40):
            rng = random.Random(seed)
            cache = folder / f"cache-{seed}"
            with Client(server, folder, cache, "db") as client:
                expect(client, 0, "before")
            for path in files_of(cache):
                damage(path, rng)
            with Client(server, folder, cache, "db") as client:
                expect(client, 0, f"damage {seed}")
            with Client(server, folder, cache, "db") as client:
                expect(client, 0, f"damage {seed}, once more")


def damage(path, rng):
    data = bytearray(path.read_bytes())
    kind = rng.randrange(5)
    if not data:
        return
    if kind == 0:
        for _ in range(rng.randrange(1, 20)):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == 1:
        del data[rng.randrange(len(data)):]
    elif kind == 2:
        data = bytearray()
    elif kind == 3:
        start = rng.randrange(len(data))
        data[start:start + 5000] = bytes(len(data[start:start + 5000]))
    else:
        data += rng.randbytes(rng.randrange(1, 10000))
    path.write_bytes(data)


def index_deleted_under_a_process():
    """Somebody deletes the index of a cache in use and another process starts: both stay right."""
    with scratch() as folder, Server(folder) as server, \
         Client(server, folder, folder / "writer", "db") as writer:
        fill(writer, 0)
        writer.sql("CREATE TABLE twin AS SELECT id, hex(x) AS y FROM t")
        writer.sql("CREATE INDEX twin_id ON twin (id)")
        for seed in range(6):
            rng = random.Random(seed)
            cache = folder / f"cache-{seed}"
            clients = [Client(server, folder, cache, "db")]
            clients[0].sql("SELECT count(*) FROM t WHERE id < 30")
            indexes = [path for path in files_of(cache) if path.suffix == ".index"]
            check(indexes, "the cache has no index")
            for path in indexes:
                path.unlink()
            clients.append(Client(server, folder, cache, "db"))
            for client in clients:
                client.sql("PRAGMA cache_size = 5")
            for n in range(80):
                if n == 40:
                    writer.sql("UPDATE t SET generation = ?, x = randomblob(3000) WHERE id % 3 = 0", (seed + 1,))
                    writer.sql("UPDATE twin SET y = (SELECT hex(x) FROM t WHERE t.id = twin.id)")
                start = rng.randrange(1, ROWS)
                equal(f"seed {seed}, read {n}: rows that differ from their twin", rng.choice(clients).sql(
                    "SELECT id FROM t JOIN twin USING (id) WHERE id BETWEEN ? AND ? AND hex(x) <> y",
                    (start, start + rng.randrange(30))), [])
            for client in clients:
                equal(f"seed {seed}: integrity", client.one("PRAGMA integrity_check"), "ok")
                client.close()


def default_folder_is_removed():
    """Without LITEVFS_CACHE_DIR the cache is a random folder, gone with its last connection."""
    with scratch() as folder, Server(folder) as server:
        temp = folder / "tmp"
        temp.mkdir()
        client = Client(server, folder, None, "db", TMPDIR=str(temp))
        client.open("db", name="second")
        fill(client)
        check(files_open_below(temp, client), "nothing is cached in the folder for temporary files")
        client.close_db("second")
        expect(client, 0, "with one connection left")
        client.close_db()
        equal("left after the last connection", list(temp.iterdir()), [])
        equal("open after the last connection", files_open_below(temp, client), [])
        client.open("db")
        expect(client, 0, "opened again")
        client.close()
        equal("left after the end", list(temp.iterdir()), [])
        client = Client(server, folder, None, "db", TMPDIR=str(temp))
        expect(client, 0, "another process")
        client.close()
        equal("left after another process", list(temp.iterdir()), [])


def files_open_below(root, client):
    """The paths below the folder that the client's process has open, deleted ones too."""
    paths = []
    for link in pathlib.Path(f"/proc/{client.process.pid}/fd").iterdir():
        try:
            paths.append(os.readlink(link))
        except OSError:
            pass  # closed meanwhile
    return [path for path in paths if path.startswith(f"{root}/")]


def folder_read_only_or_full():
    """A cache folder that can't be written, or has no room, means no cache; never an error."""
    with scratch() as folder, Server(folder) as server:
        with Client(server, folder, folder / "writer", "db") as client:
            fill(client)
        tiny = folder / "tiny"
        tiny.mkdir()
        mounted = os.geteuid() == 0 and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=300k", "none", str(tiny)], capture_output=True).returncode == 0
        try:
            if mounted:
                with Client(server, folder, tiny, "db") as client:
                    client.sql("PRAGMA litevfs_min_available_space = 0")
                    expect(client, 0, "a full folder")
                    fill(client, 1)
                    expect(client, 1, "writing with a full folder")
                    client.sql("BEGIN")
                    client.sql("UPDATE t SET generation = 9")
                    client.sql("ROLLBACK")
                    expect(client, 1, "a rollback with a full folder")
                with Client(server, folder, tiny, "db") as client:
                    expect(client, 1, "a full folder, next process")
                subprocess.run(["mount", "-o", "remount,ro", str(tiny)], check=True)
                with Client(server, folder, tiny, "db") as client:
                    expect(client, 1, "a read-only file system")
                    fill(client, 2)
                    expect(client, 2, "writing with a read-only file system")
            else:
                print("no right to mount: the full folder is not tested")
        finally:
            if mounted:
                subprocess.run(["umount", "--lazy", str(tiny)], check=True)
        # Without a mount: a plain file stands where the folder should be.
        blocked = folder / "blocked"
        blocked.write_text("not a folder")
        client = Client(server, folder, None, "db", LITEVFS_CACHE_DIR=str(blocked / "below"))
        generation = client.one("SELECT max(generation) FROM t")
        expect(client, generation, "a folder that can't be made")
        client.close()


def no_room_kept_free():
    """More room demanded than the disk has: no cache, but everything works."""
    with scratch() as folder, Server(folder) as server:
        with Client(server, folder, folder / "cache", "db") as client:
            client.sql("PRAGMA litevfs_min_available_space = '1000000 GiB'")
            fill(client)
            expect(client, 0, "without room")
            client.sql("PRAGMA litevfs_max_cached_pages = 5")
            client.sql("PRAGMA litevfs_min_available_space = 0")
            expect(client, 0, "five pages")
            fill(client, 1)
            expect(client, 1, "five pages, written")


def shared_by_two_processes():
    """Two processes on one cache folder, one writes, both read, then both take turns."""
    with scratch() as folder, Server(folder) as server:
        cache = folder / "cache"
        a = Client(server, folder, cache, "db")
        b = Client(server, folder, cache, "db")
        for client in (a, b):
            client.sql("PRAGMA litevfs_cache_sync_period = '1ms'")
        for generation in range(20):
            writer, reader = (a, b) if generation % 2 else (b, a)
            fill(writer, generation)
            expect(writer, generation, f"writer, generation {generation}")
            writer.sql("PRAGMA litevfs_release_lease")
            expect(reader, generation, f"reader, generation {generation}")
        a.kill()
        expect(b, 19, "after the other was killed")
        b.close()
        with Client(server, folder, cache, "db") as client:
            expect(client, 19, "the next process")


if __name__ == "__main__":
    main(after_a_clean_end, after_a_kill_in_a_transaction, after_the_database_moved_on,
         another_database_of_that_name, corrupted_files, index_deleted_under_a_process, default_folder_is_removed,
         folder_read_only_or_full, no_room_kept_free, shared_by_two_processes)
