"""Marts as XLSX: codes as text, dates and instants as Excel's own, no formulas.

Excel counts with doubles: a column of whole numbers or decimals of which one has more than 15
digits is written as text, so that no digit is lost. Instants have milliseconds, as Excel shows
them. Empty text is an empty cell, as null is. A sheet has so many rows; more go to a next one.
"""

import logging
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import fastexcel

from ksi_pipeline.core.errors import ConfigError, ContractError
from ksi_pipeline.core.publishing import Batch, Column, Figures
from ksi_pipeline.publishers.figures import DUCKDB, Words
from ksi_pipeline.publishers.parquet import duckdb_type, parquet_figures, relation_figures, source

# It warns of every empty column; as what one is read is checked here.
logging.getLogger("fastexcel.types.dtype").setLevel(logging.ERROR)

# What a sheet holds, without the row of names.
MOST_ROWS = 1_048_575
# of a number that needs more than 15 digits
_TOO_LONG = Decimal(10) ** 15
_EPOCH = date(1899, 12, 30)
_DAYS_TO_1970 = (date(1970, 1, 1) - _EPOCH).days
_DAYS_IN_MS = 1 / 86_400_000
# as which types fastexcel may show the cells of a column
_NUMBERS = ("float", "int", "string")
_KINDS = {
    "text": ("string",),
    "double": ("float", "int"),
    "boolean": ("boolean",),
    "date": ("date", "datetime"),
    "timestamp": ("date", "datetime"),
}
# what reading back raises where cells are no values of their columns, or the file is none
UNREADABLE = (
    duckdb.ConversionException,
    duckdb.InvalidInputException,
    duckdb.OutOfRangeException,
    fastexcel.FastExcelError,
)
_IN_MS = Words(
    bytes=DUCKDB.bytes,
    micros="(epoch_us({0}) - ((epoch_us({0}) % 1000) + 1000) % 1000)",
    days=DUCKDB.days,
    plain=DUCKDB.plain,
    month=DUCKDB.month,
)


def write_xlsx(connection: duckdb.DuckDBPyConnection, batch: Batch, path: Path) -> None:
    """Write a batch.

    Raises:
        ConfigError: E_TARGET_DRIVER, what writes XLSX is not installed.
        ContractError: E_TARGET_TYPE, a text is longer than a cell holds.
    """
    try:
        from rustpy_xlsxwriter import FastExcel, Format
    except ImportError as error:
        raise ConfigError(
            "Writing XLSX needs rustpy-xlsxwriter, which is not installed; nothing was published. "
            "Install it (pip install rustpy-xlsxwriter), or take xlsx out of formats:.",
            code="E_TARGET_DRIVER",
        ) from error
    long = _long_numbers(connection, batch)
    cells = ", ".join(_cell(c, is_long=c.name in long) for c in batch.columns)
    table = connection.sql(f"select {cells} from {source(batch)}").to_arrow_table()
    formats = {
        column.name: Format().set_num_format(
            "yyyy-mm-dd" if column.type == "date" else "yyyy-mm-dd hh:mm:ss.000"
        )
        for column in batch.columns
        if column.type in ("date", "timestamp")
    }
    book = FastExcel(str(path)).freeze(row=1)
    for number, first in enumerate(range(0, max(table.num_rows, 1), MOST_ROWS), start=1):
        rows = table.slice(first, MOST_ROWS)
        given: Any = rows if rows.num_rows else [dict.fromkeys(table.column_names)]
        book = book.sheet(f"rows {number}", given, column_formats=formats)
    try:
        book.save()
    except RuntimeError as error:
        raise ContractError(
            f"{path.name} cannot be written ({error}). Nothing was published; readers keep what "
            "they had. Shorten the text in the model of the mart, or take xlsx out of formats:, or "
            "the mart out of marts:.",
            code="E_TARGET_TYPE",
        ) from error


def xlsx_figures(connection: duckdb.DuckDBPyConnection, path: Path, batch: Batch) -> Figures:
    """Add up what the file holds; instants in whole milliseconds.

    Raises:
        duckdb.Error: a cell is no value of its column's type.
        fastexcel.FastExcelError: a column has cells of several types, or the file cannot be read.
    """
    book = fastexcel.read_excel(path)
    # a sheet without a row has one of empty cells
    is_row = " or ".join(f'"{column.name}" is not null' for column in batch.columns)
    relations = []
    for number, name in enumerate(book.sheet_names):
        # strict: all rows are looked at, and a column that mixes types is refused
        sheet = book.load_sheet(name, schema_sample_rows=None, dtype_coercion="strict")
        connection.register(f"sheet_{number}", sheet.to_arrow())
        kinds = {found.name: found.dtype for found in sheet.selected_columns}
        cells = ", ".join(_read(column, kinds[column.name]) for column in batch.columns)
        relations.append(f"(select * from (select {cells} from sheet_{number}) where {is_row})")
    try:
        rows = " union all ".join(f"select * from {relation}" for relation in relations)
        return relation_figures(connection, f"({rows})", batch, _IN_MS)
    finally:
        for number in range(len(relations)):
            connection.unregister(f"sheet_{number}")


def figures_as_xlsx(connection: duckdb.DuckDBPyConnection, batch: Batch) -> Figures:
    """Add the batch up as Excel can hold it: instants in whole milliseconds."""
    return parquet_figures(connection, batch, _IN_MS)


def _cell(column: Column, *, is_long: bool) -> str:
    """Write what becomes of a value; dates and instants are days, counted as Excel does."""
    name = f'"{column.name}"'
    if column.type == "date":
        return f"cast({_IN_MS.days.format(name)} as double) + {_DAYS_TO_1970} as {name}"
    if column.type == "timestamp":
        whole = f"cast({_IN_MS.micros.format(name)} // 1000 as double)"
        return f"{whole} * {_DAYS_IN_MS} + {_DAYS_TO_1970} as {name}"
    if _is_number(column):
        return f"cast({name} as {'varchar' if is_long else 'double'}) as {name}"
    return name


def _long_numbers(connection: duckdb.DuckDBPyConnection, batch: Batch) -> set[str]:
    """Name the columns of which a number has more digits than Excel keeps."""
    numbers = [column for column in batch.columns if _is_number(column)]
    asked = "".join(f', min("{column.name}"), max("{column.name}")' for column in numbers)
    ((_, *ends),) = connection.execute(f"select count(*){asked} from {source(batch)}").fetchall()
    return {
        column.name
        for column, *both in zip(numbers, ends[::2], ends[1::2], strict=True)
        if any(abs(Decimal(end or 0)).scaleb(column.scale) >= _TOO_LONG for end in both)
    }


def _is_number(column: Column) -> bool:
    return column.type == "bigint" or "(" in column.type


def _read(column: Column, kind: str) -> str:
    """Write how cells of a kind are read as the column's type; a kind that is none of it fails."""
    name = f'"{column.name}"'
    if kind not in _KINDS.get(column.type, _NUMBERS):
        # a column of empty cells is told to be text
        none = f"case when {name} is not null then error('cells of {column.name} are {kind}') end"
        return f"cast({none} as {duckdb_type(column)}) as {name}"
    if _is_number(column):
        # the double nearest to a decimal of 15 digits rounds back to it
        return f"cast({name} as decimal(38, {column.scale})) as {name}"
    if column.type == "text":
        return f"nullif({name}, '') as {name}"
    return f"cast({name} as {column.type}) as {name}"
