"""What a bad day of an S3 store looks like: faults for a `Proxy` between server and bucket.

A `StoreFaults` is a proxy's fault function. It harms a share of the requests, each in one of the
ways below, chosen by a seeded random, and counts them. Which requests come in which order depends on
timing, so a run can be repeated in kind only.

    hang, lost        nothing arrives at the store; no answer for a while, or the line cut at once
    unanswered        the store does it, the answer is lost
    late              the line is cut, and the store does it some time later
    conflict          409, as S3 says when two conditional writes meet; nothing done
    conflict_done     the same after it was done
    refused           412 though nothing is there: not done, and it may not be taken for done
    broken, slow_down 500, 503; nothing done
    broken_done       500 after it was done
    half_up           the request's body is cut on its way to the store
    half_down         the answer's body is cut short
    wrong             bytes of an object come back changed, with everything else as it should be
"""

import collections
import contextlib
import http.client
import random
import socket
import threading
import time

ANY = ("hang", "lost", "unanswered", "broken", "slow_down", "broken_done")
PUTS = (*ANY, "late", "conflict", "conflict_done", "refused", "half_up")
GETS = (*ANY, "half_down", "wrong")
HANG_S = 0.5


class StoreFaults:
    """`share` of the requests are harmed, and three times as many of those that write, until `limit` are.
    `kinds` restricts the ways."""

    def __init__(self, seed, share, limit=None, kinds=None):
        self.share, self.limit, self.kinds = share, limit, kinds
        self.injected = collections.Counter()
        self._rng = random.Random(seed)
        self._lock = threading.Lock()

    def __call__(self, exchange):
        kind, rng = self._choose(exchange)
        if kind is None:
            return False
        return getattr(self, f"_{kind}")(exchange, rng)

    @property
    def total(self):
        return self.injected.total()

    def _choose(self, exchange):
        with self._lock:
            rng = random.Random(self._rng.random())
            share = self.share * 3 if exchange.method == "PUT" else self.share
            if self._rng.random() >= share or self.limit is not None and self.total >= self.limit:
                return None, rng
            kinds = {"PUT": PUTS, "GET": GETS}.get(exchange.method, ANY)
            kinds = [k for k in kinds if self.kinds is None or k in self.kinds]
            if not kinds:
                return None, rng
            kind = rng.choice(kinds)
            self.injected[kind] += 1
            return kind, rng

    def _hang(self, exchange, rng):
        time.sleep(HANG_S)
        exchange.cut()

    def _lost(self, exchange, rng):
        exchange.cut()

    def _unanswered(self, exchange, rng):
        exchange.forward()
        exchange.cut()

    def _late(self, exchange, rng):
        threading.Timer(rng.uniform(0, HANG_S), _forward, (exchange,)).start()
        exchange.cut()

    def _conflict(self, exchange, rng):
        _fail(exchange, 409, "ConditionalRequestConflict")

    def _conflict_done(self, exchange, rng):
        exchange.forward()
        _fail(exchange, 409, "ConditionalRequestConflict")

    def _refused(self, exchange, rng):
        _fail(exchange, 412, "PreconditionFailed")

    def _broken(self, exchange, rng):
        _fail(exchange, 500, "InternalError")

    def _broken_done(self, exchange, rng):
        exchange.forward()
        _fail(exchange, 500, "InternalError")

    def _slow_down(self, exchange, rng):
        _fail(exchange, 503, "SlowDown")

    def _half_up(self, exchange, rng):
        head = "".join(f"{k}: {v}\r\n" for k, v in exchange.headers)
        with socket.create_connection(("127.0.0.1", exchange.proxy.server.port), timeout=10) as store:
            store.sendall(f"{exchange.method} {exchange.target} HTTP/1.1\r\n{head}\r\n".encode("latin-1"))
            store.sendall(exchange.body[: len(exchange.body) // 2])
        exchange.cut()

    def _half_down(self, exchange, rng):
        status, headers, body = exchange.forward()
        exchange.answer(status, body[: rng.randrange(len(body) + 1)], headers, length=len(body) + 1)
        exchange.cut()

    def _wrong(self, exchange, rng):
        status, headers, body = exchange.forward()
        body = bytearray(body)
        is_object = status in (200, 206) and "list-type" not in exchange.target
        for _ in range(rng.randint(1, 4) if is_object and body else 0):
            body[rng.randrange(len(body))] ^= rng.randint(1, 255)
        exchange.answer(status, bytes(body), headers)


def _forward(exchange):
    with contextlib.suppress(OSError, http.client.HTTPException):  # the test may be over
        exchange.forward()


def _fail(exchange, status, code):
    body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>injected</Message></Error>'
    exchange.answer(status, body.encode(), [("Content-Type", "application/xml")])
