"""Connections: kept, found dead, encrypted, through proxies. Real TLS, with a CA of the test's own."""

import os
import socket
import ssl
import threading
import time

from harness import TOKEN, Client, Server, check, equal, main, scratch
from harness.authority import Authority
from harness.kills import frozen
from harness.wire import ForwardProxy, Wire

WRITES = 50


def thread_count(client):
    return len(os.listdir(f"/proc/{client.process.pid}/task"))


def write_rows(client, count=WRITES):
    for _ in range(count):
        client.sql("INSERT INTO t VALUES (1)")


def connect(url, folder, **more):
    """A client with the lease and a table."""
    client = Client(url, folder, folder / "cache", "db", **more)
    client.acquire()
    client.sql("CREATE TABLE IF NOT EXISTS t (x)")
    return client


def one_connection_for_all():
    """Reads, pushes and polls go over one connection; a second one when two are under way at a time."""
    with scratch() as folder, Server(folder) as server, Wire(server.port) as wire:
        with connect(wire.url, folder) as client:
            write_rows(client)
            equal("rows", client.one("SELECT count(*) FROM t"), WRITES)
        check(wire.connections <= 2, f"{wire.connections} connections for {WRITES} commits")


def https_keeps_connections_too():
    """The same with TLS, by a host name, and the CA that SSL_CERT_FILE or SSL_CERT_DIR names."""
    with scratch() as folder:
        authority = Authority(folder)
        hashed = folder / "hashed"
        hashed.mkdir()
        (hashed / "01234567.0").write_bytes(authority.file.read_bytes())
        with Server(folder, options=authority.server_options("server")) as server, Wire(server.port) as wire:
            url = f"https://localhost:{wire.port}"
            with connect(url, folder, SSL_CERT_FILE=str(authority.file)) as client:
                write_rows(client)
                client.sql("INSERT INTO t VALUES (randomblob(3000000))")
            check(wire.connections <= 2, f"{wire.connections} connections for {WRITES} commits")
            with Client(url, folder, folder / "other", "db", SSL_CERT_DIR=f"/nowhere:{hashed}") as client:
                equal("rows", client.one("SELECT count(*) FROM t"), WRITES + 1)
                equal("integrity", client.one("PRAGMA integrity_check"), "ok")


def sessions_are_resumed():
    """Where connections can't be kept, the next one needs no new handshake, in both versions of TLS, whoever asks."""
    with scratch() as folder:
        authority = Authority(folder)
        _, certificate, _, key = authority.server_options("server")
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            context.maximum_version = version
            resumed = []

            def serve(listener, context=context, resumed=resumed):
                while True:
                    try:
                        connection, _ = listener.accept()
                        with context.wrap_socket(connection, server_side=True) as stream:
                            stream.recv(65536)
                            resumed.append(stream.session_reused)
                            stream.sendall(b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
                    except OSError:
                        return

            with socket.create_server(("127.0.0.1", 0)) as listener:
                threading.Thread(target=serve, args=(listener,), daemon=True).start()
                with Client(f"https://localhost:{listener.getsockname()[1]}", folder, folder / "c", "db",
                            SSL_CERT_FILE=str(authority.file)) as client:
                    for _ in range(3):
                        client.error("SELECT * FROM t")
                    # Another origin: its first connection, too.
                    client.open("db", "other", "&cluster=other")
                    client.error("SELECT * FROM t", name="other")
                listener.shutdown(socket.SHUT_RDWR)
            check(resumed.count(False) == 1 and not resumed[0], f"{version.name}: resumed {resumed}")


def a_peer_that_does_not_speak_tls():
    """Silent, or speaking something else: an error in time, and no thread left behind."""
    with scratch() as folder, Server(folder) as server, socket.create_server(("127.0.0.1", 0)) as silent:
        for port, word in ((silent.getsockname()[1], "in time"), (server.port, "not TLS")):
            with Client(f"https://localhost:{port}", folder, folder / "c", "db",
                        SSL_CERT_FILE=str(Authority(folder).file)) as client:
                before = thread_count(client)
                client.error("SELECT * FROM t")
                check(word in client.last_error(), f"the message is {client.last_error()}")
                client.error("SELECT * FROM t")
                # The poll's thread, which may begin at any time; a second failure leaves no second one.
                check(thread_count(client) <= before + 1, f"threads: {before}, then {thread_count(client)}")


def a_server_that_was_started_anew():
    """Commits and reads go on over a new connection, at the first try."""
    with scratch() as folder, Server(folder) as server:
        with connect(server.url, folder) as client:
            write_rows(client, 2)
            for _ in range(3):
                server.stop()
                server.start()
                client.acquire()
                write_rows(client, 2)
            equal("rows", client.one("SELECT count(*) FROM t"), 8)


def a_connection_that_ended_meanwhile():
    """The server ends idle connections while the process is stopped: nobody notices."""
    with scratch() as folder, Server(folder) as server, Wire(server.port, idle_s=1) as wire:
        with connect(wire.url, folder) as client:
            for _ in range(2):
                write_rows(client, 1)
                before = wire.connections
                with frozen(client.process):
                    time.sleep(2)
                write_rows(client, 1)
                check(wire.connections > before, "the connection did not end: this tests nothing")
            equal("rows", client.one("SELECT count(*) FROM t"), 4)


def addresses_of_ipv6():
    """A host in brackets; NO_PROXY takes it without."""
    with scratch() as folder, Server(folder) as server, Wire(server.port, host="::1") as wire:
        with connect(wire.url, folder, http_proxy="http://127.0.0.1:1", NO_PROXY="::1") as client:
            write_rows(client, 1)
        check(wire.connections > 0, "it went elsewhere")


def proxies():
    """By CONNECT with https, whole URLs with http; with a password, and without the one that is wanted."""
    with scratch() as folder:
        authority = Authority(folder)
        options = authority.server_options("server", host="DNS:db.invalid")
        with Server(folder, "tls", options=options) as server, ForwardProxy(server.port, "me:p@ss w") as proxy:
            more = {"SSL_CERT_FILE": str(authority.file), "https_proxy": f"http://me:p%40ss%20w@127.0.0.1:{proxy.port}"}
            with connect("https://db.invalid", folder, **more) as client:
                write_rows(client)
            equal("what the proxy was asked", set(proxy.asked), {"CONNECT db.invalid:443 HTTP/1.1"})
            check(len(proxy.asked) <= 2, f"{len(proxy.asked)} connections")
            more["https_proxy"] = f"127.0.0.1:{proxy.port}"
            with Client("https://db.invalid", folder, folder / "c", "db", **more) as client:
                client.error("SELECT * FROM t")
                check("user name or password" in client.last_error(), f"the message is {client.last_error()}")
        with Server(folder, "plain") as server, ForwardProxy(server.port) as proxy:
            with connect("http://db.invalid:81", folder, ALL_PROXY=f"http://127.0.0.1:{proxy.port}/") as client:
                write_rows(client)
            check(all(" http://db.invalid:81/" in line for line in proxy.asked), f"asked {proxy.asked}")
            check(len(proxy.asked) <= 2, f"{len(proxy.asked)} connections")


def look_ups():
    """A host that is not there: an error that names it, and no thread left."""
    with scratch() as folder, Client("http://litevfs-test.invalid", folder, folder / "c", "db") as client:
        before = thread_count(client)
        for _ in range(3):
            client.error("SELECT * FROM t")
            check("litevfs-test.invalid" in client.last_error(), f"the message is {client.last_error()}")
        check(TOKEN not in client.log.read_text(), "the token is in the log")
        check(thread_count(client) <= before + 2, f"{before} threads, then {thread_count(client)}")


if __name__ == "__main__":
    main(one_connection_for_all, https_keeps_connections_too, sessions_are_resumed,
         a_peer_that_does_not_speak_tls, a_server_that_was_started_anew, a_connection_that_ended_meanwhile,
         addresses_of_ipv6, proxies, look_ups, at_a_time=3)
