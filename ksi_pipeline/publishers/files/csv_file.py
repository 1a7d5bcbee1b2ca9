"""Marts as CSV: UTF-8 with a byte order mark, text in quotes, null empty and empty text `""`.

Text that a spreadsheet would take for a formula gets an apostrophe before it, so that opening the
file runs nothing. Text that has apostrophes before such a sign gets one more: who strips one from
whatever begins so has the text as it was.
"""

from pathlib import Path

import duckdb

from ksi_pipeline.core.publishing import Batch, Figures
from ksi_pipeline.publishers.parquet import duckdb_type, quoted, relation_figures

_FORMULA = r"^('*[=+\-@\t\r])"
_ESCAPED = r"^'('*[=+\-@\t\r])"


def write_csv(batch: Batch, path: Path) -> None:
    """Write a batch; doubles as the shortest text that is the same double."""
    # takes longer to import than a month to write, and only this needs it
    import polars as pl

    frame = pl.read_parquet(batch.path, hive_partitioning=False)
    # `$` begins a reference in a replacement, and ${1} is the group
    frame = frame.with_columns(pl.col(pl.String).str.replace(_FORMULA, "'${1}"))
    frame.write_csv(
        path,
        include_bom=True,
        quote_style="non_numeric",
        datetime_format="%Y-%m-%d %H:%M:%S%.6f",
        date_format="%Y-%m-%d",
    )


def csv_figures(connection: duckdb.DuckDBPyConnection, path: Path, batch: Batch) -> Figures:
    """Add up what the file holds."""
    kinds = ", ".join(f"'{c.name}': '{duckdb_type(c)}'" for c in batch.columns)
    values = ", ".join(
        f"regexp_replace(\"{c.name}\", '{_ESCAPED.replace(chr(39), chr(39) * 2)}', '\\1') "
        f'as "{c.name}"'
        if c.type == "text"
        else f'"{c.name}"'
        for c in batch.columns
    )
    relation = (
        f"(select {values} from read_csv({quoted(path)}, header = true, auto_detect = false, "
        f"delim = ',', quote = '\"', escape = '\"', nullstr = '', allow_quoted_nulls = false, "
        f"columns = {{{kinds}}}))"
    )
    return relation_figures(connection, relation, batch)
