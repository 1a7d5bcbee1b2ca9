"""Marts as XLSX: codes as text, dates and instants as Excel's own, no formulas.

Excel counts with doubles: a column of whole numbers or decimals of which one has more than 15
digits is written as text, so that no digit is lost. Instants have milliseconds, as Excel shows
them. Empty text is an empty cell, as null is. A sheet has so many rows; more go to a next one.
"""

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
from python_calamine import load_workbook

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.publishing import Batch, Column, Figures
from ksi_pipeline.publishers.figures import DUCKDB, Words
from ksi_pipeline.publishers.parquet import parquet_figures, relation_figures

# What a sheet holds, without the row of names.
MOST_ROWS = 1_048_575
_MOST_DIGITS = 15
_EPOCH = date(1899, 12, 30)
_DAYS_TO_1970 = (date(1970, 1, 1) - _EPOCH).days
_DAY_MS = 86_400_000
_IN_MS = Words(
    bytes=DUCKDB.bytes,
    micros="(epoch_us({0}) - ((epoch_us({0}) % 1000) + 1000) % 1000)",
    days=DUCKDB.days,
    plain=DUCKDB.plain,
    month=DUCKDB.month,
)


def write_xlsx(batch: Batch, path: Path) -> None:
    """Write a batch.

    Raises:
        ConfigError: E_TARGET_DRIVER, what writes XLSX is not installed.
    """
    try:
        from rustpy_xlsxwriter import FastExcel, Format
    except ImportError as error:
        raise ConfigError(
            "Writing XLSX needs rustpy-xlsxwriter, which is not installed; nothing was published. "
            "Install it (pip install rustpy-xlsxwriter), or take xlsx out of formats:.",
            code="E_TARGET_DRIVER",
        ) from error
    frame = pl.read_parquet(batch.path, hive_partitioning=False)
    frame = frame.with_columns(_cells(frame, column) for column in batch.columns)
    formats = {
        column.name: Format().set_num_format(
            "yyyy-mm-dd" if column.type == "date" else "yyyy-mm-dd hh:mm:ss.000"
        )
        for column in batch.columns
        if column.type in ("date", "timestamp")
    }
    book = FastExcel(str(path)).freeze(row=1)
    for number, first in enumerate(range(0, max(frame.height, 1), MOST_ROWS), start=1):
        rows = frame.slice(first, MOST_ROWS)
        given: Any = rows if rows.height else [dict.fromkeys(frame.columns)]
        book = book.sheet(f"rows {number}", given, column_formats=formats)
    book.save()


def xlsx_figures(connection: duckdb.DuckDBPyConnection, path: Path, batch: Batch) -> Figures:
    """Add up what the file holds; instants in whole milliseconds."""
    book = load_workbook(str(path))
    rows: list[list[Any]] = []
    for name in book.sheet_names:
        sheet = book.get_sheet_by_name(name).to_python(skip_empty_area=False)
        rows += [row for row in sheet[1:] if any(value != "" for value in row)]
    table = pa.table(
        {
            column.name: pa.array([_value(row[at], column) for row in rows], _arrow(column))
            for at, column in enumerate(batch.columns)
        }
    )
    connection.register("sheet_rows", table)
    try:
        return relation_figures(connection, "sheet_rows", batch, _IN_MS)
    finally:
        connection.unregister("sheet_rows")


def figures_as_xlsx(connection: duckdb.DuckDBPyConnection, batch: Batch) -> Figures:
    """Add the batch up as Excel can hold it: instants in whole milliseconds."""
    return parquet_figures(connection, batch, _IN_MS)


def _cells(frame: pl.DataFrame, column: Column) -> pl.Expr:
    values = pl.col(column.name)
    if column.type == "date":
        return (values.to_physical().cast(pl.Float64) + _DAYS_TO_1970).alias(column.name)
    if column.type == "timestamp":
        whole = values.cast(pl.Datetime("us")).to_physical() // 1000
        return (whole.cast(pl.Float64) / _DAY_MS + _DAYS_TO_1970).alias(column.name)
    if column.type == "bigint" or "(" in column.type:
        return values.cast(pl.String if _is_long(frame, column) else pl.Float64)
    return values


def _is_long(frame: pl.DataFrame, column: Column) -> bool:
    series = frame[column.name].drop_nulls()
    if series.is_empty():
        return False
    largest = max(abs(Decimal(str(end))) for end in (series.min(), series.max()))
    return largest.scaleb(column.scale) >= Decimal(10) ** _MOST_DIGITS


def _value(cell: Any, column: Column) -> Any:
    """Read a cell as the column's type."""
    if cell == "":
        return None
    if column.type == "text":
        return str(cell)
    if column.type == "bigint":
        return int(cell)
    if "(" in column.type:
        # the double nearest to a decimal of 15 digits rounds back to it
        return round(
            Decimal(repr(cell)) if isinstance(cell, float) else Decimal(cell), column.scale
        )
    if column.type == "double":
        return float(cell)
    if column.type == "date" and isinstance(cell, datetime):
        return cell.date()
    if column.type == "timestamp" and not isinstance(cell, datetime):
        return datetime(cell.year, cell.month, cell.day)  # noqa: DTZ001 - marts have no zone
    return cell


def _arrow(column: Column) -> pa.DataType:
    if "(" in column.type:
        return pa.decimal128(38, column.scale)
    return {
        "text": pa.string(),
        "bigint": pa.int64(),
        "double": pa.float64(),
        "boolean": pa.bool_(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("us"),
    }[column.type]
