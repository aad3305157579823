"""The other half of client.py: runs in the client's process, does what comes in on standard input.

Requests and answers are pickled: ("open", name, uri), ("sql", name, sql, parameters),
("content", name), ("restore", name, path), ("copy", name, target, pages), ("deserialize", name, image),
("close", name), ("load", None, library, entry), ("arm", injector, library, n, kind, goes_on, few) and
("disarm", injector, library), which tells whether a call has failed: see tests/c/fault_*.c. SQLITE_MODULE names
another module with a SQLite of its own. Not a test.
"""

import ctypes
import importlib
import os
import pickle
import sys

import checks

EXT = os.environ["EXT"]
sqlite3 = importlib.import_module(os.environ.get("SQLITE_MODULE", "sqlite3"))


def load_extension():
    db = sqlite3.connect(":memory:")
    db.enable_load_extension(True)
    db.load_extension(EXT)
    db.close()


def handle(connections, request):
    verb, name, *rest = request
    if verb == "open":
        connections[name] = sqlite3.connect(
            rest[0], uri=True, isolation_level=None, cached_statements=0, timeout=0)
        return None
    if verb == "sql":
        cursor = connections[name].execute(*rest)
        return cursor.fetchall()
    if verb == "content":
        content = checks.content(connections[name])
        connections[name].text_factory = str
        return content
    if verb == "restore":
        source = sqlite3.connect(rest[0])
        try:
            source.backup(connections[name])
        finally:
            source.close()
        return None
    if verb == "copy":
        target, pages = rest
        connections[name].backup(connections[target], pages=pages, sleep=0.001)
        return None
    if verb == "deserialize":
        source = sqlite3.connect(":memory:")
        try:
            source.deserialize(rest[0])
            source.backup(connections[name])
        finally:
            source.close()
        return None
    if verb == "in_transaction":
        return connections[name].in_transaction
    if verb == "close":
        connections.pop(name).close()
        return None
    if verb == "load":
        db = sqlite3.connect(":memory:")
        db.enable_load_extension(True)
        db.execute("SELECT load_extension(?, ?)", rest)
        db.close()
        return None
    if verb == "arm":
        library, n, *how = rest
        return getattr(ctypes.CDLL(library), f"fault_{name}_arm")(ctypes.c_long(n), *how)
    if verb == "disarm":
        return bool(getattr(ctypes.CDLL(rest[0]), f"fault_{name}_disarm")())
    raise ValueError(verb)


def main():
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing but answers may go to the pipe
    connections = {}
    try:
        load_extension()
        answer = ("ok", None)
    except sqlite3.Error as error:
        answer = ("error", 1, f"load: {error}")
    while True:
        pickle.dump(answer, answers)
        answers.flush()
        try:
            request = pickle.load(requests)
        except EOFError:
            break
        try:
            answer = ("ok", handle(connections, request))
        except sqlite3.Error as error:
            answer = ("error", getattr(error, "sqlite_errorcode", 1), str(error))
    for db in connections.values():
        db.close()


if __name__ == "__main__":
    main()
