"""What stands between: proxies as docs/examples has them, proxies that nobody configured, and those that say no.

nginx and Caddy are used where they are; without nginx the test fails, as scripts/setup installs it.
"""

import os
import sqlite3
import ssl
import subprocess
import urllib.error
import urllib.parse
import urllib.request

from harness import TOKEN, Client, Server, check, equal, main, scratch
from harness.authority import Authority
from harness.front import CADDY, NGINX, Refusing, caddy_example, free_port, nginx, nginx_examples
from harness.server import COMMAND, client_environment

LARGE = 3_000_000
HTML = b"<html><head><title>No</title></head><body>\x1b[2J</body></html>"


def verb(url, *arguments, token=TOKEN, **more):
    """A verb's exit code, and what it says."""
    env = client_environment(url, LITEFS_CLOUD_TOKEN=token, **more)
    done = subprocess.run([*COMMAND, *map(str, arguments)], env=env, capture_output=True, text=True, timeout=120,
                          stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout + done.stderr


def get(url, token=None, trusted=None, accept="*/*"):
    """Status, header and body of an answer, whatever it is."""
    headers = {"Accept": accept, **({"Authorization": token} if token else {})}
    context = ssl.create_default_context(cafile=trusted) if trusted else None
    handlers = [urllib.request.ProxyHandler({})] + ([urllib.request.HTTPSHandler(context=context)] if context else [])
    try:
        answer = urllib.request.build_opener(*handlers).open(urllib.request.Request(url, headers=headers), timeout=60)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return answer.status, answer.headers, answer.read()


def work(url, folder, **more):
    """All that people do, with commits and files larger than fronts like: by both programs."""
    with Client(url, folder, folder / f"c{len(os.listdir(folder))}", "db", **more) as client:
        client.acquire()
        client.sql("CREATE TABLE t (x)")
        for _ in range(2):
            client.sql("INSERT INTO t VALUES (randomblob(?))", (LARGE,))
        client.sql("PRAGMA litevfs_release_lease")
    with Client(url, folder, folder / f"c{len(os.listdir(folder))}", "db", **more) as client:
        equal("rows read by another", client.sql("SELECT count(*), sum(length(x)) FROM t"), [(2, 2 * LARGE)])
        equal("integrity", client.one("PRAGMA integrity_check"), "ok")
    for arguments in (("export", "db", folder / "copy"), ("import", folder / "copy", "again"), ("list",),
                      ("delete", "db", "--yes"), ("delete", "again", "--yes")):
        code, said = verb(url, *arguments, **more)
        equal(f"{arguments}: exit code ({said})", code, 0)
    (folder / "copy").unlink()


def nginx_as_documented():
    with scratch() as folder, Server(folder) as server:
        authority = Authority(folder)
        (port,), front = nginx_examples(folder, server, authority.server_options("front"), "nginx.conf")
        with front:
            work(f"https://localhost:{port}", folder, SSL_CERT_FILE=str(authority.file))


def caddy_as_documented():
    if CADDY is None:
        print("     no caddy here: its file is not looked at")
        return
    with scratch() as folder, Server(folder) as server, caddy_example(folder, server) as front:
        work(f"http://127.0.0.1:{front.port}", folder)


def nginx_that_keeps_pages():
    """Pages at a position come from it, to whoever may read the database now; and nothing else does."""
    with scratch() as folder:
        tokens = folder / "tokens"
        make = [*COMMAND, "token", "create", "--tokens-file", str(tokens), "--databases"]
        of_db, of_other = (subprocess.run([*make, name], check=True, capture_output=True, text=True).stdout.strip()
                           for name in ("db", "other"))
        with Server(folder, options=["--tokens-file", str(tokens)]) as server:
            authority = Authority(folder)
            options = authority.server_options("front")
            (_, port), front = nginx_examples(folder, server, options, "nginx.conf", "nginx-cache.conf")
            url, trusted = f"https://localhost:{port}", str(authority.file)
            with front:
                work(url, folder, SSL_CERT_FILE=trusted, LITEFS_CLOUD_CLUSTER="c")
                with Client(url, folder, folder / "again", "db", SSL_CERT_FILE=trusted, LITEFS_CLOUD_CLUSTER="c") as client:
                    client.acquire()
                    client.sql("CREATE TABLE t (x)")
                _, headers, _ = get(f"{server.url}/db/page?db=db&cluster=c&pgno=1&timestamp=now", TOKEN)
                of_any_life = f"{url}/db/page?db=db&pgno=1&pos={headers['Litevfs-Pos']}"
                page = f"{of_any_life}&commit_id={headers['Litevfs-Commit-Id']}"

                def ask(where, token):
                    status, headers, body = get(where, token, trusted)
                    return status, headers["X-Cache-Status"], body

                in_cluster = f"{page}&cluster=c"
                first, second = ask(in_cluster, TOKEN), ask(in_cluster, of_db)
                equal("the first and second answer", (first[:2], second[:2]), ((200, "MISS"), (200, "HIT")))
                equal("the page", first[2], second[2])
                for token, status in ((None, 401), ("wrong", 401), (of_other, 403)):
                    equal(f"a page that is kept, for {token}", ask(in_cluster, token)[0], status)
                frames = get(in_cluster, TOKEN, trusted, "application/vnd.litevfs.pages")
                check(frames[2] != first[2], "page frames are mixed up with JSON")
                # Which cluster is meant may be the token's to say, and which commit the database's.
                for where in (page, f"{of_any_life}&cluster=c", f"{url}/db/page?db=db&pgno=1&timestamp=now&cluster=c"):
                    answers = [ask(where, TOKEN)[1] for _ in range(2)]
                    check("HIT" not in answers, f"{where}: {answers}")
            kept = b"".join(path.read_bytes() for path in (folder / "kept").rglob("*") if path.is_file())
            check(b"KEY: /db/page" in kept, "nothing was kept")
            check(not any(token.encode() in kept for token in (TOKEN, of_db)), "a token is on the disk")


def nginx_that_keeps_what_it_may():
    """Nobody told it what to keep: nobody is given anybody else's answer, and nobody an old one."""
    with scratch() as folder, Server(folder) as server:
        port = free_port()
        site = (f"proxy_cache_path {folder}/kept keys_zone=k:1m;\nserver {{ listen 127.0.0.1:{port}; location / {{\n"
                f"proxy_pass http://127.0.0.1:{server.port}; proxy_cache k; proxy_cache_valid any 1m; }} }}")
        with nginx(folder, site, port):
            url = f"http://127.0.0.1:{port}"
            with Client(url, folder, folder / "c", "db") as client:
                client.acquire()
                client.sql("CREATE TABLE t (x)")
                for count in range(1, 4):
                    client.sql("INSERT INTO t VALUES ('secret')")
                    with Client(url, folder, folder / f"c{count}", "db") as other:
                        equal("rows seen", other.one("SELECT count(*) FROM t"), count)
            for path in ("/db/snapshot?db=db&format=sqlite", "/pos", "/status", "/db/info?db=db", "/clusters",
                         "/db/sync?db=db", "/db/page?db=db&pgno=1&timestamp=now", "/info"):
                equal(f"{path} with the token", get(url + path, TOKEN)[0], 200)
                equal(f"{path} without", get(url + path)[0], 401)


def nginx_that_nobody_configured():
    """It takes 1 MB: what is too long says so and what to raise, and the next commit works."""
    with scratch() as folder, Server(folder) as server:
        port = free_port()
        site = f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{server.port}; }} }}"
        with nginx(folder, site, port):
            url = f"http://127.0.0.1:{port}"
            with Client(url, folder, folder / "c", "db") as client:
                client.acquire()
                client.sql("CREATE TABLE t (x)")
                client.error("INSERT INTO t VALUES (randomblob(?))", (LARGE,))
                said = client.last_error()
                client.sql("INSERT INTO t VALUES (1)")
                equal("rows", client.one("SELECT count(*) FROM t"), 1)
            db = sqlite3.connect(folder / "local.db")
            db.executescript(f"CREATE TABLE t (x); INSERT INTO t VALUES (randomblob({LARGE}))")
            db.close()
            code, told = verb(url, "import", folder / "local.db", "imported")
            equal("import's exit code", code, 1)
            for text in (said, told):
                check("413" in text and "client_max_body_size" in text and "<" not in text, f"it says {text}")
            server.stop()
            with Client(url, folder, folder / "c2", "db") as client:
                client.error("SELECT * FROM t")
                for text in (client.last_error(), verb(url, "list")[1]):
                    check("502" in text and "is litevfs-cloud running" in text and "<" not in text, f"it says {text}")


def fronts_that_say_no():
    """Both programs say that it was a front, what to do, and nothing of what it sent; who asks is told."""
    cases = ((403, HTML, "rules of its own"), (401, b'{"message":"Unauthorized"}', "rules of its own"),
             (404, HTML, "is a litevfs-cloud behind this URL"), (302, HTML, "https://login.example/"),
             (503, b"no healthy upstream \x1b[31m\x9b!", "no healthy upstream"))
    with scratch() as folder:
        for status, body, words in cases:
            with Refusing(status, body, Location="https://login.example/") as front:
                with Client(front.url, folder, folder / "c", "db") as client:
                    client.error("SELECT * FROM t")
                    ours = client.last_error()
                theirs = verb(front.url, "list")[1]
            for text in (ours, theirs):
                good = str(status) in text and words in text or status == 503 and "is litevfs-cloud running" in text
                check(good, f"{status}: it says {text}")
                check("something in front" in text and "check token" not in text, f"{status}: it says {text}")
                check("<" not in text and "\x1b" not in text and "\x9b" not in text, f"{status}: it says {text!r}")
            agents = {agent.split("/")[0] for agent in front.agents}
            equal(f"{status}: who asked", agents, {"litevfs", "litevfs-cloud"})


def what_a_server_says_is_shown_clean():
    """An error, and names in a list, do nothing to a terminal, and are not without end."""
    with scratch() as folder:
        error = b'{"code":"E\\u001b[2JX","error":"no\\u001b]0;title\\u0007 \\u009b1m' + b"x" * 3000 + b'"}'
        with Refusing(422, error) as front, Client(front.url, folder, folder / "c", "db") as client:
            client.error("SELECT * FROM t")
            for text in (client.last_error(), verb(front.url, "list")[1]):
                check("no xxx" in text and len(text) < 600, f"it says {text!r}")
                check(not any(c < " " or "\x7f" <= c < "\xa0" for c in text.rstrip("\n")), f"it says {text!r}")
        names = b'{"a\\u001b[2J\\u009b2Jb":{"txid":"0000000000000001","postApplyChecksum":"8000000000000000"}}'
        with Refusing(200, names) as front:
            for more in ((), ("--json",)):
                code, text = verb(front.url, "list", *more)
                check(code == 0 and "\x1b" not in text and "\x9b" not in text, f"{more}: it says {text!r}")


if __name__ == "__main__":
    check(NGINX is not None, "there is no nginx: run scripts/setup test")
    main(nginx_as_documented, caddy_as_documented, nginx_that_keeps_pages, nginx_that_keeps_what_it_may,
         nginx_that_nobody_configured, fronts_that_say_no, what_a_server_says_is_shown_clean)
