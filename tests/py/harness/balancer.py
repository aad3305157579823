"""A load balancer before several servers, as small as one can be: every connection goes to the next.

It knows nothing of HTTP. A server that refuses the connection is passed over; one that dies takes
its connections with it.
"""

import contextlib
import itertools
import socket

from .wire import Wire

IDLE_S = 180


class Balancer(Wire):
    """Listens on loopback for the life of a test; `servers` are whatever has a `port`."""

    def __init__(self, servers):
        self._turn = itertools.count()
        self._servers = list(servers)
        super().__init__(port=None, idle_s=IDLE_S)

    def connect(self, client):
        for _ in self._servers:
            server = self._servers[next(self._turn) % len(self._servers)]
            with contextlib.suppress(OSError):
                return socket.create_connection(("127.0.0.1", server.port), timeout=5)
        return None
