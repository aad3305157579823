"""Writes raw LTX v1 files, as LiteFS does: an encoder of the tests' own, so that server and extension
are not only tested against the codec they share. Slow and plain; for small databases.
"""

import http.client
import struct
import time
import urllib.parse

from .server import TOKEN

TOP_BIT = 1 << 63


def _table():
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0xD800000000000000 if crc & 1 else 0)
        yield crc


_TABLE = tuple(_table())


def crc64(data, crc=0):
    """CRC-64/ISO; continue with the value of the bytes before."""
    crc ^= 0xFFFFFFFFFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFFFFFFFFFF


def pages_of(database):
    """{pgno: bytes} of a whole SQLite file."""
    size = page_size_of(database)
    return {i + 1: database[i * size:(i + 1) * size] for i in range(len(database) // size)}


def page_size_of(database):
    size = struct.unpack(">H", database[16:18])[0]
    return 65536 if size == 1 else size


def page_checksum(pgno, data):
    return crc64(struct.pack(">I", pgno) + data) | TOP_BIT


def database_checksum(pages):
    total = 0
    for pgno, data in pages.items():
        total ^= page_checksum(pgno, data)
    return total | TOP_BIT


def encode(before, after, min_txid, max_txid):
    """The LTX file that turns the database `before` (bytes; empty for none) into `after`."""
    old, new = pages_of(before) if before else {}, pages_of(after)
    changed = {n: data for n, data in new.items() if old.get(n) != data}
    pre = database_checksum(old) if min_txid > 1 else 0
    return encode_changes(changed, len(new), page_size_of(after), min_txid, max_txid, pre, database_checksum(new))


def encode_changes(changed, commit, page_size, min_txid, max_txid, pre, post, timestamp_ms=None):
    """The LTX file of changed pages, between two database checksums, made now or then."""
    timestamp_ms = timestamp_ms or time.time_ns() // 1_000_000
    header = struct.pack(">4sIIIQQQQQQIIQ20x", b"LTX1", 0, page_size, commit, min_txid, max_txid,
                         timestamp_ms, pre, 0, 0, 0, 0, 0)
    body = b"".join(struct.pack(">I", n) + changed[n] for n in sorted(changed)) + bytes(4)
    head = header + body + struct.pack(">Q", post)
    return head + struct.pack(">Q", crc64(head) | TOP_BIT)


def push(server, db, file, chunked=True, **headers):
    """POST /db/tx as LiteFS does, chunked and without a lease: (status, body)."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        path = "/db/tx?" + urllib.parse.urlencode({"db": db})
        body = iter([file[i:i + 5000] for i in range(0, len(file), 5000)]) if chunked else file
        connection.request("POST", path, body=body, headers={"Authorization": TOKEN, **headers},
                           encode_chunked=chunked)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
