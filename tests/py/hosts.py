"""LITEFS_CLOUD_HOST, --host and host= as people write them: one parser, which shows no password, and lets nothing
out of its line. Tokens that can't be sent; networks that no proxy is for."""

import os
import subprocess
import urllib.parse

from harness import TOKEN, Client, Recorder, Server, SqlError, check, equal, main, scratch
from harness.server import COMMAND

SECRET = "pa55w0rd"


def verb(**variables):
    """The exit code of `list`, and what it says."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("LITEFS_") and not k.upper().endswith("_PROXY")}
    env = kept | {"LITEFS_CLOUD_TOKEN": TOKEN} | variables
    done = subprocess.run([*COMMAND, "list"], env=env, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def loading(folder, **variables):
    """Whether the extension takes the environment and finds the server, and what it says."""
    try:
        with Client(None, folder, folder / "c", "db", **variables) as client:
            client.sql("SELECT * FROM sqlite_schema")
            return True, client.log.read_text()
    except SqlError as error:
        return False, str(error)


def both_read_the_same():
    with scratch() as folder, Server(folder) as server:
        at = f"127.0.0.1:{server.port}"
        taken = (f"http://{at}", f"HTTP://{at}", f" http://{at}\n", f"http://{at}/", f"http://{at}?a=b",
                 f"http://{at}/#x", f"http://LocalHost:{server.port}")
        refused = (f"http://user:{SECRET}@{at}", f"http://{SECRET}@{at}", f"http://:{SECRET}@{at}/x", at, "", " ",
                   f"ftp://{at}", f"http://::1:{server.port}", "http://", f"http://[::1]:\r\nX-Evil: {SECRET}\r\n]",
                   f"http://{SECRET}:x", f"http://h:1/{SECRET}\r\nX: y", "http://gr\u00fcn.example", "http://1.2.3",
                   f"http://127.0.0.1:{server.port}x", "http://h:99999", "http://h:+80", "http:///x")
        for host in (*taken, *refused):
            ours, said = loading(folder, LITEFS_CLOUD_HOST=host)
            code, told = verb(LITEFS_CLOUD_HOST=host)
            equal(f"{host!r}: taken by both ({said!r}, {told!r})", (ours, code), (host in taken, 0 if host in taken else 1))
            if host in refused:
                check("LITEFS_CLOUD_HOST: " in said and "LITEFS_CLOUD_HOST: " in told, f"{host!r}: {said!r}, {told!r}")
            check(SECRET not in said + told, f"{host!r}: a password is shown: {said!r}, {told!r}")


def nothing_leaves_its_line():
    """A host, database, cluster or token in a URI that holds a line end reaches no proxy."""
    evil = "\r\nX-Evil: 1\r\n"
    proxy = Recorder()
    with scratch() as folder:
        at = {"http_proxy": proxy.url, "https_proxy": proxy.url, "LITEFS_CLOUD_HOST": "http://litevfs.invalid"}
        with Client(None, folder, folder / "c", **at) as client:
            for scheme in ("http", "https"):
                for parameters in ({"host": f"{scheme}://[::1]:{evil}]"}, {"host": f"{scheme}://a{evil}"},
                                   {"host": f"{scheme}://a/{evil}"}, {"host": f"{scheme}://a", "token": f"t{evil}"},
                                   {"host": f"{scheme}://a", "cluster": f"c{evil}"}):
                    query = urllib.parse.urlencode({"token": "t", **parameters}, quote_via=urllib.parse.quote)
                    client.not_opened("db", f"&{query}", "URI parameter")
            client.not_opened(urllib.parse.quote(f"db{evil}"), "")
        equal("what the proxy saw", proxy.seen, [])
    proxy.close()


def a_host_that_nobody_named():
    """The default is the service that was switched off; what fails says so, and is no look-up's fault."""
    with scratch() as folder:
        # Whatever this machine's network does: a proxy that is not there.
        more = {"https_proxy": "http://127.0.0.1:1"}
        with Client(None, folder, folder / "c", "db", LITEFS_CLOUD_HOST=None, **more) as client:
            client.error("SELECT * FROM t")
            said = client.last_error()
        check("LITEFS_CLOUD_HOST is not set" in said and "switched off" in said, f"it says {said}")
        with Client("https://litefs.fly.io", folder, folder / "c", "db", **more) as client:
            client.error("SELECT * FROM t")
            check("not set" not in client.last_error(), f"it says {client.last_error()}")


def tokens_that_cant_be_sent():
    with scratch() as folder, Server(folder) as server:
        for token in ("two\nlines", "t\u00f6ken", "\x1b[0m", "a\x7fb"):
            taken, said = loading(folder, LITEFS_CLOUD_HOST=server.url, LITEFS_CLOUD_TOKEN=token)
            code, told = verb(LITEFS_CLOUD_HOST=server.url, LITEFS_CLOUD_TOKEN=token)
            equal(f"{token!r}: taken", (taken, code), (False, 1))
            for text in (said, told):
                check("LITEFS_CLOUD_TOKEN: a token is printable ASCII" in text, f"it says {text!r}")
                check(token not in text, f"the token is in {text!r}")
        # What comes of a file often ends with a line end.
        equal("with a line end behind it", verb(LITEFS_CLOUD_HOST=server.url, LITEFS_CLOUD_TOKEN=f"{TOKEN}\n")[0], 0)


def networks_without_a_proxy():
    """NO_PROXY takes networks, in both programs."""
    with scratch() as folder, Server(folder) as server:
        for networks, is_direct in (("127.0.0.0/8", True), ("10.0.0.0/8,127.0.0.1/32", True), ("10.0.0.0/8", False)):
            more = {"http_proxy": "http://127.0.0.1:1", "NO_PROXY": networks, "LITEFS_CLOUD_HOST": server.url}
            equal(f"{networks}: the extension", loading(folder, **more)[0], is_direct)
            equal(f"{networks}: list", verb(**more)[0], 0 if is_direct else 1)


if __name__ == "__main__":
    main(both_read_the_same, nothing_leaves_its_line, a_host_that_nobody_named, tokens_that_cant_be_sent,
         networks_without_a_proxy, at_a_time=3)
