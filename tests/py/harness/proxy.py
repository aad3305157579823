"""A faulty network: an HTTP proxy between a client and the server that breaks what it is told to.

Every request becomes an `Exchange`. With no fault set it is forwarded, `Host` and all, and answered
as it is. A fault is a function of the exchange; it may forward, answer something else, cut the connection, or
return False to let the exchange pass unharmed.
"""

import http.client
import socket
import threading
import urllib.parse

from .ports import Port

# More than any sane client asks for one statement of these tests; a spinning one passes it fast.
SPINNING = 200


class Exchange:
    """One request and the socket that waits for its answer."""

    def __init__(self, proxy, sock, method, target, headers, body):
        self.proxy, self.sock = proxy, sock
        self.method, self.target, self.headers, self.body = method, target, headers, body
        self.path = urllib.parse.urlsplit(target).path

    def forward(self):
        """Asks the real server: (status, headers, body)."""
        upstream = http.client.HTTPConnection("127.0.0.1", self.proxy.server.port, timeout=60)
        try:
            headers = {k: v for k, v in self.headers
                       if k.lower() not in ("connection", "transfer-encoding", "content-length")}
            upstream.request(self.method, self.target, body=self.body or None, headers=headers)
            answer = upstream.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            upstream.close()

    def answer(self, status, body=b"", headers=(), length=None):
        """Sends an answer; well-formed unless a `length` other than the body's is given."""
        if length is None:
            # The answer to HEAD tells the length of what it leaves out.
            told = [v for k, v in headers if self.method == "HEAD" and k.lower() == "content-length"]
            length = told[0] if told else len(body)
        kept = [(k, v) for k, v in headers if k.lower() not in ("connection", "transfer-encoding", "content-length")]
        lines = [f"HTTP/1.1 {status} {http.client.responses.get(status, 'X')}"]
        lines += [f"{k}: {v}" for k, v in kept]
        if status != 204:
            lines.append(f"Content-Length: {length}")
        # Before the client has it and looks at the count.
        with self.proxy._lock:
            self.proxy.bytes_in += len(body)
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def send(self, data):
        self.sock.sendall(data)

    def cut(self):
        """Ends the connection at once, as a network does that died."""
        raise ConnectionAbortedError

    def wait_for_client_to_leave(self):
        """Says nothing until the client gives up (or the test ends)."""
        self.sock.settimeout(300)
        while self.sock.recv(4096):
            pass


class Proxy:
    """Listens on a loopback port that stays the same while it is down and up again."""

    def __init__(self, server):
        self.server = server
        self.fault = None
        self.requests = []  # (method, path), in order of arrival
        self.bytes_out = 0  # of bodies: the client's, and what it was answered
        self.bytes_in = 0
        self._kept = Port()
        self.port = self._kept.number
        self._listener = None
        self._open = set()
        self._lock = threading.Lock()
        self.up()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.down()
        self._kept.close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def up(self):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(64)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def down(self):
        """Refuses new connections and ends those that are open."""
        # shutdown wakes the thread in accept(); close alone would leave the port open for it.
        _quietly(self._listener.shutdown, socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for sock in self._open:
                _quietly(sock.shutdown, socket.SHUT_RDWR)

    def break_with(self, fault, path=None, times=None):
        """Applies the fault to requests for `path` (any when None), `times` times (always)."""
        left = [times]

        def once(exchange):
            if path is not None and exchange.path != path:
                return False
            with self._lock:
                if left[0] == 0:
                    return False
                if left[0] is not None:
                    left[0] -= 1
            return fault(exchange)

        self.fault = once

    def heal(self):
        self.fault = None

    def count(self, path=None):
        return sum(1 for _, p in self.requests if path in (None, p))

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        with self._lock:
            self._open.add(sock)
        try:
            sock.settimeout(120)
            stream = sock.makefile("rb")
            while request := _read_request(stream):
                exchange = Exchange(self, sock, *request)
                self.requests.append((exchange.method, exchange.path))
                with self._lock:
                    self.bytes_out += len(exchange.body)
                fault = self.fault
                if fault is None or fault(exchange) is False:
                    status, headers, body = exchange.forward()
                    exchange.answer(status, body, headers)
                if ("connection", "close") in [(k.lower(), v.lower()) for k, v in exchange.headers]:
                    break
        except OSError:
            pass  # the client left, a fault cut the line, or the server is away
        finally:
            with self._lock:
                self._open.discard(sock)
            _quietly(sock.shutdown, socket.SHUT_RDWR)
            sock.close()


def _quietly(function, *arguments):
    try:
        function(*arguments)
    except OSError:
        pass


def _read_request(stream):
    """(method, target, headers, body), None at the end of the connection."""
    line = stream.readline()
    if not line.strip():
        return None
    method, target, _ = line.decode("latin-1").split(None, 2)
    headers = []
    while (line := stream.readline().strip()):
        key, _, value = line.decode("latin-1").partition(":")
        headers.append((key, value.strip()))
    named = {k.lower(): v for k, v in headers}
    if "chunked" in named.get("transfer-encoding", "").lower():
        body = b""
        while size := int(stream.readline().split(b";")[0], 16):
            body += stream.read(size)
            stream.readline()
        while stream.readline().strip():
            pass
    else:
        body = stream.read(int(named.get("content-length", 0)))
    return method, target, headers, body


class Recorder:
    """Accepts connections, keeps the first bytes of each, refuses what they ask. Not a proxy that works."""

    def __init__(self):
        self.seen = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with sock:
                sock.settimeout(10)
                try:
                    data = b""
                    while b"\r\n\r\n" not in data and (more := sock.recv(4096)):
                        data += more
                    self.seen.append(data)
                    sock.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
                except OSError:
                    pass

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
