"""What stands in front of a server: nginx and Caddy with the files of docs/examples, and ones that only say no."""

import http.server
import os
import re
import shutil
import socket
import subprocess
import threading
import time

from .checks import check
from .ports import Port
from .server import ROOT

EXAMPLES = ROOT / "docs/examples"
PATH = os.environ.get("PATH", "") + ":/usr/sbin"
NGINX, CADDY = shutil.which("nginx", path=PATH), shutil.which("caddy", path=PATH)
TEMP = "".join(f"{kind}_temp_path {{folder}}/{kind};\n"
               for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))


KEPT = []


def free_port():
    """A port for a front; it stays ours until the test is over."""
    KEPT.append(Port())
    return KEPT[-1].number


class Program:
    """A program that runs until the test is over, and listens on `port`."""

    def __init__(self, command, folder, port, env=None):
        self.port, self.log = port, folder / f"front-{port}.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=env)
        for _ in range(400):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            check(self.process.poll() is None, f"it did not start: {self.log.read_text()}")
            time.sleep(0.025)
        raise RuntimeError(f"it does not listen: {self.log.read_text()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def nginx(folder, site, port):
    """nginx with what the text says inside of `http`."""
    folder = folder / f"nginx-{port}"
    folder.mkdir()
    config = folder / "nginx.conf"
    config.write_text(f"daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log stderr;\nevents {{}}\n"
                      f"http {{\naccess_log off;\n{TEMP.format(folder=folder)}{site}\n}}\n")
    return Program([NGINX, "-e", "stderr", "-c", str(config)], folder, port)


def nginx_examples(folder, server, tls, *names):
    """nginx with files of docs/examples, as they are but for addresses: one front for each."""
    ports, sites = [], []
    _, certificate, _, key = tls
    for name in names:
        port = free_port()
        text = (EXAMPLES / name).read_text()
        for told, ours in (("127.0.0.1:20202", f"127.0.0.1:{server.port}"), ("listen 443", f"listen 127.0.0.1:{port}"),
                           ("/etc/ssl/litevfs/fullchain.pem", certificate), ("/etc/ssl/litevfs/privkey.pem", key),
                           ("/var/cache/nginx/litevfs", str(folder / "kept")), (r"litevfs.example.com", "localhost"),
                           ("cached.example.com", "localhost")):
            text = text.replace(told, ours)
        check(re.search(rf"127.0.0.1:{port} ssl", text), f"{name} listens elsewhere")
        ports.append(port)
        sites.append(text)
    return ports, nginx(folder, "\n".join(sites), ports[0])


def caddy_example(folder, server):
    """Caddy with the file of docs/examples, without TLS: its own certificates want the internet."""
    port = free_port()
    text = (EXAMPLES / "Caddyfile").read_text()
    text = text.replace("127.0.0.1:20202", f"127.0.0.1:{server.port}")
    text = "{\n\tadmin off\n}\n" + text.replace("litevfs.example.com", f"http://127.0.0.1:{port}")
    (folder / "Caddyfile").write_text(text)
    command = [CADDY, "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]
    return Program(command, folder, port, env={**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder),
                                               "XDG_CONFIG_HOME": str(folder)})


class Refusing:
    """A front that answers everything with one status and body. `agents` are who asked."""

    def __init__(self, status, body, **headers):
        self.agents = []
        front = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                front.agents.append(self.headers.get("User-Agent"))
                self.send_response(status)
                for name, value in {"Content-Type": "text/html", "Content-Length": len(body), **headers}.items():
                    self.send_header(name, str(value))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_DELETE = answer

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
