"""Several SQLites in one process, and several copies of the library: each has the VFS, functions and tables of its
own, and none is called with what is another's."""

import re
import shutil
import subprocess
import sys

from harness import EXT, TOKEN, Server, equal, main, scratch

COPIES = 9

# A SQLite is what ctypes has loaded from a file of its own.
PROGRAM = """
import ctypes, os, sys

class Sqlite:
    def __init__(self, path):
        self.lib = ctypes.CDLL(path)
        self.lib.sqlite3_errmsg.restype = ctypes.c_char_p
        self.lib.sqlite3_errmsg.argtypes = [ctypes.c_void_p]

    def open(self, uri):
        db = ctypes.c_void_p()
        rc = self.lib.sqlite3_open_v2(uri.encode(), ctypes.byref(db), 6 | 0x40, None)
        if rc:
            sys.exit(f"{uri}: {rc} {self.lib.sqlite3_errmsg(db)}")
        return db

    def load(self, extension):
        db = self.open(":memory:")
        self.lib.sqlite3_enable_load_extension(db, 1)
        text = ctypes.c_char_p()
        if self.lib.sqlite3_load_extension(db, extension.encode(), b"sqlite3_litevfs_init", ctypes.byref(text)):
            sys.exit(f"{extension}: {text.value}")
        self.lib.sqlite3_close(db)

    def sql(self, db, sql):
        rows = []
        def row(_, n, values, names):
            rows.append(tuple(values[i] for i in range(n)))
            return 0
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int,
                                ctypes.POINTER(ctypes.c_char_p), ctypes.c_void_p)
        rc = self.lib.sqlite3_exec(db, sql.encode(), kind(row), None, None)
        if rc:
            return f"{rc} {self.lib.sqlite3_errmsg(db).decode()}"
        return [tuple(value and value.decode() for value in row) for row in rows]
"""

EACH_HAS_ITS_OWN = PROGRAM + """
sqlites = [Sqlite(path) for path in sys.argv[2:]]
for sqlite in sqlites:
    sqlite.load(sys.argv[1])
open_ = [(n, sqlite, sqlite.open(f"file:db{n}?vfs=litevfs")) for n, sqlite in enumerate(sqlites)]
for n, sqlite, db in open_:
    sqlite.sql(db, "CREATE TABLE t (x)")
    for _ in range(n):
        sqlite.sql(db, "INSERT INTO t VALUES (1)")
for n, sqlite, db in reversed(open_):
    print(n, sqlite.sql(db, "SELECT count(*) FROM t"),
          sqlite.sql(db, "SELECT litevfs_txid(), length(litevfs_pos()), database FROM litevfs_stats"),
          sqlite.sql(db, "SELECT litevfs_txid('nosuch')"), sqlite.sql(db, "PRAGMA litevfs_lease_duration"))
    sqlite.lib.sqlite3_close(db)
"""

COPIES_OF_THE_LIBRARY = PROGRAM + """
one, other = Sqlite(sys.argv[3]), Sqlite(sys.argv[4])
for sqlite, extension in ((one, 1), (one, 2), (other, 2), (other, 1)):
    sqlite.load(sys.argv[extension])
a, b = one.open("file:a?vfs=litevfs"), other.open("file:b?vfs=litevfs")
for sqlite, db in ((one, a), (other, b)):
    sqlite.sql(db, "CREATE TABLE t (x)")
    print(sqlite.sql(db, "SELECT litevfs_txid(), database FROM litevfs_stats"))
"""


def copies(folder, count):
    """So many files with the SQLite that Python uses."""
    import _sqlite3
    said = subprocess.run(["ldd", _sqlite3.__file__], capture_output=True, text=True, check=True).stdout
    library = re.search(r"libsqlite3\S* => (\S+)", said)[1]
    return [shutil.copy(library, folder / f"libsqlite3-{n}.so") for n in range(count)]


def run(folder, server, program, *arguments):
    env = {"LITEFS_CLOUD_HOST": server.url, "LITEFS_CLOUD_TOKEN": TOKEN, "LITEVFS_AUTO_LEASE": "1",
           "PATH": "/usr/bin:/bin", "RUST_LOG": "warn"}
    done = subprocess.run([sys.executable, "-B", "-c", program, *map(str, arguments)], cwd=folder, env=env,
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    equal(f"the program, which said {done.stdout}", done.returncode, 0)
    return done.stdout.splitlines()


def each_has_its_own():
    """One copy of the library in many SQLites: each finds its own databases by its functions. Those past the eighth
    have the VFS and the table only."""
    with scratch() as folder, Server(folder) as server:
        said = run(folder, server, EACH_HAS_ITS_OWN, EXT, *copies(folder, COPIES))
        expected = []
        for n in reversed(range(8)):
            txid = str(n + 1)
            expected.append(f"{n} [('{n}',)] [('{txid}', '33', 'db{n}')] 1 unknown database nosuch [('3s',)]")
        equal("a line of the one too many", [line for line in said if line.startswith("8 ")],
              ["8 [('8',)] 1 no such function: litevfs_txid 1 no such function: litevfs_txid [('3s',)]"])
        equal("the others", [line for line in said if line[:2] in {f"{n} " for n in range(8)}], expected)


def copies_of_the_library():
    """Two copies in two SQLites, in either order: the first that a SQLite loads is the one that it has."""
    with scratch() as folder, Server(folder) as server:
        (folder / "copy").mkdir()
        second = shutil.copy(EXT, folder / "copy")
        said = run(folder, server, COPIES_OF_THE_LIBRARY, EXT, second, *copies(folder, 2))
        equal("what they said", said, ["[('1', 'a')]", "[('1', 'b')]"])


if __name__ == "__main__":
    main(each_has_its_own, copies_of_the_library)
