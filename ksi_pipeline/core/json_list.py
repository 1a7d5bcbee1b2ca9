"""A bare JSON list, element by element, each with its own text exactly as it was sent.

The standard decoder forgets where an element began, and a quarantine row has to quote it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import NoReturn

from ksi_pipeline.core.errors import ContractError

_SPACE = " \t\n\r"


def require_list(body: bytes, asker: str) -> None:
    """Check that `read_list` can read a body, ten times as fast.

    Raises:
        ContractError: as `read_list` does.
    """
    try:
        if isinstance(_CHECKER.decode(body.decode("utf-8-sig")), list):
            return
    except (ValueError, RecursionError):
        pass
    read_list(body, asker)


@dataclass(frozen=True, slots=True)
class RepeatedKeys:
    """Stands for an object that names a key twice, of which JSON does not say which one holds."""

    keys: tuple[str, ...]


def read_list(body: bytes, asker: str) -> list[tuple[str, object]]:
    """Read a whole body.

    Numbers with a point or an exponent become Decimal, never float; `NaN` and `Infinity` are no
    JSON; a byte order mark is borne.

    Args:
        body: UTF-8.
        asker: whose answer it is, as errors begin.

    Returns:
        For each element its text and its value.

    Raises:
        ContractError: E_NOT_JSON when it cannot be read, E_NOT_LIST when it is something else.
    """
    try:
        text = body.decode("utf-8-sig")
        begin = _skip_space(text, 0)
        if text[begin : begin + 1] == "[":
            return list(_elements(text, begin + 1))
        kind = type(_DECODER.decode(text)).__name__
    except (ValueError, RecursionError) as error:
        quoted = body[:320].decode("utf-8", "replace")[:80]
        raise ContractError(
            f"{asker}: the answer is no JSON in UTF-8; it begins {quoted!r}. None of it was used. "
            "A web page here usually means a login page or a wrong url.",
            code="E_NOT_JSON",
        ) from error
    raise ContractError(
        f"{asker}: the answer is one JSON {_KINDS.get(kind, kind)} that begins "
        f"{text.strip()[:80]!r}. None of it was used. The guide asks for the bare list of rows, "
        "with nothing around it.",
        code="E_NOT_LIST",
    )


def read_element(text: str) -> object:
    """Read the text of one element, as `read_list` does.

    Raises:
        ValueError: it is no JSON, or more than one value.
        RecursionError: it is nested too deeply.
    """
    value: object
    value, end = _DECODER.raw_decode(text)
    if end != len(text):
        raise ValueError(f"the element goes on after character {end}")
    return value


def _elements(text: str, at: int) -> Iterator[tuple[str, object]]:
    at = _skip_space(text, at)
    if text[at : at + 1] != "]":
        while True:
            value, end = _DECODER.raw_decode(text, at)
            yield text[at:end], value
            at = _skip_space(text, end)
            if text[at : at + 1] != ",":
                break
            at = _skip_space(text, at + 1)
    if text[at : at + 1] != "]" or _skip_space(text, at + 1) != len(text):
        raise ValueError(f"the list does not end at character {at}")


def _skip_space(text: str, at: int) -> int:
    while text[at : at + 1] and text[at] in _SPACE:
        at += 1
    return at


def _object(pairs: list[tuple[str, object]]) -> dict[str, object] | RepeatedKeys:
    result = dict(pairs)
    if len(result) == len(pairs):
        return result
    keys = [key for key, _ in pairs]
    return RepeatedKeys(tuple(sorted({key for key in keys if keys.count(key) > 1})))


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent beyond what Decimal holds; the row is refused later
        return Decimal("NaN")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


_KINDS = {"dict": "object", "RepeatedKeys": "object", "str": "text", "NoneType": "null"}
_DECODER = json.JSONDecoder(
    parse_float=_decimal, parse_constant=_refuse_constant, object_pairs_hook=_object
)
# Without hooks in Python, which would run for each row.
_CHECKER = json.JSONDecoder(parse_constant=_refuse_constant)
