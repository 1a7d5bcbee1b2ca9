"""Parquet and workbooks as text: typed cells are written as ISO writes them."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from ksi_pipeline.connectors.ticket_files.packed import PackedFile
from ksi_pipeline.connectors.ticket_files.text_rows import TextRows, cell_text, numbered
from ksi_pipeline.core.errors import ContractError

_BATCH_ROWS = 250_000


def parquet_header(file: PackedFile) -> tuple[str, ...]:
    """Give the names of the columns."""
    with file.seekable() as stream:
        return tuple(pq.ParquetFile(stream).schema_arrow.names)


def parquet_pieces(file: PackedFile, columns: Sequence[str]) -> Iterator[TextRows]:
    """Yield the rows."""
    at = 0
    with file.seekable() as stream:
        for batch in pq.ParquetFile(stream).iter_batches(_BATCH_ROWS, columns=list(columns)):
            frame = pl.DataFrame(pl.from_arrow(batch))
            frame = frame.select(_as_text(frame[name]) for name in columns)
            yield TextRows(numbered(frame, np.arange(at, at + frame.height)))
            at += frame.height


def _as_text(column: pl.Series) -> pl.Series:
    if isinstance(column.dtype, pl.Datetime):
        ending = "%:z" if column.dtype.time_zone else ""
        column = column.dt.to_string(f"%Y-%m-%dT%H:%M:%S%.6f{ending}")
    elif column.dtype in (pl.Float64, pl.Float32):
        whole = (column == column.round(0)) & (column.abs() < 2**53)
        texts = column.cast(pl.String)
        column = (
            pl.select(
                pl.when(whole)
                .then(column.cast(pl.Int64, strict=False).cast(pl.String))
                .otherwise(texts)
            )
            .to_series()
            .alias(column.name)
        )
    return column.cast(pl.String).fill_null("")


def workbook_header(file: PackedFile, sheet: str | None) -> list[str]:
    """Give the cells of the first row; none of an empty sheet."""
    rows = _rows(file, sheet, 1)
    return [cell_text(value) for value in rows[0]] if rows else []


def workbook_pieces(
    file: PackedFile,
    sheet: str | None,
    header: Sequence[str],
    columns: Sequence[str],
    limit: int | None,
) -> Iterator[TextRows]:
    """Yield the rows after the header in one piece, at most `limit`; empty ones are left out."""
    rows = _rows(file, sheet, None if limit is None else limit + 1)[1:]
    places = [header.index(name) for name in columns]
    cells = {
        name: [cell_text(row[place]) for row in rows]
        for name, place in zip(columns, places, strict=True)
    }
    frame = pl.DataFrame(cells, schema=dict.fromkeys(columns, pl.String))
    filled = np.array([any(cell_text(value) for value in row) for row in rows], dtype=bool)
    numbers = np.arange(len(rows))
    yield TextRows(numbered(frame, numbers).filter(pl.Series(filled, dtype=pl.Boolean)))


def _rows(file: PackedFile, sheet: str | None, limit: int | None) -> list[list[Any]]:
    import python_calamine

    with file.seekable() as stream:
        try:
            book = python_calamine.CalamineWorkbook.from_filelike(stream)
            name = sheet or book.sheet_names[0]
            if name in book.sheet_names:
                found = book.get_sheet_by_name(name)
                return list(found.to_python(skip_empty_area=False, nrows=limit))
        except (python_calamine.CalamineError, IndexError) as error:
            # what the reader of files turns into one error for every format
            raise OSError(str(error) or type(error).__name__) from error
    raise ContractError(
        f"File {file.name}: it has no sheet {name!r}, only "
        f"{', '.join(map(repr, book.sheet_names))}. Nothing was loaded. Correct "
        "sheet: in the mapping.",
        code="E_MAPPING_COLUMN",
    )
