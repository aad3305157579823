"""Several processes on one database: leases in turns, read views, a stale reader that wants to write."""

from harness import Client, Server, check, equal, main, scratch

SQLITE_BUSY = 5


def lease_in_turns():
    """While one holds the lease the other's acquire fails; closing or releasing gives it back."""
    with scratch() as folder, Server(folder) as server:
        first = Client(server, folder, folder / "c1", "db")
        with Client(server, folder, folder / "c2", "db") as second:
            first.acquire()
            first.sql("CREATE TABLE t (x)")
            error = second.error("PRAGMA litevfs_acquire_lease")
            check("lease" in f"{error} {second.last_error()}".lower(), f"the error names no lease: {error}")
            second.error("INSERT INTO t VALUES ('without the lease')")
            first.sql("PRAGMA litevfs_release_lease")
            second.acquire()
            second.sql("INSERT INTO t VALUES (2)")
            first.error("PRAGMA litevfs_acquire_lease")
            second.close_db()
            first.acquire()
            equal("rows after the turn", first.sql("SELECT x FROM t"), [(2,)])
            first.sql("INSERT INTO t VALUES (1)")
            first.close()
            second.open("db")
            second.acquire()
            second.sql("INSERT INTO t VALUES (3)")
            equal("rows at the end", second.sql("SELECT x FROM t ORDER BY rowid"), [(2,), (1,), (3,)])


def many_turns():
    """Two processes add to one counter in turns; no addition is lost, no cached page is stale."""
    with scratch() as folder, Server(folder) as server:
        clients = [Client(server, folder, folder / f"c{i}", "db") for i in range(2)]
        clients[0].acquire()
        clients[0].sql("CREATE TABLE t (n INTEGER, fill BLOB)")
        clients[0].sql("INSERT INTO t VALUES (0, zeroblob(20000))")
        clients[0].sql("PRAGMA litevfs_release_lease")
        for turn in range(60):
            client = clients[turn % 2]
            client.acquire()
            if turn % 7 == 3:
                client.sql("UPDATE t SET fill = zeroblob(?)", (turn * 1000,))
            client.sql("UPDATE t SET n = n + 1")
            equal(f"the counter after turn {turn}", client.one("SELECT n FROM t"), turn + 1)
            client.sql("PRAGMA litevfs_release_lease")
        for client in clients:
            client.close()
        with Client(server, folder, folder / "new", "db") as reader:
            equal("the counter", reader.one("SELECT n FROM t"), 60)
            equal("integrity", reader.one("PRAGMA integrity_check"), "ok")


def read_view_holds():
    """An open read transaction sees one state throughout, a new one sees the newest."""
    with scratch() as folder, Server(folder) as server:
        with Client(server, folder, folder / "c1", "db") as writer, \
             Client(server, folder, folder / "c2", "db") as reader:
            writer.acquire()
            writer.sql("CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB)")
            writer.sql("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200) "
                       "INSERT INTO t SELECT i, zeroblob(3000) FROM n")
            reader.sql("PRAGMA litevfs_cache_sync_period = '1ms'")
            reader.sql("BEGIN")
            equal("rows before", reader.one("SELECT count(*) FROM t WHERE id <= 3"), 3)
            # Pages the reader has not read yet change and go.
            writer.sql("UPDATE t SET x = 'new' WHERE id > 100")
            writer.sql("DELETE FROM t WHERE id < 50")
            equal("rows in the view", reader.sql("SELECT count(*), sum(length(x)) FROM t"), [(200, 600000)])
            equal("the view again", reader.sql("SELECT count(*), sum(length(x)) FROM t"), [(200, 600000)])
            equal("integrity of the view", reader.one("PRAGMA integrity_check"), "ok")
            reader.sql("COMMIT")
            equal("rows afterwards", reader.one("SELECT count(*) FROM t"), 151)


def stale_reader_cannot_write():
    """A read transaction that others have overtaken cannot become a write transaction: busy."""
    with scratch() as folder, Server(folder) as server:
        with Client(server, folder, folder / "c1", "db") as other, \
             Client(server, folder, folder / "c2", "db") as reader:
            other.acquire()
            other.sql("CREATE TABLE t (x)")
            other.sql("INSERT INTO t VALUES (1)")
            reader.sql("PRAGMA litevfs_cache_sync_period = '1ms'")
            reader.sql("BEGIN")
            equal("the view", reader.one("SELECT count(*) FROM t"), 1)
            other.sql("INSERT INTO t VALUES (2)")
            other.sql("PRAGMA litevfs_release_lease")
            try:
                reader.acquire()  # may be refused inside a transaction; then so is the write
            except Exception:
                pass
            error = reader.error("INSERT INTO t SELECT count(*) FROM t")
            check(error.primary == SQLITE_BUSY, f"busy expected, got {error.code}: {error}")
            reader.sql("ROLLBACK")
            reader.acquire()
            reader.sql("INSERT INTO t SELECT count(*) FROM t")
            equal("rows", reader.sql("SELECT x FROM t ORDER BY rowid"), [(1,), (2,), (2,)])


def connections_of_one_process():
    """Two connections of one process share the cache, not the lease, and each keeps its own view."""
    with scratch() as folder, Server(folder) as server:
        with Client(server, folder, folder / "c", "db") as client:
            client.open("db", name="b")
            client.acquire()
            client.sql("CREATE TABLE t (x)")
            client.sql("INSERT INTO t VALUES (1)")
            equal("the other connection", client.sql("SELECT x FROM t", name="b"), [(1,)])
            client.sql("BEGIN", name="b")
            client.sql("SELECT x FROM t", name="b")
            client.sql("BEGIN")
            client.sql("INSERT INTO t VALUES (2)")
            equal("not committed yet", client.sql("SELECT x FROM t", name="b"), [(1,)])
            try:
                client.sql("COMMIT")
            except Exception:
                # SQLite's own rule without WAL: a reader may make the writer wait.
                client.sql("COMMIT", name="b")
                client.sql("COMMIT")
            else:
                equal("the view holds", client.sql("SELECT x FROM t", name="b"), [(1,)])
                client.sql("COMMIT", name="b")
            equal("both committed", client.sql("SELECT x FROM t", name="b"), [(1,), (2,)])
            client.error("INSERT INTO t VALUES (3)", name="b")
            error = client.error("PRAGMA litevfs_acquire_lease", name="b")
            check("lease" in str(error), f"the error names no lease: {error}")
            client.sql("PRAGMA litevfs_release_lease")
            client.acquire(name="b")
            client.sql("INSERT INTO t VALUES (3)", name="b")
            equal("all three", client.sql("SELECT x FROM t"), [(1,), (2,), (3,)])


def several_databases():
    """One process with several databases: separate leases, no mixing of pages."""
    with scratch() as folder, Server(folder) as server:
        with Client(server, folder, folder / "c") as client:
            for name in ("one", "two", "three"):
                client.open(name, name=name)
                client.acquire(name=name)
                client.sql("CREATE TABLE t (x)", name=name)
                client.sql("INSERT INTO t VALUES (?)", (name,), name=name)
        with Client(server, folder, folder / "other") as reader:
            for name in ("one", "two", "three"):
                reader.open(name, name=name)
                equal(f"database {name}", reader.sql("SELECT x FROM t", name=name), [(name,)])


if __name__ == "__main__":
    main(lease_in_turns, many_turns, read_view_holds, stale_reader_cannot_write,
         connections_of_one_process, several_databases)
