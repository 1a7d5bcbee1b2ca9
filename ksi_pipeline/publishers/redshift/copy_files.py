"""Parquet files as Redshift's COPY takes them, written anew from those of the marts.

COPY matches columns by position, not by name, and takes no other width than the table's: a file's
32-bit whole number does not go into a bigint. So each file has the columns of the batch in their
order, and of the types of the table. Instants are INT96, the way of writing them that COPY has
known longest; they are exact to the microsecond.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ksi_pipeline.core.errors import ContractError
from ksi_pipeline.core.publishing import Batch, Column

# Of one file: some files are loaded side by side.
ROWS_PER_FILE = 1_000_000
_ROWS_AT_ONCE = 65_536
_TYPES = {
    "text": pa.string(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
}


def copy_files(target: str, batch: Batch, folder: Path, text_bytes: int) -> Iterator[Path]:
    """Write the rows of a batch; each file may be removed once the next is asked for.

    Args:
        target: its id, for messages.
        batch: with one row or more.
        folder: to write into.
        text_bytes: that a text may have.

    Raises:
        ContractError: E_TARGET_TYPE, a text is longer.
    """
    names = [column.name for column in batch.columns]
    schema = pa.schema([pa.field(c.name, _arrow(c)) for c in batch.columns])
    writer: pq.ParquetWriter | None = None
    number, rows = 0, 0
    try:
        # the cast refuses columns in any other order
        for read in pq.ParquetFile(batch.path).iter_batches(_ROWS_AT_ONCE, columns=names):
            table = pa.Table.from_batches([read]).cast(schema)
            _require_short(target, batch, table, text_bytes)
            if writer is None:
                path = folder / f"part-{number:05d}.parquet"
                writer = pq.ParquetWriter(path, schema, use_deprecated_int96_timestamps=True)
            writer.write_table(table)
            rows += table.num_rows
            if rows >= ROWS_PER_FILE:
                writer.close()
                yield path
                writer, number, rows = None, number + 1, 0
        if writer is not None:
            writer.close()
            yield path
    finally:
        if writer is not None:
            writer.close()


def _arrow(column: Column) -> pa.DataType:
    if column.type in _TYPES:
        return _TYPES[column.type]
    digits = column.type.removeprefix("decimal(").partition(",")[0]
    return pa.decimal128(int(digits), column.scale)


def _require_short(target: str, batch: Batch, table: pa.Table, text_bytes: int) -> None:
    for name in _texts(batch.columns):
        longest = pc.max(pc.binary_length(table[name])).as_py() or 0
        if longest > text_bytes:
            raise ContractError(
                f"Target {target!r}, {batch.part}: a text of column {name} has {longest} bytes, "
                f"and the table takes {text_bytes}. Nothing of the partition was published; "
                "readers keep what they had. Set a larger text_bytes (65535 at most), drop the "
                "table in the target, and publish again.",
                code="E_TARGET_TYPE",
            )


def _texts(columns: Sequence[Column]) -> list[str]:
    return [column.name for column in columns if column.type == "text"]
