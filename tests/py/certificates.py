"""Whose certificates count: for the extension and for the verbs alike, and as curl has it."""

import shutil
import subprocess

from harness import Client, Server, check, equal, main, scratch
from harness.authority import Authority
from harness.server import COMMAND, client_environment

NAME = "subjectAltName=DNS:localhost"
EXPIRED, OTHER_NAME, OTHER_USE = "has expired", "another host name", "not for servers"
UNKNOWN = "signed by nobody whom this machine trusts"


def ask(url, folder, trusted):
    """What both programs say of a server, None where they take it; it must be the same."""
    with Client(url, folder, folder / "c", "db", SSL_CERT_FILE=str(trusted)) as client:
        try:
            client.sql("SELECT * FROM sqlite_schema")
            ours = None
        except Exception:
            ours = client.last_error()
    env = client_environment(url)
    said = []
    for more, options in (({"SSL_CERT_FILE": str(trusted)}, ()), ({}, ("--ca", str(trusted)))):
        done = subprocess.run([*COMMAND, "list", *options], env=env | more, capture_output=True, text=True, timeout=60)
        said.append(done.stderr if done.returncode else None)
    return [ours, *said]


def curl_takes(url, trusted):
    command = ["curl", "-s", "-o", "/dev/null", "--noproxy", "*", "--cacert", str(trusted), f"{url}/healthz"]
    return subprocess.run(command, timeout=60).returncode == 0


def expect(name, folder, options, trusted, words):
    with Server(folder, name, options=options) as server:
        url = f"https://localhost:{server.port}"
        said = ask(url, folder, trusted)
        if words is None:
            equal(f"{name}: what is said", said, [None] * 3)
        else:
            check(all(text and words in text and "localhost" in text for text in said), f"{name}: {said}")
        if shutil.which("curl"):
            equal(f"{name}: curl takes it", curl_takes(url, trusted), words is None)


def signed_by_a_ca():
    """Issuer, name, use, time: each has a text of its own, and nothing is sent before."""
    with scratch() as folder:
        authority, other = Authority(folder), Authority(folder, "other")
        for name, certificate, trusted, words in (
                ("good", {}, authority, None),
                ("any-use", {"use": "anyExtendedKeyUsage,serverAuth"}, authority, None),
                ("issuer", {}, other, UNKNOWN),
                ("name", {"host": "DNS:elsewhere.example"}, authority, OTHER_NAME),
                ("use", {"use": "clientAuth"}, authority, OTHER_USE),
                ("expired", {"days": -1}, authority, EXPIRED)):
            expect(name, folder, authority.server_options(name, **certificate), trusted.file, words)
        for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
            with Client("https://localhost:1", folder, folder / "c", "db", **{variable: "/nowhere"}) as client:
                client.error("SELECT * FROM t")


def trusted_itself():
    """A certificate that signs itself counts where it is itself trusted, whether it says it is a CA's or not."""
    with scratch() as folder:
        authority = Authority(folder)
        for name, extensions, words in (
                ("plain", (), None),
                ("no-ca", ("basicConstraints=critical,CA:FALSE",), None),
                ("for-servers", ("extendedKeyUsage=serverAuth",), None),
                ("for-clients", ("extendedKeyUsage=clientAuth",), OTHER_USE)):
            options = authority.signs_itself(name, NAME, *extensions)
            expect(name, folder, options, folder / f"{name}.crt", words)
        options = authority.signs_itself("other-name", "subjectAltName=DNS:elsewhere.example")
        expect("other-name", folder, options, folder / "other-name.crt", OTHER_NAME)
        # Nobody trusts it.
        options = authority.signs_itself("stranger", NAME)
        expect("stranger", folder, options, authority.file, UNKNOWN)
        # One of the same name is trusted, with another key, also of another kind.
        for kind in ("ec", "rsa:2048"):
            authority.openssl("req", "-x509", "-newkey", kind, *(("-pkeyopt", "ec_paramgen_curve:prime256v1")
                              if kind == "ec" else ()), "-nodes", "-keyout", "other.key", "-out", "before.crt",
                              "-subj", "/CN=stranger")
            expect(f"namesake-{kind[:2]}", folder, options, folder / "before.crt", UNKNOWN)


def pinned():
    """A certificate that a CA signed counts where it is trusted and its CA is not."""
    with scratch() as folder:
        authority = Authority(folder)
        expect("leaf", folder, authority.server_options("leaf"), folder / "leaf.crt", None)


if __name__ == "__main__":
    main(signed_by_a_ca, trusted_itself, pinned)
