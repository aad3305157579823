"""Loopback ports that stay a test's own, also while what listens on them is away: tests run side by side."""

import socket


class Port:
    """A free port, kept until `close` or the end of the process.

    It is bound and does not listen: nobody else is given it, connections to it are refused, and a program that sets
    SO_REUSEADDR, as servers do, can listen on it.
    """

    def __init__(self):
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", 0))
        self.number = self._socket.getsockname()[1]

    def close(self):
        self._socket.close()
