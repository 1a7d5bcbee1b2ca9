"""The schema `lake` of the build database: exactly what the ledger says counts, nothing globbed."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
from sqlalchemy import func, select

from ksi_pipeline.core.errors import ConfigError, TransientError
from ksi_pipeline.core.schemas import AFFECTED_HOURS, DATASETS
from ksi_pipeline.core.schemas import QUARANTINE as QUARANTINE_SCHEMA
from ksi_pipeline.store.count_versions import recipes_table, versions_table
from ksi_pipeline.store.store import Store
from ksi_pipeline.store.tables import AFFECTED_HOURS as AFFECTED_TABLE
from ksi_pipeline.store.tables import QUARANTINE

_LOCK_TRIES = 60
_PIECE = 100_000

# A tracklet that goes on into the next chunk has a row in both; the later one says all.
_LATEST_TRACKLET = (
    " qualify row_number() over (partition by site_id, tracklet_id"
    " order by last_utc desc, sample_count desc) = 1"
)


@contextmanager
def open_duckdb(path: Path, memory_limit: str = "4GB") -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a DuckDB file for writing, in UTC and with bounded memory.

    Raises:
        TransientError: E_BUILD_LOCKED, another process goes on writing it.
        ConfigError: E_MEMORY_LIMIT, the work in the block needs more memory than that.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    spill = path.parent / "spill"
    connection = _connect(path)
    try:
        connection.execute(f"set memory_limit = '{memory_limit}'")
        connection.execute(f"set temp_directory = '{_quoted(spill)}'")
        connection.execute("set TimeZone = 'UTC'")
        yield connection
    except duckdb.OutOfMemoryException as error:
        raise ConfigError(
            f"Working on {path} needs more memory than the limit of {memory_limit}: "
            f"{str(error).splitlines()[0]}. Nothing was built. Set KSI_DUCKDB_MEMORY_LIMIT to a "
            "larger value, and run again.",
            code="E_MEMORY_LIMIT",
        ) from error
    finally:
        connection.close()


def _connect(path: Path) -> duckdb.DuckDBPyConnection:
    """Connect once the file is free: a dbt whose run was killed may still be finishing."""
    for _ in range(_LOCK_TRIES):
        try:
            return duckdb.connect(str(path))
        except duckdb.IOException as error:
            if "lock" not in str(error):
                raise
            said = str(error)
        time.sleep(1.0)
    raise TransientError(
        f"The build database {path} is being written by another process: {said}. Nothing was "
        f"built after {_LOCK_TRIES} s of waiting. End that process, or wait and run again; "
        "readers belong on published/current.duckdb.",
        code="E_BUILD_LOCKED",
    )


def pending_seq(store: Store) -> int | None:
    """Give the newest affected hour that no build has consumed, or None when all are."""
    query = select(func.max(AFFECTED_TABLE.c.seq).label("seq"))
    rows = store.ledger.rows(query.where(AFFECTED_TABLE.c.build_id.is_(None)))
    seq = rows[0]["seq"]
    return None if seq is None else int(seq)


def register_lake(store: Store, *, up_to_seq: int, all_hours: bool, memory_limit: str) -> int:
    """Point the views of schema `lake` at the files that count now.

    Args:
        store: the data home.
        up_to_seq: affected hours after this one belong to a later build.
        all_hours: a full refresh; every hour of the calendar counts as affected.
        memory_limit: DuckDB's limit, e.g. 4GB.

    Returns:
        How many distinct unit-hours the build has to compute.
    """
    with open_duckdb(store.home.build_db, memory_limit) as connection:
        connection.execute("create schema if not exists lake")
        for dataset, schema in DATASETS.items():
            paths = [store.absolute(row) for row in store.ledger.live_files(dataset)]
            _point(connection, dataset, schema, paths)
        _ledger_table(connection, "quarantine", _quarantine(store))
        _ledger_table(connection, "count_versions", versions_table(store.ledger))
        _ledger_table(connection, "count_recipes", recipes_table(store.ledger))
        if all_hours:
            _every_hour(connection, store)
        else:
            _pending_hours(connection, store, up_to_seq)
        count = connection.execute(
            "select count(*) from (select distinct site_id, unit_id, hour_start_utc "
            "from lake.affected_hours)"
        ).fetchone()
    return int(count[0]) if count else 0


def register_dataset(store: Store, dataset: str, *, memory_limit: str) -> None:
    """Point the view of one dataset at the files that count now, within a build."""
    paths = [store.absolute(row) for row in store.ledger.live_files(dataset)]
    with open_duckdb(store.home.build_db, memory_limit) as connection:
        _point(connection, dataset, DATASETS[dataset], paths)


def has_table(connection: duckdb.DuckDBPyConnection, schema: str, name: str) -> bool:
    """Whether the database has this table or view."""
    return _kind_of(connection, schema, name) is not None


def _point(
    connection: duckdb.DuckDBPyConnection, name: str, schema: pa.Schema, paths: list[Path]
) -> None:
    if not paths:
        _drop(connection, name)
        _empty_table(connection, name, schema)
        return
    listed = ", ".join(f"'{_quoted(path)}'" for path in paths)
    only = _LATEST_TRACKLET if name == "tracklets" else ""
    _drop(connection, name)
    connection.execute(
        f"create view lake.{name} as select {', '.join(schema.names)} "
        f"from read_parquet([{listed}], union_by_name = true){only}"
    )


def _ledger_table(connection: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> None:
    _drop(connection, name)
    connection.register("incoming", table)
    connection.execute(f"create table lake.{name} as select * from incoming")
    connection.unregister("incoming")


def _empty_table(connection: duckdb.DuckDBPyConnection, name: str, schema: pa.Schema) -> None:
    _ledger_table(connection, name, schema.empty_table())


def _drop(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    kind = _kind_of(connection, "lake", name)
    if kind:
        connection.execute(f"drop {'view' if kind == 'VIEW' else 'table'} lake.{name}")


def _kind_of(connection: duckdb.DuckDBPyConnection, schema: str, name: str) -> str | None:
    kind = connection.execute(
        "select table_type from information_schema.tables "
        "where table_schema = ? and table_name = ?",
        [schema, name],
    ).fetchone()
    return str(kind[0]) if kind else None


def _pending_hours(connection: duckdb.DuckDBPyConnection, store: Store, up_to_seq: int) -> None:
    """Copy the hours that no build has consumed, piece by piece: there may be millions."""
    _empty_table(connection, "affected_hours", AFFECTED_HOURS)
    query = (
        select(*(AFFECTED_TABLE.c[name] for name in AFFECTED_HOURS.names))
        .where(AFFECTED_TABLE.c.build_id.is_(None), AFFECTED_TABLE.c.seq <= up_to_seq)
        .order_by(AFFECTED_TABLE.c.seq)
    )
    with store.ledger.engine.connect() as ledger:
        for rows in ledger.execution_options(yield_per=_PIECE).execute(query).partitions():
            piece = _table(zip(*rows, strict=True), AFFECTED_HOURS)
            connection.register("piece", piece)
            connection.execute("insert into lake.affected_hours select * from piece")
            connection.unregister("piece")


def _every_hour(connection: duckdb.DuckDBPyConnection, store: Store) -> None:
    """Let every hour of the calendar of each unit, the common area among them, be affected."""
    _empty_table(connection, "affected_hours", AFFECTED_HOURS)
    hours = store.read("site_hours", columns=["site_id", "hour_start_utc"])
    connection.register("hours", hours)
    connection.register("units", store.read("space_unit", columns=["site_id", "unit_id"]))
    connection.execute(
        "insert into lake.affected_hours by name "
        "select site_id, unit_id, hour_start_utc, 'full_refresh' as cause, 0 as seq "
        "from hours join (select distinct site_id, unit_id from units union "
        "select distinct site_id, '_common' from hours) using (site_id)"
    )
    for name in ("hours", "units"):
        connection.unregister(name)


def _quarantine(store: Store) -> pa.Table:
    rows = store.ledger.rows(select(QUARANTINE).order_by(QUARANTINE.c.quarantine_id))
    return _table(
        ([row[name] for row in rows] for name in QUARANTINE_SCHEMA.names), QUARANTINE_SCHEMA
    )


def _table(columns: Iterable[Sequence[object]], schema: pa.Schema) -> pa.Table:
    """Build a table whose instants are given in microseconds since the epoch."""
    arrays = []
    for column, values in zip(schema, columns, strict=True):
        kind = pa.int64() if pa.types.is_timestamp(column.type) else column.type
        arrays.append(pa.array(values, kind).cast(column.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def _quoted(path: Path) -> str:
    return str(path.resolve()).replace("'", "''")
