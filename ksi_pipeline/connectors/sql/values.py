"""From the values of a driver to Arrow columns: types are kept, and nothing is rounded.

A column is one type in a whole file. Where its values do not fit one type (SQLite holds anything,
and PostgreSQL has NaN among numbers and infinity among times), the column is text, each value as it
is written, and what is no number or time is refused later, row by row, by the mapping.
"""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa

from ksi_pipeline.core.errors import ContractError

INSTANT = pa.timestamp("us", "UTC")
WALL_TIME = pa.timestamp("us")
_DIGITS = 38
_INT_DIGITS = 19
_AS_TEXT = (time, timedelta, UUID)
_BYTES = (bytes, bytearray, memoryview)
_KNOWN = (bool, int, float, Decimal, str, datetime, date, dict, list, tuple, *_AS_TEXT, *_BYTES)


def to_table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> pa.Table:
    """Give rows as a table.

    Args:
        names: of the columns, in the order of the values.
        rows: as the driver gave them.

    Raises:
        ContractError: E_SQL_TYPE, a value of a type that no ticket has.
    """
    columns = zip(*rows, strict=True) if rows else ((),) * len(names)
    arrays = [to_array(name, values) for name, values in zip(names, columns, strict=True)]
    return pa.table(arrays, names=list(names))


def to_array(name: str, values: Sequence[Any]) -> pa.Array:
    """Give one column; null where every value is."""
    kinds = set(map(type, values)) - {type(None)}
    wanted = _type_of(kinds, values)
    if wanted is not None:
        try:
            return pa.array(values, wanted)
        except (pa.ArrowException, OverflowError, ValueError):
            pass  # more digits than the type has: kept as text
    return pa.array([None if v is None else _text(name, v) for v in values], pa.string())


def unified(a: pa.DataType, b: pa.DataType) -> pa.DataType:
    """Give a type to which the values of both can be cast without loss.

    Two decimals may be cast to the longer scale where their values have the room; whoever casts
    them finds out.
    """
    if a == b or pa.types.is_null(b):
        return a
    if pa.types.is_null(a):
        return b
    scales = [_scale(one) for one in (a, b)]
    if None not in scales:
        scale = max(scale or 0 for scale in scales)
        whole = any(map(pa.types.is_integer, (a, b)))
        return pa.string() if whole and _INT_DIGITS + scale > _DIGITS else _decimal(scale)
    return pa.string()


def _decimal(scale: int) -> pa.DataType:
    return pa.decimal128(_DIGITS, scale)


def _scale(kind: pa.DataType) -> int | None:
    if pa.types.is_integer(kind):
        return 0
    return int(kind.scale) if pa.types.is_decimal(kind) else None


def _type_of(kinds: set[type], values: Sequence[Any]) -> pa.DataType | None:
    """Choose the type that holds all values; None for text."""
    if not kinds:
        return pa.null()
    if kinds in ({int, Decimal}, {Decimal}):
        return _decimal_of(values)
    if kinds == {datetime}:
        aware = {value.tzinfo is not None for value in values if value is not None}
        return (INSTANT if aware.pop() else WALL_TIME) if len(aware) == 1 else None
    of_one = {bool: pa.bool_(), int: pa.int64(), float: pa.float64(), date: pa.date32()}
    (kind,) = kinds if len(kinds) == 1 else (None,)
    return of_one.get(kind) if kind else None


def _decimal_of(values: Sequence[Any]) -> pa.DataType | None:
    scale = 0
    for value in values:
        if isinstance(value, Decimal):
            exponent = value.as_tuple().exponent
            if isinstance(exponent, str):
                return None  # NaN or infinity
            scale = max(scale, -exponent)
    return _decimal(scale) if scale <= _DIGITS else None


def _text(name: str, value: Any) -> str:
    """Write one value as text that says all of it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return (value.astimezone(UTC) if value.tzinfo else value).isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, _BYTES):
        return bytes(value).hex()
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, default=str, ensure_ascii=False)
    if isinstance(value, _KNOWN):
        return str(value)
    raise ContractError(
        f"Column {name!r} holds values of type {type(value).__name__}, which no ticket has. "
        "Nothing of this window was kept. Leave the column out of the mapping, or turn it into "
        "text in query:.",
        code="E_SQL_TYPE",
    )
