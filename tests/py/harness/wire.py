"""The line between a client and a server as TCP has it: connections that are counted, ended and forgotten."""

import base64
import select
import socket
import threading
import time

STEP_S = 0.05


class Wire:
    """Passes bytes on to a port of this machine, whatever they are.

    `idle_s` ends connections on which nothing moved for so long, as servers do. `forget()` makes what is open
    go nowhere any more without telling, as a firewall does that lost its memory.
    """

    def __init__(self, port, idle_s=None, host="127.0.0.1"):
        self.connections = 0
        self.target = port
        self.idle_s = idle_s
        self._forgotten = 0
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family)
        self.port = self._listener.getsockname()[1]
        self.address = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    @property
    def url(self):
        return f"http://{self.address}"

    def forget(self):
        self._forgotten = self.connections

    def connect(self, client):
        """The connection that one of a client goes on in; `None` hangs up."""
        return socket.create_connection(("127.0.0.1", self.target), timeout=10)

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(client, self.connections), daemon=True).start()

    def _serve(self, client, number):
        with client:
            try:
                server = self.connect(client)
                if server is not None:
                    with server:
                        self._relay(client, server, number)
            except (OSError, ValueError):
                pass  # one of the two is gone: so is the other

    def _relay(self, client, server, number):
        other = {client: server, server: client}
        last = time.monotonic()
        while self.idle_s is None or time.monotonic() - last < self.idle_s:
            for ready in select.select(list(other), [], [], STEP_S)[0]:
                data = ready.recv(65536)
                if number <= self._forgotten:
                    time.sleep(3600)
                if not data:
                    return
                other[ready].sendall(data)
                last = time.monotonic()


class ForwardProxy(Wire):
    """An HTTP proxy: CONNECT, and requests with whole URLs. Takes any host for the one at `port`.

    With a `user` ("name:password") it wants to know who asks. `asked` is the first line of each connection.
    """

    def __init__(self, port, user=None):
        self.asked = []
        self.user = user
        super().__init__(port)

    def connect(self, client):
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(4096) or b"\r\n\r\n"
        self.asked.append(head.split(b"\r\n")[0].decode())
        wanted = b"\r\nProxy-Authorization: Basic " + base64.b64encode((self.user or "").encode()) + b"\r\n"
        if self.user and wanted not in head:
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return None
        server = super().connect(client)
        if head.startswith(b"CONNECT "):
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            server.sendall(head)
        return server
