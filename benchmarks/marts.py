"""How fast the marts are built, beside the same SQL in bare DuckDB and beside pandas.

Run with `make bench-marts`, or `python benchmarks/marts.py --sites 20` (30 M rows; 2 sites: 3 M).

Contenders run interleaved, each in its own process:

* full: `dbt run` on an empty build file;
* empty: the same over a lake without rows: what dbt costs before any row is read;
* bare: the SQL that dbt compiled for `full`, run by DuckDB itself in the same order;
* day: `dbt run` after one day of the year was restated;
* sales: `dbt run` of fct_conversion_daily and what it needs;
* pandas_naive: tickets and entries by unit and day from the same files, as one writes it in an
  afternoon: newest answer of each hour, entries, one merge, one group-by. It knows nothing of
  coverage, opening hours, links by validity, currencies or reasons;
* pandas_same: every column of fct_conversion_daily from the same files (marts_pandas.py).

Every row and column of `sales` is checked against pandas_same, and what pandas_naive can know of
days that were seen whole against pandas_naive.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import duckdb
from marts_lake import RELINKED, Lake, make_lake

PROJECT = Path(__file__).resolve().parents[1] / "dbt_project"
MEMORY = "2500MB"
THREADS = "2"
RESTATED = "hour_start_utc::date = '2025-06-05'"


def dbt(work: Path, *arguments: str) -> dict[str, float]:
    """Run dbt on work/build.duckdb; gives seconds: wall, and of its models."""
    told = {
        "KSI_BUILD_DB": str(work / "build.duckdb"),
        "KSI_DUCKDB_MEMORY_LIMIT": MEMORY,
        "KSI_DUCKDB_TEMP_DIRECTORY": str(work / "spill"),
        "KSI_DBT_THREADS": THREADS,
        "DO_NOT_TRACK": "1",
    }
    folders = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
    folders += ["--target-path", str(work / "target"), "--log-path", str(work / "logs")]
    began = time.perf_counter()
    done = subprocess.run(
        [Path(sys.executable).with_name("dbt"), "--quiet", "run", *arguments, *folders],
        cwd=work,
        env={**os.environ, **told},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"dbt failed:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    results = json.loads((work / "target" / "run_results.json").read_text())["results"]
    models = sum(each["execution_time"] for each in results)
    return {"s": seconds, "models_s": models, "models": len(results)}


def full(lake: Lake, work: Path) -> dict[str, float]:
    lake.register(work / "build.duckdb")
    return dbt(work)


def empty(lake: Lake, work: Path) -> dict[str, float]:
    Lake(lake.folder, 0, 0).register(work / "build.duckdb")
    return dbt(work)


def day(lake: Lake, work: Path) -> dict[str, float]:
    """On a copy of a finished build."""
    shutil.copy(work.parent / "finished.duckdb", work / "build.duckdb")
    lake.register(work / "build.duckdb", RESTATED)
    return dbt(work)


def sales(lake: Lake, work: Path) -> dict[str, float]:
    lake.register(work / "build.duckdb")
    return dbt(work, "--select", "+fct_conversion_daily")


def bare(lake: Lake, work: Path) -> dict[str, float]:
    """The compiled SQL of work.parent/run_results.json, model by model."""
    build_db = work / "build.duckdb"
    lake.register(build_db)
    manifest = json.loads((work.parent / "manifest.json").read_text())["nodes"]
    results = json.loads((work.parent / "run_results.json").read_text())["results"]
    began = time.perf_counter()
    with duckdb.connect(str(build_db)) as con:
        con.execute(f"set memory_limit = '{MEMORY}'")
        con.execute(f"set temp_directory = '{work / 'spill'}'")
        con.execute(f"set threads = {THREADS}")
        con.execute("set TimeZone = 'UTC'")
        for each in _in_order(manifest, [each["unique_id"] for each in results]):
            node = manifest[each]
            kind = "view" if node["config"]["materialized"] == "view" else "table"
            con.execute(f"create schema if not exists {node['schema']}")
            con.execute(
                f"create {kind} {node['schema']}.{node['name']} as ({_compiled(results, each)})"
            )
    return {"s": time.perf_counter() - began}


def _in_order(manifest: dict[str, dict], names: list[str]) -> list[str]:
    """Sort models so that none comes before those that it reads."""
    done: dict[str, None] = {}

    def visit(name: str) -> None:
        for parent in manifest[name]["depends_on"]["nodes"]:
            if parent in names and parent not in done:
                visit(parent)
        done.setdefault(name)

    for name in names:
        visit(name)
    return list(done)


def _compiled(results: list[dict], name: str) -> str:
    (code,) = (each["compiled_code"] for each in results if each["unique_id"] == name)
    return code


def pandas_naive(lake: Lake, work: Path) -> dict[str, float]:
    """Conversion by unit and business date."""
    import pandas as pd

    began = time.perf_counter()
    columns = ["ext_ref_code", "hour_start_utc", "category", "num_tickets", "fetched_at_utc"]
    tickets = pd.read_parquet(lake.folder / "ticket_hours", columns=columns)
    tickets = tickets[tickets["category"].isna()]
    key = ["ext_ref_code", "hour_start_utc"]
    tickets = tickets.sort_values("fetched_at_utc").drop_duplicates(key, keep="last")
    crossings = pd.read_parquet(
        lake.folder / "line_crossings", columns=["site_id", "unit_id", "hour_start_utc"]
    )
    entries = crossings.value_counts().rename("entry_count").reset_index()
    links = pd.read_parquet(
        lake.folder / "space_link", columns=["site_id", "unit_id", "ext_ref_code"]
    )
    hours = pd.read_parquet(
        lake.folder / "site_hours", columns=["site_id", "hour_start_utc", "business_date", "open_s"]
    )
    spine = links.merge(hours[hours["open_s"] > 0], on="site_id")
    joined = spine.merge(tickets, on=key, how="left").merge(
        entries, on=["site_id", "unit_id", "hour_start_utc"], how="left"
    )
    counts = ["num_tickets", "entry_count"]
    joined[counts] = joined[counts].fillna(0)
    days = joined.groupby(["site_id", "unit_id", "business_date"])[counts].sum().reset_index()
    days["conversion_rate"] = days["num_tickets"] / days["entry_count"]
    days.to_parquet(work / "days.parquet")
    return {"s": time.perf_counter() - began}


def pandas_same(lake: Lake, work: Path) -> dict[str, float]:
    """fct_conversion_daily, column by column."""
    from marts_pandas import conversion_daily

    began = time.perf_counter()
    conversion_daily(lake.folder).to_parquet(work / "days.parquet")
    return {"s": time.perf_counter() - began}


def check_equal(build_db: Path, same: Path, naive: Path) -> None:
    """The mart and pandas say the same: counts, text and money exactly, ratios to 1e-9.

    The naive one knows whole days of units whose code stays; those it must have as well.
    """
    day = "using (site_id, unit_id, business_date)"
    with duckdb.connect(str(build_db), read_only=True) as con:
        con.execute("set TimeZone = 'UTC'")
        mart = "marts.fct_conversion_daily"
        columns = con.execute(f"describe {mart}").fetchall()
        differing = {
            name: f"count(*) filter (not ({_is_same(name, kind)}))" for name, kind, *_ in columns
        }
        found = con.execute(
            f"select {', '.join(differing.values())}, count(*) "
            f"from {mart} as mart full join read_parquet('{same}') as peer {day}"
        ).fetchone()
        rows = con.execute(f"select count(*) from {mart}").fetchone()[0]
        unlike = {name: n for name, n in zip(differing, found, strict=False) if n}
        if unlike or found[-1] != rows:
            sys.exit(f"Of {rows} unit-days, fct_conversion_daily and pandas_same differ: {unlike}.")
        plain = con.execute(
            "select count(*), count(*) filter (mart.ticket_count is distinct from peer.num_tickets "
            "or mart.entry_count is distinct from peer.entry_count) "
            f"from {mart} as mart left join read_parquet('{naive}') as peer {day} "
            f"where mart.completeness = 1 and unit_id <> {RELINKED}"
        ).fetchone()
    if plain[1] or not plain[0]:
        sys.exit(
            f"{plain[1]} of {plain[0]} whole unit-days differ between the mart and naive pandas."
        )
    print(f"fct_conversion_daily is as pandas_same in all of {len(columns)} columns, {rows} rows")


def _is_same(name: str, kind: str) -> str:
    """Condition: mart and peer have the same value of a column."""
    if kind == "DOUBLE":
        return (
            f"case when mart.{name} is null or peer.{name} is null "
            f"then mart.{name} is null and peer.{name} is null "
            f"else abs(mart.{name} - peer.{name}) <= 1e-9 * abs(mart.{name}) end"
        )
    peer = f"peer.{name}"
    if kind.startswith("DECIMAL"):
        peer = f"{peer} / 10000"
    if kind == "TIMESTAMP":
        peer = f"cast({peer} as timestamp)"
    return f"mart.{name} is not distinct from {peer}"


CONTENDERS: dict[str, Callable[[Lake, Path], dict[str, float]]] = {
    each.__name__: each for each in (empty, full, bare, day, sales, pandas_naive, pandas_same)
}


def run_one(name: str, lake: Lake, folder: Path) -> dict[str, float]:
    """Run a contender in a process of its own; adds its peak memory and that of its children."""
    work = folder / name
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    words = [sys.executable, __file__, "--one", name, "--work", str(work)]
    words += ["--lake", str(lake.folder), "--sites", str(lake.sites), "--days", str(lake.days)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sites", type=int, default=20)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lake", type=Path, help="keep the input here for another run")
    parser.add_argument("--one", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.one:
        found = CONTENDERS[told.one](Lake(told.lake, told.sites, told.days), told.work)
        usages = [
            resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        ]
        peak = max(usage.ru_maxrss for usage in usages) / 1024
        cpu = sum(usage.ru_utime + usage.ru_stime for usage in usages)
        print(json.dumps({**found, "peak_mib": peak, "cpu_s": cpu}))
        return
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        lake = Lake(told.lake or folder / "lake", told.sites, told.days)
        # its memory would count as that of every contender
        maker = get_context("spawn").Process(
            target=make_lake, args=(lake.folder, lake.sites, lake.days)
        )
        maker.start()
        maker.join()
        if maker.exitcode:
            sys.exit("The lake could not be made.")
        print(f"{lake.sites} sites, {lake.days} days:", lake.rows())
        compare(lake, folder, told.rounds)


def compare(lake: Lake, folder: Path, rounds: int) -> None:
    """Run all contenders in turn and print medians and ratios."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    for _ in range(rounds):
        for name in CONTENDERS:
            found[name].append(run_one(name, lake, folder))
            print(f"  {name}: {found[name][-1]}", flush=True)
            if name == "full":
                shutil.copy(folder / "full" / "build.duckdb", folder / "finished.duckdb")
                for made in ("manifest.json", "run_results.json"):
                    shutil.copy(folder / "full" / "target" / made, folder / made)
    days = (folder / name / "days.parquet" for name in ("pandas_same", "pandas_naive"))
    check_equal(folder / "sales" / "build.duckdb", *days)

    def median(name: str, what: str = "s") -> float:
        return statistics.median(each[what] for each in found[name])

    for name in CONTENDERS:
        print(
            f"{name:12} {median(name):8.1f} s  {max(e['peak_mib'] for e in found[name]):6.0f} MiB"
        )
    fixed = median("empty")
    print(f"full / (bare + dbt's fixed cost): {median('full') / (median('bare') + fixed):.2f}")
    of_day, of_all = (median(n, "models_s") - median("empty", "models_s") for n in ("day", "full"))
    print(
        f"model time: one restated day {of_day:.1f} s, all {of_all:.1f} s, 1/{of_all / of_day:.0f}"
    )
    for name, what in (("pandas_same", "the same work"), ("pandas_naive", "a naive part of it")):
        print(
            f"{name} / sales: {median(name) / median('sales'):.2f} of the time, "
            f"{median(name, 'cpu_s') / median('sales', 'cpu_s'):.2f} of the processor's, for {what}"
        )


if __name__ == "__main__":
    main()
