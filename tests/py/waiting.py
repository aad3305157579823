"""Waiting for the server: for as long as that helps and no longer, and never for what nobody needs.

Where a statement must end although the other side goes on, that it ends at all is the proof: what it waited for
would last longer than the harness waits for a client.
"""

import os
import socket
import subprocess
import sys
import threading
import time
from email.utils import formatdate

from harness import EXT, TOKEN, Client, Proxy, Server, check, equal, main, scratch
from harness.server import COMMAND
from harness.wire import Wire


PAGES = "/db/page"
ROWS = 2000
BUSY, IOERR, INTERRUPT = 5, 10, 9
REFUSED = b'{"code":"EUNAVAILABLE","error":"this server is busy"}'

# Runs a statement, interrupts it when a line comes, and says how it ended.
INTERRUPTED = """
import os, sqlite3, sys, threading
loader = sqlite3.connect(":memory:")
loader.enable_load_extension(True)
loader.load_extension(os.environ["EXT"])
db = sqlite3.connect("file:db?vfs=litevfs", uri=True, isolation_level=None, check_same_thread=False)
def interrupt():
    sys.stdin.readline()
    while True:
        db.interrupt()
        if ended.wait(0.05):
            return
ended = threading.Event()
threading.Thread(target=interrupt, daemon=True).start()
try:
    for statement in sys.argv[1:]:
        db.execute(statement).fetchall()
    print("it did not fail")
except sqlite3.OperationalError as error:
    ended.set()
    print(error)
    print(db.execute("PRAGMA litevfs_last_error").fetchone()[0])
os._exit(0)
"""


def fill(server, folder, rows=ROWS):
    with Client(server, folder, folder / "writer", "db") as client:
        client.acquire()
        client.sql("CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB)")
        client.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
                   "INSERT INTO t SELECT i, randomblob(1000) FROM n", (rows,))
        client.sql("PRAGMA litevfs_release_lease")


def silent(exchange):
    exchange.wait_for_client_to_leave()


def trickled_error(exchange):
    exchange.send(b"HTTP/1.1 500 Oops\r\nContent-Type: text/plain\r\nContent-Length: 4000\r\n\r\n")
    for _ in range(4000):
        exchange.send(b"x")
        time.sleep(0.5)


def an_error_that_trickles():
    """A byte of an error's text now and then: the statement fails, and says what the status was."""
    with scratch() as folder, Server(folder) as server, Proxy(server) as proxy:
        fill(server, folder)
        with Client(proxy, folder, folder / "cache", "db") as client:
            proxy.break_with(trickled_error, PAGES)
            equal("the error", client.error("SELECT sum(length(x)) FROM t").primary, IOERR)
            check("500" in client.last_error(), client.last_error())


def interrupts():
    """sqlite3_interrupt ends every wait: for a first answer, for pages, for a lease, for the outcome of a COMMIT."""
    select, write = "SELECT sum(length(x)) FROM t", "INSERT INTO t VALUES (NULL, x'')"
    auto = "PRAGMA litevfs_auto_lease = 1"
    cases = ((silent, "/db/open", [select], "interrupted"),
             (silent, PAGES, [select], "interrupted"),
             (trickled_error, PAGES, [select], "interrupted"),
             (silent, "/lease", [auto, write], "interrupted"),
             (silent, "/db/tx", [auto, write], "disk I/O error"))
    with scratch() as folder, Server(folder) as server, Proxy(server) as proxy:
        fill(server, folder)
        env = os.environ | {"LITEFS_CLOUD_HOST": proxy.url, "LITEFS_CLOUD_TOKEN": TOKEN, "EXT": str(EXT)}
        for fault, path, statements, message in cases:
            reached = threading.Event()

            def caught(exchange, fault=fault, reached=reached):
                threading.Timer(0.3, reached.set).start()
                return fault(exchange)

            proxy.break_with(caught, path)
            with subprocess.Popen([sys.executable, "-c", INTERRUPTED, *statements], env=env, text=True,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as program:
                check(reached.wait(60), f"{path} was not asked for")
                program.stdin.write("now\n")
                program.stdin.flush()
                said = program.stdout.read()
            check(said.startswith(message), f"{path}: {said}")
            check("interrupted" in said, f"{path}: {said}")
            # Within the time that it would have waited for without an interrupt, all of it is over.
            check(path != "/db/tx" or "not known" in said, said)
            proxy.heal()


def refused_unseen():
    """What the server refused before it looked at it was not applied, and COMMIT says so; a lease is busy."""
    def refuse(exchange):
        exchange.answer(503, REFUSED, [("Litevfs-Refused", "600000"), ("Retry-After", "600")])

    with scratch() as folder, Server(folder) as server, Proxy(server) as proxy:
        fill(server, folder, 10)
        with Client(proxy, folder, folder / "cache", "db") as client:
            proxy.break_with(refuse, "/lease")
            equal("the lease", client.error("PRAGMA litevfs_acquire_lease").primary, BUSY)
            proxy.heal()
            client.acquire()
            client.sql("INSERT INTO t VALUES (100, x'')")
            proxy.break_with(refuse, "/db/tx")
            client.error("INSERT INTO t VALUES (101, x'')")
            check("503" in client.last_error() and "not known" not in client.last_error(), client.last_error())
            proxy.heal()
            # For a while only, and as soon as the server says.
            proxy.break_with(lambda exchange: exchange.answer(503, REFUSED, [("Litevfs-Refused", "20")]), "/db/tx", 12)
            client.sql("INSERT INTO t VALUES (102, x'')")
            equal("rows", client.sql("SELECT id FROM t WHERE id >= 100"), [(100,), (102,)])


def when_to_come_back():
    """Retry-After, in seconds and as a date: nothing is asked before that."""
    now = time.time()
    for name, fields in (("seconds", [("Retry-After", "1")]),
                         ("date", [("Date", formatdate(now, usegmt=True)),
                                   ("Retry-After", formatdate(now + 1, usegmt=True))])):
        for status in (429, 503):
            with scratch() as folder, Server(folder) as server, Proxy(server) as proxy:
                fill(server, folder, 10)
                with Client(proxy, folder, folder / name, "db") as client:
                    over = threading.Event()

                    def later(exchange, status=status, fields=fields, over=over):
                        if over.is_set():
                            return False
                        if not proxy.count(PAGES) > 1:
                            threading.Timer(0.8, over.set).start()
                        return exchange.answer(status, b"<html>later</html>", fields)

                    proxy.break_with(later, PAGES)
                    proxy.requests.clear()
                    equal("rows", client.one("SELECT count(x) FROM t"), 10)
                    equal(f"{name}: requests", proxy.count(PAGES), 2)


def three_processes_and_a_rate_limit():
    """Three processes with one token, at a rate that is too low for them: all of their statements succeed."""
    each, refused = 10, []

    def count(exchange):
        status, headers, body = exchange.forward()
        if status == 429:
            refused.append(exchange.path)
        exchange.answer(status, body, headers)

    with scratch() as folder, Server(folder, options=["--rate-limit", "15"]) as server, Proxy(server) as proxy:
        fill(server, folder, 1)
        proxy.break_with(count)
        failed = []

        def write(name):
            with Client(proxy, folder, folder / name, "db", LITEVFS_AUTO_LEASE="1") as client:
                client.sql("PRAGMA busy_timeout = 60000")
                for _ in range(each):
                    try:
                        client.sql("INSERT INTO t VALUES (NULL, x'')")
                    except Exception as error:  # Shown by the test, not by the thread.
                        failed.append(f"{error}: {client.last_error()}")

        threads = [threading.Thread(target=write, args=(f"client-{n}",)) for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        equal("failures", failed, [])
        check(refused, "the limit was never met: the test shows nothing")
        with Client(server, folder, folder / "reader", "db") as reader:
            equal("rows", reader.one("SELECT count(*) FROM t"), 3 * each + 1)


def away_for_seconds():
    """The server is killed or stopped, and back two seconds later: no statement fails, no row is lost or doubled."""
    with scratch() as folder, Server(folder) as server:
        fill(server, folder, 1)
        with Client(server, folder, folder / "cache", "db", LITEVFS_AUTO_LEASE="1") as client:
            written = 0
            for leave in (server.kill, server.stop):
                def restart(leave=leave):
                    time.sleep(0.2)
                    leave()
                    time.sleep(2)
                    server.start()

                restarting = threading.Thread(target=restart)
                restarting.start()
                while restarting.is_alive():
                    client.sql("INSERT INTO t VALUES (NULL, x'')")
                    written += 1
                restarting.join()
            equal("rows", client.one("SELECT count(*) FROM t"), written + 1)
        with Client(server, folder, folder / "cold", "db") as client:
            server.stop()
            starting = threading.Timer(1.5, server.start)
            starting.start()
            equal("rows, cold", client.one("SELECT count(*) FROM t"), written + 1)
            starting.join()


def verbs_wait_too():
    """The command line does so for a server that is just being started, and for one that is busy."""
    with scratch() as folder, Server(folder) as server, Proxy(server) as proxy:
        fill(server, folder, 1)

        def listed(url):
            command = [*COMMAND, "list", "--host", url, "--token", TOKEN]
            ran = subprocess.run(command, capture_output=True, text=True, check=False)
            check(ran.returncode == 0 and "db" in ran.stdout, f"{ran.returncode}: {ran.stderr}")

        server.stop()
        starting = threading.Timer(1.5, server.start)
        starting.start()
        listed(server.url)
        starting.join()
        proxy.break_with(lambda exchange: exchange.answer(503, REFUSED, [("Litevfs-Refused", "30")]), None, 3)
        listed(proxy.url)
        equal("requests", proxy.count(), 4)


def a_lease_whose_grant_was_lost():
    """The lease was granted and the answer lost: the request is repeated, and not refused by that lease."""
    def granted_but_cut(exchange):
        exchange.forward()
        exchange.cut()

    with scratch() as folder, Server(folder) as server, Proxy(server) as proxy:
        fill(server, folder, 1)
        with Client(proxy, folder, folder / "cache", "db") as client:
            proxy.break_with(granted_but_cut, "/lease", 1)
            client.acquire()
            client.sql("INSERT INTO t VALUES (100, x'')")
            equal("rows", client.one("SELECT count(*) FROM t"), 2)


def connections_that_died_silently():
    """A kept connection goes nowhere any more: reading, taking the lease and COMMIT go on by a new one."""
    with scratch() as folder, Server(folder) as server, Wire(server.port) as wire:
        fill(server, folder)
        with Client(wire.url, folder, folder / "cache", "db") as client:
            client.sql("SELECT id FROM t LIMIT 1")
            wire.forget()
            equal("a page", client.one("SELECT length(x) FROM t WHERE id = ?", (ROWS,)), 1000)
            wire.forget()
            client.acquire()
            wire.forget()
            client.sql("INSERT INTO t VALUES (?, x'')", (ROWS + 1,))
            wire.forget()
            client.sql("PRAGMA litevfs_release_lease")
            equal("rows", client.one("SELECT count(*) FROM t"), ROWS + 1)


def a_name_whose_first_address_is_silent():
    """The one address of localhost answers nothing, the other is the server's."""
    with scratch() as folder, Server(folder) as server:
        addresses = {info[4][0] for info in socket.getaddrinfo("localhost", server.port, type=socket.SOCK_STREAM)}
        if not {"::1", "127.0.0.1"} <= addresses:
            return  # There is one address only on this machine; src/http/native/race.rs tests it, too.
        with socket.socket(socket.AF_INET6) as deaf:
            deaf.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            deaf.bind(("::1", server.port))
            deaf.listen(0)
            # Its queue is full: what comes on top is not answered.
            filling = [socket.socket(socket.AF_INET6) for _ in range(4)]
            for sock in filling:
                sock.setblocking(False)
                sock.connect_ex(("::1", server.port))
            fill(f"http://localhost:{server.port}", folder)
            for sock in filling:
                sock.close()


def frame_len(body):
    """Bytes of the page frame that they begin with."""
    if int.from_bytes(body[4:6], "big") & 1:
        return 10 + int.from_bytes(body[6:10], "big")
    # An LZ4 frame, of blocks.
    flags, at = body[10], 13 + (8 if body[10] & 8 else 0)
    while size := int.from_bytes(body[at:at + 4], "little") & 0x7FFFFFFF:
        at += 4 + size + (4 if flags & 16 else 0)
    return at + 4 + (4 if flags & 4 else 0)


def a_row_comes_when_its_page_does():
    """The rest of an answer is held back until the row is there: in a small window, in a long answer, at its end."""
    for name, rows, query, frames, least in (("small", 100, "SELECT length(x) FROM t WHERE id = 1", 1, 2),
                                             ("long", ROWS, "SELECT sum(length(x)) FROM (SELECT x FROM t LIMIT 100)", 12, 100),
                                             ("end", ROWS, "SELECT length(x) FROM t WHERE id = 900", 1, 1)):
        with scratch() as folder, Server(folder) as server, Proxy(server) as proxy:
            fill(server, folder, rows)
            there, held = threading.Event(), []

            def hold(exchange, there=there, held=held, frames=frames, least=least):
                status, headers, body = exchange.forward()
                ends = [0]
                while body[ends[-1]:ends[-1] + 6] != bytes(6):
                    ends.append(ends[-1] + frame_len(body[ends[-1]:]))
                if len(ends) - 1 < least:
                    return exchange.answer(status, body, headers)
                kept = "\r\n".join(f"{k}: {v}" for k, v in headers if k.lower() in ("content-type",))
                held.append(exchange.target)  # before the row can be there
                exchange.send(f"HTTP/1.1 200 OK\r\n{kept}\r\nContent-Length: {len(body)}\r\n\r\n".encode())
                exchange.send(body[:ends[min(frames, len(ends) - 1)]])
                check(there.wait(120), "the row did not come")
                return exchange.send(body[ends[min(frames, len(ends) - 1)]:])

            with Client(proxy, folder, folder / "cache") as client:
                client.open_uri("file:db?vfs=litevfs")
                client.sql("SELECT count(*) FROM sqlite_schema")
                proxy.break_with(hold, PAGES)
                client.sql(query)
                check(held and not there.is_set(), f"{name}: nothing was held back: the test shows nothing")
                there.set()
                proxy.heal()
                client.sql("PRAGMA litevfs_max_reqs_per_query = 0")
                equal(f"{name}: all rows", client.sql("SELECT count(*), sum(length(x)) FROM t"), [(rows, rows * 1000)])
                equal(f"{name}: integrity", client.one("PRAGMA integrity_check"), "ok")


if __name__ == "__main__":
    main(an_error_that_trickles, interrupts, refused_unseen, when_to_come_back, three_processes_and_a_rate_limit,
         away_for_seconds, verbs_wait_too, a_lease_whose_grant_was_lost, connections_that_died_silently,
         a_name_whose_first_address_is_silent, a_row_comes_when_its_page_does, at_a_time=3)
