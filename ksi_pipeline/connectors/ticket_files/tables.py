"""Tickets and lines as tables of the lake's schemas."""

import numpy as np
import polars as pl
import pyarrow as pa

from ksi_pipeline.connectors.ticket_files.drop import Drop
from ksi_pipeline.connectors.ticket_files.mapping import KINDS
from ksi_pipeline.connectors.ticket_files.text_rows import ROW_NUMBER
from ksi_pipeline.core.schemas import TICKET_LINES, TICKETS

# Columns of text that are one value in a whole file; they are written as a dictionary.
STAMPS = ("connector_id", "raw_sha256")


def ticket_table(runs: pl.DataFrame, drop: Drop) -> pa.Table:
    """Give good tickets in the columns of TICKETS."""
    runs = runs.with_columns(
        pl.col("_hour_us").alias("hour_start_utc"),
        (pl.col("_offset_us") // 1_000_000).alias("utc_offset_s"),
        pl.col("kind").replace_strict(list(range(len(KINDS))), list(KINDS), return_dtype=pl.String),
    )
    if "_gift" in runs.columns:
        runs = runs.rename({"_gift": "gift_card"})
    return _table(runs, TICKETS, drop)


def line_table(rows: pl.DataFrame, drop: Drop) -> pa.Table:
    """Give the lines of good tickets in the columns of TICKET_LINES."""
    rows = rows.rename({ROW_NUMBER: "row_number"})
    if "_net_line" in rows.columns:
        rows = rows.drop("net").rename({"_net_line": "net"})
    return _table(rows, TICKET_LINES, drop)


def _table(rows: pl.DataFrame, schema: pa.Schema, drop: Drop) -> pa.Table:
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
            columns.append(pa.nulls(rows.height, item.type))
        elif pa.types.is_decimal(item.type):
            columns.append(_decimals(rows[item.name], item.type))
        else:
            column = rows[item.name].to_arrow(compat_level=pl.CompatLevel.oldest())
            columns.append(column.cast(item.type))
    return pa.Table.from_arrays(columns, schema.names)


def _decimals(values: pl.Series, kind: pa.DataType) -> pa.Array:
    """Give ten-thousandths as DECIMAL(18,4), without a copy through text."""
    array = values.cast(pl.Int64).to_arrow()
    low = values.cast(pl.Int64).fill_null(0).to_numpy()
    wide = np.empty((len(low), 2), dtype=np.int64)
    wide[:, 0], wide[:, 1] = low, low >> 63
    validity = None
    if array.null_count:
        validity = pa.array(values.is_not_null().to_numpy()).buffers()[1]
    return pa.Array.from_buffers(kind, len(low), [validity, pa.py_buffer(wide)])
