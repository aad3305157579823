"""A load balancer before several servers, as small as one can be: every connection goes to the next.

It knows nothing of HTTP. A server that refuses the connection is passed over; one that dies takes
its connections with it.
"""

import contextlib
import itertools
import select
import socket
import threading


class Balancer:
    """Listens on loopback for the life of a test; `servers` are whatever has a `port`."""

    def __init__(self, servers):
        self._turn = itertools.count()
        self._servers = list(servers)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        with sock, contextlib.suppress(OSError):
            server = self._connect()
            if server is not None:
                with server:
                    _splice(sock, server)

    def _connect(self):
        for _ in self._servers:
            server = self._servers[next(self._turn) % len(self._servers)]
            with contextlib.suppress(OSError):
                return socket.create_connection(("127.0.0.1", server.port), timeout=5)
        return None


def _splice(one, other):
    """Carries bytes both ways until either side ends."""
    peers = {one: other, other: one}
    while True:
        for sock in select.select(list(peers), [], [], 180)[0] or [None]:
            data = sock.recv(65536) if sock is not None else b""
            if not data:
                return
            peers[sock].sendall(data)
