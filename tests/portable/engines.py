"""The small lake on other engines, and the marts that dbt builds there.

Each adapter has an environment of its own under .services/ (make portable builds them): they pin
what the product does not need, and dbt runs there in a process of its own.
"""

import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from ksi_pipeline.core.schemas import DATASETS, LEDGER_VIEWS

REPO = Path(__file__).resolve().parents[2]
PROJECT = REPO / "dbt_project"
SCHEMAS: dict[str, pa.Schema] = {**DATASETS, **LEDGER_VIEWS}
SOURCES = PROJECT / "models" / "staging" / "_sources.yml"
# golden numbers are checked once, on DuckDB: make test
BUILD = ("build", "--exclude-resource-type", "unit_test")
POSTGRES_TYPES = {
    "string": "text",
    "int64": "bigint",
    "double": "double precision",
    "bool": "boolean",
    "date32[day]": "date",
    "timestamp[us]": "timestamp",
    "timestamp[us, tz=UTC]": "timestamp",
    "decimal128(18, 4)": "decimal(18, 4)",
}
MADE_BY = {"spark": "test-spark"}


def environment(name: str) -> Path:
    """The Python of an adapter's environment; skip where it was not built."""
    python = REPO / ".services" / name / "bin" / "python"
    if not python.exists():
        pytest.skip(f"dbt for {name} is not installed: make {MADE_BY.get(name, 'portable')}")
    return python


def arrow_tables(lake: Mapping[str, Iterable[Any]]) -> dict[str, pa.Table]:
    """The tables of schema lake that dbt reads; one that the lake does not name is empty."""
    (source,) = yaml.safe_load(SOURCES.read_text())["sources"]
    names = [table["name"] for table in source["tables"]]
    return {n: pa.Table.from_pylist(list(lake.get(n, [])), SCHEMAS[n]) for n in names}


def dbt_on(target: str, folder: Path, *arguments: str, **env: str) -> str:
    """Run dbt of the target's environment, and give what it said; fail where it failed."""
    name = target if target == "postgres" else "compile"
    command = [environment(name), "-m", "dbt.cli.main", *arguments, "--target", target]
    command += ["--project-dir", PROJECT, "--profiles-dir", PROJECT]
    command += ["--target-path", folder / "target", "--log-path", folder / "logs"]
    return _said(command, folder, **env)


def spark_build(folder: Path, lake: Mapping[str, Iterable[Any]], *arguments: str) -> str:
    """Run dbt on Spark over a lake, and give what it said; the marts are in folder/marts."""
    python = environment("spark")
    write_parquet(folder / "lake", lake)
    script = Path(__file__).with_name("spark_build.py")
    return _said([python, script, PROJECT, folder, *arguments], folder)


def _said(command: list[Any], folder: Path, **env: str) -> str:
    run = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env={**os.environ, "DO_NOT_TRACK": "1", "DBT_USE_COLORS": "false", **env},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
    return run.stdout


def write_parquet(folder: Path, lake: Mapping[str, Iterable[Any]]) -> None:
    """Write one file for each table; every time is an instant, as `timestamp` is on Spark."""
    folder.mkdir()
    instant = pa.timestamp("us", "UTC")
    for name, table in arrow_tables(lake).items():
        fields = [
            f.with_type(instant) if pa.types.is_timestamp(f.type) else f for f in table.schema
        ]
        pq.write_table(table.cast(pa.schema(fields)), folder / f"{name}.parquet")


def load_postgres(connection: Any, lake: Mapping[str, Iterable[Any]]) -> None:
    """Write schema lake anew; instants become naive UTC."""
    # what reads it goes with it: dbt makes its views anew
    connection.execute("create schema if not exists lake")
    for name, table in arrow_tables(lake).items():
        columns = ", ".join(f'"{f.name}" {POSTGRES_TYPES[str(f.type)]}' for f in table.schema)
        connection.execute(f"create table if not exists lake.{name} ({columns})")
        connection.execute(f"truncate lake.{name}")
        with connection.cursor().copy(f"copy lake.{name} from stdin") as copy:
            for row in table.to_pylist():
                copy.write_row([_naive(value) for value in row.values()])


def _naive(value: Any) -> Any:
    return value.replace(tzinfo=None) if getattr(value, "tzinfo", None) else value
