"""Writes docs/bench.md from what a run of `make bench` found. docs/profile.md is about its profile."""

import datetime
import os
import platform

import plot
from goals import TITLES, number, rows
from growth import CONNECTIONS, GROWTH, SPARSE_GB
from measure import ROOT, median
from scenarios import LATENCIES, LIMIT, RUNS, SCENARIOS, SECONDS
from databases import ROWS


def write(bench, failed, whole):
    """The page and the plot: in docs/ after a whole run, in build/bench after one of some scenarios."""
    folder = ROOT / ("docs" if whole else "build/bench")
    table = list(rows(bench))
    text = "\n".join([*_head(bench, failed), *_goals(bench, table), *_counts(bench), *_profile(bench),
                      *_large(bench), *_growth(bench), *_connections(bench), *_method()])
    (folder / "bench.md").write_text(text + "\n")
    (folder / "bench.svg").write_text(plot.svg(bench, table))
    print(f"{folder / 'bench.md'}\n{folder / 'bench.svg'}")


def _head(bench, failed):
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    size = bench.database.stat().st_size / 1e6
    yield "# LiteVFS beside its peers\n"
    yield (f"Printed by `make bench`{f' of {bench.commit}' if bench.commit else ''} on {datetime.date.today()}.\n"
           f"{platform.system()} on {platform.machine()}, {os.cpu_count()} cores and {memory_gb:.0f} GB "
           f"for all of it: client, server,\nMinIO and network. The load of other work on it was "
           f"{bench.load:.1f} at the start. Medians of up to {RUNS} runs\non a database of {size:.0f} MB "
           f"with {ROWS:,} rows. The end of this page says how it is measured,\n"
           "[profile.md](profile.md) where the time goes and what stops it.\n")
    for name, why in bench.left_out.items():
        yield f"- Left out: {name} ({why})."
    for what in failed:
        yield f"- Failed: {what}."
    yield "\n![Seconds, on a logarithmic scale](bench.svg)\n"


def _line(cells):
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _table(*columns):
    return [_line(columns), _line("---" for _ in columns)]


def _goals(bench, table):
    peers = [t for t in bench.targets if t.name != "ours"]
    yield "## The figures\n"
    yield ("`ratio` is the best peer by ours: above 1 we are ahead. `latency` is what is added to each "
           "request.\n")
    yield from _table("what", "latency", "goal", "LiteVFS", "met", "ratio", *(t.title for t in peers))
    for row in table:
        goal = row.goal_text or (number(row.goal, row.unit) if row.goal is not None else "")
        met = {True: "yes", False: "**no**", None: ""}[row.met]
        ratio = f"{row.best_peer / row.ours:.1f}" if row.best_peer and row.ours and _is(row.ours) else ""
        yield _line([row.what, "" if row.ms is None else f"{row.ms} ms", goal, number(row.ours, row.unit),
                     met, ratio, *(number(row.values.get(t.name), row.unit) for t in peers)])
    if "durable" in bench.extras:
        curls = ", ".join(f"{number(bench.results.median('curl', ms, 'limit'), 's')} at {ms} ms"
                          for ms in LATENCIES)
        yield (f"\nThe limits of this machine: `curl` of the raw file takes {curls}; to make a small file "
               f"durable takes\n{bench.extras['durable'] * 1000:.2f} ms.")
    yield ""


def _is(value):
    return isinstance(value, (int, float))


def _counts(bench):
    ms = max(LATENCIES)
    with_network = [t for t in bench.targets if t.place]
    if not ms:
        return
    yield "## Requests and bytes\n"
    yield f"Requests, KB received and KB sent, headers included, in the runs with {ms} ms.\n"
    yield from _table("what", *(t.title for t in with_network))
    for scenario in SCENARIOS[1:]:
        cells = []
        for target in with_network:
            found = [bench.results.median(scenario.name, ms, target.name, field)
                     for field in ("requests", "received", "sent")]
            cells.append("-" if found[0] is None else
                         f"{found[0]:.0f}; {found[1] / 1000:,.0f}; {found[2] / 1000:,.1f}")
        if any(cell != "-" for cell in cells):
            yield _line([scenario.title, *cells])
    yield ""


def limit(bench, name, ms):
    """(seconds, what they are of): what no program of this kind can beat on this machine."""
    plain, far = bench.results.median(name, ms, "plain"), ms / 1000
    curl = bench.results.median("curl", ms, "limit")
    durable = bench.extras.get("durable")
    if name in ("commits", "auto_commits") and durable:
        return 500 * (durable + far), "500 files made durable, a round trip each"
    if name == "many_rows" and durable:
        cpu = bench.results.median(name, ms, "plain", "cpu") or 0
        return cpu + durable + far, "plain SQLite's CPU, one durable file, one round trip"
    if name in ("point", "random_point", "warm_lookups", "warm_scan") and plain:
        return plain + far, "plain SQLite" + (", one round trip" if ms else "")
    if name == "lookups" and plain and curl:
        each = plain + 201 * far
        return (each, "plain SQLite" + (", a round trip a row" if ms else "")) if each < curl + plain else (
            curl + plain, "curl of the raw file, plain SQLite")
    if name == "scan" and plain and curl:
        return max(plain, curl), "curl of the raw file" if curl > plain else "plain SQLite"
    if name == "cache_db" and curl:
        return curl, "curl of the raw file"
    return None, ""


def _profile(bench):
    yield "## Where the time goes\n"
    yield ("Of LiteVFS. `waiting` is the time in which its process used no CPU, `latency` the requests' "
           "share of it if\nthey came one after the other, `server` the CPU that the server used "
           "meanwhile.\n")
    yield from _table("what", "latency", "wall", "user", "system", "waiting", "latency", "server",
                      "limit", "wall / limit", "the limit is that of")
    for scenario in SCENARIOS[1:]:
        for ms in LATENCIES:
            def field(name):
                return bench.results.median(scenario.name, ms, "ours", name)
            if field("wall") is None:
                continue
            waiting = max(0, field("wall") - field("cpu"))
            least, of = limit(bench, scenario.name, ms)
            yield _line([
                scenario.title, f"{ms} ms", *(f"{field(name):.3f}" for name in ("wall", "user", "system")),
                f"{waiting:.3f}", f"{field('requests') * ms / 1000:.2f}" if ms else "",
                f"{field('server_cpu'):.3f}", f"{least:.3f}" if least else "",
                f"{field('wall') / least:.1f}" if least else "", of])
    yield ""


def _large(bench):
    found = bench.extras.get("large")
    if not found:
        return
    yield f"## Opening {SPARSE_GB} GB\n"
    yield ("One row, nothing cached. The large database has the rows of the small one; its other pages "
           "are empty, but the\nserver has each of them.\n")
    yield from _table("size", "latency", "wall", "requests", "bytes received", "memory")
    for (size, ms), samples in found.items():
        yield _line([size, f"{ms} ms", number(median(samples, "wall"), "s"),
                     number(median(samples, "requests"), "requests"),
                     number(median(samples, "received"), "bytes"), number(median(samples, "rss"), "MB")])
    yield ""


def _growth(bench):
    found = bench.extras.get("growth")
    if not found:
        return
    ms = max(LATENCIES)
    yield "## Growth with the database\n"
    yield (f"One row and 200 rows with {ms} ms a request, a scan with none and `litevfs_max_bulk_bytes` raised "
           "to 64 GB; nothing\ncached.\n")
    yield from _table("MB", *(f"{what}: {column}" for what in ("one row", "200 rows", "scan")
                              for column in ("wall", "requests", "memory")))
    for mb in GROWTH:
        cells = []
        for name in ("point", "lookups", "scan"):
            samples = found[mb, name]
            cells += [number(median(samples, "wall"), "s") if median(samples, "wall") else samples[0].error,
                      number(median(samples, "requests"), "requests"), number(median(samples, "rss"), "MB")]
        yield _line([mb, *cells])
    yield ""


def _connections(bench):
    found = bench.extras.get("connections")
    if not found:
        return
    ms = max(LATENCIES)
    yield "## Growth with connections\n"
    yield (f"Connections of one process, each in a thread that reads 50 rows at random and reads them "
           f"again, with {ms} ms a\nrequest; the process is Python. And as many shells, started together, "
           "that read one row each with nothing\ncached, without latency.\n")
    yield from _table("connections", "first time", "second time", "memory", "over plain SQLite", "requests",
                      "CPU", "as processes", "each")
    for count in CONNECTIONS:
        sample, plain = found.get(("ours", count)), found.get(("plain", count))
        if not sample or not plain:
            continue
        first, second = [*sample.output.split(), "0", "0"][:2]
        together = found[("processes", count)]
        yield _line([count, sample.error or number(float(first), "s"), number(float(second), "s"),
                     number(sample.rss, "MB"), number(sample.rss - plain.rss, "MB"),
                     number(sample.requests, "requests"), number(sample.cpu, "s"),
                     number(together, "s"), number(together / count, "s")])
    yield ""


def _method():
    yield f"""## How it is measured

- A run is a process of the `sqlite3` shell with the SQL as its input; its time is that from its start to its
  end, memory the most it had resident. The targets take turns. A peer that has used {SECONDS} s on a scenario
  gets no further run, and what takes longer than {LIMIT} s ({2 * LIMIT} s of writing) is ended.
- Latency comes from a proxy of our own (`tests/go/latency`) that holds back each request, not each connection or
  byte, and counts. Without latency clients talk to the server itself, and nothing is counted.
- Upstream's extension talks to our server; Litestream's and turbolite's read from MinIO, into which the same
  database was copied with their own means. Pages have 4 KB for all of them. "Nothing cached" means by the
  extension: the files of the servers are in the operating system's memory, and that of plain SQLite too.
- A commit is durable at the server before COMMIT returns: with a directory on this disk, file and folder synced.
  Plain SQLite syncs its journal and its file (`synchronous=FULL`).
- Rows at random are other ones in each run. All readers must find what plain SQLite finds."""
