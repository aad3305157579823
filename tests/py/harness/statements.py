"""Random SQL: statements that plain SQLite answers in one way only."""

import random
import re

PAGE_SIZES = (512, 1024, 2048, 4096, 4096, 8192, 16384, 32768, 65536)
JOURNAL_MODES = ("DELETE", "TRUNCATE", "PERSIST", "MEMORY", "OFF")


class Generator:
    """Makes statements for one connection at a time; keeps only the names that may exist.

    With journal_mode=OFF SQLite can't undo a statement that fails half-way and leaves a plain file
    half changed (we drop such a transaction), so there no statement is made that could.

    `tables` all have the columns id, a and b; those of an attached database are called two.NAME.
    """

    def __init__(self, seed, journal_modes=JOURNAL_MODES, reshapes=True):
        self.random = random.Random(seed)
        self.journal_modes = journal_modes
        self.reshapes = reshapes
        self.tables = []
        self.searchable = []
        self.boxes = []
        self.serial = 0
        self.savepoints = []
        self.in_transaction = False
        self.journal_off = False
        self.attached = False
        self.page_size = self.random.choice(PAGE_SIZES)

    def is_outside(self):
        """Whether the connection has no transaction open."""
        return not self.in_transaction and not self.savepoints

    def ended(self):
        """No transaction is open any more."""
        self.in_transaction = False
        self.savepoints.clear()

    def name(self, prefix):
        self.serial += 1
        return f"{prefix}{self.serial}"

    def value(self):
        r = self.random
        kind = r.randrange(10)
        if kind < 3:
            return r.randrange(-1000, 1000)
        if kind < 4:
            return r.choice((None, 2**62, -(2**63), 0.5, 1e100, ""))
        if kind < 6:
            return "text %d " % r.randrange(100) * r.randrange(1, 30)
        if kind < 8:
            return r.randbytes(r.randrange(0, 200))
        # Over several pages, compressible or not.
        size = r.randrange(0, 6 * min(self.page_size, 8192))
        return bytes(size) if r.random() < 0.3 else r.randbytes(size)

    def setup(self):
        """Statements for a connection that was just opened, the same on both sides."""
        if self.journal_modes:
            mode = self.random.choice(self.journal_modes)
            self.journal_off = mode == "OFF"
            yield f"PRAGMA journal_mode = {mode}", ()
        if self.random.random() < 0.6:
            yield f"PRAGMA cache_size = {self.random.choice((1, 5, 10, 50))}", ()
        if self.random.random() < 0.3:
            yield f"PRAGMA synchronous = {self.random.choice((0, 1, 2))}", ()
        for pragma in ("foreign_keys = on", "secure_delete = on", "recursive_triggers = on", "cache_spill = off",
                       "case_sensitive_like = on", "temp_store = memory"):
            if self.random.random() < 0.1:
                yield f"PRAGMA {pragma}", ()

    def statement(self):
        """One statement with its parameters; about one in twenty is meant to fail."""
        r = self.random
        if self.journal_off:
            return self.statement_that_succeeds()
        choices = [
            (30, self.insert), (10, self.insert_many), (15, self.update), (10, self.delete),
            (15, self.select), (4, self.create_table), (3, self.create_index), (1, self.drop),
            (2, self.alter), (2, self.view_or_trigger), (12, self.transaction), (3, self.broken),
            (3, self.vacuum), (4, self.search), (3, self.box), (6, self.upsert), (3, self.pragma),
        ]
        if not self.tables:
            return self.create_table()
        make = r.choices([c for _, c in choices], [w for w, _ in choices])[0]
        return make()

    def statement_that_succeeds(self):
        make = self.random.choices((self.insert, self.insert_many, self.update, self.delete, self.select,
                                    self.create_table, self.create_index, self.drop, self.transaction),
                                   (30, 10, 15, 10, 15, 4, 3, 1, 12))[0]
        sql, parameters = make() if self.tables else self.create_table()
        for word in ("INSERT", "UPDATE"):
            if re.search(rf"\b{word} (?!OR REPLACE|OR IGNORE)", sql):
                sql = re.sub(rf"\b{word} (OR [A-Z]+ )?", f"{word} OR REPLACE ", sql)
        return sql.replace("CREATE UNIQUE", "CREATE"), parameters

    def table(self):
        return self.random.choice(self.tables)

    def main_table(self):
        return self.random.choice([t for t in self.tables if "." not in t] or ["nowhere"])

    def create_table(self):
        name = self.name("two.t" if self.attached and self.random.random() < 0.3 else "t")
        self.tables.append(name)
        form = self.random.randrange(5)
        if form == 3:
            return (f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, a ANY, b ANY, "
                    "c ANY GENERATED ALWAYS AS (length(a)) STORED) STRICT"), ()
        if form == 4 and "OFF" not in self.journal_modes:
            return f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, a, b, CHECK (length(a) < 1000 OR b IS NULL))", ()
        if form == 0:
            return f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, a, b)", ()
        if form == 1:
            return f"CREATE TABLE {name} (id INTEGER PRIMARY KEY AUTOINCREMENT, a UNIQUE, b DEFAULT 7)", ()
        return f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, a, b) WITHOUT ROWID", ()

    def create_index(self):
        unique = "UNIQUE " if self.random.random() < 0.2 else ""
        column = self.random.choice(("a", "b", "b, a", "length(a)", "a DESC"))
        table, name = self.table(), self.name("i")
        if "." in table:
            table, name = table.split(".")[1], f"two.{name}"
        where = " WHERE b IS NOT NULL" if self.random.random() < 0.2 else ""
        return f"CREATE {unique}INDEX {name} ON {table} ({column}){where}", ()

    def drop(self):
        if len(self.tables) < 2:
            return self.select()
        return f"DROP TABLE {self.table()}", ()

    def alter(self):
        if self.random.random() < 0.5:
            return f"ALTER TABLE {self.table()} ADD COLUMN {self.name('c')} DEFAULT 'added'", ()
        return f"ALTER TABLE {self.table()} RENAME COLUMN b TO b", ()

    def view_or_trigger(self):
        if self.random.random() < 0.5:
            return f"CREATE VIEW {self.name('v')} AS SELECT count(*) AS n FROM {self.main_table()}", ()
        table, log = self.main_table(), self.main_table()
        return (f"CREATE TRIGGER {self.name('r')} AFTER DELETE ON {table} BEGIN "
                f"INSERT OR IGNORE INTO {log} (id, a) VALUES (old.id + 100000, 'gone'); END"), ()

    def insert(self):
        word = self.random.choice(("INSERT", "INSERT", "INSERT OR REPLACE", "INSERT OR IGNORE", "INSERT OR FAIL",
                                   "INSERT OR ABORT"))
        if not self.journal_off and self.random.random() < 0.02:
            word = "INSERT OR ROLLBACK"
        row = (self.random.randrange(1, 400), self.value(), self.value())
        return f"{word} INTO {self.table()} (id, a, b) VALUES (?, ?, ?)", row

    def insert_many(self):
        first, count = self.random.randrange(1, 400), self.random.randrange(1, 60)
        word = self.random.choice(("INSERT", "INSERT OR REPLACE", "INSERT OR IGNORE"))
        return (f"WITH RECURSIVE n(i) AS (SELECT ? UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
                f"{word} INTO {self.table()} (id, a, b) "
                f"SELECT i, printf('%d-%s', i, hex(zeroblob(i % 50))), zeroblob((i * 31) % ?) FROM n",
                (first, first + count, self.random.randrange(1, 3000)))

    def update(self):
        low = self.random.randrange(0, 400)
        span = self.random.randrange(0, 50)
        what = self.random.choice(("a = ?", "b = ?", "a = a || '+', b = ?", "id = id + 400, b = ?"))
        return f"UPDATE {self.table()} SET {what} WHERE id BETWEEN ? AND ?", (self.value(), low, low + span)

    def delete(self):
        if self.random.random() < 0.05:
            return f"DELETE FROM {self.table()}", ()
        low = self.random.randrange(0, 400)
        return f"DELETE FROM {self.table()} WHERE id BETWEEN ? AND ?", (low, low + self.random.randrange(0, 100))

    def select(self):
        table = self.table()
        return self.random.choice((
            f"SELECT * FROM {table} ORDER BY id",
            f"SELECT count(*), sum(length(a)), sum(length(b)) FROM {table}",
            f"SELECT id FROM {table} WHERE length(a) > 20 ORDER BY a, id LIMIT 20",
            f"SELECT x.id, y.id FROM {table} x JOIN {self.table()} y ON x.a = y.a ORDER BY 1, 2 LIMIT 20",
            "SELECT type, name, rootpage FROM sqlite_schema",
            "PRAGMA page_count", "PRAGMA freelist_count",
        )), ()

    def transaction(self):
        r = self.random
        if not self.in_transaction and not self.savepoints:
            if r.random() < 0.3:
                name = self.name("s")
                self.savepoints.append(name)
                return f"SAVEPOINT {name}", ()
            self.in_transaction = True
            return r.choice(("BEGIN", "BEGIN IMMEDIATE", "BEGIN EXCLUSIVE")), ()
        step = r.random()
        if self.savepoints and step < 0.35:
            at = r.randrange(len(self.savepoints))
            name = self.savepoints[at]
            # Without a journal a rollback leaves the database undefined, by SQLite's manual.
            if step < 0.18 and not self.journal_off:
                del self.savepoints[at + 1:]
                return f"ROLLBACK TO {name}", ()
            del self.savepoints[at:]
            return f"RELEASE {name}", ()
        if step < 0.6:
            name = self.name("s")
            self.savepoints.append(name)
            return f"SAVEPOINT {name}", ()
        self.savepoints.clear()
        self.in_transaction = False
        if step < 0.75 and not self.journal_off:
            return "ROLLBACK", ()
        return "COMMIT", ()

    def vacuum(self):
        """Statements that move pages or cut the database; VACUUM is refused in a transaction, and brings
        the auto_vacuum that was set before it."""
        return self.random.choice(("VACUUM", "VACUUM", "ANALYZE", "REINDEX",
                                   f"PRAGMA auto_vacuum = {self.random.choice(('NONE', 'FULL', 'INCREMENTAL'))}",
                                   "PRAGMA incremental_vacuum(3)", "PRAGMA incremental_vacuum")), ()

    def search(self):
        if not self.searchable or self.random.random() < 0.1:
            self.searchable.append(self.name("f"))
            return f"CREATE VIRTUAL TABLE {self.searchable[-1]} USING fts5(a, b, prefix='2')", ()
        table, word = self.random.choice(self.searchable), f"word{self.random.randrange(20)}"
        first = self.random.randrange(300)
        return self.random.choice((
            (f"WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {first + 30}) INSERT INTO "
             f"{table}(a, b) SELECT printf('word%d word%d', i % 20, i % 7), hex(zeroblob(i % 40)) FROM n", ()),
            (f"INSERT INTO {table}(rowid, a, b) VALUES (?, ?, ?)", (first, word, "some more words")),
            (f"UPDATE {table} SET a = 'changed ' || a WHERE rowid BETWEEN ? AND ?", (first, first + 20)),
            (f"DELETE FROM {table} WHERE rowid BETWEEN ? AND ?", (first, first + 20)),
            (f"SELECT rowid, snippet({table}, 0, '[', ']', '', 4) FROM {table}(?) ORDER BY rowid LIMIT 9", (word,)),
            (f"SELECT count(*), sum(rowid) FROM {table}(?)", ("wo*",)),
            (f"INSERT INTO {table}({table}) VALUES ('optimize')", ()),
            (f"INSERT INTO {table}({table}) VALUES ('integrity-check')", ()),
        ))

    def box(self):
        if not self.boxes or self.random.random() < 0.1:
            self.boxes.append(self.name("x"))
            return f"CREATE VIRTUAL TABLE {self.boxes[-1]} USING rtree(id, x0, x1, y0, y1)", ()
        table, at = self.random.choice(self.boxes), self.random.randrange(300)
        return self.random.choice((
            (f"WITH RECURSIVE n(i) AS (SELECT {at} UNION ALL SELECT i + 1 FROM n WHERE i < {at + 40}) INSERT OR REPLACE "
             f"INTO {table} SELECT i, i % 50, i % 50 + 2, i % 37, i % 37 + 5 FROM n", ()),
            (f"INSERT INTO {table} VALUES (?, 1, 0, 0, 1)", (at,)),
            (f"DELETE FROM {table} WHERE id BETWEEN ? AND ?", (at, at + 30)),
            (f"SELECT id FROM {table} WHERE x0 > 5 AND x1 < 30 AND y0 < 9 ORDER BY id", ()),
            (f"SELECT rtreecheck('{table}')", ()),
        ))

    def upsert(self):
        row = (self.random.randrange(1, 400), self.value(), self.value())
        table = self.table()
        return self.random.choice((
            (f"INSERT INTO {table} (id, a, b) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET b = excluded.b, "
             "a = a RETURNING id, typeof(a), length(b)", row),
            (f"INSERT INTO {table} (id, a, b) VALUES (?, ?, ?) ON CONFLICT DO NOTHING RETURNING id", row),
            (f"DELETE FROM {table} WHERE id BETWEEN ? AND ? + 5 RETURNING id, length(a)", (row[0], row[0])),
            (f"UPDATE OR IGNORE {table} SET id = id + 1 WHERE id = ? RETURNING id", (row[0],)),
        ))

    def pragma(self):
        number = self.random.randrange(1000)
        return self.random.choice((
            f"PRAGMA user_version = {number}", f"PRAGMA application_id = {number}", "PRAGMA user_version",
            "PRAGMA integrity_check", "PRAGMA quick_check", "PRAGMA auto_vacuum", "PRAGMA page_size",
            "PRAGMA foreign_key_check", "PRAGMA schema_version", "PRAGMA max_page_count", "PRAGMA encoding",
            f"PRAGMA cache_size = {number % 50 + 1}", "PRAGMA shrink_memory", "PRAGMA optimize",
            "CREATE TEMP TABLE IF NOT EXISTS scratch AS SELECT 1 AS x",
        )), ()

    def reshape(self):
        """Statements, for outside a transaction, after which the file is another one."""
        r = self.random
        return r.choice((
            (f"PRAGMA page_size = {r.choice(PAGE_SIZES)}", "VACUUM"),
            (f"PRAGMA auto_vacuum = {r.choice(('NONE', 'FULL', 'INCREMENTAL'))}", "VACUUM"),
            (f"PRAGMA journal_mode = {r.choice(JOURNAL_MODES[:4])}",),
            ("PRAGMA locking_mode = EXCLUSIVE", f"PRAGMA user_version = {r.randrange(99)}",
             f"PRAGMA user_version = {r.randrange(99)}", "PRAGMA locking_mode = NORMAL", "SELECT * FROM sqlite_schema"),
        ))

    def broken(self):
        return self.random.choice((
            ("SELECT * FROM nowhere", ()),
            (f"INSERT INTO {self.table()} (id, a) VALUES ('not a number', 1)", ()),
            ("SELEC 1", ()),
            (f"INSERT INTO {self.table()} (id, a) SELECT 1, 2 UNION ALL SELECT 500, 3 UNION ALL SELECT 1, 4", ()),
            ("COMMIT", ()) if not self.in_transaction and not self.savepoints else ("SELECT 1", ()),
        ))
