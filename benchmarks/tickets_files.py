"""How fast a ticket file is loaded, beside polars copying the same file to Parquet.

Run with `make bench-tickets-files`, or `python benchmarks/tickets_files.py --rows 10000000`.

Contenders run interleaved, each in its own process:

* load: what `ksi tickets load` does: keep the bytes (hash, zstd), read, type and check every cell,
  gather tickets, quarantine, write tickets and lines, roll up hours, coverage, ledger;
* read: the middle of it: kept bytes to tickets, lines and refused rows, without ledger and hours;
* copy: polars scans the file, every column as text, and writes Parquet: streaming, nothing checked.

The file has 8 columns, 4 lines to a ticket, 50 stores, 90 days, one bad amount in a thousand rows,
and one store that is linked to nothing. The counts of the load are checked against how the file was
made.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

STORES, DAYS = 50, 90
MAPPING = """\
grain: line
columns:
  ext_ref_code: store
  ticket_id: ticket
  at: {column: time, format: "%Y-%m-%d %H:%M:%S", zone: site}
  net: net
  sku: sku
  category: category
  quantity: qty
  currency: {value: EUR}
"""
CONNECTORS = """\
connectors:
  - {id: till, kind: ticket_files, mapping: till, absent_means: zero, active: true}
"""


def write_file(path: Path, rows: int) -> dict[str, int]:
    """A file of tickets in order of time; says how many rows have to be set aside."""
    random = np.random.default_rng(1)
    sizes = random.integers(1, 8, rows // 3 + 10)
    ticket = np.repeat(np.arange(len(sizes)), sizes)[:rows]
    count = int(ticket[-1]) + 1
    store = random.integers(0, STORES, count)
    at = np.sort(random.integers(0, DAYS * 86_400, count)) + 1_767_222_000
    bad = np.zeros(rows, dtype=bool)
    bad[random.integers(0, rows, rows // 1000)] = True
    unlinked = store[ticket] == STORES - 1
    spoilt = np.isin(ticket, np.unique(ticket[bad & ~unlinked]))
    categories = np.array(["GROCERY", "DRUG", "MEAT", "PRODUCE", "DELI"])
    amounts = pl.Series(random.integers(50, 5000, rows) / 100).round(2).cast(pl.String)
    pl.DataFrame(
        {
            "store": pl.Series(store[ticket]).cast(pl.String).str.zfill(4),
            "ticket": pl.Series(ticket + 10_000_000).cast(pl.String),
            "time": pl.Series(at[ticket] * 1_000_000)
            .cast(pl.Datetime("us"))
            .dt.strftime("%Y-%m-%d %H:%M:%S"),
            "sku": pl.Series(random.integers(100_000, 140_000, rows)).cast(pl.String),
            "category": pl.Series(categories[random.integers(0, 5, rows)]),
            "qty": random.integers(1, 4, rows),
            "net": amounts.zip_with(pl.Series(~bad), pl.Series(["n/a"]).new_from_index(0, rows)),
            "email": pl.Series(ticket % 1000).cast(pl.String) + "@example.com",
        }
    ).write_csv(path)
    return {
        "rows_in": rows,
        "rows_unmatched": int(unlinked.sum()),
        "rows_quarantined": int(spoilt.sum()),
    }


def make_home(folder: Path) -> None:
    """A data home that links every store but the last."""
    codes = [f"{code:04d}" for code in range(STORES - 1)]
    space = {
        "schema": 1,
        "site": {"id": "s", "name": "S", "timezone": "Europe/Madrid", "currency": "EUR"},
        "units": [{"id": f"u{code}"} for code in codes],
        "links": [{"connector": "till", "ext_ref_code": c, "unit": f"u{c}"} for c in codes],
    }
    for name in ("spaces", "mappings"):
        (folder / name).mkdir(parents=True)
    (folder / "spaces" / "s.yaml").write_text(json.dumps(space))
    (folder / "mappings" / "till.yaml").write_text(MAPPING)
    (folder / "connectors.yaml").write_text(CONNECTORS)


def run_load(path: Path, room: Path) -> dict[str, int]:
    from ksi_pipeline.defs.steps.space import load_spaces
    from ksi_pipeline.defs.steps.ticket_files import COUNTS, load_by_hand
    from ksi_pipeline.defs.workspace import Workspace
    from ksi_pipeline.store.layout import DataHome
    from ksi_pipeline.store.store import Store

    make_home(room / "home")
    workspace = Workspace(Store(DataHome(room / "home")), room, secrets={}.get)
    load_spaces(workspace)
    begin = time.perf_counter()
    _, report = load_by_hand(workspace, "till", path)
    seconds = time.perf_counter() - begin
    return {"us": int(seconds * 1e6), **{name: getattr(report, name) for name in COUNTS}}


def run_read(path: Path, room: Path) -> dict[str, int]:
    from ksi_pipeline.connectors.ticket_files.drop import Drop
    from ksi_pipeline.connectors.ticket_files.gather import Gathering
    from ksi_pipeline.connectors.ticket_files.mapping import load_mapping
    from ksi_pipeline.connectors.ticket_files.tables import CODED_OF_LINES, STAMPS
    from ksi_pipeline.connectors.ticket_files.text import TicketFile
    from ksi_pipeline.core.schemas import TICKET_LINES, TICKETS
    from ksi_pipeline.store.staged import StagedParquet

    make_home(room / "home")
    mapping = load_mapping(room / "home" / "mappings" / "till.yaml")
    zones = {f"{code:04d}": "Europe/Madrid" for code in range(STORES - 1)}
    begin = time.perf_counter()
    tickets = StagedParquet(room / "tickets.parquet", TICKETS, STAMPS)
    lines = StagedParquet(room / "lines.parquet", TICKET_LINES, CODED_OF_LINES)
    gathering = Gathering(
        mapping, Drop("till", path.name, "0" * 64, datetime.now(UTC), zones), tickets, lines
    )
    for piece in TicketFile(path, path.name, mapping).pieces():
        gathering.add(piece)
    gathering.finish()
    tickets.close()
    lines.close()
    return {"us": int((time.perf_counter() - begin) * 1e6)}


def run_copy(path: Path, room: Path) -> dict[str, int]:
    begin = time.perf_counter()
    pl.scan_csv(path, infer_schema=False).sink_parquet(room / "copy.parquet")
    return {"us": int((time.perf_counter() - begin) * 1e6)}


CONTENDERS = {"load": run_load, "read": run_read, "copy": run_copy}


def run_one(name: str, path: Path) -> None:
    """Run one contender in this process and print what it took."""
    with tempfile.TemporaryDirectory(dir=path.parent) as room:
        found = CONTENDERS[name](path, Path(room))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    # ru_maxrss begins with what the parent had
    status = Path("/proc/self/status").read_text().split("VmHWM:")[1]
    found["rss_mb"] = int(status.split()[0]) // 1024
    found["cpu_ms"] = int((usage.ru_utime + usage.ru_stime) * 1000)
    print(json.dumps(found))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", choices=CONTENDERS)
    parser.add_argument("--file", type=Path)
    given = parser.parse_args()
    if given.one:
        run_one(given.one, given.file)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sales.csv"
        wanted = write_file(path, given.rows)
        print(f"{given.rows:,} rows, {path.stat().st_size >> 20} MiB, {os.cpu_count()} cores")
        took: dict[str, list[dict[str, int]]] = {name: [] for name in CONTENDERS}
        for _ in range(given.rounds):
            for name in CONTENDERS:
                command = [sys.executable, __file__, "--one", name, "--file", str(path)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                took[name].append(json.loads(done.stdout))
        for run in took["load"]:
            assert {name: run[name] for name in wanted} == wanted, (run, wanted)
        copied = statistics.median(run["us"] for run in took["copy"])
        for name, runs in took.items():
            middle = statistics.median(run["us"] for run in runs)
            rss = max(run["rss_mb"] for run in runs)
            cpu = statistics.median(run["cpu_ms"] for run in runs) / 1000
            print(
                f"{name:5} {middle / 1e6:7.2f} s, {given.rows / middle:5.2f} M rows/s, "
                f"CPU {cpu:6.2f} s, RSS {rss:4} MiB, {copied / middle:5.2f} x copy"
            )


if __name__ == "__main__":
    main()
