"""Parquet files that grow piece by piece and come into the lake when they are whole."""

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ksi_pipeline.durable import sync
from ksi_pipeline.store.files import WrittenFile

# Whole numbers of which each is near the one before.
_ASCENDING = ("row_number", "at_utc")
# Ids come once or a few times each: a dictionary of them would only cost.
_NOT_REPEATED = {"ticket_id", "row_number", "at_utc", "net", "gross", "tax"}
_BLOCK = 4 << 20
_DIGITS_OF_64_BITS = 18


class StagedParquet:
    """One growing file; pieces are encoded beside the work of the caller, one at a time."""

    def __init__(self, path: Path, schema: pa.Schema, coded: Sequence[str] = ()) -> None:
        """Begin the file.

        Args:
            path: nobody's but the caller's.
            schema: of the rows; decimals of at most 18 digits come as decimal64.
            coded: columns of text that come as a dictionary.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.row_count = 0
        repeated = [name for name in schema.names if name not in _NOT_REPEATED]
        self._schema = pa.schema(
            f.with_type(pa.dictionary(pa.int32(), f.type) if f.name in coded else _narrow(f.type))
            for f in schema
        )
        self._writer = pq.ParquetWriter(
            path,
            self._schema,
            compression="zstd",
            compression_level=1,
            use_dictionary=repeated,
            store_schema=False,
            column_encoding={n: "DELTA_BINARY_PACKED" for n in _ASCENDING if n in schema.names},
            store_decimal_as_integer=True,
        )
        self._pool = ThreadPoolExecutor(1)
        self._pending: Future[None] | None = None

    def write(self, rows: pa.Table) -> None:
        """Add rows, as one row group."""
        self.row_count += rows.num_rows
        self._wait()
        table = pa.Table.from_arrays(rows.columns, schema=self._schema)
        self._pending = self._pool.submit(self._writer.write_table, table)

    def close(self) -> None:
        """Finish the file."""
        self._wait()
        self._pool.shutdown()
        self._writer.close()

    def _wait(self) -> None:
        if self._pending is not None:
            pending, self._pending = self._pending, None
            pending.result()


def _narrow(kind: pa.DataType) -> pa.DataType:
    """Give a decimal of at most 18 digits the width that Parquet writes it in."""
    if pa.types.is_decimal128(kind) and kind.precision <= _DIGITS_OF_64_BITS:
        return pa.decimal64(kind.precision, kind.scale)
    return kind


def into_lake(staged: Path, row_count: int, folder: Path, stem: str) -> WrittenFile:
    """Move a finished file to `<folder>/<stem>-<hash>.parquet`."""
    digest = hashlib.sha256()
    with staged.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    sha256 = digest.hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}-{sha256[:16]}.parquet"
    sync(staged)
    staged.replace(path)
    sync(folder)
    return WrittenFile(path, row_count, sha256)


@contextmanager
def staging_room(lake: Path, name: str) -> Iterator[Path]:
    """Give a folder for files that grow; it is emptied before and gone afterwards."""
    room = lake / ".staging" / name
    shutil.rmtree(room, ignore_errors=True)  # of a run that was killed
    room.mkdir(parents=True)
    try:
        yield room
    finally:
        shutil.rmtree(room, ignore_errors=True)


def live_paths(files: list[Mapping[str, object]], root: Path) -> list[Path]:
    """Give where files of the ledger lie."""
    return [root / str(row["path"]) for row in files]
