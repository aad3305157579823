"""The verbs of the server's program as people use them: import, export, restore and the others.

What goes in comes out again, whatever state the local file is in; what cannot be done is told in one
line, with exit code 1, and leaves nothing behind.
"""

import json
import os
import pty
import re
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
import time
import urllib.request

from harness import TOKEN, Server, check, database_content, each, equal, ltx, main, scratch
from harness.server import COMMAND, client_environment

LIMIT_S = 120


def run(server, *args, **more):
    return subprocess.run([*COMMAND, *map(str, args)], capture_output=True, timeout=LIMIT_S,
                          stdin=subprocess.DEVNULL, env=client_environment(server, **more))


def ok(server, *args, **more):
    """Standard output of a verb that works; without --verbose it says nothing else."""
    done = run(server, *args, **more)
    check(done.returncode == 0, f"{args}: {done.stderr.decode()}")
    equal(f"{args}: standard error", done.stderr, b"")
    return done.stdout.decode()


def as_json(server, *args, **more):
    return json.loads(ok(server, *args, "--json", **more))


def refused(server, *args, **more):
    """The one line that says why a verb did not work."""
    done = run(server, *args, **more)
    text = done.stderr.decode()
    equal(f"{args}: exit code and output ({text})", (done.returncode, done.stdout), (1, b""))
    check(re.fullmatch(r"litevfs-cloud: [^\n]+\n", text), f"{args}: not one line: {text!r}")
    check(TOKEN not in text, f"{args}: the token is in {text!r}")
    return text


def contains(what, text, *parts):
    for part in parts:
        check(part in text, f"{what}: {part!r} is not in {text!r}")


def database(path, rows=100, sql="", page_size=4096):
    """A closed local database."""
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript(f"PRAGMA page_size = {page_size}; {sql}; CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
    db.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
               "INSERT INTO t SELECT i, hex(randomblob(i % 300)) FROM n", (rows,))
    db.close()
    return path


def round_trip(server, folder, path, name):
    """Imports a file and exports it again; the exported file."""
    ok(server, "import", path, name)
    copy = folder / f"{name}.copy"
    ok(server, "export", name, copy)
    return copy


def same(what, image, path):
    """A file is another one but for what an import over a database, and a restore, count up on page 1."""
    def but_for_counts(data):
        return data[:24] + data[28:40] + data[44:92] + data[96:]
    check(but_for_counts(image) == but_for_counts(path.read_bytes()), f"{what}: another file came out")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def what_goes_in_comes_out():
    with scratch() as folder, Server(folder) as server:
        for page_size in (512, 4096, 65536):
            for mode in ("delete", "wal"):
                name = f"{mode}-{page_size}"
                path = database(folder / name, 2000, f"PRAGMA journal_mode = {mode}", page_size)
                copy = round_trip(server, folder, path, name)
                check(copy.read_bytes() == path.read_bytes(), f"{name}: another file came out")
                equal(f"{name}: content", database_content(copy), database_content(path))
        version = (folder / "wal-4096.copy").read_bytes()[18:20]
        equal("a WAL-mode database stays one", version, b"\x02\x02")
        # Over what is there: larger, then smaller.
        for rows in (3000, 10):
            path = database(folder / f"again-{rows}", rows)
            copy = folder / f"again-{rows}.copy"
            ok(server, "import", path, "delete-4096")
            ok(server, "export", "delete-4096", copy)
            same(f"{rows} rows", copy.read_bytes(), path)
        # In other pages, and back to what it was before.
        path = database(folder / "other-pages", 700, page_size=1024)
        ok(server, "import", path, "delete-4096")
        ok(server, "export", "delete-4096", copy, "--force")
        same("another page size", copy.read_bytes(), path)
        ok(server, "restore", "delete-4096", "--txid", f"{3:016x}")
        ok(server, "export", "delete-4096", copy, "--force")
        same("restored", copy.read_bytes(), folder / "again-10")


def import_what_others_are_using():
    """A WAL nobody has checkpointed, a writer in the middle: what is committed counts, nothing else."""
    with scratch() as folder, Server(folder) as server:
        path = database(folder / "wal", 5, "PRAGMA journal_mode = wal")
        writer = sqlite3.connect(path, isolation_level=None)
        writer.execute("INSERT INTO t VALUES (1000, 'in the WAL')")
        writer.execute("BEGIN")
        writer.execute("INSERT INTO t VALUES (1001, 'not committed')")
        copy = round_trip(server, folder, path, "wal")
        equal("rows of the WAL", database_content(copy)["tables"][b"t"][-1], (1000, b"in the WAL"))
        writer.execute("COMMIT")
        equal("the writer goes on", writer.execute("SELECT count(*) FROM t").fetchone(), (7,))
        writer.close()

        path = database(folder / "journal", 5)
        expected = database_content(path)
        writer = sqlite3.connect(path, isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO t VALUES (1001, 'not committed')")
        equal("beside a writer", database_content(round_trip(server, folder, path, "journal")), expected)
        writer.execute("COMMIT")
        writer.close()
        equal("files left", [n for n in names(folder) if "import" in n or "partial" in n], [])


HALFWAY = """
import os, signal, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA cache_size = 5")
db.execute("BEGIN")
db.execute("UPDATE t SET x = 'half done'")
db.execute("INSERT INTO t SELECT id + 100000, zeroblob(1000) FROM t")
os.kill(os.getpid(), signal.SIGKILL)
"""


def import_what_a_crash_left():
    """The writer was killed in the middle: a hot journal, or a WAL without its owner."""
    with scratch() as folder, Server(folder) as server:
        path = database(folder / "journal", 3000)
        expected = database_content(path)
        subprocess.run([sys.executable, "-c", HALFWAY, path], check=False)
        check((folder / "journal-journal").stat().st_size > 0, "there is no hot journal to test with")
        check(path.stat().st_size > len(expected), "nothing was spilled")
        equal("content", database_content(round_trip(server, folder, path, "journal")), expected)

        path = database(folder / "wal", 10, "PRAGMA journal_mode = wal")
        committed = HALFWAY.replace('db.execute("BEGIN")', "").replace("'half done'", "'done'")
        subprocess.run([sys.executable, "-c", committed, path], check=False)
        check((folder / "wal-wal").stat().st_size > 0, "there is no WAL to test with")
        rows = database_content(round_trip(server, folder, path, "wal"))["tables"][b"t"]
        equal("rows of the WAL", (len(rows), rows[0]), (20, (1, b"done")))
        check((folder / "wal-wal").stat().st_size > 0, "the import has checkpointed the WAL")


def import_refuses():
    with scratch() as folder, Server(folder) as server:
        good = database(folder / "good", 500)
        ok(server, "import", good, "db")
        whole = good.read_bytes()
        for name, content, why in [
            ("empty", b"", "is empty"),
            ("text", b"hello " * 1000, "not a SQLite file"),
            ("cut", whole[: len(whole) // 2 // 4096 * 4096], "cut short"),
            ("cut-within-a-page", whole[:-100], "cut short"),
            ("first-bytes", whole[:60], "cut short"),
            ("page-size", whole[:16] + b"\x12\x34" + whole[18:], "damaged"),
        ]:
            (folder / name).write_bytes(content)
            contains(name, refused(server, "import", folder / name, "db"), str(folder / name), why)
        contains("missing", refused(server, "import", folder / "nothing", "db"), "No such file")
        contains("folder", refused(server, "import", folder, "db"), "is a folder")
        busy = sqlite3.connect(good, isolation_level=None)
        busy.execute("BEGIN EXCLUSIVE")
        contains("busy", refused(server, "import", good, "db"), "locked")
        busy.close()
        equal("the database", server.position("db")["txid"], "0000000000000001")
        copy = folder / "copy"
        ok(server, "export", "db", copy)
        check(copy.read_bytes() == whole, "a refused import changed the database")
    with scratch() as folder, Server(folder, options=["--max-import", "10000"]) as server:
        path = database(folder / "large", 100000)
        for _ in range(5):
            contains("too long", refused(server, "import", path, "db"), "--max-import")
        equal("positions", ok(server, "list", "--json"), "[]\n")


def export_while_commits_go_on():
    """Transfers between accounts arrive all the time; every export is one of the states in between."""
    with scratch() as folder, Server(folder) as server:
        path = folder / "bank"
        db = sqlite3.connect(path, isolation_level=None)
        db.executescript("PRAGMA page_size = 512; CREATE TABLE t (id INTEGER PRIMARY KEY, amount)")
        db.executemany("INSERT INTO t VALUES (?, 100)", [(i,) for i in range(100)])
        files = [path.read_bytes()]
        equal("first push", ltx.push(server, "bank", ltx.encode(b"", files[0], 1, 1), Authorization=TOKEN)[0], 200)
        stop = threading.Event()

        def transfer():
            bank = sqlite3.connect(path, isolation_level=None)
            while not stop.is_set():
                n = len(files)
                bank.execute("UPDATE t SET amount = amount + CASE id WHEN ? THEN 1 ELSE -1 END "
                             "WHERE id IN (?, ?)", (n % 100, n % 100, (n * 7 + 1) % 100))
                files.append(path.read_bytes())
                file = ltx.encode(files[-2], files[-1], n + 1, n + 1)
                if ltx.push(server, "bank", file, Authorization=TOKEN)[0] != 200:
                    break

        writer = threading.Thread(target=transfer)
        writer.start()
        seen = set()
        try:
            for n in range(25):
                copy = folder / f"copy-{n}"
                report = as_json(server, "export", "bank", copy)
                txid = int(report["pos"][:16], 16)
                seen.add(txid)
                check(copy.read_bytes() == files[txid - 1], f"transaction {txid}: another database came out")
                total = sqlite3.connect(copy).execute("SELECT sum(amount) FROM t").fetchone()[0]
                equal("money", total, 10000)
        finally:
            stop.set()
            writer.join()
        check(len(seen) > 1, "nothing was committed meanwhile")


def restore_and_export_what_was():
    with scratch() as folder, Server(folder) as server:
        files = [database(folder / f"v{n}", n * 50) for n in (1, 2, 3)]
        for path in files:
            ok(server, "import", path, "db")
            time.sleep(0.01)  # restore points by time need times that differ
        points = as_json(server, "info", "db")["restorablePaths"]
        equal("restore points", [point["maxTxId"][-1] for point in points], ["3", "2", "1"])
        copy = folder / "copy"
        for option, value in [("--txid", points[1]["maxTxId"]), ("--timestamp", points[1]["maxTimestamp"])]:
            ok(server, "export", "db", copy, "--force", option, value)
            same(option, copy.read_bytes(), files[1])
            answer = as_json(server, "restore", "db", option, value, "--check")
            equal(option, answer, {"txID": points[1]["maxTxId"], "timestamp": points[1]["maxTimestamp"]})
        equal("--check changes nothing", server.position("db")["txid"], points[0]["maxTxId"])
        answer = as_json(server, "restore", "db", "--timestamp", points[2]["maxTimestamp"])
        equal("restore", (answer["name"], answer["txID"], answer["restored"]["txID"]),
              ("db", "0000000000000004", points[2]["maxTxId"]))
        ok(server, "export", "db", copy, "--force")
        same("restored", copy.read_bytes(), files[0])
        contains("restore", ok(server, "restore", "db", "--txid", points[0]["maxTxId"]), points[0]["maxTxId"])
        ok(server, "export", "db", copy, "--force")
        same("what a restore replaced", copy.read_bytes(), files[2])
        # A time in words; all versions are younger than a day and older than now.
        equal("now", as_json(server, "restore", "db", "--check", "--timestamp", "0s ago")["txID"][-1], "5")
        contains("a day ago", refused(server, "restore", "db", "--timestamp", "1 day ago"), "reach back", "info")
        contains("unknown", refused(server, "restore", "db", "--txid", "00000000000000ff"), "info")
        contains("unknown", refused(server, "export", "db", folder / "x", "--txid", "00000000000000ff"), "info")
        check(not (folder / "x").exists(), "a refused export left a file")


def export_replaces_nothing_unasked():
    with scratch() as folder, Server(folder) as server:
        path = database(folder / "db", 100)
        ok(server, "import", path, "db")
        target = folder / "target"
        target.write_text("precious")
        contains("existing", refused(server, "export", "db", target), str(target), "--force")
        equal("the file", target.read_text(), "precious")
        # The WAL of a database that was there would be applied to the new file.
        target.unlink()
        old = database(target, 10, "PRAGMA journal_mode = wal")
        db = sqlite3.connect(old, isolation_level=None)
        db.execute("INSERT INTO t VALUES (1000, 'old')")
        wal = (folder / "target-wal").read_bytes()
        db.close()
        target.unlink()
        (folder / "target-wal").write_bytes(wal)
        contains("old WAL", refused(server, "export", "db", target), "target-wal", "--force")
        ok(server, "export", "db", target, "--force")
        equal("content", database_content(target), database_content(path))
        equal("files", [n for n in names(folder) if n.startswith("target")], ["target"])
        done = run(server, "export", "db", "-")
        equal("standard output", (done.returncode, done.stdout == path.read_bytes()), (0, True))
        contains("missing", refused(server, "export", "nothing", folder / "x"), "no such database", "list")
        contains("folder", refused(server, "export", "db", folder / "no" / "x"), "No such file")
        damaged = path.read_bytes()[:4096] + os.urandom(4096) + path.read_bytes()[8192:]
        (folder / "damaged").write_bytes(damaged)
        ok(server, "import", folder / "damaged", "damaged", "--no-check")
        contains("damaged", refused(server, "export", "damaged", folder / "y"), "--no-check")
        ok(server, "export", "damaged", folder / "y", "--no-check")
        check((folder / "y").read_bytes() == damaged, "--no-check: another file came out")
        equal("files", [n for n in names(folder) if n.startswith(("x", "y"))], ["y"])


class Answering:
    """A server that gives the same answer to whoever connects, and then hangs up."""

    def __init__(self, answer, context=None):
        self.answer, self.context = answer, context
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http{'s' if context else ''}://127.0.0.1:{self.socket.getsockname()[1]}"
        self.heard = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            connection, _ = self.socket.accept()
            try:
                if self.context:
                    connection = self.context.wrap_socket(connection, server_side=True)
                self.heard.append(connection.recv(65536))
                connection.sendall(self.answer)
                connection.close()
            except OSError:
                pass


def a_broken_answer_is_no_export():
    body = b"SQLite format 3\0" + bytes(5000)

    def no_export(case):
        answer, why = case
        with scratch() as folder:
            contains(answer[:60], refused(Answering(answer), "export", "db", folder / "x"), why)
            equal("files", names(folder), [])

    each([
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + body, "broke"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1388\r\n" + body[:5000] + b"\r\n", "broke"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5016\r\n\r\n" + body, "--no-check"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 4\r\n\r\noops", "502 Bad Gateway"),
        (b"nonsense\r\n\r\n", "broke"),
        (b"", "broke"),
    ], no_export)


def every_failure_says_what_to_do():
    with scratch() as folder, Server(folder) as server:
        path = database(folder / "db")
        ok(server, "import", path, "db")

        def fails(verb):
            contains(verb, refused("http://127.0.0.1:1", *verb), "cannot reach http://127.0.0.1:1", "--host")
            contains(verb, refused(server, *verb, LITEFS_CLOUD_TOKEN="wrong"), "refuses the token")
            contains(verb, refused(server, *verb, LITEFS_CLOUD_TOKEN=""), "LITEFS_CLOUD_TOKEN")
            contains(verb, refused(server, *verb, LITEFS_CLOUD_CLUSTER="../x"), "cluster")

        each((["list"], ["status"], ["info", "db"], ["import", path, "db"], ["clusters", "list"],
              ["restore", "db", "--txid", "0000000000000001"], ["delete", "db", "--yes"]), fails)
        for verb in (["info", "no"], ["delete", "no", "--yes"], ["restore", "no", "--timestamp", "1s ago"]):
            contains(verb, refused(server, *verb), "no such database", "litevfs-cloud list")
        contains("host", refused("localhost:20202", "list"), "http[s]://HOST[:PORT]")
        contains("not ours", refused(Answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"), "list"), "is it a")
        contains("plain", refused(server.url.replace("http:", "https:"), "list"), "http://")
        lease = take_lease(server, "db")
        for verb in (["import", path, "db"], ["delete", "db", "--yes"],
                     ["restore", "db", "--txid", "0000000000000001"]):
            contains(verb, refused(server, *verb), "another client holds the write lease", "try again")
        equal("the database", server.position("db")["txid"], "0000000000000001")
        check(lease["id"], "no lease was granted")
        for bad in (["restore", "db"], ["restore", "db", "--txid", "1"], ["export", "db"], ["import", path, "a/b"],
                    ["restore", "db", "--timestamp", "yesterday"], ["list", "extra"]):
            equal(f"{bad}: exit code", run(server, *bad).returncode, 2)
        log = server.log.read_text()
        check(TOKEN not in log, "the token is in the server's log")


def take_lease(server, db):
    """Takes a lease as another client would."""
    request = urllib.request.Request(f"{server.url}/lease?db={db}&duration=60000", method="POST",
                                     headers={"Authorization": TOKEN})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        return json.load(answer)


def lists_and_their_json():
    with scratch() as folder, Server(folder) as server:
        contains("no database", ok(server, "list"), "import")
        path = database(folder / "file", 200)
        size = path.stat().st_size
        equal("import", as_json(server, "import", path, "a"), 
              {"name": "a", "txID": "0000000000000001", "bytes": size, "damage": None})
        ok(server, "import", path, "b")
        pos = server.position("a")
        equal("list", as_json(server, "list"), [{"name": "a", "pos": pos}, {"name": "b", "pos": server.position("b")}])
        lines = ok(server, "list").splitlines()
        equal("list, lines", len(lines), 3)
        contains("list, row", lines[1], "a ", pos["txid"], pos["postApplyChecksum"])
        status = as_json(server, "status")
        equal("status", [(d["name"], d["sizeBytes"], d["leaseExpiresAt"]) for d in status["databases"]],
              [("a", size, None), ("b", size, None)])
        contains("status", ok(server, "status"), status["version"], "KiB", status["databases"][0]["timestamp"])
        info = as_json(server, "info", "a")
        point = info["restorablePaths"][0]
        equal("info", (info["name"], point["maxTxId"], point["postApplyChecksum"]),
              ("a", pos["txid"], pos["postApplyChecksum"]))
        contains("info", ok(server, "info", "a"), point["maxTimestamp"], point["maxTxId"])
        target = folder / "copy"
        equal("export", as_json(server, "export", "a", target),
              {"name": "a", "file": str(target), "bytes": size, "pos": f"{pos['txid']}/{pos['postApplyChecksum']}"})
        equal("delete", as_json(server, "delete", "a", "--yes"), {"name": "a", "deleted": True})
        equal("list", [d["name"] for d in as_json(server, "list")], ["b"])


def clusters_are_kept_apart():
    with scratch() as folder, Server(folder) as server:
        path = database(folder / "file")
        made = as_json(server, "clusters", "create", "made")
        equal("create", made["name"], "made")
        ok(server, "import", path, "db", LITEFS_CLOUD_CLUSTER="by-import")
        ok(server, "import", path, "other", "--cluster", "by-import")
        listed = as_json(server, "clusters", "list")
        equal("clusters", [cluster["name"] for cluster in listed], ["by-import", "made"])
        check(made in listed, "a cluster has two ids")
        contains("clusters", ok(server, "clusters", "list"), "by-import", made["id"])
        equal("default cluster", as_json(server, "list"), [])
        equal("its databases", [d["name"] for d in as_json(server, "list", "--cluster", "by-import")], ["db", "other"])
        contains("in use", refused(server, "clusters", "delete", "by-import"), "delete them first")
        contains("unknown", refused(server, "clusters", "delete", "nope"), "nope")
        ok(server, "clusters", "delete", "made")
        equal("clusters", [cluster["name"] for cluster in as_json(server, "clusters", "list")], ["by-import"])


def on_a_terminal(server, args, typed):
    """What a verb prints on a terminal, and its exit code."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(COMMAND[0], [*COMMAND, *args], client_environment(server))
    os.write(terminal, typed)
    output = b""
    try:
        while piece := os.read(terminal, 65536):
            output += piece
    except OSError:  # how Linux says that the other side is closed
        pass
    os.close(terminal)
    return output.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def a_delete_is_asked_about():
    with scratch() as folder, Server(folder) as server:
        ok(server, "import", database(folder / "file"), "db")
        contains("no terminal", refused(server, "delete", "db"), "--yes")
        for typed in (b"\n", b"n\n", b"no\n"):
            output, code = on_a_terminal(server, ["delete", "db"], typed)
            equal(f"{typed}: {output}", code, 1)
            contains("question", output, "delete db", "[y/N]", "nothing was done")
        check(server.position("db"), "it was deleted all the same")
        output, code = on_a_terminal(server, ["delete", "db"], b"y\n")
        equal(output, code, 0)
        equal("the database", server.position("db"), None)
        contains("a terminal", on_a_terminal(server, ["export", "db", "-"], b"")[0], "not for a terminal")


def progress_is_shown():
    with scratch() as folder, Server(folder) as server:
        path = database(folder / "file", 5000)
        done = run(server, "import", path, "db", "--verbose")
        contains("lines", done.stderr.decode(), "importing db: ", " of ")
        done = run(server, "export", "db", folder / "copy", "--verbose")
        contains("lines", done.stderr.decode(), "exporting db: ", " of ")
        output, code = on_a_terminal(server, ["import", str(path), "db"], b"")
        equal(f"exit code ({output})", code, 0)
        contains("bar", output, "importing db [", "the server takes ", "imported ")


def interrupted_it_gives_the_lease_back():
    """An import that waits for its answer is stopped with Ctrl-C: the next one need not wait."""
    with scratch() as folder, Server(folder) as server:
        path = database(folder / "file", 100)
        ok(server, "import", path, "db")
        slow = Slow(server)
        process = subprocess.Popen([*COMMAND, "import", path, "db"], env=client_environment(slow),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        check(slow.held.wait(LIMIT_S), "no upload came")
        contains("while it runs", refused(server, "import", path, "db"), "write lease")
        process.send_signal(signal.SIGINT)
        _, text = process.communicate(timeout=LIMIT_S)
        equal("exit code", process.returncode, 1)
        contains("message", text.decode(), "interrupted")
        ok(server, "import", path, "db")


class Slow:
    """Passes requests on, but keeps uploads to itself."""

    def __init__(self, server):
        self.port, self.held = server.port, threading.Event()
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.socket.accept()
            threading.Thread(target=self.serve, args=[connection], daemon=True).start()

    def serve(self, client):
        with client, socket.create_connection(("127.0.0.1", self.port)) as server:
            while request := client.recv(65536):
                if request.startswith(b"POST /db/upload"):
                    self.held.set()
                    while client.recv(65536):
                        pass
                    return
                server.sendall(request)
                client.sendall(server.recv(65536))


def https_with_its_own_authority():
    with scratch() as folder:
        certificate, key = folder / "certificate.pem", folder / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost",
             "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"],
            check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server = Answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", context)
        contains("stranger", refused(server, "list"), "nobody whom this machine trusts", "--ca")
        equal("heard", server.heard, [])
        equal("with --ca", ok(server, "list", "--json", "--ca", certificate), "[]\n")
        equal("with SSL_CERT_FILE", ok(server, "list", "--json", SSL_CERT_FILE=str(certificate)), "[]\n")
        contains("no PEM", refused(server, "list", "--ca", key), "no PEM certificate")
        contains("no file", refused(server, "list", "--ca", folder / "no"), "No such file")
        # Plain HTTP needs no authority.
        plain = Answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        equal("plain", ok(plain, "list", "--json", SSL_CERT_FILE="/nonexistent", SSL_CERT_DIR="/nonexistent"), "[]\n")


if __name__ == "__main__":
    main(
        what_goes_in_comes_out,
        import_what_others_are_using,
        import_what_a_crash_left,
        import_refuses,
        export_while_commits_go_on,
        restore_and_export_what_was,
        export_replaces_nothing_unasked,
        a_broken_answer_is_no_export,
        every_failure_says_what_to_do,
        lists_and_their_json,
        clusters_are_kept_apart,
        a_delete_is_asked_about,
        progress_is_shown,
        interrupted_it_gives_the_lease_back,
        https_with_its_own_authority,
    )
