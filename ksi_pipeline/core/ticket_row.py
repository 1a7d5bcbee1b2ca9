"""Strict reading of one row of the hourly feed: the contract's three fields, v2's optional ones.

Nothing is converted: the text "25" is no number, 25.0 is no whole number, 1 is no code. A value
that is refused names its code, so that the row can be quarantined and the rest of the answer used.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from decimal import Decimal

from ksi_pipeline.core.errors import ContractError
from ksi_pipeline.core.time import parse_instant

# The guide's contract, byte for byte; a row without one of these is refused.
V1_FIELDS = ("time", "ext_ref_code", "num_tickets")

_INT64_LIMIT = 2**63
_MONEY_LIMIT = Decimal(10) ** 14
_MONEY_STEP = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class RowAmounts:
    """What a row says about its hour; fields as in the schema TICKET_HOURS, null = not sent."""

    num_tickets: int
    category: str | None = None
    num_returns: int | None = None
    gross_sales: Decimal | None = None
    returns_amount: Decimal | None = None
    net_sales: Decimal | None = None
    units: int | None = None
    currency: str | None = None
    tax_included: bool | None = None


AMOUNT_COLUMNS = tuple(item.name for item in fields(RowAmounts))


class RowRefused(ContractError):
    """A row, or one field of it, breaks the contract; `code` says how."""


def require_fields(row: Mapping[str, object]) -> None:
    """Refuse a row that lacks one of the contract's fields (E_FIELD_MISSING)."""
    missing = [name for name in V1_FIELDS if name not in row]
    if missing:
        raise RowRefused(
            f"the field {' and '.join(missing)} is missing; the contract asks for "
            f"{', '.join(V1_FIELDS)} in every row",
            code="E_FIELD_MISSING",
        )


def read_code(value: object) -> str:
    """Read ext_ref_code (E_CODE_TYPE): text, so that 0001 stays 0001."""
    if not _is_text(value):
        raise RowRefused(
            f"ext_ref_code is {shown(value)}; a code is text in quotes, for example "
            '"0001", because a number loses its leading zeros',
            code="E_CODE_TYPE",
        )
    return str(value)


def read_time(value: object) -> datetime:
    """Read time (E_BAD_TIME, E_NAIVE_TIME): ISO 8601 with its offset."""
    if not isinstance(value, str):
        raise RowRefused(
            f'time is {shown(value)}; write it as text like "2023-02-08T09:00:00-03:00"',
            code="E_BAD_TIME",
        )
    try:
        return parse_instant(value)
    except ContractError as error:
        raise RowRefused(str(error).rstrip("."), code=error.code) from error


def read_amounts(row: Mapping[str, object]) -> RowAmounts:
    """Read everything beside code and time.

    Raises:
        RowRefused: E_NUM_TICKETS_TYPE, E_NUM_TICKETS_NEGATIVE, E_V2_TYPE or E_MONEY_TYPE.
    """
    num_tickets = row.get("num_tickets")
    if not _is_whole(num_tickets):
        raise RowRefused(
            f"num_tickets is {shown(num_tickets)}; it has to be a whole number without quotes",
            code="E_NUM_TICKETS_TYPE",
        )
    if int(str(num_tickets)) < 0:
        raise RowRefused(
            f"num_tickets is {num_tickets}; a count of sale tickets cannot be negative (returns "
            "belong in num_returns)",
            code="E_NUM_TICKETS_NEGATIVE",
        )
    values = {name: _READERS[name](name, row[name]) for name in _READERS if _is_sent(row, name)}
    return RowAmounts(num_tickets=int(str(num_tickets)), **values)  # type: ignore[arg-type]


def shown(value: object) -> str:
    """Write a refused value as the feed wrote it, shortened."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = str(value) if isinstance(value, int | Decimal) else f'"{value}"'
    safe = text.encode("utf-8", "backslashreplace").decode()
    return safe if len(safe) <= 60 else f"{safe[:60]}..."


def _is_sent(row: Mapping[str, object], name: str) -> bool:
    return row.get(name) is not None


def _is_whole(value: object) -> bool:
    return type(value) is int and -_INT64_LIMIT <= value < _INT64_LIMIT


def _is_text(value: object) -> bool:
    """Tell whether it is text that is not blank and that UTF-8 can carry (no lone surrogate)."""
    if not isinstance(value, str) or not value.strip():
        return False
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _whole(name: str, value: object) -> int:
    if not _is_whole(value):
        raise _v2_refused(name, value, "has to be a whole number without quotes")
    return int(str(value))


def _count(name: str, value: object) -> int:
    count = _whole(name, value)
    if count < 0:
        raise _v2_refused(name, value, "cannot be negative")
    return count


def _text(name: str, value: object) -> str:
    if not _is_text(value):
        raise _v2_refused(name, value, "has to be text that is not blank")
    return str(value)


def _currency(name: str, value: object) -> str:
    text = _text(name, value)
    if not (len(text) == 3 and text.isascii() and text.isalpha() and text.isupper()):
        raise _v2_refused(name, value, "has to be an ISO 4217 code like EUR")
    return text


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise _v2_refused(name, value, "has to be true or false")
    return value


def _money(name: str, value: object) -> Decimal:
    """Read an amount exactly: DECIMAL(18,4) holds 14 digits before the point and 4 after it."""
    if type(value) is not int and not isinstance(value, Decimal):
        raise _money_refused(name, value, "has to be a number without quotes")
    amount = Decimal(value)
    if not amount.is_finite() or abs(amount) >= _MONEY_LIMIT:
        raise _money_refused(name, value, "has more than 14 digits before the point")
    exact = amount.quantize(_MONEY_STEP)
    if exact != amount:
        raise _money_refused(name, value, "has more than 4 decimals and is not rounded here")
    return exact


def _v2_refused(name: str, value: object, why: str) -> RowRefused:
    return RowRefused(f"{name} is {shown(value)}; it {why}", code="E_V2_TYPE")


def _money_refused(name: str, value: object, why: str) -> RowRefused:
    return RowRefused(f"{name} is {shown(value)}; it {why}", code="E_MONEY_TYPE")


_READERS: dict[str, Callable[[str, object], object]] = {
    "category": _text,
    "num_returns": _count,
    "gross_sales": _money,
    "returns_amount": _money,
    "net_sales": _money,
    "units": _whole,
    "currency": _currency,
    "tax_included": _flag,
}
KNOWN_FIELDS = frozenset(V1_FIELDS) | frozenset(_READERS)
