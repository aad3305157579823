"""Stock Litestream restores what compaction and retention have left, from the directory and the bucket.

A history is committed, with changes of the page size in it, while files are merged into levels and old
ones dropped. Then the server stops,
and Litestream alone gives the database: the newest, and that of every restore point the server listed.
"""

import os
import subprocess
import time

from harness import COMPACT, ROOT, Server, check, main, scratch
from harness.history import History, txid_of
from harness.minio import BUCKET, KEY, SECRET, Minio

TRANSACTIONS = 150


def restore(folder, replica, *options):
    """The bytes that Litestream restores."""
    program = subprocess.run([ROOT / "scripts/litestream"], stdout=subprocess.PIPE, text=True, check=True)
    env = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    env |= {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
    out = folder / "restored.db"
    out.unlink(missing_ok=True)
    done = subprocess.run([program.stdout.strip(), "restore", *options, "-o", out, replica], env=env,
                          capture_output=True, text=True, timeout=120)
    check(done.returncode == 0, f"litestream restore {options}: {done.stderr}")
    return out.read_bytes()


def check_levels(folder, server, replica, files):
    """`files` lists the database's files as "<level>/<name>"."""
    history = History(server.url, "db", 5, TRANSACTIONS, pause_s=0.05, reshape_every=35)
    for _ in range(240):  # a watchdog, not an expectation
        levels = {file.split("/")[0] for file in files()}
        first = f"{1:016x}-{1:016x}.ltx"
        if len(levels) > 2 and not any(file.endswith(first) and file[0] == "0" for file in files()):
            break
        time.sleep(0.25)
    else:
        check(False, f"nothing was compacted and dropped: {sorted(files())[:10]}")
    history.commit()
    points = [i for i, _ in history.points()]
    server.stop()
    check(restore(folder, replica) == history.now.image, "the newest differs")
    check(len(points) > 1 and points[-1] == len(history.copies) - 1, f"restore points: {points[-5:]}")
    for i in points[:: max(1, len(points) // 10)]:
        check(restore(folder, replica, "-txid", txid_of(i)) == history.copies[i].image, f"transaction {i + 1} differs")
    print(f"{len(history.copies)} transactions in {len(files())} files of {len(levels)} levels, "
          f"{len(points)} restore points", flush=True)


def from_the_directory():
    with scratch() as folder, Server(folder, options=COMPACT) as server:
        place = server.data / "default/db"
        check_levels(folder, server, f"file://{place}",
                     lambda: [f"{path.parent.name}/{path.name}" for path in place.glob("ltx/*/*.ltx")])


def from_the_bucket():
    with scratch() as folder, Minio(folder) as minio:
        store, prefix = f"s3://{BUCKET}/a/prefix", "a/prefix/default/db/"
        with Server(folder, store=store, options=COMPACT, environment=minio.environment()) as server:
            replica = f"{store}/default/db?endpoint={minio.url}&region=us-east-1&forcePathStyle=true"
            check_levels(folder, server, replica,
                         lambda: [f"{int(key.split('/')[-2], 16)}/{key.split('/')[-1]}"
                                  for key in minio.client.keys(BUCKET, prefix)])


if __name__ == "__main__":
    main(from_the_directory, from_the_bucket, at_a_time=2)
