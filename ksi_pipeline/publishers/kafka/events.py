"""Rows as events and back: keys, values in JSON or Avro, ids. Pure.

A value has the cells of its row beside `schema_version`, `event_id`, `batch_id` and
`business_month`. In JSON decimals are text, dates and instants ISO 8601: instants end with Z, wall
clocks with nothing. In Avro a value is in single-object encoding: C3 01, the fingerprint of its
schema, and the record; schemas stand in a topic of their own under their fingerprints.
"""

import hashlib
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache, partial
from typing import Any

from ksi_pipeline.core.errors import ContractError
from ksi_pipeline.core.publishing import Column
from ksi_pipeline.publishers.figures import EXACT
from ksi_pipeline.publishers.refusals import no_driver

_AVRO = b"\xc3\x01"
_LEAD = len(_AVRO) + 8
_STAMPS = ("schema_version", "event_id", "batch_id", "business_month")
Row = Mapping[str, Any]
Cells = Mapping[str, Any]
SchemaOf = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Stamp:
    """What an event says of itself.

    Attributes:
        event_id: the same for the same event, however often it is sent.
        batch_id: of the batch that it belongs to; empty where its partition is removed.
        business_month: of its partition, like 2026-01, `whole` or `none`.
    """

    event_id: str
    batch_id: str
    business_month: str

    def headers(self, mart: str, schema_version: str) -> list[tuple[str, bytes]]:
        """Give the headers of the event; a tombstone has nothing else."""
        told = (*_STAMPS, "mart")
        values = (schema_version, self.event_id, self.batch_id, self.business_month, mart)
        return [(name, value.encode()) for name, value in zip(told, values, strict=True)]


def cells_of(row: Row, columns: tuple[Column, ...]) -> Cells:
    """Give the cells of a row as JSON has them.

    Raises:
        ContractError: E_TARGET_TYPE, a double is no number, which JSON cannot say.
    """
    told = {}
    for name, write in _writers(columns):
        value = row[name]
        told[name] = value if value is None or write is None else write(value)
    return told


def key_of(cells: Cells, key: Sequence[str]) -> str:
    """Write the grain of a row as a JSON array, the same text for the same grain."""
    grain = [cells[name] for name in key]
    return json.dumps(grain, ensure_ascii=False, separators=(",", ":"))


def content_of(cells: Cells) -> str:
    """Hash the cells that are filled: a new column that is null changes nothing."""
    filled = sorted((name, cell) for name, cell in cells.items() if cell is not None)
    return hashlib.sha256(json.dumps(filled).encode()).hexdigest()[:32]


def event_id(mart: str, month: str, key: str, content: str, sequence: int, before: str) -> str:
    """Hash what an event is.

    Args:
        mart: of the row.
        month: of the partition.
        key: of the event.
        content: of the row; empty for a tombstone.
        sequence: of the commit that the event waits for. It and `before` keep a row that becomes
            again what it was apart from the first time; neither changes where a run is killed and
            sends the event again.
        before: event id of what the key had so far; empty where it had nothing.
    """
    told = json.dumps([mart, month, key, content, sequence, before]).encode()
    return hashlib.sha256(told).hexdigest()[:32]


def avro_schema(mart: str, columns: Sequence[Column], about: str = "") -> dict[str, Any]:
    """Write the Avro schema of a mart's values."""
    stamps: list[dict[str, Any]] = [{"name": name, "type": "string"} for name in _STAMPS]
    return {
        "type": "record",
        "name": mart,
        "namespace": "ksi",
        "doc": about,
        "fields": [*stamps, *(_field(column) for column in columns)],
    }


@dataclass(frozen=True, slots=True)
class Codec:
    """Writes the values of one mart in one format.

    Attributes:
        schema: in Avro, whatever the format.
        version: fingerprint of the schema (CRC-64-AVRO), 16 hexadecimal digits.
    """

    format: str
    columns: tuple[Column, ...]
    schema: Mapping[str, Any]
    version: str
    parsed: Any

    @classmethod
    def of(
        cls, format_name: str, target: str, mart: str, columns: Sequence[Column], about: str
    ) -> "Codec":
        """Make the codec of a mart with these columns.

        Raises:
            ConfigError: E_TARGET_DRIVER, fastavro is not installed.
        """
        avro = fastavro(target)
        schema = avro_schema(mart, columns, about)
        canonical = avro.schema.to_parsing_canonical_form(schema)
        version = avro.schema.fingerprint(canonical, "CRC-64-AVRO")
        return cls(format_name, tuple(columns), schema, version, avro.parse_schema(schema))

    def encode(self, row: Row, cells: Cells, stamp: Stamp) -> bytes:
        """Write the value of an event from a row and its cells."""
        told: dict[str, Any] = {
            "schema_version": self.version,
            "event_id": stamp.event_id,
            "batch_id": stamp.batch_id,
            "business_month": stamp.business_month,
        }
        if self.format == "json":
            told |= cells
            return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
        told |= {column.name: _avro_value(column, row[column.name]) for column in self.columns}
        out = io.BytesIO()
        # Avro writes fingerprints with the last byte first
        out.write(_AVRO + bytes.fromhex(self.version)[::-1])
        fastavro("").schemaless_writer(out, self.parsed, told)
        return out.getvalue()


def decode(value: bytes, columns: tuple[Column, ...], schema_of: SchemaOf) -> dict[str, Any]:
    """Read a value in either format; what others wrote wrongly is null.

    Args:
        value: of an event.
        columns: asked for; those that the value lacks are null.
        schema_of: gives the parsed Avro schema of a fingerprint, None where none is known.
    """
    told: Any = None
    if value.startswith(_AVRO):
        schema = schema_of(value[len(_AVRO) : _LEAD][::-1].hex())
        if schema is not None:
            told = _record(value[_LEAD:], schema)
    else:
        try:
            told = json.loads(value)
        except (ValueError, RecursionError):
            told = None
    cells = told if isinstance(told, dict) else {}
    return {name: _value(read, cells.get(name)) for name, read in _readers(columns)}


def fastavro(target: str) -> Any:
    """Import fastavro.

    Raises:
        ConfigError: E_TARGET_DRIVER, it is not installed.
    """
    try:
        import fastavro
        import fastavro.schema
    except ImportError as error:
        raise no_driver(target, "kafka") from error
    return fastavro


def _record(body: bytes, schema: Any) -> Any:
    try:
        return fastavro("").schemaless_reader(io.BytesIO(body), schema, None)
    except (EOFError, ValueError, IndexError, KeyError, OverflowError):
        return None


def _is_instant(column: Column) -> bool:
    return column.name.endswith("_utc")


@lru_cache(maxsize=256)
def _writers(columns: tuple[Column, ...]) -> list[tuple[str, Callable[[Any], Any] | None]]:
    return [(column.name, _writer(column)) for column in columns]


@lru_cache(maxsize=256)
def _readers(columns: tuple[Column, ...]) -> list[tuple[str, Callable[[Any], Any]]]:
    return [(column.name, _reader(column)) for column in columns]


def _writer(column: Column) -> Callable[[Any], Any] | None:
    """Give how a cell of a column is written; None where it stays as it is."""
    if column.type.startswith("decimal"):
        return f"{{:.{column.scale}f}}".format
    if column.type == "timestamp":
        end = "Z" if _is_instant(column) else ""
        return lambda at: at.isoformat(timespec="microseconds") + end
    if column.type == "date":
        return date.isoformat
    return partial(_finite, column.name) if column.type == "double" else None


def _finite(name: str, number: float) -> float:
    if math.isfinite(number):
        return number
    raise ContractError(
        f"Column {name} has a double that is no number, which no event can say. Nothing was sent. "
        "Let the model of the mart give null instead.",
        code="E_TARGET_TYPE",
    )


def _value(read: Callable[[Any], Any], cell: Any) -> Any:
    """Read a cell; null where it cannot be one of the column."""
    try:
        return None if cell is None else read(cell)
    except (TypeError, ValueError, OverflowError, InvalidOperation):
        return None


def _reader(column: Column) -> Callable[[Any], Any]:
    if column.type.startswith("decimal"):
        return partial(_decimal, _precision(column), column.scale)
    if column.type == "timestamp":
        return _timestamp
    if column.type == "date":
        return lambda cell: cell if isinstance(cell, date) else date.fromisoformat(cell)
    if column.type == "double":
        return _number
    if column.type == "boolean":
        return lambda cell: cell if type(cell) is bool else None
    return _whole if column.type == "bigint" else _text


def _number(cell: Any) -> float | None:
    number = float(cell)
    return number if math.isfinite(number) else None


def _whole(cell: Any) -> int | None:
    return cell if type(cell) is int and -(2**63) <= cell < 2**63 else None


def _text(cell: Any) -> str | None:
    # half a surrogate pair is no text that can be written
    return cell.encode().decode() if type(cell) is str else None


def _decimal(precision: int, scale: int, cell: Any) -> Decimal | None:
    exact = Decimal(cell)
    is_whole = exact == exact.quantize(Decimal(1).scaleb(-scale), context=EXACT)
    is_held = is_whole and exact.copy_abs() < 10 ** (precision - scale)
    return exact if is_held else None


def _precision(column: Column) -> int:
    return int(column.type.partition("(")[2].partition(",")[0])


def _timestamp(cell: Any) -> datetime:
    at = cell if isinstance(cell, datetime) else datetime.fromisoformat(cell)
    return at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at


def _avro_value(column: Column, value: Any) -> Any:
    if column.type == "timestamp" and _is_instant(column) and value is not None:
        return value.replace(tzinfo=UTC)
    return value


def _field(column: Column) -> dict[str, Any]:
    kind: Any = {"text": "string", "bigint": "long"}.get(column.type, column.type)
    if column.type == "date":
        kind = {"type": "int", "logicalType": "date"}
    elif column.type == "timestamp":
        logical = "timestamp-micros" if _is_instant(column) else "local-timestamp-micros"
        kind = {"type": "long", "logicalType": logical}
    elif column.type.startswith("decimal"):
        digits = {"precision": _precision(column), "scale": column.scale}
        decimal = {"logicalType": "decimal", **digits}
        kind = {"type": "bytes", **decimal}
    field: dict[str, Any] = {"name": column.name, "type": kind, "doc": column.description}
    return field | {"type": ["null", kind], "default": None} if column.is_nullable else field
