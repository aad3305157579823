"""A network and a server that misbehave in every way at hand: errors that say so, in bounded time.

For each fault: the statement fails, the error names the host and the reason and never the token, the
client does not spin, and the next statement works when the fault is over. What was acknowledged is
there exactly once.
"""

import base64
import json
import time

from harness import (SPINNING, TOKEN, Client, Proxy, Recorder, Server, SqlError, check, each, equal, main,
                     scratch)

ROWS = 40
# An answer may be large; nobody may make us keep one of any size.
MEMORY_LIMIT_KB = 800_000


# --- faults: what happens to one request ---------------------------------------------------------

def cut_at_once(exchange):
    exchange.cut()


def unavailable(exchange):
    exchange.answer(503, b'{"code":"EUNAVAILABLE","error":"down for a moment"}')


def internal_error(exchange):
    exchange.answer(500, b'{"code":"EINTERNAL","error":"a bug"}')


def bad_gateway_page(exchange):
    exchange.answer(502, b"<html><body>Bad Gateway</body></html>" * 50)


def unauthorized(exchange):
    exchange.answer(401, b'{"code":"EINVALIDAUTH","error":"invalid token"}')


def silent(exchange):
    exchange.wait_for_client_to_leave()


def trickle(exchange):
    """A byte now and then: each read succeeds, the whole never ends."""
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    for _ in range(600):
        exchange.send(b" ")
        time.sleep(0.5)


def cut_in_headers(exchange):
    exchange.forward()
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Le")
    exchange.cut()


def cut_in_body(exchange):
    _, _, body = exchange.forward()
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(body) + 100) + body[:len(body) // 2])
    exchange.cut()


def cut_in_chunk(exchange):
    exchange.send(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{"pages":')
    exchange.cut()


def not_http(exchange):
    exchange.send(b"\x00\xff\xfe SSH-2.0-OpenSSH\r\n\r\n" * 20)
    exchange.cut()


def odd_status(exchange):
    exchange.send(b"HTTP/1.1 ABC OK\r\nContent-Length: 0\r\n\r\n")


def endless_headers(exchange):
    exchange.send(b"HTTP/1.1 200 OK\r\n")
    for i in range(2_000_000):
        exchange.send(b"X-%d: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n" % i)


def bare_line_feeds(exchange):
    exchange.send(b"HTTP/1.1 200 OK\r\n" + b"X: y\n" * 100_000 + b"\r\n{}")


def huge_declared(exchange):
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
    stream_zeros(exchange)


def huge_undeclared(exchange):
    exchange.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    stream_zeros(exchange)


def stream_zeros(exchange):
    for _ in range(4096):
        exchange.send(b" " * (1 << 20))


def answer_json(value):
    def fault(exchange):
        exchange.answer(200, value if isinstance(value, bytes) else json.dumps(value).encode())
    return fault


def change_pages(change):
    """Lets the answer with pages through, as JSON and changed."""
    def fault(exchange):
        exchange.headers = [(k, v) for k, v in exchange.headers if k.lower() != "accept"]
        status, headers, body = exchange.forward()
        answer = json.loads(body)
        answer["pages"] = [p for page in answer["pages"] for p in change(page)]
        exchange.answer(status, json.dumps(answer).encode(), headers)
    return fault


def half_page(page):
    data = base64.b64decode(page["data"])
    yield {"pgno": page["pgno"], "data": base64.b64encode(data[:len(data) // 2]).decode()}


def bad_base64(page):
    yield {"pgno": page["pgno"], "data": "*!?=" + page["data"][4:]}


def no_page(_):
    return ()


def other_pgno(page):
    yield {"pgno": page["pgno"] + 100_000, "data": page["data"]}


def pgno_zero(page):
    yield {"pgno": 0, "data": page["data"]}


# Applied to every request, or to those with pages.
ANY = [cut_at_once, unavailable, internal_error, bad_gateway_page, unauthorized, cut_in_headers, cut_in_body,
       not_http, odd_status, endless_headers, bare_line_feeds, huge_declared, huge_undeclared]
PAGES = {
    "cut in a chunk": cut_in_chunk,
    "no JSON": answer_json(b"I am a teapot"),
    "JSON cut short": answer_json(b'{"pages":[{"pgno":1,"data":"AAAA'),
    "empty body": answer_json(b""),
    "an array": answer_json([1, 2, 3]),
    "pages a number": answer_json({"pages": 7}),
    "pgno text": answer_json({"pages": [{"pgno": "one", "data": ""}]}),
    "pgno too large": answer_json({"pages": [{"pgno": 2**40, "data": "AAAA"}]}),
    "deep nesting": answer_json(b"[" * 200_000),
    "no pages": change_pages(no_page),
    "half pages": change_pages(half_page),
    "bad base64": change_pages(bad_base64),
    "other pgno": change_pages(other_pgno),
    "pgno zero": change_pages(pgno_zero),
}


# --- checks --------------------------------------------------------------------------------------

def setup(server, folder):
    """A database with some pages at the server."""
    with Client(server, folder, folder / "setup", "db") as client:
        client.acquire()
        client.sql("CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB)")
        for i in range(ROWS):
            client.sql("INSERT INTO t VALUES (?, randomblob(2000))", (i,))


def told(client, error):
    """Everything a user can see of a failure: message, the connection's last error, the log."""
    return f"{error}\n{client.last_error()}\n{client.log.read_text(errors='replace')}"


def check_report(client, proxy, error, fault, *words):
    text = told(client, error)
    check(proxy.address in text, f"{fault}: the error does not name the host: {text[-500:]}")
    for word in words:
        check(word in text, f"{fault}: the error does not say {word!r}: {text[-500:]}")
    check(TOKEN not in text, f"{fault}: the error gives the token away")


def peak_memory_kb(client):
    with open(f"/proc/{client.process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


def read_under(server, folder, name, fault, path, *words):
    """A cold read under the fault fails well; the same connection reads when it is over."""
    with Proxy(server) as proxy, Client(proxy, folder, folder / f"cache-{name}", "db") as client:
        before = proxy.count()
        proxy.break_with(fault, path)
        error = client.error("SELECT sum(length(x)) FROM t")
        check(proxy.count() - before < SPINNING, f"{name}: {proxy.count() - before} requests: spinning")
        check_report(client, proxy, error, name, *words)
        check(peak_memory_kb(client) < MEMORY_LIMIT_KB, f"{name}: {peak_memory_kb(client)} KB of memory")
        proxy.heal()
        equal(f"{name}: the next statement", client.sql("SELECT count(*), sum(length(x)) FROM t"),
              [(ROWS, ROWS * 2000)])
        equal(f"{name}: integrity", client.one("PRAGMA integrity_check"), "ok")


# --- tests ---------------------------------------------------------------------------------------

WORDS = {"unavailable": ["503"], "internal_error": ["500"], "bad_gateway_page": ["502"], "unauthorized": ["401"]}


def reads_under_any_fault():
    """Each fault on every request."""
    with scratch() as folder, Server(folder) as server:
        setup(server, folder)
        each(ANY, lambda fault: read_under(server, folder, fault.__name__, fault, None,
                                           *WORDS.get(fault.__name__, [])))


def pages_that_are_wrong():
    """Answers that are HTTP but not the pages asked for; none of it may enter the cache."""
    with scratch() as folder, Server(folder) as server:
        setup(server, folder)
        each(PAGES, lambda name: read_under(server, folder, name.replace(" ", "-"), PAGES[name], "/db/page"))


def positions_that_are_wrong():
    """Rubbish where the client asks for changes."""
    answers = [b"{}", b"[]", b"null", b'{"changes":7}', b'{"pos":{"txid":"xyz","postApplyChecksum":"1"}}',
               b'{"changes":{"db":{"pos":{"txid":"zz","postApplyChecksum":"zz"},"pgnos":[0],"all":false}}}']
    with scratch() as folder, Server(folder) as server, Proxy(server) as proxy:
        setup(server, folder)
        for i, body in enumerate(answers):
            with Client(proxy, folder, folder / f"cache-{i}", "db") as client:
                for path in ("/sync", "/db/sync"):
                    before = proxy.count()
                    proxy.break_with(answer_json(body), path)
                    try:
                        client.sql("SELECT count(*) FROM t")
                    except SqlError as error:
                        check(TOKEN not in told(client, error), "the error gives the token away")
                    check(proxy.count() - before < SPINNING, f"{body!r}: spinning")
                    proxy.heal()
                    equal(f"after {body!r}", client.sql("SELECT count(*), sum(length(x)) FROM t"),
                          [(ROWS, ROWS * 2000)])


def server_that_says_nothing():
    """Connections that are accepted and never answered, or answered a byte at a time."""
    with scratch() as folder, Server(folder) as server:
        setup(server, folder)
        each((silent, trickle), lambda fault: read_under(server, folder, fault.__name__, fault, None))


def server_away():
    """Nothing listens: what the cache holds is readable, the rest fails, all works afterwards."""
    with scratch() as folder, Server(folder) as server, Proxy(server) as proxy:
        setup(server, folder)
        with Client(proxy, folder, folder / "cache", "db") as client:
            equal("rows", client.one("SELECT count(*) FROM t"), ROWS)
            total = client.one("SELECT sum(length(x)) FROM t")
            proxy.down()
            time.sleep(1.2)  # past the default sync period, so that a poll is due
            equal("cached rows, server away", client.one("SELECT sum(length(x)) FROM t"), total)
            error = client.error("PRAGMA litevfs_acquire_lease")
            check_report(client, proxy, error, "refused", "refused")
            proxy.up()
            client.acquire()
            client.sql("INSERT INTO t VALUES (1000, x'')")
            proxy.down()
            error = client.error("INSERT INTO t VALUES (1001, x'')")
            check_report(client, proxy, error, "refused")
            equal("the connection's own rows", client.one("SELECT count(*) FROM t WHERE id >= 1000"), 1)
            proxy.up()
            client.acquire()
            client.sql("INSERT INTO t VALUES (1002, x'')")
        proxy.down()
        with Client(proxy, folder, folder / "cache-cold", "db") as client:
            error = client.error("SELECT count(*) FROM t")
            check_report(client, proxy, error, "refused, cold", "refused")
            proxy.up()
            equal("rows at the end", client.sql("SELECT id FROM t WHERE id >= 1000"), [(1000,), (1002,)])


def writes_under_any_fault():
    """Each fault while a transaction is pushed: it fails or is acknowledged, and is there accordingly."""
    with scratch() as folder, Server(folder) as server, Proxy(server) as proxy:
        setup(server, folder)
        with Client(proxy, folder, folder / "cache", "db") as client:
            wanted = []
            for i, fault in enumerate(ANY):
                name, row = fault.__name__, 1000 + i
                client.acquire()
                before = proxy.count()
                proxy.break_with(fault, "/db/tx")
                try:
                    client.sql("INSERT INTO t VALUES (?, randomblob(5000))", (row,))
                    wanted.append(row)
                except SqlError as error:
                    check_report(client, proxy, error, name)
                    # The answer was lost on a transaction the server may have applied.
                    if applied(server, folder, f"{name}-after", row):
                        wanted.append(row)
                check(proxy.count() - before < SPINNING, f"{name}: {proxy.count() - before} requests: spinning")
                proxy.heal()
                reconnect_lease(client)
                client.sql("INSERT INTO t VALUES (?, x'')", (row + 500,))
                wanted.append(row + 500)
                got = [r for r, in client.sql("SELECT id FROM t WHERE id >= 1000 ORDER BY id")]
                equal(f"{name}: rows", got, sorted(wanted))
        with Client(server, folder, folder / "reader", "db") as reader:
            equal("rows for others", [r for r, in reader.sql("SELECT id FROM t WHERE id >= 1000 ORDER BY id")],
                  sorted(wanted))
            equal("integrity", reader.one("PRAGMA integrity_check"), "ok")


def applied(server, folder, name, row):
    with Client(server, folder, folder / f"look-{name}", "db") as reader:
        return reader.one("SELECT count(*) FROM t WHERE id = ?", (row,)) == 1


def reconnect_lease(client):
    """The lease may have run out while the fault lasted; taking it again is the user's step."""
    for _ in range(200):
        try:
            client.acquire()
            return
        except SqlError as error:
            last = error
            time.sleep(0.05)
    raise AssertionError(f"the lease does not come back: {told(client, last)[-500:]}")


def lost_answers():
    """The push arrives, its answer does not: the COMMIT is acknowledged, and there exactly once."""
    def after(answer):
        def fault(exchange):
            exchange.forward()
            answer(exchange)
        return fault

    def before(exchange):
        exchange.cut()

    with scratch() as folder, Server(folder) as server, Proxy(server) as proxy:
        setup(server, folder)
        with Client(proxy, folder, folder / "cache", "db") as client:
            client.acquire()
            client.sql("CREATE TABLE log (n INTEGER)")
            txid = int(server.position("db")["txid"], 16)
            faults = [after(cut_at_once), after(cut_in_headers_only), after(unavailable), before]
            for n, fault in enumerate(faults):
                proxy.break_with(fault, "/db/tx", times=1)
                client.sql("INSERT INTO log VALUES (?)", (n,))
                proxy.heal()
            equal("the log", client.sql("SELECT n FROM log"), [(n,) for n in range(len(faults))])
            equal("transactions at the server", int(server.position("db")["txid"], 16), txid + len(faults))
        with Client(server, folder, folder / "reader", "db") as reader:
            equal("the log for others", reader.sql("SELECT n FROM log"), [(n,) for n in range(len(faults))])


def cut_in_headers_only(exchange):
    exchange.send(b"HTTP/1.1 200 O")
    exchange.cut()


def redirects_keep_the_token():
    """A redirect to another host must not carry the token there."""
    recorder = Recorder()
    with scratch() as folder, Server(folder) as server:
        setup(server, folder)
        for status in (301, 302, 307, 308):
            def redirect(exchange, status=status):
                exchange.answer(status, b"", [("Location", recorder.url + exchange.target)])
            read_under(server, folder, f"redirect-{status}", redirect, None, str(status))
        check(not any(TOKEN.encode() in seen for seen in recorder.seen), "the token went to another host")
    recorder.close()


def position_mismatch_has_its_code():
    """"Run the transaction again" has an extended code of its own, for reading and for committing."""
    code = 10 | 0x504F53 << 8
    body = {"code": "EPOSMISMATCH", "error": "position mismatch",
            "pos": {"txid": "00000000000000ff", "postApplyChecksum": "8000000000000001"}}

    def mismatch(exchange):
        exchange.answer(409, json.dumps(body).encode())

    with scratch() as folder, Server(folder) as server, Proxy(server) as proxy:
        setup(server, folder)
        with Client(proxy, folder, folder / "cache", "db") as client:
            proxy.break_with(mismatch, "/db/page")
            equal("reading", client.error("SELECT sum(length(x)) FROM t").code, code)
            proxy.heal()
            equal("read again", client.one("SELECT count(*) FROM t"), ROWS)
            client.acquire()
            proxy.break_with(mismatch, "/db/tx")
            equal("committing", client.error("INSERT INTO t VALUES (5000, NULL)").code, code)
            proxy.heal()
            equal("rolled back", client.one("SELECT count(*) FROM t"), ROWS)
            client.sql("INSERT INTO t VALUES (5001, NULL)")
            equal("run again", client.one("SELECT max(id) FROM t"), 5001)


def proxies_from_the_environment():
    """HTTPS_PROXY is asked to CONNECT; NO_PROXY exempts a host from it."""
    recorder = Recorder()
    with scratch() as folder:
        host = "litevfs-test.invalid"
        with Client(f"https://{host}", folder, folder / "c1", "db", HTTPS_PROXY=recorder.url) as client:
            error = client.error("SELECT * FROM t")
            check(TOKEN not in told(client, error), "the error gives the token away")
        check(recorder.seen and recorder.seen[0].startswith(f"CONNECT {host}:443 ".encode()),
              f"the proxy was asked {recorder.seen[:1]}")
        check(not any(TOKEN.encode() in seen for seen in recorder.seen), "the proxy saw the token")
        asked = len(recorder.seen)

        def goes_past_it(exempt):
            with Client(f"https://{host}", folder, folder / "c2", "db", HTTPS_PROXY=recorder.url,
                        NO_PROXY=exempt) as client:
                error = client.error("SELECT * FROM t")
                check(host in told(client, error), f"NO_PROXY={exempt}: the error does not name the host")
            equal(f"the proxy's connections, after NO_PROXY={exempt}", len(recorder.seen), asked)

        each((host, "*", f"other.example,{host}", ".invalid"), goes_past_it)
    recorder.close()


def loading_needs_a_token():
    """Without a token loading fails and says which variable is missing."""
    with scratch() as folder:
        try:
            Client("http://127.0.0.1:1", folder, folder / "c", LITEFS_CLOUD_TOKEN=None).close()
        except SqlError as error:
            check("LITEFS_CLOUD_TOKEN" in str(error), f"the message names no variable: {error}")
        else:
            raise AssertionError("it loads without a token")


if __name__ == "__main__":
    main(server_away, server_that_says_nothing, reads_under_any_fault, pages_that_are_wrong,
         positions_that_are_wrong, writes_under_any_fault, lost_answers, redirects_keep_the_token,
         position_mismatch_has_its_code, proxies_from_the_environment, loading_needs_a_token, at_a_time=3)
