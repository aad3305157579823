"""Real input: proj.db of PyPI's pyproj (9 MB, 44 tables and views, 36 triggers) goes through the extension.

The shell's `.dump` of the file is loaded, as a user would; a second process with an empty cache then
compares every table and every view with the file, and so does the server's own copy.
"""

import os
import pathlib
import sqlite3
import subprocess
import zipfile

from harness import ROOT, Client, Server, check, database_content, equal, main, scratch

PACKAGE = "pyproj==3.7.0"
PLATFORM = ("--platform", "manylinux2014_x86_64", "--python-version", "3.11", "--only-binary", ":all:")


def fetch():
    """The path of proj.db, downloaded once."""
    folder = ROOT / "build" / "pyproj"
    target = folder / "proj.db"
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        pip = subprocess.run([ROOT / "scripts/find-pip"], check=True, capture_output=True, text=True).stdout.strip()
        subprocess.run([pip, "-m", "pip", "download", "--quiet", "--no-deps", *PLATFORM, "--dest", folder, PACKAGE],
                       check=True, env={k: v for k, v in os.environ.items() if k != "PYTHON"})
        with zipfile.ZipFile(next(folder.glob("pyproj-*.whl"))) as wheel:
            name = next(n for n in wheel.namelist() if n.endswith("/proj.db"))
            partial = target.with_suffix(".part")
            partial.write_bytes(wheel.read(name))
            partial.rename(target)
    return target


def statements(path):
    """The statements of the shell's `.dump`, in order."""
    shell = os.environ.get("SQLITE3") or "sqlite3"
    text = subprocess.run([shell, "-batch", "-init", os.devnull, str(path), ".dump"],
                          check=True, capture_output=True, text=True).stdout
    statement = ""
    for line in text.splitlines(keepends=True):
        statement += line
        if statement.rstrip().endswith(";") and sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def objects(path):
    db = sqlite3.connect(f"file:{pathlib.Path(path)}?mode=ro", uri=True)
    names = db.execute("SELECT type, name FROM sqlite_schema WHERE type IN ('table', 'view')").fetchall()
    db.close()
    return names


def proj_db():
    path = fetch()
    names = objects(path)
    check(len(names) >= 44, f"{len(names)} tables and views; is this proj.db?")
    with scratch() as folder, Server(folder) as server:
        with Client(server, folder, folder / "loader", "proj") as client:
            client.acquire()
            for statement in statements(path):
                client.sql(statement)
        with Client(server, folder, folder / "empty", "proj") as client:
            client.sql("ATTACH ? AS file", (f"file:{path}?vfs=unix&mode=ro",))
            for kind, name in names:
                ours = client.sql(f'SELECT * FROM main."{name}"')
                theirs = client.sql(f'SELECT * FROM file."{name}"')
                if kind == "view":
                    # No order is promised where none is asked for.
                    ours, theirs = sorted(ours, key=repr), sorted(theirs, key=repr)
                equal(f"{kind} {name}", ours, theirs)
            schema = "SELECT type, name, sql FROM {}.sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY 1, 2"
            equal("the schema", client.sql(schema.format("main")), client.sql(schema.format("file")))
            equal("integrity", client.one("PRAGMA main.integrity_check"), "ok")
            equal("foreign keys", client.sql("PRAGMA main.foreign_key_check"),
                  client.sql("PRAGMA file.foreign_key_check"))
        copy = database_content(server.snapshot("proj", folder / "snapshot.db"))
        equal("the server's tables", copy["tables"], database_content(path)["tables"])
        equal("the server's integrity", copy["integrity"], [(b"ok",)])
    print(f"{len(names)} tables and views are equal")


if __name__ == "__main__":
    main(proj_db)
