"""Tickets and lines as tables of the lake's schemas."""

from collections.abc import Sequence

import numpy as np
import polars as pl
import pyarrow as pa

from ksi_pipeline.connectors.ticket_files.drop import Drop
from ksi_pipeline.connectors.ticket_files.mapping import KINDS
from ksi_pipeline.connectors.ticket_files.text_rows import ROW_NUMBER
from ksi_pipeline.core.schemas import MONEY, TICKET_LINES, TICKETS

MONEY_64 = pa.decimal64(MONEY.precision, MONEY.scale)

# Columns of text that are one value in a whole file; they are written as a dictionary.
STAMPS = ("connector_id", "raw_sha256")
# The columns of lines that are: text that comes again and again besides.
CODED_OF_LINES = (*STAMPS, "ext_ref_code", "category")


def ticket_table(runs: pl.DataFrame, drop: Drop) -> pa.Table:
    """Give good tickets in the columns of TICKETS."""
    runs = runs.with_columns(
        pl.col("_hour_us").alias("hour_start_utc"),
        (pl.col("_offset_us") // 1_000_000).alias("utc_offset_s"),
        pl.col("kind").replace_strict(list(range(len(KINDS))), list(KINDS), return_dtype=pl.String),
    )
    if "_gift" in runs.columns:
        runs = runs.rename({"_gift": "gift_card"})
    return _table(runs, TICKETS, drop, STAMPS)


def line_table(rows: pl.DataFrame, drop: Drop) -> pa.Table:
    """Give the lines of good tickets in the columns of TICKET_LINES."""
    rows = rows.rename({ROW_NUMBER: "row_number"})
    if "_net_line" in rows.columns:
        rows = rows.drop("net").rename({"_net_line": "net"})
    return _table(rows, TICKET_LINES, drop, CODED_OF_LINES)


def _table(rows: pl.DataFrame, schema: pa.Schema, drop: Drop, coded: Sequence[str]) -> pa.Table:
    stamps = dict(zip(STAMPS, (drop.connector_id, drop.raw_sha256), strict=True))
    columns = []
    for item in schema:
        if item.name in stamps:
            stamp = pa.array([stamps[item.name]], item.type)
            none = pa.array(np.zeros(rows.height, dtype=np.int32))
            columns.append(pa.DictionaryArray.from_arrays(none, stamp))
        elif item.name == "fetched_at_utc":
            columns.append(pa.repeat(pa.scalar(drop.fetched_at_utc, item.type), rows.height))
        elif item.name not in rows.columns:
            kind = pa.dictionary(pa.int32(), item.type) if item.name in coded else item.type
            columns.append(pa.nulls(rows.height, kind))
        elif item.name in coded:
            columns.append(_coded(rows[item.name]))
        elif pa.types.is_decimal(item.type):
            columns.append(_decimals(rows[item.name]))
        else:
            column = rows[item.name].to_arrow(compat_level=pl.CompatLevel.oldest())
            columns.append(column.cast(item.type))
    return pa.Table.from_arrays(columns, schema.names)


def _coded(texts: pl.Series) -> pa.DictionaryArray:
    """Give text as a dictionary that holds little more than what these rows need."""
    array = texts.to_arrow(compat_level=pl.CompatLevel.oldest())
    if isinstance(array, pa.DictionaryArray) and len(array.dictionary) <= len(array):
        return array.cast(pa.dictionary(pa.int32(), pa.string()))
    return array.cast(pa.string()).dictionary_encode()


def _decimals(values: pl.Series) -> pa.Array:
    """Give ten-thousandths as DECIMAL(18,4), without a copy through text."""
    array = values.cast(pl.Int64).rechunk().to_arrow()
    # the same whole numbers under another name
    return pa.Array.from_buffers(
        MONEY_64, len(array), array.buffers(), null_count=array.null_count, offset=array.offset
    )
