"""`export` and `import` where a file is not a plain file: devices, pipes, links, modes, read-only media,
other programs at the same file, a full disk, a Ctrl-C.

What was there is as it was unless the verb succeeds, and nothing else is left in the folder.
"""

import contextlib
import json
import os
import pathlib
import resource
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import threading

from harness import TOKEN, Server, check, database_content, equal, main, scratch
from harness.server import COMMAND, client_environment

LIMIT_S = 120
NOBODY = 65534


def run(server, *args, **more):
    """Runs a verb; `more` goes to subprocess.run. Its outputs are bytes."""
    more = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
            "env": client_environment(server), **more}
    return subprocess.run([*COMMAND, *args], timeout=LIMIT_S, check=False, **more)


def ok(server, *args, **more):
    done = run(server, *args, **more)
    equal(f"{args}: exit code and standard error", (done.returncode, done.stderr or b""), (0, b""))
    return done.stdout


def refused(server, *args, words=(), **more):
    done = run(server, *args, **more)
    text = done.stderr.decode()
    equal(f"{args}: exit code ({text})", done.returncode, 1)
    check(text.count("\n") == 1 and text.startswith("litevfs-cloud: "), f"{args}: not one line: {text!r}")
    for word in words:
        check(word in text, f"{args}: {word!r} is not in {text!r}")
    return text


def database(path, rows=100, sql=""):
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript(f"{sql}; CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
    db.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
               "INSERT INTO t SELECT i, hex(randomblob(300)) FROM n", (rows,))
    db.close()
    return path


@contextlib.contextmanager
def served(rows=2000):
    """A folder, a server with the database `db`, and what an export of that is, as bytes."""
    with scratch() as folder, Server(folder) as server:
        path = database(folder / "file", rows)
        ok(server, "import", path, "db")
        work = folder / "work"
        work.mkdir()
        yield work, server, path.read_bytes()


def names(folder):
    return sorted(os.listdir(folder))


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


DEVICES = {"null": (1, 3), "full": (1, 7)}


def device(path, major, minor):
    """A device of our own: root could replace the machine's. None where there can be none."""
    if os.geteuid() != 0:
        return pathlib.Path("/dev") / path.name
    try:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(major, minor))
        path.chmod(0o666)
        with open(path, "wb"):
            return path
    except OSError:
        path.unlink(missing_ok=True)
        return None


def export_writes_through():
    """A FIFO, a descriptor, a device, a link to one: they get the bytes, and stay."""
    with served() as (folder, server, whole):
        fifo = folder / "fifo"
        os.mkfifo(fifo)
        for target in (fifo, folder / "link"):
            if target != fifo:
                target.symlink_to("fifo")
            read = []
            reader = threading.Thread(target=lambda: read.append(fifo.read_bytes()), daemon=True)
            reader.start()
            ok(server, "export", "db", target)
            reader.join(LIMIT_S)
            check(read == [whole], f"{target}: other bytes came out")
        check(stat.S_ISFIFO(os.lstat(fifo).st_mode) and (folder / "link").is_symlink(), "one was replaced")
        for name in ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"):
            done = run(server, "export", "db", name)
            check(done.stdout == whole, f"{name}: other bytes came out ({done.stderr})")
            check(done.stderr.startswith(b"exported db to "), f"{name}: {done.stderr}")
            with open(folder / "redirected", "wb") as out:
                out.write(b"before ")
                out.flush()
                equal(name, run(server, "export", "db", name, stdout=out).returncode, 0)
            check((folder / "redirected").read_bytes() == b"before " + whole, f"{name}, redirected: other bytes")
        with open(folder / "other", "wb") as out:
            ok(server, "export", "db", f"/dev/fd/{out.fileno()}", pass_fds=[out.fileno()])
        check((folder / "other").read_bytes() == whole, "another descriptor: other bytes")
        devices = {name: device(folder / name, *numbers) for name, numbers in DEVICES.items()}
        if null := devices["null"]:
            check("exported" in ok(server, "export", "db", null).decode(), "nothing was said")
        if full := devices["full"]:
            refused(server, "export", "db", full, words=(str(full), "No space left", "make room"))
        check(all(stat.S_ISCHR(os.stat(path).st_mode) for path in devices.values() if path), "one was replaced")
        with open("/dev/full", "wb") as out:
            refused(server, "export", "db", "-", stdout=out, words=("No space left", "make room"))
        # Whoever reads goes away.
        read_end, write_end = os.pipe()
        os.close(read_end)
        refused(server, "export", "db", "-", stdout=write_end, words=("Broken pipe",))
        os.close(write_end)
        made = [path.name for path in devices.values() if path and path.parent == folder]
        equal("files", names(folder), sorted(["fifo", "link", "other", "redirected", *made]))


def export_keeps_what_a_file_is():
    """Links, modes, owners; the mask of the process for a new one."""
    with served() as (folder, server, whole):
        elsewhere = folder / "elsewhere"
        elsewhere.mkdir()
        for target, link in [("elsewhere/file", "link"), ("link", "second"), ("elsewhere/missing", "dangling")]:
            (folder / link).symlink_to(target)
        (elsewhere / "file").write_bytes(b"old")
        for link, target in [("second", "file"), ("dangling", "missing")]:
            ok(server, "export", "db", folder / link, "--force")
            check((folder / link).is_symlink() and (elsewhere / target).read_bytes() == whole, f"{link}: replaced")
            check(not (elsewhere / target).is_symlink(), f"{target} is a link")
        refused(server, "export", "db", folder / "second", words=("--force",))
        (folder / "circle").symlink_to("circle")
        refused(server, "export", "db", folder / "circle", "--force", words=("circle",))
        for before in (0o600, 0o640, 0o4755, 0o444):
            file = folder / "mode"
            file.write_bytes(b"old")
            file.chmod(before)
            if os.geteuid() == 0:
                os.chown(file, NOBODY, NOBODY)
            file.chmod(before)
            ok(server, "export", "db", file, "--force")
            equal(f"{before:o}: mode", oct(mode(file)), oct(before))
            check(file.read_bytes() == whole, f"{before:o}: other bytes")
            if os.geteuid() == 0:
                equal("owner", (file.stat().st_uid, file.stat().st_gid), (NOBODY, NOBODY))
            file.unlink()
        for mask in (0o022, 0o077):
            ok(server, "export", "db", folder / "new", umask=mask)
            equal(f"mask {mask:o}", mode(folder / "new"), 0o666 & ~mask)
            (folder / "new").unlink()
        for name in ("x" * 255, "-dash", " ", "file:x", "a\nb"):
            ok(server, "export", "db", f"./{name}", cwd=folder)
            check((folder / name).read_bytes() == whole, f"{name!r}: other bytes")
            (folder / name).unlink()
        ok(server, "export", "db", "--", "-dash", cwd=folder)
        odd = os.fsencode(folder) + b"/\xff\xfe"
        ok(server, "export", "db", odd)
        ok(server, "import", odd, "again")
        check("again" in json.loads(server.get("/pos")), "a name that is not UTF-8 was not imported")
        os.unlink(odd)
        equal("files", names(folder), ["-dash", "circle", "dangling", "elsewhere", "link", "second"])


def export_refuses_and_changes_nothing():
    with served() as (folder, server, whole):
        target = folder / "target"
        target.write_bytes(b"old")
        (folder / "target-wal").write_bytes(b"log")
        (folder / "folder").mkdir()
        kept = {"target": b"old", "target-wal": b"log"}

        def unchanged(what):
            equal(f"{what}: files", names(folder), ["folder", "target", "target-wal"])
            equal(what, {name: (folder / name).read_bytes() for name in kept}, kept)
        for name in (folder / "folder", f"{folder}/folder/", folder):
            refused(server, "export", "db", name, "--force", words=("is a folder",))
        refused(server, "export", "db", f"{target}/", "--force", words=("Not a directory",))
        refused(server, "export", "nothing", target, "--force", words=("no such database",))
        refused(server, "export", "db", folder / ("x" * 256), words=("File name too long",))
        unchanged("refused")
        for when in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            slow = Stalling(server)
            process = subprocess.Popen([*COMMAND, "export", "db", target, "--force"], env=client_environment(slow),
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            check(slow.stalled.wait(LIMIT_S), "no body came")
            process.send_signal(when)
            _, text = process.communicate(timeout=LIMIT_S)
            equal(f"{when}: exit code", (process.returncode, text), (1, b"litevfs-cloud: interrupted\n"))
            unchanged(str(when))
        # `nohup` has a closed terminal ignored.
        slow = Stalling(server)
        process = subprocess.Popen([*COMMAND, "export", "db", target, "--force"], env=client_environment(slow),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        check(slow.stalled.wait(LIMIT_S), "no body came")
        process.send_signal(signal.SIGHUP)
        slow.go_on.set()
        _, text = process.communicate(timeout=LIMIT_S)
        equal(f"SIGHUP, ignored ({text})", process.returncode, 0)
        equal("its files", names(folder), ["folder", "target"])
        check(target.read_bytes() == whole, "nohup: other bytes")


class Stalling:
    """Passes requests on, and of each answer that is long only the beginning, until it is told."""

    BEGINNING = 100_000

    def __init__(self, server):
        self.port, self.stalled, self.go_on = server.port, threading.Event(), threading.Event()
        self.create = lambda: socket.create_connection(("127.0.0.1", self.port))
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        client, _ = self.socket.accept()
        with client, self.create() as server:
            server.sendall(client.recv(65536))
            passed = 0
            with contextlib.suppress(OSError):
                while piece := server.recv(16384):
                    client.sendall(piece)
                    passed += len(piece)
                    if passed > self.BEGINNING and not self.stalled.is_set():
                        self.stalled.set()
                        self.go_on.wait(LIMIT_S)


@contextlib.contextmanager
def small_disk(folder):
    """A file system of 1 MB, where this machine lets one be made."""
    folder.mkdir()
    mounted = os.geteuid() == 0 and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", folder], check=False)


def a_full_disk_loses_nothing():
    with served(5000) as (folder, server, whole), small_disk(folder / "disk") as mounted:
        if not mounted:
            print("no small file system can be mounted here: the limit on a file's size stands in for it")
        target = folder / "disk" / "target"
        target.write_bytes(b"old")
        limit = None if mounted else limited
        text = refused(server, "export", "db", target, "--force", preexec_fn=limit)
        check(("make room" if mounted else "too large") in text, text)
        equal("files", (names(folder / "disk"), target.read_bytes()), (["target"], b"old"))
        # The copy that an import makes of a pipe has no room either.
        if mounted:
            read_end, write_end = os.pipe()
            feeder = threading.Thread(target=feed, args=(write_end, whole), daemon=True)
            feeder.start()
            refused(server, "import", "-", "copy", stdin=read_end, words=("No space left", "TMPDIR"),
                    env=client_environment(server, TMPDIR=str(folder / "disk")))
            os.close(read_end)
            feeder.join(LIMIT_S)
            equal("files", names(folder / "disk"), ["target"])


def limited():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))


def feed(descriptor, data):
    with contextlib.suppress(BrokenPipeError), open(descriptor, "wb") as pipe:
        pipe.write(data)


def several_exports_at_once():
    """Each success leaves a whole file; one that is killed in the middle takes nothing from another."""
    with served(3000) as (folder, server, whole):
        target = folder / "target"
        command = [*COMMAND, "export", "db", target, "--force"]
        more = {"env": client_environment(server), "stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE}
        for _ in range(3):
            running = [subprocess.Popen(command, **more) for _ in range(4)]
            for process in running:
                _, text = process.communicate(timeout=LIMIT_S)
                equal(f"exit code ({text})", process.returncode, 0)
                check(target.read_bytes() == whole, "a success, and the file is not whole")
        equal("files", names(folder), ["target"])
        # The one that stalls has written half of its file when the other succeeds, and dies after that.
        slow = Stalling(server)
        stalled = subprocess.Popen(command, **{**more, "env": client_environment(slow)})
        check(slow.stalled.wait(LIMIT_S), "no body came")
        ok(server, "export", "db", target, "--force")
        stalled.kill()
        stalled.communicate()
        check(target.read_bytes() == whole, "the one that was killed took the file with it")


def import_reads_pipes():
    with served() as (folder, server, whole):
        path = folder / "file"
        path.write_bytes(whole)

        def same(what, name):
            copy = folder / f"{name}.copy"
            ok(server, "export", name, copy)
            check(copy.read_bytes() == whole, f"{what}: another file came out")
        for number, name in enumerate(("-", "/dev/stdin", "/dev/fd/0")):
            with open(path, "rb") as file:
                ok(server, "import", name, f"a{number}", stdin=file)
            same(f"{name}, a file", f"a{number}")
            ok(server, "import", name, f"b{number}", stdin=None, input=whole)
            same(f"{name}, a pipe", f"b{number}")
            ok(server, "import", name, f"c{number}", stdin=None, input=whole + b"more " * 9999)
            same(f"{name}, more than it says", f"c{number}")
        os.mkfifo(folder / "fifo")
        feeder = threading.Thread(target=(folder / "fifo").write_bytes, args=[whole], daemon=True)
        feeder.start()
        ok(server, "import", folder / "fifo", "fifo")
        feeder.join(LIMIT_S)
        same("a FIFO", "fifo")
        for data, why in [(b"", "is empty"), (b"hello" * 999, "not a SQLite file"), (whole[:5000], "cut short"),
                          (whole[:60], "cut short"), (whole[:-1], "cut short")]:
            refused(server, "import", "-", "x", stdin=None, input=data, words=("standard input", why))
        # It has no end, but a beginning.
        refused(server, "import", "/dev/zero", "x", words=("/dev/zero", "not a SQLite file"))
        check("x" not in json.loads(server.get("/pos")), "something was taken in")


def a_name_is_a_name():
    """SQLite would take these for URIs, or for no file at all."""
    with served() as (folder, server, _):
        database(folder / "x.db", 3)
        for number, name in enumerate(("file:x.db", "file:x.db?mode=ro", ":memory:", "file::memory:", "file:y/x.db")):
            (folder / name).parent.mkdir(exist_ok=True)
            database(f"{folder}/{number}.db", 7)
            # Longer than it says, so that SQLite is asked for the content.
            with open(folder / f"{number}.db", "ab") as file:
                file.write(bytes(4096))
            os.rename(folder / f"{number}.db", folder / name)
            ok(server, "import", name, f"n{number}", cwd=folder)
            ok(server, "export", f"n{number}", f"{name}.copy", cwd=folder)
            rows = len(database_content(server.snapshot(f"n{number}", folder / "snapshot"))["tables"][b"t"])
            equal(f"{name}: rows", rows, 7)
            check((folder / f"{name}.copy").stat().st_size > 0, f"{name}: no copy")


@contextlib.contextmanager
def read_only(folder):
    """A folder in which nothing can be written; how a verb must run to see that."""
    folder = folder.resolve()
    mounts = [["mount", "--bind", folder, folder], ["mount", "-o", "remount,ro,bind", folder]]
    if os.geteuid() == 0 and all(
            subprocess.run(command, capture_output=True, check=False).returncode == 0 for command in mounts):
        try:
            yield {}
        finally:
            subprocess.run(["umount", "-l", folder], check=False)
        return
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)
    folder.parent.chmod(0o755)
    folder.parent.parent.chmod(0o755)
    try:
        yield {"user": NOBODY, "group": NOBODY} if os.geteuid() == 0 else {}
    finally:
        folder.chmod(0o755)


CUT_OFF = """
import os, signal, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA cache_size = 5")
db.execute(sys.argv[2])
db.execute("UPDATE t SET x = zeroblob(500)")
os.kill(os.getpid(), signal.SIGKILL)
"""


def import_from_read_only_media():
    """WAL mode with nothing to bring in, with a WAL, without its index; a transaction that was cut off."""
    with served() as (folder, server, _):
        media = folder / "media"
        media.mkdir()
        expected = {}
        for name in ("plain", "wal", "left-wal", "lost-shm", "hot"):
            path = database(media / name, 500, "" if name in ("plain", "hot") else "PRAGMA journal_mode = wal")
            expected[name] = database_content(path)
        for name, begin in (("left-wal", "SELECT 1"), ("lost-shm", "SELECT 1"), ("hot", "BEGIN")):
            subprocess.run([sys.executable, "-c", CUT_OFF, media / name, begin], check=False)
            if begin != "BEGIN":
                rows = [(number, bytes(500)) for number in range(1, 501)]
                expected[name] = {**expected[name], "tables": {b"t": rows}}
        (media / "lost-shm-shm").unlink()
        check((media / "left-wal-wal").stat().st_size > 0 and (media / "hot-journal").stat().st_size > 0,
              "there is nothing to test with")
        before = {name: (media / name).read_bytes() for name in names(media) if not name.endswith("-shm")}
        with read_only(media) as more:
            for name, content in expected.items():
                ok(server, "import", media / name, name, **more)
                copy = server.snapshot(name, folder / "copy")
                equal(name, database_content(copy)["tables"], content["tables"])
            after = {name: (media / name).read_bytes() for name in names(media) if not name.endswith("-shm")}
        check(before == after, "something was written")


def import_beside_a_writer_in_wal_mode():
    """Transfers go on all the time, with checkpoints in between; what arrives is one of the states."""
    with served() as (folder, server, _):
        path = folder / "bank"
        db = sqlite3.connect(path, isolation_level=None)
        db.executescript("PRAGMA journal_mode = wal; CREATE TABLE t (id INTEGER PRIMARY KEY, amount, x)")
        db.executemany("INSERT INTO t VALUES (?, 100, zeroblob(3000))", [(i,) for i in range(200)])
        stop, moved = threading.Event(), []

        def transfer():
            bank = sqlite3.connect(path, isolation_level=None, timeout=60)
            bank.execute("PRAGMA wal_autocheckpoint = 20")
            while not stop.is_set():
                n = len(moved)
                bank.execute("UPDATE t SET amount = amount + CASE id WHEN ? THEN 1 ELSE -1 END "
                             "WHERE id IN (?, ?)", (n % 200, n % 200, (n * 7 + 1) % 200))
                moved.append(n)

        writer = threading.Thread(target=transfer, daemon=True)
        writer.start()
        try:
            for _ in range(10):
                ok(server, "import", path, "bank")
                copy = server.snapshot("bank", folder / "copy")
                state = sqlite3.connect(copy)
                equal("money", state.execute("SELECT sum(amount) FROM t").fetchone()[0], 20000)
                equal("integrity", state.execute("PRAGMA integrity_check").fetchone()[0], "ok")
                state.close()
        finally:
            stop.set()
            writer.join()
        check(len(moved) > 10, "nothing was written meanwhile")


def damage_is_told():
    """It is taken in as it is, with a warning; an export refuses it."""
    with served() as (folder, server, whole):
        path = folder / "damaged"
        path.write_bytes(whole[:4096] + os.urandom(4096) + whole[8192:])
        done = run(server, "import", path, "damaged", "--json")
        text = done.stderr.decode()
        equal(f"exit code ({text})", done.returncode, 0)
        for word in ("litevfs-cloud: warning: ", str(path), "is damaged", "page 2", "integrity_check", ".recover"):
            check(word in text, f"{word!r} is not in {text!r}")
        check("page 2" in json.loads(done.stdout)["damage"], done.stdout)
        check(server.get("/db/snapshot", db="damaged", format="sqlite") == path.read_bytes(), "something else is there")
        ok(server, "import", path, "unasked", "--no-check")
        with open(path, "rb") as file:
            check(b"is damaged" in run(server, "import", "-", "piped", stdin=file).stderr, "a pipe: nothing was said")
        path.write_bytes(whole)
        equal("sound", json.loads(ok(server, "import", path, "sound", "--json"))["damage"], None)
        # Sound, with a schema that calls what only a program has.
        db = sqlite3.connect(folder / "functions", isolation_level=None)
        db.create_function("theirs", 1, lambda x: x, deterministic=True)
        db.create_collation("ours", lambda a, b: (a > b) - (a < b))
        db.executescript("CREATE TABLE t (x CHECK (theirs(x)), y COLLATE ours, z AS (theirs(x)) STORED NOT NULL);"
                         "CREATE INDEX i ON t (y); CREATE INDEX j ON t (theirs(x)); INSERT INTO t VALUES (1, 2)")
        db.close()
        done = run(server, "import", folder / "functions", "functions")
        check(done.returncode == 0 and b"damaged" not in done.stderr, f"functions: {done.stderr}")
        done = run(server, "export", "functions", folder / "functions.copy")
        equal(f"export ({done.stderr})", done.returncode, 0)
        check((folder / "functions.copy").read_bytes() == (folder / "functions").read_bytes(), "other bytes")


def outputs_and_places_that_are_not_there():
    """No home, no terminal, an output nobody reads, a temporary folder that is gone."""
    with served() as (folder, server, whole):
        path = folder / "file"
        path.write_bytes(whole)
        bare = {k: v for k, v in client_environment(server).items() if k.startswith("LITEFS_")}
        for args in (["import", path, "db"], ["list"], ["status"], ["info", "db"], ["clusters", "list"],
                     ["clusters", "create", "c"], ["export", "db", folder / "copy", "--force"],
                     ["restore", "db", "--txid", "0000000000000001"]):
            ok(server, *args, env=bare)
            ok(server, *args, env={**bare, "TMPDIR": "/nonexistent"})
            read_end, write_end = os.pipe()
            os.close(read_end)
            done = run(server, *args, stdout=write_end, env=bare)
            os.close(write_end)
            equal(f"{args}, nobody reads", (done.returncode, done.stderr), (0, b""))
            done = run(server, *args, "--json", env=bare)
            json.loads(done.stdout)
            with open("/dev/full", "wb") as full:
                refused(server, *args, stdout=full, env=bare,
                        words=("standard output", "No space left", "nothing else failed"))
        tokens = folder / "tokens"
        for args in (["create", "--name", "a"], ["list"], ["list", "--json"], ["create", "--json"]):
            read_end, write_end = os.pipe()
            os.close(read_end)
            done = run(server, "token", *args, "--tokens-file", tokens, stdout=write_end, env=bare)
            os.close(write_end)
            # A secret that nobody saw is no success.
            equal(f"token {args}: {done.stderr}", done.returncode, 1 if args[0] == "create" else 0)
        equal("tokens", json.loads(ok(server, "token", "list", "--json", "--tokens-file", tokens))["tokens"], [])
        equal("mode", mode(tokens) if tokens.exists() else 0o600, 0o600)


if __name__ == "__main__":
    main(
        export_writes_through,
        export_keeps_what_a_file_is,
        export_refuses_and_changes_nothing,
        a_full_disk_loses_nothing,
        several_exports_at_once,
        import_reads_pipes,
        a_name_is_a_name,
        import_from_read_only_media,
        import_beside_a_writer_in_wal_mode,
        damage_is_told,
        outputs_and_places_that_are_not_there,
    )
