"""Disks that are full or broken, and a SQLite that fails, at every call: no rollback is lost, no commit doubled.

The files that the extension and SQLite keep for a transaction (journals, dirty pages, temporary files, the
cache) are on a disk of which the n-th call fails, for each n; or the n-th call of SQLite to the VFS fails. The
same statements go to a plain file. What is a fault and what a statement that failed did, see
harness/disk_faults.py and tests/c/fault_*.c.

EVERY=k runs every k-th n, others in each case (default: a few; every one takes a day).
"""

import concurrent.futures
import json
import os
import shlex
import subprocess
import sys

from harness import EXT, TOKEN, Server, check, main, scratch
from harness.server import ROOT

RUN = ROOT / "tests/py/harness/disk_faults.py"
# Of the some thousand calls of a turn.
STEP = {"disk": 997, "vfs": 2003}
JOURNALS = ("delete", "truncate", "persist", "memory", "off")
# What fails, and whether all that follows does as well.
KINDS = (("full", False), ("full", True), ("ioerr", False), ("short", False))


def build(folder, name, *more):
    library = folder / f"{name}.so"
    cc = shlex.split(os.environ.get("CC") or "cc")
    subprocess.run([*cc, "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library,
                    ROOT / f"tests/c/{name}.c", *more], check=True)
    return str(library)


def one(server, folder, injector, library, journal, kind, goes_on, at):
    """All faults of one kind in one journal mode, in a process of its own."""
    name = f"{injector}-{journal}-{kind}{'-on' if goes_on else ''}"
    watched = folder / f"disk-{name}"
    for sub in ("tmp", "cache"):
        (watched / sub).mkdir(parents=True)
    step = int(os.environ.get("EVERY") or STEP[injector])
    settings = {"injector": injector, "library": library, "kind": kind, "goes_on": goes_on, "journal": journal,
                "url": server.url, "token": TOKEN, "db": name, "plain": str(folder / f"{name}.plain"),
                "first": 1 + at % step, "step": step, "limit": 1_000_000}
    env = {k: v for k, v in os.environ.items() if not k.startswith(("LITEFS_", "LITEVFS_"))}
    env |= {"EXT": EXT, "LITEFS_CLOUD_HOST": server.url, "LITEFS_CLOUD_TOKEN": TOKEN, "FAULT_FOLDER": str(watched),
            "SQLITE_TMPDIR": str(watched / "tmp"), "LITEVFS_CACHE_DIR": str(watched / "cache")}
    if injector == "disk":
        env["LD_PRELOAD"] = library
    with open(folder / f"{name}.log", "wb") as log:
        run = subprocess.run([sys.executable, "-B", RUN, json.dumps(settings)], env=env, stdout=subprocess.PIPE,
                             stderr=log, timeout=14000)
    said = (folder / f"{name}.log").read_text(errors="replace")
    check(run.returncode == 0, f"{name}: {said[-3000:]}")
    check("panic" not in said, f"{name}: a panic: {said[-3000:]}")
    return json.loads(run.stdout)


def every_fault(injector, *more):
    with scratch() as folder, Server(folder) as server:
        library = build(folder, f"fault_{injector}", *more)
        cases = [(journal, *kind) for journal in JOURNALS for kind in KINDS]
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            runs = [pool.submit(one, server, folder, injector, library, *case, at * 37)
                    for at, case in enumerate(cases)]
            done = [run.result() for run in runs]
        faults, failed = (sum(run[of] for run in done) for of in ("faults", "failed"))
        check(all(run["faults"] > 0 for run in done), f"a case without faults: {done}")
        print(f"{faults} faults of the {injector} in {len(cases)} cases, {failed} statements failed")


def disks():
    every_fault("disk", "-ldl")


def sqlite_itself():
    every_fault("vfs")


if __name__ == "__main__":
    main(disks, sqlite_itself)
