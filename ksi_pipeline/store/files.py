"""Immutable files: written to a temporary name, synced, then renamed into place.

A Parquet name holds the hash of its content, so a name is never written twice with other bytes;
readers that hold an old name keep reading what it always was.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ksi_pipeline.core.errors import ContractError
from ksi_pipeline.durable import sync

ROW_GROUP = 1 << 16


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file that lies in place; the ledger decides whether it counts."""

    path: Path
    row_count: int
    sha256: str


def write_parquet(table: pa.Table, folder: Path, stem: str) -> WrittenFile:
    """Write a table as `<folder>/<stem>-<hash>.parquet`.

    The same rows in the same order give the same name and the same bytes.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", compression_level=3)
    content = sink.getvalue()
    sha256 = hashlib.sha256(content).hexdigest()
    path = folder / f"{stem}-{sha256[:16]}.parquet"
    if not path.exists():
        write_atomically(path, lambda temporary: temporary.write_bytes(content))
    return WrittenFile(path, table.num_rows, sha256)


def read_columns(path: Path, schema: pa.Schema) -> pa.Table:
    """Read the columns of a schema; one that an older file lacks is null, where it may be."""
    held = set(pq.read_schema(path).names)
    lacking = [name for name in schema.names if name not in held and schema.field(name).nullable]
    table = pq.read_table(path, columns=[name for name in schema.names if name not in lacking])
    for name in lacking:
        table = table.append_column(name, pa.nulls(table.num_rows, schema.field(name).type))
    return table.select(schema.names).cast(schema)


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then put it in place durably."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    try:
        write(temporary)
        sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)


class ParquetStreams:
    """Several tables written side by side as they come, all of which appear at the end, or none.

    Row groups have one size however the rows came, so the same rows give the same bytes.
    """

    def __init__(self, folder: Path, schemas: Mapping[str, pa.Schema]) -> None:
        """Begin `<folder>/<name>.parquet` for each schema; the folder is made."""
        folder.mkdir(parents=True, exist_ok=True)
        self._paths = {name: folder / f"{name}.parquet" for name in schemas}
        self._schemas = dict(schemas)
        self._waiting: dict[str, list[pa.Table]] = {name: [] for name in schemas}
        self._counts = dict.fromkeys(schemas, 0)
        self._writers = {
            name: pq.ParquetWriter(
                _temporary(path),
                schemas[name],
                compression="zstd",
                use_dictionary=_repetitive(schemas[name]),
            )
            for name, path in self._paths.items()
        }

    def write(self, name: str, rows: pa.Table) -> None:
        """Add rows to one of the tables; always with text encoded, or never."""
        if not rows.num_rows:
            return
        waiting = self._waiting[name]
        waiting.append(rows)
        self._counts[name] += rows.num_rows
        if self._counts[name] >= ROW_GROUP:
            table = pa.concat_tables(waiting)
            whole = table.num_rows - table.num_rows % ROW_GROUP
            self._flush(name, table.slice(0, whole))
            self._waiting[name] = [table.slice(whole)]
            self._counts[name] -= whole

    def _close(self, name: str, *, is_whole: bool) -> None:
        if is_whole:
            waiting = self._waiting[name] or [self._schemas[name].empty_table()]
            self._flush(name, pa.concat_tables(waiting))
        self._writers[name].close()
        if is_whole:
            sync(_temporary(self._paths[name]))

    def _flush(self, name: str, rows: pa.Table) -> None:
        # Text as it is: a dictionary of which only some is used would be written whole.
        self._writers[name].write_table(rows.cast(self._schemas[name]), ROW_GROUP)

    def __enter__(self) -> "ParquetStreams":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            close = partial(self._close, is_whole=kind is None)
            with ThreadPoolExecutor() as pool:
                list(pool.map(close, self._writers))
            if kind is None:
                for path in self._paths.values():
                    _temporary(path).replace(path)
                sync(path.parent)
        finally:
            for path in self._paths.values():
                _temporary(path).unlink(missing_ok=True)


def read_parquet(path: Path, schema: pa.Schema) -> pa.Table:
    """Read a whole file that somebody else wrote, or say what is wrong with it.

    Raises:
        ContractError: E_FILE when there is no file, E_PARQUET when it is no readable Parquet,
            E_SCHEMA when a column is missing or of another type, E_NULL when a column that must be
            filled is not.
    """
    with readable(path):
        table = pq.read_table(path)
    require_columns(path.name, table.schema, schema)
    for field in schema:
        nulls = table[field.name].null_count
        if nulls and not field.nullable:
            raise ContractError(
                f"{path.name}: column {field.name!r} is null in {nulls} of {table.num_rows} rows "
                "and must always be filled. Send the file again, whole.",
                code="E_NULL",
            )
    return table.select(schema.names).cast(schema)


def _repetitive(schema: pa.Schema) -> list[str]:
    """Columns whose values come again and again: a dictionary of the others would only cost."""
    return [
        field.name
        for field in schema
        if not pa.types.is_floating(field.type)
        and (not pa.types.is_timestamp(field.type) or field.name.startswith(("hour_", "minute_")))
    ]


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what Arrow says about a broken file into our error.

    Raises:
        ContractError: E_FILE when there is no file, else E_PARQUET.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise ContractError(
            f"Reading {path} failed: there is no such file. Nothing was written. Correct the path.",
            code="E_FILE",
        ) from error
    except (OSError, pa.ArrowException) as error:
        raise ContractError(
            f"{path.name} is no readable Parquet file ({error}). Send it again.", code="E_PARQUET"
        ) from error


def require_columns(name: str, found: pa.Schema, wanted: pa.Schema) -> None:
    """Check that a file has the columns of a dataset.

    Raises:
        ContractError: E_SCHEMA, a column is missing or of another type.
    """
    for field in wanted:
        kind = found.field(field.name).type if field.name in found.names else None
        if kind != field.type:
            raise ContractError(
                f"{name}: column {field.name!r} should be {field.type} and is "
                f"{kind or 'missing'}. docs/reference/datasets.md lists the columns.",
                code="E_SCHEMA",
            )
