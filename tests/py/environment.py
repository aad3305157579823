"""What the environment and the entry points set: cluster, host, log, default VFS."""

import socket
import ssl
import subprocess
import sys
import threading
import urllib.parse

from harness import EXT, TOKEN, Client, Proxy, Recorder, Server, SqlError, check, equal, main, scratch

TALK = ("PRAGMA litevfs_acquire_lease", "CREATE TABLE t (x)", "INSERT INTO t VALUES (1)", "SELECT * FROM t")


def targets_seen(proxy):
    """Collects the request targets that pass; returns the list that grows."""
    seen = []

    def note(exchange):
        seen.append((exchange.target, dict(exchange.headers)))
        return False

    proxy.fault = note
    return seen


def cluster():
    """LITEFS_CLOUD_CLUSTER goes along with every request; clusters do not see each other."""
    with scratch() as folder, Server(folder) as server, Proxy(server) as proxy:
        seen = targets_seen(proxy)
        with Client(proxy, folder, folder / "c1", "db", LITEFS_CLOUD_CLUSTER="east") as client:
            for sql in TALK:
                client.sql(sql)
        check(seen, "no request was made")
        for target, headers in seen:
            query = urllib.parse.parse_qs(urllib.parse.urlsplit(target).query)
            equal(f"the cluster in {target}", query.get("cluster"), ["east"])
            equal("the token", headers.get("Authorization"), TOKEN)
        with Client(server, folder, folder / "c2", "db", LITEFS_CLOUD_CLUSTER="west") as client:
            equal("tables of the other cluster", client.one("SELECT count(*) FROM sqlite_schema"), 0)


def https():
    """TLS is spoken, and a certificate that nobody vouches for is refused before the token is sent."""
    with scratch() as folder:
        certificate, key = folder / "certificate.pem", folder / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
             "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost",
             "-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"],
            check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(30)
        outcome = []

        def serve():
            # The look at the header when the database is opened, and the statement.
            for _ in range(2):
                connection, _ = listener.accept()
                connection.settimeout(30)
                try:
                    with context.wrap_socket(connection, server_side=True) as stream:
                        outcome.append(stream.read())
                except ssl.SSLError as error:
                    outcome.append(error.reason)

        server = threading.Thread(target=serve)
        server.start()
        host = f"localhost:{listener.getsockname()[1]}"
        client = Client(f"https://{host}", folder, folder / "c", "db")
        client.error("SELECT * FROM t")
        error = client.last_error()
        server.join()
        client.close()
        listener.close()
        check(all("UNKNOWN_CA" in str(seen) for seen in outcome), f"the server saw {outcome}")
        check(host in error and "certificate" in error, f"the message is {error}")


def host_with_a_path():
    """A path prefix in LITEFS_CLOUD_HOST is kept."""
    with scratch() as folder, Server(folder) as server, Proxy(server) as proxy:
        seen = targets_seen(proxy)
        client = Client(proxy.url + "/some/prefix/", folder, folder / "c", "db")
        client.error("SELECT * FROM t")
        client.close()
        check(seen and all(target.startswith("/some/prefix/") and "//" not in target for target, _ in seen),
              f"asked for {seen[:3]}")


def bad_settings():
    """A host, cluster or token that can't be used is refused when loading, by name."""
    with scratch() as folder:
        for name, value in (("LITEFS_CLOUD_HOST", "ftp://example.invalid"), ("LITEFS_CLOUD_HOST", "no url"),
                            ("LITEFS_CLOUD_CLUSTER", ".hidden"), ("LITEFS_CLOUD_CLUSTER", "a" * 33),
                            ("LITEFS_CLOUD_TOKEN", "two\nlines")):
            try:
                Client("http://127.0.0.1:1", folder, folder / "c", **{name: value}).close()
            except SqlError as error:
                check(name in str(error), f"{name}={value!r}: the message is {error}")
            else:
                raise AssertionError(f"{name}={value!r} was accepted")


def no_proxy():
    """NO_PROXY exempts a host also where small letters name the proxy: nobody there is asked."""
    host = "litevfs-test.invalid"
    recorder = Recorder()
    with scratch() as folder:
        for scheme in ("https", "http"):
            proxy, address = f"{scheme}_proxy", f"{scheme}://{host}"
            with Client(address, folder, folder / "c", "db", NO_PROXY=host, **{proxy: recorder.url}) as client:
                client.error("SELECT count(*) FROM sqlite_schema")
                check(host in client.last_error(), f"the message is {client.last_error()}")
        equal("what the proxy saw", recorder.seen, [])
    recorder.close()


def logs():
    """Errors are logged by default, RUST_LOG chooses, LITEVFS_LOG_FILE moves; never a token."""
    with scratch() as folder, Server(folder) as server:
        texts = {}
        for level in (None, "off", "error", "debug", "trace", "litevfs=debug", "other=trace"):
            log = folder / f"log-{level}"
            more = {"RUST_LOG": level} if level else {}
            with Client(server, folder, folder / f"c-{level}", f"db-{level}".replace("=", "-"),
                        LITEVFS_LOG_FILE=str(log), **more) as client:
                for sql in TALK:
                    client.sql(sql)
                client.error("PRAGMA litevfs_max_reqs_per_query = 'x'")
                client.sql("PRAGMA litevfs_release_lease")
                client.error("INSERT INTO t VALUES (2)")
            texts[level] = log.read_text() if log.exists() else ""
            check(TOKEN not in texts[level], f"RUST_LOG={level}: the token is in the log")
            equal(f"RUST_LOG={level}: standard error", client.log.read_text(), "")
        equal("RUST_LOG=off", texts["off"], "")
        check("lease" in texts[None], f"the failed write is not in the log: {texts[None]!r}")
        lines = {level: text.count("\n") for level, text in texts.items()}
        check(lines["trace"] >= lines["debug"] > lines["error"], f"debug says no more than error: {lines}")
        check(len(texts["litevfs=debug"]) > len(texts["error"]), "the module's own level is ignored")
        equal("RUST_LOG=other=trace", texts["other=trace"], "")
        with Client(server, folder, folder / "c", "db-off") as client:
            client.error("INSERT INTO t VALUES (2)")
        check("lease" in client.log.read_text(), "nothing on standard error")


def default_vfs():
    """The second entry point makes litevfs the default: a bare name is a database in the cloud."""
    program = """
import os, sqlite3, sys
db = sqlite3.connect(":memory:")
db.enable_load_extension(True)
db.execute("SELECT load_extension(?, 'sqlite3_litevfs_init_default_vfs')", (os.environ["EXT"],))
db.close()
db = sqlite3.connect("named", isolation_level=None)
db.execute("PRAGMA litevfs_acquire_lease")
db.execute("CREATE TABLE t (x)")
db.execute("INSERT INTO t VALUES (42)")
print(db.execute("SELECT x FROM t").fetchone()[0])
db.close()
"""
    with scratch() as folder, Server(folder) as server:
        run = subprocess.run(
            [sys.executable, "-B", "-c", program], cwd=folder, capture_output=True, text=True,
            env={"EXT": EXT, "LITEFS_CLOUD_HOST": server.url, "LITEFS_CLOUD_TOKEN": TOKEN, "PATH": "/usr/bin:/bin"})
        equal("the program prints", (run.stdout, run.returncode), ("42\n", 0))
        check(not (folder / "named").exists(), "a local file was made")
        with Client(server, folder, folder / "c", "named") as client:
            equal("the row", client.one("SELECT x FROM t"), 42)


def database_names():
    """Names the server would refuse are refused when opening, and nothing local is made."""
    with scratch() as folder, Server(folder) as server:
        with Client(server, folder, folder / "cache") as client:
            for i, name in enumerate(("a", "A-b_c.9", "x" * 200)):
                client.open(name, name=f"good{i}")
                equal(f"tables of {name:.20}", client.one("SELECT count(*) FROM sqlite_schema", name=f"good{i}"), 0)
            for i, name in enumerate((".hidden", "has space", "x" * 257, "semi;colon", "%c3%a4")):
                try:
                    client.open(name.replace(" ", "%20"), name=f"bad{i}")
                    client.error("SELECT count(*) FROM sqlite_schema", name=f"bad{i}")
                except SqlError:
                    pass
        outside = [p for p in folder.iterdir() if p.name not in ("cache", "server.data") and p.suffix != ".log"]
        equal("files beside the cache", outside, [])


if __name__ == "__main__":
    main(cluster, https, host_with_a_path, bad_settings, no_proxy, logs, default_vfs, database_names)
