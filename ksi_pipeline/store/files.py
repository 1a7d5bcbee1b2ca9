"""Immutable files: written to a temporary name, synced, then renamed into place.

A Parquet name holds the hash of its content, so a name is never written twice with other bytes;
readers that hold an old name keep reading what it always was.
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ksi_pipeline.core.errors import ContractError


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


def write_plain_parquet(table: pa.Table, path: Path) -> None:
    """Write a table outside the lake, under a name that somebody chose; replaces what was there."""
    write_atomically(path, lambda temporary: pq.write_table(table, temporary, compression="zstd"))


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then put it in place durably."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)


def point_symlink(link: Path, target: Path) -> None:
    """Make `link` point to `target` (beside it) in one step, whatever it pointed to before."""
    temporary = link.with_name(f".{link.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target.name)
    temporary.replace(link)
    sync(link.parent)


def read_parquet(path: Path, schema: pa.Schema) -> pa.Table:
    """Read a whole file that somebody else wrote, or say what is wrong with it.

    Raises:
        ContractError: E_PARQUET when it is no readable Parquet, E_SCHEMA when a column is missing
            or of another type, E_NULL when a column that must be filled is not.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise ContractError(
            f"{path.name} is no readable Parquet file ({error}). Send it again.", code="E_PARQUET"
        ) from error
    for field in schema:
        found = table.schema.field(field.name).type if field.name in table.column_names else None
        if found != field.type:
            raise ContractError(
                f"{path.name}: column {field.name!r} should be {field.type} and is "
                f"{found or 'missing'}. docs/reference/datasets.md lists the columns.",
                code="E_SCHEMA",
            )
        nulls = table[field.name].null_count
        if nulls and not field.nullable:
            raise ContractError(
                f"{path.name}: column {field.name!r} is null in {nulls} of {table.num_rows} rows "
                "and must always be filled. Send the file again, whole.",
                code="E_NULL",
            )
    return table.select(schema.names).cast(schema)


def sync(path: Path) -> None:
    """Wait until a file's bytes, or a folder's names, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
