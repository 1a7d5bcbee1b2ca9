"""Rows of a query on their way to a file: one Parquet that grows, whose types may widen."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

Unify = Callable[[pa.DataType, pa.DataType], pa.DataType]
# Two hashes of 64 bits each: one alone may be equal by chance.
_SEEDS = (1, 2)


class LandedParquet:
    """A file that takes batches as they come; each is written before the next is asked for.

    A batch with a type that the file has not (the first rows of a column were null, or of fewer
    decimals) makes the file be written again with the wider type, once for each such change.
    """

    def __init__(self, path: Path, unify: Unify) -> None:
        """Begin.

        Args:
            path: nobody's but the caller's.
            unify: gives the type that holds the values of two.
        """
        self.path, self._unify = path, unify
        self.row_count = 0
        self._schema: pa.Schema | None = None
        self._writer: pq.ParquetWriter | None = None
        path.parent.mkdir(parents=True, exist_ok=True)

    @property
    def size(self) -> int:
        """Bytes that were written, roughly."""
        return self.path.stat().st_size if self.path.exists() else 0

    def add(self, rows: pa.Table) -> None:
        """Add rows; the columns are always the same."""
        if self._schema is None:
            self._open(rows.schema)
        schema = _holding(rows, self._wider(rows.schema))
        if self._schema != schema:
            self._rewrite(schema)
        if self._writer is not None:
            self._writer.write_table(_cast(rows, self._schema or schema))
        self.row_count += rows.num_rows

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.close()
        self._writer = None

    def _wider(self, schema: pa.Schema) -> pa.Schema:
        known = self._schema or schema
        return pa.schema(
            pa.field(old.name, self._unify(old.type, new.type))
            for old, new in zip(known, schema, strict=True)
        )

    def _open(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._writer = pq.ParquetWriter(self.path, schema, compression="zstd")

    def _rewrite(self, schema: pa.Schema) -> None:
        self.close()
        before = self.path.with_suffix(".before")
        self.path.replace(before)
        with pq.ParquetFile(before) as file:
            for number in range(file.num_row_groups):
                schema = _holding(file.read_row_group(number), schema)
            self._open(schema)
            for number in range(file.num_row_groups):
                if self._writer is not None:
                    self._writer.write_table(_cast(file.read_row_group(number), schema))
        before.unlink()


def rows_hash(path: Path, column: str) -> tuple[str, object]:
    """Give a hash of a file's rows, whatever their order, and the largest value of a column.

    The hash is of this version of polars: another may give another, and rows are kept once more.
    """
    sums, count, largest = [0, 0], 0, None
    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
        for batch in file.iter_batches():
            frame = pl.DataFrame(pl.from_arrow(pa.Table.from_batches([batch])))
            for place, seed in enumerate(_SEEDS):
                # wraps around, which is no harm
                sums[place] += int(frame.hash_rows(seed).to_numpy().sum(dtype=np.uint64))
            count += batch.num_rows
            values = batch.column(schema.get_field_index(column))
            found = None if values.null_count == len(values) else pc.max(values).as_py()
            if found is not None and (largest is None or found > largest):
                largest = found
    said = (count, [total % 2**64 for total in sums], schema.to_string())
    return hashlib.sha256(repr(said).encode()).hexdigest(), largest


def _holding(rows: pa.Table, schema: pa.Schema) -> pa.Schema:
    """Give a schema that can hold some rows; a number with too many digits for it is text."""
    fields = []
    for column, field in zip(rows.columns, schema, strict=True):
        try:
            _cast_column(column, field.type)
        except pa.ArrowInvalid:
            field = field.with_type(pa.string())
        fields.append(field)
    return pa.schema(fields)


def _cast(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = [
        _cast_column(one, field.type) for one, field in zip(rows.columns, schema, strict=True)
    ]
    return pa.table(columns, schema=schema)


def _cast_column(column: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    if column.type == wanted:
        return column
    if pa.types.is_decimal(column.type) and pa.types.is_string(wanted):
        # Arrow would write 1E-7
        texts = [None if value is None else format(value, "f") for value in column.to_pylist()]
        return pa.chunked_array([pa.array(texts, wanted)])
    return column.cast(wanted)
