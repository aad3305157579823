"""As much of module sqlite3 as the worker needs, over apsw with SQLite3MultipleCiphers."""

import apsw


class Error(Exception):
    def __init__(self, error):
        super().__init__(str(error).partition(": ")[2] or str(error))
        self.sqlite_errorcode = getattr(error, "extendedresult", 1)


class Connection:
    def __init__(self, path):
        flags = apsw.SQLITE_OPEN_URI | apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        self.apsw = _translated(apsw.Connection, path, flags=flags)

    def execute(self, sql, parameters=()):
        return Rows(_translated(lambda: self.apsw.execute(sql, parameters or None).fetchall()))

    def enable_load_extension(self, enable):
        self.apsw.enable_load_extension(enable)

    def load_extension(self, path):
        _translated(self.apsw.load_extension, path)

    def backup(self, target, pages=-1, **_):
        with target.apsw.backup("main", self.apsw, "main") as backup:
            _translated(backup.step, pages)

    @property
    def in_transaction(self):
        return self.apsw.in_transaction

    def close(self):
        self.apsw.close()


class Rows(list):
    def fetchall(self):
        return list(self)

    def fetchone(self):
        return self[0] if self else None


def _translated(call, *arguments, **keywords):
    try:
        return call(*arguments, **keywords)
    except apsw.Error as error:
        raise Error(error) from None


def connect(path, **_):
    return Connection(path)
