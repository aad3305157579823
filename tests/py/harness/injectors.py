"""Builds tests/c/fault_*.c, which fail the n-th call."""

import os
import shlex
import subprocess

from .server import ROOT

# What they call the ways in which a call fails.
KINDS = {"full": 1, "ioerr": 2, "short": 3}


def build(folder, name, *more):
    library = folder / f"{name}.so"
    cc = shlex.split(os.environ.get("CC") or "cc")
    subprocess.run([*cc, "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library,
                    ROOT / f"tests/c/{name}.c", *more], check=True)
    return str(library)
