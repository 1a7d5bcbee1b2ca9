"""Marts of two engines, value for value."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

Rows = list[tuple[Any, ...]]


def marts_of_duckdb(path: Path) -> dict[str, tuple[list[str], Rows]]:
    """Columns and rows of every mart of a build file."""
    with duckdb.connect(str(path), read_only=True) as con:
        names = con.execute(
            "select table_name from information_schema.tables where table_schema = 'marts'"
        ).fetchall()
        found = {}
        for (name,) in names:
            mart = con.execute(f"select * from marts.{name}")
            found[name] = ([column[0] for column in mart.description], mart.fetchall())
        return found


def marts_of_postgres(connection: Any, names: Iterable[str]) -> dict[str, tuple[list[str], Rows]]:
    """The same from a server."""
    found = {}
    for name in names:
        mart = connection.execute(f"select * from marts.{name}")
        found[name] = ([column.name for column in mart.description], mart.fetchall())
    return found


def marts_of_parquet(folder: Path) -> dict[str, tuple[list[str], Rows]]:
    """The same from one folder of files for each mart, whose instants are UTC."""
    found = {}
    for path in folder.iterdir():
        mart = pq.read_table(path)
        rows = zip(*(map(_as_naive, column.to_pylist()) for column in mart.columns), strict=True)
        found[path.name] = (mart.column_names, list(rows))
    return found


def _as_naive(value: Any) -> Any:
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value


def assert_equal(here: Mapping[str, Any], there: Mapping[str, Any]) -> None:
    """Compare columns by name, and rows in any order; doubles have to have the same bits."""
    assert set(here) == set(there)
    for name, (columns, rows) in here.items():
        their_columns, their_rows = there[name]
        assert their_columns == columns, name
        left, right = _sorted(rows), _sorted(their_rows)
        for ours, theirs in zip(left, right, strict=False):
            differing = [
                (column, mine, other)
                for column, mine, other in zip(columns, ours, theirs, strict=True)
                if _told(mine) != _told(other)
            ]
            assert not differing, f"{name}, row {ours}: {differing}"
        assert len(left) == len(right), name


def _told(value: Any) -> str:
    """A value with its kind; repr of a float gives its bits, of a decimal its scale."""
    if isinstance(value, datetime):
        assert value.tzinfo is None
    return repr(value)


def _sorted(rows: Rows) -> Rows:
    return sorted(rows, key=lambda row: [_told(value) for value in row])
