"""How fast hourly answers are read, at the scale of thirty years.

Run with `make bench-ticket-hours`, or `python benchmarks/ticket_hours.py --rounds 5`; a part alone
with `--only read`, `--only upsert` or `--only backfill`.

Contenders run interleaved, each in its own process, on the same rows of 50 stores:

* read: JSON bytes of answers of a week to a validated table. `ksi` is parse_hourly_answer;
  `adapter` is pydantic's TypeAdapter(list[Row]).validate_json with strict types, and its columns as
  an Arrow table; `adapter-list` stops at the list of models; `model` is Row(**row) for each row of
  json.loads. The peers see good rows only and judge neither hours nor repeated rows. Of three
  passes of a process the fastest counts.
* upsert: 1 M restated hours into 10 M known ones. `ksi` is what reading does between the parsed
  answer and the commit: known rows read from Parquet, new revisions, Parquet written, ledger;
  `duckdb` is INSERT OR REPLACE into a table with PRIMARY KEY (connector_id, ext_ref_code,
  hour_start_utc), which keeps no history, and a checkpoint.
* backfill: kept answers of `--years` years to a lake: gunzip, read, revisions, coverage, touched
  hours, Parquet, ledger, with the most memory that the process ever had.

Figures are rows a second of the processor's time, which neighbours on the machine disturb less, and
of the clock, each the median over rounds; ratios are of the former.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from ksi_pipeline.core.ticket_answer import Fetch, ParsedAnswer
from ksi_pipeline.core.time import Window

STORES, WEEK = 50, timedelta(days=7)
CODES = tuple(f"{number:04d}" for number in range(1, STORES + 1))
PASSES = 3
CLOCKS = ("cpu_s", "s")
START = datetime(1996, 1, 1, tzinfo=UTC)
HOURS = 7 * 24
SPACE = """\
schema: 1
site: {{id: mall, name: Mall, timezone: UTC, currency: EUR}}
units: [{units}]
links: [{links}]
"""
CONNECTORS = """\
connectors:
  - {id: pos, kind: hourly_api, url: "https://pos.example.com", token_env: T, absent_means: zero,
      active: true}
"""


class Took:
    """Measures from when it is made."""

    def __init__(self) -> None:
        self._began, self._cpu = time.perf_counter(), time.process_time()

    def times(self) -> dict[str, float]:
        return {"s": time.perf_counter() - self._began, "cpu_s": time.process_time() - self._cpu}


def fetch_of(week: int, fetched: datetime, sha: str = "ab" * 32) -> Fetch:
    window = Window(START + week * WEEK, START + (week + 1) * WEEK)
    return Fetch("pos", sha, fetched, window, ZoneInfo("UTC"), CODES)


def body_of(week: int) -> bytes:
    """An answer of a week, as a till writes it: hour by hour, every store."""
    tails = [f'", "ext_ref_code": "{c}", "num_tickets": {(int(c) + week) % 90}}}' for c in CODES]
    starts = (START + week * WEEK + timedelta(hours=n) for n in range(HOURS))
    heads = [f'{{"time": "{start.isoformat()}' for start in starts]
    return f"[{','.join(head + tail for head in heads for tail in tails)}]".encode()


def table_of(week: int, add: int, fetched: datetime, sha: str) -> pa.Table:
    """The rows of an answer of a week, as reading gives them."""
    from ksi_pipeline.core.schemas import TICKET_HOURS

    size = HOURS * STORES
    first = int((START + week * WEEK).timestamp())
    instants = (first + np.repeat(np.arange(HOURS), STORES) * 3600) * 1_000_000
    instant = TICKET_HOURS.field("hour_start_utc").type
    given = {
        "connector_id": pa.repeat("pos", size),
        "ext_ref_code": pa.array(CODES).take(pa.array(np.tile(np.arange(STORES), HOURS))),
        "hour_start_utc": pa.array(instants).cast(instant),
        "utc_offset_s": pa.array(np.zeros(size, np.int64)),
        "num_tickets": pa.array(np.arange(size) % 90 + add),
        "fetched_at_utc": pa.repeat(pa.scalar(fetched, instant), size),
        "raw_sha256": pa.repeat(sha, size),
        "row_number": pa.array(np.arange(size)),
    }
    columns = [given.get(f.name, pa.nulls(size, f.type)) for f in TICKET_HOURS]
    return pa.Table.from_arrays(columns, schema=TICKET_HOURS)


def make_home(folder: Path) -> None:
    (folder / "spaces").mkdir(parents=True)
    units = ", ".join(f'{{id: "{code}"}}' for code in CODES)
    links = ", ".join(f'{{connector: pos, ext_ref_code: "{c}", unit: "{c}"}}' for c in CODES)
    (folder / "spaces" / "mall.yaml").write_text(SPACE.format(units=units, links=links))
    (folder / "connectors.yaml").write_text(CONNECTORS)


def workspace_of(folder: Path):
    from ksi_pipeline.defs.workspace import Workspace
    from ksi_pipeline.store.layout import DataHome
    from ksi_pipeline.store.store import Store

    return Workspace(Store(DataHome(folder)), folder, {"T": "token-of-the-benchmark"}.get)


def read_ksi(bodies: list[bytes]) -> int:
    from ksi_pipeline.core.tickets import parse_hourly_answer

    fetched = START + 4000 * WEEK
    answers = [
        parse_hourly_answer(body, fetch_of(week, fetched), known_codes=set(CODES))
        for week, body in enumerate(bodies)
    ]
    assert not any(answer.rejected for answer in answers)
    return sum(answer.rows["num_tickets"].to_numpy().sum() for answer in answers)


def row_model() -> type:
    from decimal import Decimal

    import pydantic

    class Row(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(strict=True)
        time: pydantic.AwareDatetime
        ext_ref_code: str = pydantic.Field(min_length=1)
        num_tickets: int = pydantic.Field(ge=0)
        category: str | None = None
        num_returns: int | None = pydantic.Field(default=None, ge=0)
        gross_sales: Decimal | None = None
        returns_amount: Decimal | None = None
        net_sales: Decimal | None = None
        units: int | None = None
        currency: str | None = None
        tax_included: bool | None = None

    return Row


def read_adapter(bodies: list[bytes], *, as_table: bool) -> int:
    import pydantic

    model = row_model()
    adapter = pydantic.TypeAdapter(list[model])  # type: ignore[valid-type]
    total = 0
    for body in bodies:
        rows = adapter.validate_json(body)
        if as_table:
            names = [name for name in model.model_fields if name != "time"]  # type: ignore[attr-defined]
            columns = {name: [getattr(row, name) for row in rows] for name in names}
            times = pa.array([row.time for row in rows], pa.timestamp("us", "UTC"))
            table = pa.table({"time": times, **columns})
            total += table["num_tickets"].to_numpy().sum()
        else:
            total += sum(row.num_tickets for row in rows)
    return total


def read_model(bodies: list[bytes]) -> int:
    model = row_model()
    total = 0
    for body in bodies:
        for row in json.loads(body):
            row["time"] = datetime.fromisoformat(row["time"])
            total += model(**row).num_tickets  # type: ignore[attr-defined]
    return total


READERS = {
    "ksi": read_ksi,
    "adapter": lambda bodies: read_adapter(bodies, as_table=True),
    "adapter-list": lambda bodies: read_adapter(bodies, as_table=False),
    "model": read_model,
}


def run_read(name: str, weeks: int) -> dict[str, float]:
    bodies = [body_of(week) for week in range(weeks)]
    wanted = sum((int(c) + week) % 90 for week in range(weeks) for c in CODES) * HOURS
    READERS[name](bodies[:1])  # imports and compiled code
    passes = []
    for _ in range(PASSES):
        took = Took()
        found = READERS[name](bodies)
        passes.append(took.times())
        assert found == wanted, (found, wanted)
    times = min(passes, key=lambda times: times["cpu_s"])
    return {"rows": weeks * HOURS * STORES, **times}


def write_known(folder: Path, weeks: int) -> None:
    from ksi_pipeline.defs.steps.feed_history import FeedHistory
    from ksi_pipeline.store.store import Change

    make_home(folder)
    workspace = workspace_of(folder)
    for first in range(0, weeks, 52):
        history, change = FeedHistory(workspace.store, "pos", workspace.spaces()[0]), Change()
        for week in range(first, min(first + 52, weeks)):
            rows = table_of(week, 0, START + (week + 2) * WEEK, f"{week:064d}")
            history.add("ticket_hours", rows)
        history.write(change, "answer", f"known-{first}")
        workspace.store.commit(change)


def run_upsert_ksi(folder: Path, weeks: list[int], turn: int) -> dict[str, float]:
    from ksi_pipeline.core.instants import to_us
    from ksi_pipeline.core.ticket_revisions import new_revisions
    from ksi_pipeline.defs.steps.answers import ROWS_AT_ONCE
    from ksi_pipeline.defs.steps.feed_history import FeedHistory
    from ksi_pipeline.store.store import Change

    workspace = workspace_of(folder)
    space = workspace.spaces()[0]
    fetched, sha = START + 5000 * WEEK + timedelta(seconds=turn), f"{turn:064x}"
    answers = [
        ParsedAnswer(
            fetch_of(week, fetched, sha), table_of(week, turn + 1, fetched, sha), (), {}, 0, ()
        )
        for week in weeks
    ]
    took = Took()
    history, change, count, total = FeedHistory(workspace.store, "pos", space), Change(), 0, 0
    for number, answer in enumerate(answers):
        window = answer.fetch.window
        known = history.near("ticket_hours", to_us(window.start), to_us(window.end))
        added = new_revisions(answer, known, absent_means="zero")
        history.add("ticket_hours", added)
        count, total = count + added.num_rows, total + added.num_rows
        if count >= ROWS_AT_ONCE or number == len(answers) - 1:
            history.write(change, "answer", f"restated-{turn}-{number}")
            workspace.store.commit(change)
            history, change, count = FeedHistory(workspace.store, "pos", space), Change(), 0
    times = took.times()
    assert total == len(weeks) * HOURS * STORES, total
    return {"rows": total, **times}


def write_table(path: Path, weeks: int) -> None:
    import duckdb

    with duckdb.connect(str(path)) as connection:
        rows = table_of(0, 0, START, "").slice(0, 0)
        connection.register("incoming", rows)
        kinds = connection.execute("describe incoming").fetchall()
        columns = ", ".join(f"{row[0]} {row[1]}" for row in kinds)
        key = "primary key (connector_id, ext_ref_code, hour_start_utc)"
        connection.execute(f"create table known ({columns}, {key})")
        for week in range(weeks):
            rows = table_of(week, 0, START + (week + 2) * WEEK, f"{week:064d}")
            connection.register("incoming", rows)
            connection.execute("insert into known select * from incoming")


def run_upsert_duckdb(path: Path, weeks: list[int], turn: int) -> dict[str, float]:
    import duckdb

    fetched, sha = START + 5000 * WEEK + timedelta(seconds=turn), f"{turn:064x}"
    rows = pa.concat_tables(table_of(week, turn + 1, fetched, sha) for week in weeks)
    with duckdb.connect(str(path)) as connection:
        connection.register("incoming", rows)
        took = Took()
        connection.execute("insert or replace into known select * from incoming")
        connection.execute("checkpoint")
        times = took.times()
        found = connection.execute("select count(*) from known where raw_sha256 = ?", [sha])
        assert found.fetchone() == (rows.num_rows,)
    return {"rows": rows.num_rows, **times}


def write_answers(folder: Path, weeks: int) -> None:
    """Keep answers as asking for them would."""
    import hashlib

    from ksi_pipeline.store.raw import RawAnswer, keep_raw

    make_home(folder)
    store = workspace_of(folder).store
    for week in range(weeks):
        body = body_of(week)
        sha, fetch = hashlib.sha256(body).hexdigest(), fetch_of(week, START + (week + 2) * WEEK)
        answer = RawAnswer(
            "pos", "mall", fetch.window, CODES, "https://", body, sha, fetch.fetched_at_utc
        )
        keep_raw(store, answer, timedelta(hours=72))


def run_backfill(folder: Path) -> dict[str, float]:
    from ksi_pipeline.defs.steps.parse import parse_answers, reconcile

    workspace = workspace_of(folder)
    took = Took()
    report = parse_answers(workspace)
    times = took.times()
    assert report.rows_loaded == report.rows_in == report.total_rows, report
    assert reconcile(workspace).is_balanced
    status = Path("/proc/self/status").read_text().split("VmHWM:")[1]
    return {"rows": report.rows_in, **times, "rss_mb": int(status.split()[0]) >> 10}


def in_process(*arguments: object) -> dict[str, float]:
    command = [sys.executable, __file__, "--one", *map(str, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def show(title: str, found: dict[str, list[dict[str, float]]]) -> None:
    print(title)
    rates = {
        name: [statistics.median(run["rows"] / run[clock] for run in runs) for clock in CLOCKS]
        for name, runs in found.items()
    }
    ours = rates["ksi"][0]
    for name, (by_cpu, by_clock) in rates.items():
        print(
            f"  {name:13} {by_cpu:11,.0f} rows/s CPU {by_clock:11,.0f} rows/s, "
            f"ksi is {ours / by_cpu:.1f}x"
        )


def bench_read(rounds: int, weeks: int) -> None:
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in READERS}
    for _ in range(rounds):
        for name in READERS:
            runs[name].append(in_process("read", name, weeks))
    show(f"read: {weeks} answers of {HOURS * STORES:,} rows", runs)


def bench_upsert(rounds: int, known_weeks: int, weeks: int) -> None:
    runs: dict[str, list[dict[str, float]]] = {"ksi": [], "duckdb": []}
    with tempfile.TemporaryDirectory() as folder:
        home, table = Path(folder) / "home", Path(folder) / "known.duckdb"
        write_known(home, known_weeks)
        write_table(table, known_weeks)
        for turn in range(rounds):
            first = turn * weeks % (known_weeks - weeks)
            for name, path in (("ksi", home), ("duckdb", table)):
                runs[name].append(in_process("upsert", name, path, first, weeks, turn))
    size = HOURS * STORES
    show(f"upsert: {weeks * size:,} restated hours into {known_weeks * size:,}", runs)


def bench_backfill(years: int) -> None:
    weeks = round(years * 365.2425 / 7)
    with tempfile.TemporaryDirectory() as folder:
        write_answers(Path(folder), weeks)
        found = in_process("backfill", folder)
    print(
        f"backfill: {weeks:,} answers, {found['rows']:,.0f} rows, {found['s']:.0f} s "
        f"(CPU {found['cpu_s']:.0f} s), {found['rows'] / found['s']:,.0f} rows/s, "
        f"most memory {found['rss_mb']:,.0f} MiB"
    )


def run_one(kind: str, *arguments: str) -> None:
    if kind == "read":
        found = run_read(arguments[0], int(arguments[1]))
    elif kind == "backfill":
        found = run_backfill(Path(arguments[0]))
    else:
        name, path, first, count, turn = arguments
        weeks = list(range(int(first), int(first) + int(count)))
        run = run_upsert_ksi if name == "ksi" else run_upsert_duckdb
        found = run(Path(path), weeks, int(turn))
    print(json.dumps({name: float(value) for name, value in found.items()}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--weeks", type=int, default=30, help="answers to read")
    parser.add_argument("--known-weeks", type=int, default=1190, help="10 M hours of 50 stores")
    parser.add_argument("--restated-weeks", type=int, default=119, help="1 M hours of 50 stores")
    parser.add_argument("--years", type=int, default=30)
    parser.add_argument("--only", choices=["read", "upsert", "backfill"])
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        run_one(*given.one)
        return
    print(f"{STORES} stores, {os.cpu_count()} cores")
    if given.only in (None, "read"):
        bench_read(given.rounds, given.weeks)
    if given.only in (None, "upsert"):
        bench_upsert(given.rounds, given.known_weeks, given.restated_weeks)
    if given.only in (None, "backfill"):
        bench_backfill(given.years)


if __name__ == "__main__":
    main()
