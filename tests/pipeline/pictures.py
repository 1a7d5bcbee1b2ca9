"""Looks into everything under a folder for what could show or recognise a person."""

import base64
import gzip
import re
import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

# Long enough not to turn up by chance in compressed bytes.
_MAGIC = {
    "a JPEG": re.compile(rb"\xff\xd8\xff[\xdb\xe0-\xef]..(?:JFIF|Exif|.{0,200}\xff\xc0)", re.S),
    "a PNG": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "a GIF": re.compile(rb"GIF8[79]a.{4}[\x00-\xff]\x00\x00"),
    "a WebP or AVI": re.compile(rb"RIFF.{4}(?:WEBPVP8|AVI LIST)", re.S),
    "an MP4": re.compile(rb"\x00\x00\x00.ftyp(?:isom|mp4|iso|avc|M4V|qt)", re.S),
    "a Matroska video": re.compile(rb"\x1aE\xdf\xa3.{0,40}(?:webm|matroska)", re.S),
    "a NumPy array": re.compile(rb"\x93NUMPY[\x01-\x03]\x00"),
    "a pickled array": re.compile(rb"numpy(?:\.|_)?_?core\.(?:multiarray|numeric)"),
    "a torch file": re.compile(rb"PK\x03\x04.{20,80}(?:archive/)?data\.pkl", re.S),
}
# What bitmaps begin with, which is too short to be looked for elsewhere.
_HEADS = {b"BM": "a BMP", b"II*\x00": "a TIFF", b"MM\x00*": "a TIFF"}
_ENCODED = re.compile(
    r"data:image|(?<![A-Za-z0-9+/])(?:/9j/[24]|iVBORw0KGgo|R0lGODlh|R0lGODdh|UklGR[A-Za-z0-9+/]{4})"
)
# A row of numbers as long as that is no position; embeddings have 64 to 2,048.
_VECTOR = re.compile(r"(?:-?\d+\.\d+(?:[eE][-+]?\d+)?\s*[,;\s]\s*){31}")
_LONG_BASE64 = re.compile(r"[A-Za-z0-9+/]{400,}={0,2}")
_MOST_BYTES_UNKNOWN = 512
# Logs of databases, and what dbt keeps of its project; only looked through for what _MAGIC knows.
_OF_TOOLS = ("-wal", "-shm", ".wal", "partial_parse.msgpack", "graph.gpickle")


def pictures_in(root: Path, inputs: tuple[str, ...] = ()) -> list[str]:
    """Say what is, or holds, a picture, a crop or an embedding; one sentence for each finding.

    Args:
        root: folder to walk, hidden files included.
        inputs: folders right under it that hold what was there before.
    """
    found = []
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        if path.is_file() and name.parts[0] not in inputs:
            found += [f"{name}: {what}" for what in _in_file(path)]
    return found


def _in_file(path: Path) -> Iterator[str]:
    content = _unpacked(path.read_bytes())
    yield from _in_bytes(content)
    if content[:4] == b"PAR1":
        yield from _in_parquet(path)
    elif content[:15] == b"SQLite format 3":
        yield from _in_sqlite(path)
    elif content[8:12] == b"DUCK":
        yield from _in_duckdb(path)
    elif not _is_text(content):
        is_of_a_tool = path.name.endswith(_OF_TOOLS)
        if len(content) > _MOST_BYTES_UNKNOWN and not is_of_a_tool:
            yield f"{len(content)} bytes of no known kind"
    else:
        yield from _in_text(content.decode())


def _unpacked(content: bytes) -> bytes:
    if content[:2] == b"\x1f\x8b":
        return gzip.decompress(content)
    # Dagster keeps its job snapshots so
    return zlib.decompress(content) if content[:2] == b"x\x9c" else content


def _in_bytes(content: bytes) -> Iterator[str]:
    yield from (what for head, what in _HEADS.items() if content.startswith(head))
    yield from (what for what, pattern in _MAGIC.items() if pattern.search(content))


def _in_text(text: str) -> Iterator[str]:
    if _ENCODED.search(text):
        yield "a picture in base64"
    if _VECTOR.search(text):
        yield "a long row of numbers"
    for encoded in _LONG_BASE64.findall(text):
        decoded = base64.b64decode(encoded[: len(encoded) // 4 * 4])
        if len(set(decoded)) > 100:
            yield "bytes in base64"
            return


def _is_text(content: bytes) -> bool:
    try:
        return "\x00" not in content.decode()
    except UnicodeDecodeError:
        return False


def _in_parquet(path: Path) -> Iterator[str]:
    schema = pq.read_schema(path)
    for field in schema:
        kind = field.type
        if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            yield f"a column of bytes, {field.name}"
        if pa.types.is_fixed_size_binary(kind) or pa.types.is_fixed_size_list(kind):
            yield f"a column of vectors, {field.name}"
        if (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and not pa.types.is_string(
            kind.value_type
        ):
            yield f"a column of vectors, {field.name}"
    texts = [field.name for field in schema if pa.types.is_string(field.type)]
    for column in pq.read_table(path, columns=texts).columns:
        for text in filter(None, column.unique().to_pylist()):
            yield from _in_text(text)


def _in_sqlite(path: Path) -> Iterator[str]:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        names = [row[0] for row in connection.execute("select name from sqlite_master")]
        tables = connection.execute("select name from sqlite_master where type = 'table'")
        for (table,) in tables.fetchall():
            for row in connection.execute(f'select * from "{table}"'):
                yield from (f"{what} in table {table}" for what in _in_values(row))
    connection.close()
    assert names or path.stat().st_size


def _in_duckdb(path: Path) -> Iterator[str]:
    with duckdb.connect(str(path), read_only=True) as connection:
        columns = connection.execute(
            "select schema_name, table_name, column_name, data_type from duckdb_columns() "
            "where not internal"
        ).fetchall()
        for schema, table, column, kind in columns:
            if kind == "BLOB":
                yield f"a column of bytes, {table}.{column}"
            elif "]" in kind and not kind.startswith("VARCHAR"):
                yield f"a column of vectors, {table}.{column}"
            elif kind == "VARCHAR" and schema != "lake":
                query = f'select distinct "{column}" from "{schema}"."{table}"'
                for row in connection.execute(query).fetchall():
                    yield from (f"{what} in table {table}" for what in _in_values(row))


def _in_values(row: tuple[object, ...]) -> Iterator[str]:
    for value in row:
        if isinstance(value, bytes):
            content = _unpacked(value)
            yield from _in_bytes(content)
            if _is_text(content):
                yield from _in_text(content.decode())
            elif len(content) > _MOST_BYTES_UNKNOWN:
                yield f"{len(content)} bytes"
        if isinstance(value, str):
            yield from _in_text(value)
