"""Random SQL of the native tests (tests/py/harness/statements.py) as JSON, for the tests in the browser.

usage: statements.py SEED...      prints a line for each: [{"sql": ..., "bind": [...], "compares": bool}, ...]

What comes next depends on where the connection is, so each statement is run here too, on plain files.
"""

import json
import pathlib
import random
import sqlite3
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "py"))

from harness.statements import Generator  # noqa: E402

STEPS = 120


def for_json(value):
    """As worker.mjs reads it: integers are no floating-point numbers there, and bytes have no place in JSON."""
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    return {"bigint": str(value)} if isinstance(value, int) else value


class Script:
    def __init__(self, seed, folder):
        self.rng = random.Random(f"script {seed}")
        self.generator = Generator(seed)
        self.statements = []
        self.db = sqlite3.connect(f"{folder}/{seed}.db", isolation_level=None)
        self.db.execute("PRAGMA synchronous = off")
        if self.rng.random() < 0.4:
            self.db.execute(f"ATTACH '{folder}/{seed}-two.db' AS two")
            self.generator.attached = True

    def add(self, sql, bind=()):
        compares = not sql.startswith("PRAGMA journal_mode")
        self.statements.append({"sql": sql, "bind": [for_json(v) for v in bind], "compares": compares})
        try:
            self.db.execute(sql, bind).fetchall()
        except sqlite3.Error:
            pass  # it fails in the browser, too
        if not self.db.in_transaction:
            self.generator.ended()
        elif self.generator.is_outside():
            self.generator.in_transaction = True

    def write(self):
        self.add(f"PRAGMA page_size = {self.generator.page_size}")
        self.add(f"PRAGMA auto_vacuum = {self.rng.choice(('NONE', 'NONE', 'FULL', 'INCREMENTAL'))}")
        for sql, bind in self.generator.setup():
            self.add(sql, bind)
        for _ in range(STEPS):
            self.add(*self.generator.statement())
            if self.generator.is_outside() and not self.generator.journal_off and self.rng.random() < 0.03:
                for sql in self.generator.reshape():
                    self.add(sql)
        if self.db.in_transaction:
            self.add("COMMIT")
        if self.db.in_transaction:
            self.add("ROLLBACK")
        return {"attached": self.generator.attached, "statements": self.statements}


def main():
    with tempfile.TemporaryDirectory() as folder:
        for seed in sys.argv[1:]:
            print(json.dumps(Script(int(seed), folder).write()), flush=True)


if __name__ == "__main__":
    main()
