"""A client of the wire protocol alone: holds whole databases, pulls pages, pushes LTX files.

Neither extension nor cache stands between it and the server, so what it reads is what was served.
Every pull is checked: the pages must have the checksum of the position they were said to be at.
"""

import base64
import http.client
import json
import pathlib
import sqlite3
import struct
import tempfile
import urllib.parse

from . import ltx
from .checks import check
from .server import TOKEN

NO_POSITION = "0" * 16 + "/" + "0" * 16
PAGES_A_REQUEST = 200


class Refused(Exception):
    """The server's own error: status, code and the whole answer."""

    def __init__(self, status, answer):
        super().__init__(f"{status} {answer}")
        self.status = status
        self.answer = answer
        self.code = answer.get("code")


class Unanswered(Exception):
    """No answer, or half of one: whether the request did anything is not known."""


def ask(url, method, path, body=None, headers=(), **query):
    """The body of an answer with status 2xx."""
    return answer_to(url, method, path, body, headers, **query)[0]


def answer_to(url, method, path, body=None, headers=(), **query):
    """The same, and a function that finds a header."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=120)
    try:
        target = f"{path}?{urllib.parse.urlencode(query)}"
        connection.request(method, target, body=body, headers={"Authorization": TOKEN, **dict(headers)})
        answer = connection.getresponse()
        status, body = answer.status, answer.read()
    except (OSError, http.client.HTTPException) as problem:
        raise Unanswered(f"{method} {path}: {problem!r}") from None
    finally:
        connection.close()
    if status // 100 == 2:
        return body, answer.getheader
    try:
        raise Refused(status, json.loads(body))
    except ValueError:
        raise Refused(status, {"error": body[:300].decode(errors="replace")}) from None


class Copy:
    """One database as this client holds it: its pages, their checksums, and the position."""

    def __init__(self, name, pragmas=None):
        self.name = name
        self.pragmas = pragmas or {}  # set before each transaction made here
        self.position = NO_POSITION
        self.page_size = 0
        self.pages, self.sums = {}, {}

    @property
    def image(self):
        """The database file."""
        return b"".join(self.pages[n] for n in range(1, len(self.pages) + 1))

    @property
    def txid(self):
        return int(self.position[:16], 16)

    @property
    def checksum(self):
        total = ltx.TOP_BIT
        for value in self.sums.values():
            total ^= value & ~ltx.TOP_BIT
        return total

    def pull(self, url):
        """Brings the copy to the newest position that the server at `url` knows. Refused, Unanswered."""
        query = {} if self.position == NO_POSITION else {"pos": self.position}
        answer = json.loads(ask(url, "GET", "/db/sync", db=self.name, **query))
        position = f"{answer['pos']['txid']}/{answer['pos']['postApplyChecksum']}"
        if position == self.position or position == NO_POSITION:
            return
        known = {} if answer["all"] else dict(self.pages)
        for pgno in answer["pgnos"] or ():
            known.pop(pgno, None)
        if 1 not in known:
            known |= fetch(url, self.name, position, [1])
        commit = struct.unpack(">I", known[1][28:32])[0]
        wanted = [pgno for pgno in range(1, commit + 1) if pgno not in known]
        for i in range(0, len(wanted), PAGES_A_REQUEST):
            known |= fetch(url, self.name, position, wanted[i:i + PAGES_A_REQUEST])
        self._take({n: known[n] for n in range(1, commit + 1)}, position)

    def _take(self, pages, position):
        self.sums = {n: self.sums[n] if self.pages.get(n) == data else ltx.page_checksum(n, data)
                     for n, data in pages.items()}
        self.pages, self.position = pages, position
        self.page_size = ltx.page_size_of(pages[1])
        check(f"{self.checksum:016x}" == position[17:],
              f"{self.name}: the pages served for {position} have the checksum {self.checksum:016x}")

    def changed_by(self, statements, timestamp_ms=None):
        """(LTX file, the copy after it) of a transaction of (sql, parameters) on top of this position."""
        db = sqlite3.connect(":memory:", isolation_level=None)
        try:
            if self.pages:
                db.deserialize(self.image)
            for name, value in self.pragmas.items():
                db.execute(f"PRAGMA {name} = {value}")
            db.execute("BEGIN")
            for statement in statements:
                db.execute(*statement)
            db.execute("COMMIT")
            after = ltx.pages_of(db.serialize())
        finally:
            db.close()
        return self.changed_to(after, timestamp_ms)

    def reshaped(self, page_size):
        """The same for a VACUUM to another page size, which SQLite does in a file only."""
        with tempfile.TemporaryDirectory(prefix="litevfs-test.") as folder:
            path = pathlib.Path(folder) / "db"
            path.write_bytes(self.image)
            db = sqlite3.connect(path, isolation_level=None)
            try:
                db.execute(f"PRAGMA page_size = {page_size}")
                db.execute("VACUUM")
            finally:
                db.close()
            return self.changed_to(ltx.pages_of(path.read_bytes()))

    def changed_to(self, pages, timestamp_ms=None):
        """The same for a transaction that leaves these pages."""
        new = Copy(self.name, self.pragmas)
        new.pages, new.page_size = pages, ltx.page_size_of(pages[1])
        changed = {n: data for n, data in pages.items() if self.pages.get(n) != data}
        new.sums = {n: ltx.page_checksum(n, pages[n]) if n in changed else self.sums[n] for n in pages}
        txid = self.txid + 1
        new.position = f"{txid:016x}/{new.checksum:016x}"
        before = self.checksum if self.pages else 0
        file = ltx.encode_changes(changed, len(pages), new.page_size, txid, txid, before, new.checksum,
                                  timestamp_ms)
        return file, new


def fetch(url, db, position, pgnos):
    """{pgno: bytes} at a position."""
    body = ask(url, "GET", "/db/page", db=db, pos=position, pgno=",".join(map(str, pgnos)))
    pages = {page["pgno"]: base64.b64decode(page["data"]) for page in json.loads(body)["pages"]}
    check(sorted(pages) == sorted(pgnos), f"{db} at {position}: asked for {pgnos}, got {sorted(pages)}")
    return pages


def push(url, db, file, lease=None):
    """POST /db/tx. Refused, Unanswered."""
    return ask(url, "POST", "/db/tx", body=file, headers={"Lfsc-Lease-Id": lease} if lease else {}, db=db)


def acquire(url, db, duration_ms=5000, **query):
    """A write lease's id."""
    return acquire_at(url, db, duration_ms, **query)[0]


def acquire_at(url, db, duration_ms=5000, **query):
    """A write lease's id, and the position since then."""
    body, header = answer_to(url, "POST", "/lease", db=db, duration=duration_ms, **query)
    return json.loads(body)["id"], header("Litevfs-Pos")


def release(url, db, lease):
    ask(url, "DELETE", "/lease", db=db, id=lease)
