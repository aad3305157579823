"""Answers made to take memory: what they unpack to, and what their numbers make room for, is bounded by what was asked."""

import json

from harness import Client, Proxy, Server, SqlError, check, equal, main, scratch

PAGES = [("Content-Type", "application/vnd.litevfs.pages;inner=1")]
END_OF_PAGES = bytes(6)
MOST = 64 << 20
LAST_PGNO = 2**32 - 1


def peak(client):
    """The most memory that the client's process had so far, in bytes."""
    with open(f"/proc/{client.process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) << 10


def frame_of_zeros(pgno):
    """A page of 64 KiB without cells, packed as an inner page of a table: 28 bytes."""
    zeros = 65536 - 12
    leb128 = bytes([zeros & 0x7f | 0x80, zeros >> 7 & 0x7f | 0x80, zeros >> 14])
    packed = bytes([5]) + bytes(11) + b"\0" + leb128 + b"\0"
    return pgno.to_bytes(4, "big") + b"\0\2" + len(packed).to_bytes(4, "big") + packed


def many_frames():
    return b"".join(frame_of_zeros(2 + n) for n in range(36_000))


def position(server):
    pos = server.position("db")
    return {"txid": pos["txid"], "postApplyChecksum": pos["postApplyChecksum"]}


def bounded(what, client, most=MOST):
    """Opens and reads the database, which may fail; checks how much memory that took."""
    before = peak(client)
    try:
        client.open_uri("file:db?vfs=litevfs")
        client.sql("SELECT * FROM t")
    except SqlError:
        pass
    check(peak(client) - before < most, f"{what}: {(peak(client) - before) >> 20} MiB")


def fill(server, folder):
    with Client(server, folder, folder / "writer", "db") as client:
        client.acquire()
        client.sql("CREATE TABLE t (x)")
        client.sql("INSERT INTO t VALUES (1)")


def with_answers(what, path, answer, most=MOST):
    """A client that is answered so at that path, and then as it should be."""
    with scratch() as folder, Server(folder) as server:
        fill(server, folder)
        with Proxy(server) as proxy, Client(proxy, folder, folder / "cache") as client:
            proxy.break_with(lambda exchange: answer(exchange, server), path)
            bounded(what, client, most)
            check(proxy.count(path) > 0, f"{what}: nothing was asked")
            proxy.heal()
            client.open_uri("file:db?vfs=litevfs", "again")
            equal(f"{what}: afterwards", client.sql("SELECT * FROM t", name="again"), [(1,)])


def pages_that_a_database_is_opened_with():
    def answer(exchange, server):
        told = json.dumps({"pos": position(server), "all": True}).encode()
        exchange.answer(200, len(told).to_bytes(4, "big") + told + many_frames() + END_OF_PAGES, PAGES)

    with_answers("opened with a thousandth of its pages", "/db/open", answer)


def pages_of_a_moment():
    def answer(exchange, server):
        pos = position(server)
        header = ("Litevfs-Pos", f"{pos['txid']}/{pos['postApplyChecksum']}")
        exchange.answer(200, (frame_of_zeros(1) + many_frames())[:89_000], [*PAGES, header])

    with scratch() as folder, Server(folder) as server:
        fill(server, folder)
        with Proxy(server) as proxy, Client(proxy, folder, folder / "cache") as client:
            proxy.break_with(lambda exchange: answer(exchange, server), "/db/page")
            before = peak(client)
            try:
                client.open_uri("file:db?vfs=litevfs&txid=1")
            except SqlError:
                pass
            check(peak(client) - before < MOST, f"a page of a past: {(peak(client) - before) >> 20} MiB")
            check(proxy.count("/db/page") > 0, "nothing was asked")


def lists_in_lists():
    def answer(exchange, _):
        body = b'{"x":' + b"[" * (4 << 20)
        exchange.answer(200, len(body).to_bytes(4, "big") + body, PAGES)

    with_answers("four million lists in each other", "/db/open", answer)


def text_of_an_error():
    def answer(exchange, _):
        exchange.answer(400, b"x" * (8 << 20))

    with_answers("an error of 8 MB", "/db/open", answer, 4 << 20)


def numbers_of_pages_that_changed():
    """The highest page number there is costs nothing, and the others count."""
    with scratch() as folder, Server(folder) as server:
        fill(server, folder)
        def answer(exchange):
            status, headers, body = exchange.forward()
            length = int.from_bytes(body[:4], "big")
            told = json.loads(body[4:4 + length])
            told["pgnos"] = sorted({*told["pgnos"], *range(LAST_PGNO - 1_000_000, LAST_PGNO + 1, 1000)})
            told = json.dumps(told).encode()
            exchange.answer(status, len(told).to_bytes(4, "big") + told + body[4 + length:], headers)

        with Proxy(server) as proxy:
            with Client(proxy, folder, folder / "cache", "db") as client:
                equal("rows", client.sql("SELECT * FROM t"), [(1,)])
            with Client(server, folder, folder / "writer", "db") as client:
                client.acquire()
                client.sql("UPDATE t SET x = 2")
            proxy.break_with(answer, "/db/open")
            with Client(proxy, folder, folder / "cache") as client:
                bounded("a changed page past the end", client)
                equal("rows afterwards", client.sql("SELECT * FROM t"), [(2,)])


main(
    pages_that_a_database_is_opened_with,
    pages_of_a_moment,
    lists_in_lists,
    text_of_an_error,
    numbers_of_pages_that_changed,
)
