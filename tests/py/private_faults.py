"""Disks that are full or broken, and a SQLite that fails, at every call: no rollback is lost, no commit doubled.

The files that the extension and SQLite keep for a transaction (journals, dirty pages, temporary files, the
cache) are on a disk of which the n-th call fails, for each n; or the n-th call of SQLite to the VFS fails. The
same statements go to a plain file. What is a fault and what a statement that failed did, see
harness/disk_faults.py and tests/c/fault_*.c.

EVERY=k runs every n of the calls that decide and every k-th of the others, which are ten times as many, at
other ones in each case. The default is a sample of both.
"""

import concurrent.futures
import json
import os
import subprocess
import sys

from harness import EXT, TOKEN, Server, check, equal, injectors, main, scratch
from harness.server import ROOT

RUN = ROOT / "tests/py/harness/disk_faults.py"
# Of the calls of a turn: of the few hundred that decide, and of all the thousands.
STEP = {("disk", True): 23, ("disk", False): 3999, ("vfs", True): 3, ("vfs", False): 7999}
EVERY = os.environ.get("EVERY")
JOURNALS = ("delete", "truncate", "persist", "memory", "off")
# What fails, and whether all that follows does as well.
KINDS = (("full", False), ("full", True), ("ioerr", False), ("short", False))


def one(server, folder, injector, library, few, journal, kind, goes_on, at, limit=1_000_000):
    """All faults of one kind in one journal mode, in a process of its own."""
    name = f"{injector}-{'few' if few else 'all'}-{journal}-{kind}{'-on' if goes_on else ''}"
    watched = folder / f"disk-{name}"
    for sub in ("tmp", "cache"):
        (watched / sub).mkdir(parents=True)
    step = STEP[injector, few]
    if EVERY:
        step = 1 if few else int(EVERY)
    settings = {"injector": injector, "library": library, "kind": kind, "goes_on": goes_on, "few": few, "journal": journal,
                "url": server.url, "token": TOKEN, "db": name, "plain": str(folder / f"{name}.plain"),
                "first": 1 + at % step, "step": step, "limit": limit}
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
        library = injectors.build(folder, f"fault_{injector}", *more)
        cases = [(few, journal, *kind) for few in (True, False) for journal in JOURNALS for kind in KINDS]
        if not EVERY:
            cases = [case for at, case in enumerate(cases) if case[0] or at % 5 == 0]
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


def a_disk_that_takes_nothing_for_long():
    """128 MiB may stay in memory; past that the error names the folder and what to do, and nothing is changed."""
    with scratch() as folder, Server(folder) as server:
        library = injectors.build(folder, "fault_disk", "-ldl")
        got = one(server, folder, "disk", library, True, "delete", "full", True, 0, limit=0)
        equal("in memory", got["said"][0], "done")
        for word in ("full", "128 MiB", str(folder), "SQLITE_TMPDIR"):
            check(word in got["said"][1], f"{word!r} is not in {got['said'][1]!r}")
        equal("after the error", got["lengths"], [[60000, 1600], [60001, 1000]])
        equal("after the fault", got["after"], [[60003]])


if __name__ == "__main__":
    main(disks, sqlite_itself, a_disk_that_takes_nothing_for_long)
