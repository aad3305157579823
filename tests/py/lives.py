"""One name, several histories at the same TXID and checksum: nobody takes one for another.

The database checksum is linear, and the row of a TEXT PRIMARY KEY lies alike in its table and in its index: another
value of that length changes both by the same, and the checksum stays. So a database that is deleted and made anew,
or a copy of a data folder that has gone its own way, comes by positions that a client has seen.
"""

import re
import shutil

from harness import Client, Proxy, Server, check, equal, main, raw, scratch, until

TABLE = "CREATE TABLE u (email TEXT PRIMARY KEY)"
MORE = "CREATE TABLE more (x)"
ALICE, BOBBY, CAROL = ("alice@example.com",), ("bobby@example.com",), ("carol@example.com",)
SQLITE_BUSY = 5


def insert(client, row):
    client.sql(f"INSERT INTO u VALUES ('{row[0]}')")


def writer(server, folder, **more):
    return Client(server, folder, db="db", LITEVFS_AUTO_LEASE="1", **more)


def made(server, folder, *statements):
    """The database by a client of its own; where that led."""
    with writer(server, folder) as client:
        for statement in statements:
            client.sql(statement)
    return server.position("db")


def with_row(row):
    return TABLE, f"INSERT INTO u VALUES ('{row[0]}')"


def anew(server, folder, *statements):
    raw.ask(server.url, "DELETE", "/db", db="db")
    return made(server, folder, *statements)


def collides(one, other):
    """Without this the tests would show nothing."""
    equal("the positions", (one["txid"], one["postApplyChecksum"]), (other["txid"], other["postApplyChecksum"]))
    check(one["commitId"] != other["commitId"], "the commits are not told apart")


def free(server):
    """Nobody has the lease any more: it is kept for a moment after a commit."""
    raw.release(server.url, "db", acquired(server))


def acquired(server):
    leases = []

    def is_free():
        try:
            leases.append(raw.acquire(server.url, "db"))
        except raw.Refused:
            return False
        return True

    until("the lease is free", is_free)
    return leases[-1]


def rows(client):
    return client.sql("SELECT email FROM u ORDER BY email")


def a_connection_reads_and_writes_the_life_there_is():
    with scratch() as folder, Server(folder) as server:
        first = made(server, folder, *with_row(ALICE))
        with writer(server, folder) as client:
            equal("before", rows(client), [ALICE])
            collides(first, anew(server, folder, *with_row(BOBBY)))
            # The lease that an INSERT takes comes with the position.
            insert(client, CAROL)
            equal("after", rows(client), [BOBBY, CAROL])
        with Client(server, folder, db="db") as other:
            equal("another client", rows(other), [BOBBY, CAROL])
            equal("the check", other.sql("PRAGMA integrity_check"), [("ok",)])


def a_reader_is_told_by_its_next_poll():
    with scratch() as folder, Server(folder) as server:
        first = made(server, folder, *with_row(ALICE))
        with Client(server, folder, db="db") as client:
            equal("before", rows(client), [ALICE])
            collides(first, anew(server, folder, *with_row(BOBBY)))
            until("the other life is read", lambda: rows(client) == [BOBBY])


def a_transaction_that_read_the_first_life_cannot_write():
    with scratch() as folder, Server(folder) as server:
        first = made(server, folder, *with_row(ALICE))
        with writer(server, folder) as client:
            client.sql("BEGIN")
            equal("in the transaction", rows(client), [ALICE])
            collides(first, anew(server, folder, *with_row(BOBBY)))
            equal("the write", client.error("INSERT INTO u SELECT 'x' || email FROM u").primary, SQLITE_BUSY)
            client.sql("ROLLBACK")
            equal("afterwards", rows(client), [BOBBY])


def long_texts(letter):
    """Two rows on as many overflow pages, which change alike; what is not on such pages is the same."""
    text = f"printf('%.5000c', 'x') || printf('%.400000c', '{letter}')"
    return "CREATE TABLE t (x)", f"INSERT INTO t VALUES ({text}), ({text})"


def a_page_that_is_missing_is_not_taken_from_another_life():
    """The view is of the first life, which is gone with its pages: that is an error, and no text of the second."""
    with scratch() as folder, Server(folder) as server:
        first = made(server, folder, *long_texts("a"))
        with Client(server, folder, db="db") as client:
            client.sql("BEGIN")
            equal("the schema", client.one("SELECT count(*) FROM sqlite_schema"), 1)
            collides(first, anew(server, folder, *long_texts("b")))
            error = client.error("SELECT substr(x, -10) FROM t")
            check("position" in str(client.last_error()), f"{error}: {client.last_error()}")
            equal("afterwards", client.sql("SELECT substr(x, -3) FROM t"), [("bbb",), ("bbb",)])


def a_cache_of_the_first_life_is_not_used_for_the_second():
    with scratch() as folder, Server(folder) as server:
        cache = folder / "cache"
        first = made(server, folder, *with_row(ALICE))
        with writer(server, folder, cache=cache) as client:
            equal("before", rows(client), [ALICE])
        collides(first, anew(server, folder, *with_row(BOBBY)))
        with writer(server, folder, cache=cache) as client:
            equal("after", rows(client), [BOBBY])


def a_copy_of_the_data_folder_has_a_history_of_its_own():
    """The folder is restored from a backup, and goes on from there to the same TXID."""
    with scratch() as folder, Server(folder) as server:
        made(server, folder, TABLE)
        server.stop()
        shutil.copytree(server.data, folder / "backup")
        server.start()
        with writer(server, folder) as one, writer(server, folder) as other:
            insert(one, ALICE)
            first = server.position("db")
            until("the row is read", lambda: rows(other) == [ALICE])
            server.stop()
            shutil.rmtree(server.data)
            shutil.copytree(folder / "backup", server.data)
            server.start()
            with writer(server, folder) as client:
                insert(client, BOBBY)
            collides(first, server.position("db"))
            insert(other, CAROL)
            equal("who read the first history", rows(other), [BOBBY, CAROL])
            until("who wrote it", lambda: rows(one) == [BOBBY, CAROL])


def without(*names, in_json=False):
    """Something in between, or a server that knows less: answers lack these headers, and in JSON the commit ids."""
    def fault(exchange):
        status, headers, body = exchange.forward()
        headers = [(name, value) for name, value in headers if name.lower() not in names]
        if in_json and not exchange.path.startswith("/db/page"):
            # As long as it was, because opening says how long it is.
            body = re.sub(rb',"commitId":"[0-9a-f]{16}"', lambda id: b" " * len(id[0]), body)
        exchange.answer(status, body, headers)
    return fault


def a_lease_answer_that_does_not_say_where_the_server_is():
    """It tells as little as it can, once; the other life has the same position, and goes on."""
    for names in (("litevfs-pos",), ("litevfs-pos", "litevfs-commit-id")):
        for is_restarted in (False, True):
            with scratch() as folder, Server(folder) as server, Proxy(server) as proxy:
                made(server, folder, TABLE)
                proxy.break_with(without(*names), path="/lease", times=1)
                client = writer(proxy, folder, cache=folder / "cache")
                insert(client, ALICE)
                first = server.position("db")
                if is_restarted:
                    client.close()
                free(server)
                collides(first, anew(server, folder, *with_row(BOBBY)))
                with writer(server, folder) as other:
                    other.sql(MORE)
                if is_restarted:
                    client = writer(proxy, folder, cache=folder / "cache")
                until("the other life is read", lambda: rows(client) == [BOBBY])
                client.sql("UPDATE u SET email = upper(email)")
                with client, Client(server, folder, db="db") as other:
                    equal("after an UPDATE", other.sql("SELECT email FROM u"), [(BOBBY[0].upper(),)])


def what_is_in_between_never_lets_the_header_through():
    with scratch() as folder, Server(folder) as server, Proxy(server) as proxy:
        made(server, folder, TABLE)
        proxy.break_with(without("litevfs-commit-id"))
        with writer(proxy, folder) as client:
            insert(client, ALICE)
            first = server.position("db")
            free(server)
            collides(first, anew(server, folder, *with_row(BOBBY)))
            insert(client, CAROL)
            equal("rows", rows(client), [BOBBY, CAROL])


def a_server_that_learns_to_tell():
    """It is replaced by one that knows of commit ids, under an open connection and under its cache."""
    for is_restarted in (False, True):
        with scratch() as folder, Server(folder) as server, Proxy(server) as proxy:
            first = made(server, folder, *with_row(ALICE))
            proxy.break_with(without("litevfs-commit-id", in_json=True))
            client = writer(proxy, folder, cache=folder / "cache")
            equal("before", rows(client), [ALICE])
            if is_restarted:
                client.close()
            collides(first, anew(server, folder, *with_row(BOBBY)))
            with writer(server, folder) as other:
                other.sql(MORE)
            proxy.heal()
            if is_restarted:
                client = writer(proxy, folder, cache=folder / "cache")
            with client:
                until("the other life is read", lambda: rows(client) == [BOBBY])


def a_transaction_on_a_first_life_reads_none_of_another():
    """Its own commit led there, under a lease whose answer did not say where the server is."""
    with scratch() as folder, Server(folder) as server, Proxy(server) as proxy:
        made(server, folder, *long_texts("a"))
        proxy.break_with(without("litevfs-pos", "litevfs-commit-id"), path="/lease", times=1)
        with writer(proxy, folder) as client:
            client.sql(MORE)
            client.sql("BEGIN")
            equal("the schema", client.one("SELECT count(*) FROM sqlite_schema"), 2)
            first = server.position("db")
            free(server)
            collides(first, anew(server, folder, *long_texts("b"), MORE))
            error = client.error("SELECT substr(x, -3) FROM t")
            check("position" in str(client.last_error()), f"{error}: {client.last_error()}")


def a_client_of_another_make_is_served_as_ever():
    """One that neither says nor hears which commit it knows."""
    with scratch() as folder, Server(folder) as server:
        made(server, folder, *with_row(ALICE))
        copy = raw.Copy("db")
        copy.pull(server.url)
        file, _ = copy.changed_by([("INSERT INTO u VALUES (?)", CAROL)])
        raw.push(server.url, "db", file)
        with Client(server, folder, db="db") as client:
            equal("rows", rows(client), [ALICE, CAROL])


if __name__ == "__main__":
    main(a_connection_reads_and_writes_the_life_there_is, a_reader_is_told_by_its_next_poll,
         a_transaction_that_read_the_first_life_cannot_write, a_page_that_is_missing_is_not_taken_from_another_life,
         a_cache_of_the_first_life_is_not_used_for_the_second, a_copy_of_the_data_folder_has_a_history_of_its_own,
         a_lease_answer_that_does_not_say_where_the_server_is, what_is_in_between_never_lets_the_header_through,
         a_server_that_learns_to_tell, a_transaction_on_a_first_life_reads_none_of_another,
         a_client_of_another_make_is_served_as_ever)
