"""A program with many connections to one database, for `make bench`.

connections.py URI EXTENSION COUNT ROWS: each of COUNT connections, in a thread of its own, reads 50
rows at random twice. Prints the seconds of the first and of the second time.
"""

import random
import sqlite3
import sys
import threading
import time


def main():
    uri, extension, count, rows = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    loader = sqlite3.connect(":memory:")
    if extension:
        loader.enable_load_extension(True)
        loader.load_extension(extension)
    opened = [sqlite3.connect(uri, uri=True, check_same_thread=False) for _ in range(count)]
    failed = []

    def read(number):
        seeded = random.Random(number)
        try:
            for _ in range(50):
                row = seeded.randrange(1, rows + 1)
                found = opened[number].execute("SELECT id FROM t WHERE id = ?", (row,)).fetchone()
                assert found == (row,)
        except Exception as error:
            failed.append(error)

    for _ in range(2):
        threads = [threading.Thread(target=read, args=(number,)) for number in range(count)]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(f"{time.perf_counter() - start:.4f}", end=" ")
    for db in opened:
        db.close()
    if failed:
        sys.exit(str(failed[0]))


if __name__ == "__main__":
    main()
