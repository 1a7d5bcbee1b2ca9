"""How fast a mart is published, beside dlt to the same places, and polars writing XLSX.

Run with `make bench-publish`, or `python benchmarks/publish.py --peers PYTHON`, the Python of an
environment that has publish-peers.txt. PostgreSQL is the one of the tests, started here.

A mart of 1 million rows and 12 columns lies there as ten months of Parquet, as a snapshot has it.
Append: all of it to a place that has nothing. Upsert: one month, a tenth of the rows, has other
values. XLSX: that month, 100,000 rows. Contenders run interleaved, each in its own process:

* ours-postgres, ours-duckdb, ours-xlsx: all of what `ksi publish` does between the snapshot and the
  receipts: plan (for the upsert, add up what the target shows of every month), stage, add the stage
  up and compare it with the Parquet, apply, add up what readers see, receipt; XLSX is read back;
* dlt-postgres, dlt-postgres-adbc, dlt-duckdb: Arrow tables, append, then merge with the strategy
  `upsert` on the key; nothing is compared;
* xlsx-polars: read_parquet and write_excel; nothing is read back.

What is there at the end is counted and added up, and has to be the same for all.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from ksi_pipeline.core.publishing import Batch, Column, Part
from ksi_pipeline.durable import sha256
from ksi_pipeline.publishers.config import read_targets
from ksi_pipeline.publishers.parquet import column_types
from ksi_pipeline.publishers.registry import make_target
from ksi_pipeline.publishers.runner import publish
from ksi_pipeline.store.ledger import Ledger
from ksi_pipeline.store.receipts import TargetReceipts

HERE = Path(__file__).parent
MONTHS, HOURS, MART = 10, 28 * 24, "sales"
KEY = ("unit_key", "hour_start_utc")
ASKED = "select count(*), sum(tickets), sum(net_sales) from {}"
CONFIGS = {
    "ours-postgres": {"kind": "postgres", "url_env": "WAREHOUSE_URL"},
    "ours-duckdb": {"kind": "duckdb", "path": "out.duckdb"},
    "ours-xlsx": {"kind": "files", "path": "out", "formats": ["xlsx"]},
}
PEERS = ("dlt-postgres", "dlt-postgres-adbc", "dlt-duckdb", "xlsx-polars")


def make_lake(lake: Path, rows: int) -> dict[str, int]:
    """Write ten months, and one of them restated; says what there is at the end."""
    units, last = max(rows // MONTHS // HOURS, 1), MONTHS - 1
    for folder, months in (("first", range(MONTHS)), ("restated", [last])):
        (lake / folder).mkdir()
        for month in months:
            restated = int(folder == "restated")
            duckdb.sql(
                f"select 'mall/' || printf('%04d', u) as unit_key, 'mall' as site_id, "
                f"(date '2025-{month + 1:02d}-01' + (h // 24)::int) as business_date, "
                f"timestamp '2025-{month + 1:02d}-01' + to_hours(h) as hour_start_utc, "
                "h % 24 as business_hour, "
                "(hash(u, h) % 400)::bigint as visit_count, "
                f"(hash(h, u) % 90)::bigint + {restated} as tickets, "
                "((hash(u, h, 1) % 9000000) / 10000)::decimal(18, 4) as net_sales, "
                "case when h % 24 >= 9 then (hash(h, u) % 90) / 400 end as conversion_rate, "
                "case when h % 24 < 9 then 'closed' end as reason, "
                f"timestamp '2025-12-01 00:00:00' as as_of_utc, {bool(restated)} as is_provisional "
                f"from range({HOURS}) hours (h), range({units}) units (u) order by u, h"
            ).write_parquet(str(lake / folder / f"2025-{month + 1:02d}.parquet"))
    files = [lake / "first" / f"2025-{month + 1:02d}.parquet" for month in range(last)]
    files.append(lake / "restated" / f"2025-{MONTHS:02d}.parquet")
    asked = ASKED.format(f"read_parquet({[*map(str, files)]})")
    ((found, tickets, net),) = duckdb.sql(asked).fetchall()
    return {"rows": found, "tickets": int(tickets), "net": int(net * 10_000)}


def batches(lake: Path, *folders: str) -> list[Batch]:
    """What is wanted of the mart; a later folder takes the place of an earlier one."""
    paths = {path.stem: path for name in folders for path in sorted((lake / name).glob("*"))}
    found = []
    for month, path in paths.items():
        columns = tuple(Column(name, kind) for name, kind in column_types(path).items())
        rows = pq.read_metadata(path).num_rows
        found.append(Batch(Part(MART, month), path, sha256(path), rows, columns, KEY))
    return found


def run_ours(name: str, room: Path, lake: Path, url: str) -> dict[str, int]:
    """Publish all of the mart, then what was restated; or one month as XLSX."""
    (config,) = read_targets({"targets": [{"id": "t", **CONFIGS[name]}]}, lambda _: 1, "targets")
    receipts = TargetReceipts(
        Ledger(f"sqlite:///{room / 'ledger.sqlite'}"), "t", lambda: datetime.now(UTC)
    )
    receipts.known()

    def run(wanted: list[Batch]) -> int:
        begin = time.perf_counter()
        target = make_target(config, {"WAREHOUSE_URL": url}.get, room)
        done = publish(target, wanted, receipts)
        took = int((time.perf_counter() - begin) * 1e6)
        assert done.count("skip") == len(wanted) - (len(wanted) if is_first else 1), done
        return took

    is_first = True
    if name == "ours-xlsx":
        return {"xlsx_us": run(batches(lake, "restated"))}
    took = {"append_us": run(batches(lake, "first"))}
    is_first = False
    took["upsert_us"] = run(batches(lake, "first", "restated"))
    if name == "ours-postgres":
        import psycopg

        with psycopg.connect(url) as connection:
            row = connection.execute(ASKED.format(f"ksi.{MART}")).fetchone()
    else:
        with duckdb.connect(str(room / "out.duckdb"), read_only=True) as connection:
            row = connection.execute(ASKED.format(MART)).fetchone()
    rows, tickets, net = row
    return {**took, "rows": rows, "tickets": int(tickets), "net": int(net * 10_000)}


def run_one(name: str, room: Path, lake: Path, url: str) -> None:
    """Run one of ours in this process and print what it took."""
    found = run_ours(name, room, lake, url)
    # ru_maxrss begins with what the parent had
    status = Path("/proc/self/status").read_text().split("VmHWM:")[1]
    print(json.dumps({**found, "rss_mb": int(status.split()[0]) // 1024}))


def start(name: str, peers: str, lake: Path, server: object) -> dict[str, int]:
    """Run a contender in a process, a folder and a database of its own."""
    url = ""
    if "postgres" in name:
        database = server.new_database(f"bench_{secrets.token_hex(4)}")
        url = server.url(database).replace("+psycopg", "")
    with tempfile.TemporaryDirectory(dir=lake.parent) as room:
        program = [sys.executable, __file__, "--one", name]
        if name in PEERS:
            program = [peers, HERE / "publish_peers.py", name]
        done = subprocess.run(
            [*program, room, lake, url], stdout=subprocess.PIPE, text=True, check=True
        )
    if url:
        with server.connection() as connection:
            connection.execute(f'drop database "{database}" with (force)')
    return json.loads(done.stdout.splitlines()[-1])


def report(took: dict[str, list[dict[str, int]]]) -> None:
    """Print medians, and how many times as long the others take."""
    for what in ("append_us", "upsert_us", "xlsx_us"):
        by_name = {
            name: statistics.median(run[what] for run in runs)
            for name, runs in took.items()
            if runs and what in runs[0]
        }
        for name, middle in by_name.items():
            place = name.split("-")[1]
            ours = by_name.get("ours-xlsx" if place == "polars" else f"ours-{place}", middle)
            rss = max(run["rss_mb"] for run in took[name])
            print(
                f"{what[:-3]:7} {name:18} {middle / 1e6:7.2f} s, {middle / ours:5.2f} x ours, "
                f"RSS {rss:4} MiB"
            )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", default=str(HERE.parent / ".bench/publish/bin/python"))
    parser.add_argument("--only", nargs="+", default=[*CONFIGS, *PEERS])
    parser.add_argument("--one", nargs=4, metavar=("NAME", "ROOM", "LAKE", "URL"))
    given = parser.parse_args()
    if given.one:
        name, room, lake, url = given.one
        run_one(name, Path(room), Path(lake), url)
        return
    sys.path.insert(0, str(HERE.parent))
    from tests.services.postgres import running_postgres

    with tempfile.TemporaryDirectory() as folder, running_postgres() as server:
        lake = Path(folder) / "lake"
        lake.mkdir()
        wanted = make_lake(lake, given.rows)
        size = sum(path.stat().st_size for path in lake.glob("first/*")) >> 20
        print(f"{wanted['rows']:,} rows, {size} MiB of Parquet, {os.cpu_count()} cores")
        took: dict[str, list[dict[str, int]]] = {name: [] for name in given.only}
        for _ in range(given.rounds):
            for name, runs in took.items():
                run = start(name, given.peers, lake, server)
                assert {k: run.get(k, v) for k, v in wanted.items()} == wanted, (name, run, wanted)
                runs.append(run)
        report(took)


if __name__ == "__main__":
    main()
