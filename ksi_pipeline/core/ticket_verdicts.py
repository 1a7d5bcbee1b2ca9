"""The row-wise rules of an hourly answer: what is right about a row, and the first thing wrong.

Every refusal has its words here. Rows that are plainly right never come here (core.ticket_scan).
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from ksi_pipeline.core.hour_grid import whole_hours
from ksi_pipeline.core.json_list import RepeatedKeys
from ksi_pipeline.core.ticket_answer import CodeHour, Fetch
from ksi_pipeline.core.ticket_row import (
    RowAmounts,
    RowRefused,
    read_amounts,
    read_code,
    read_time,
    require_fields,
    shown,
)
from ksi_pipeline.core.time import LocalHour, Window, hour_start_utc

# What was asked for, by ext_ref_code.
WindowsByCode = Mapping[str, Sequence[Window]]
_In = TypeVar("_In")
_Out = TypeVar("_Out")


@dataclass(slots=True)
class JudgedRow:
    """One row on its way: what could be read of it, and the first thing that was wrong.

    `hour` is null when the time cannot be read or lies outside the window; only the first of the
    two leaves hours open (`is_hour_lost`).
    """

    number: int
    raw: str
    ext_ref_code: str | None = None
    instant: datetime | None = None
    hour: datetime | None = None
    is_hour_lost: bool = True
    category: object = None
    amounts: RowAmounts | None = None
    refused_as: str | None = None
    why: str = ""

    def refuse(self, code: str, why: str) -> None:
        """Note the first refusal only; the ones after it often follow from it."""
        if self.refused_as is None:
            self.refused_as, self.why = code, why

    def read(self, reader: Callable[[_In], _Out], value: _In) -> _Out | None:
        """Read a part of the row, or note why it was refused."""
        try:
            return reader(value)
        except RowRefused as refusal:
            self.refuse(refusal.code, str(refusal))
            return None


def judged_row(
    number: int, raw: str, value: object, fetch: Fetch, hours: Mapping[datetime, LocalHour]
) -> JudgedRow:
    """Judge one element of the list by itself."""
    row = JudgedRow(number, raw)
    if isinstance(value, RepeatedKeys):
        row.refuse("E_ROW_TYPE", f"it names {' and '.join(map(repr, value.keys))} more than once")
    elif not isinstance(value, dict):
        row.refuse("E_ROW_TYPE", f"it is {shown(value)}, not an object with the contract's fields")
    else:
        row.read(require_fields, value)
        row.ext_ref_code = row.read(read_code, value.get("ext_ref_code"))
        row.instant = row.read(read_time, value.get("time"))
        if row.instant is not None:
            _find_hour(row, row.instant, fetch, hours)
        row.amounts = row.read(read_amounts, value)
        category = value.get("category")
        row.category = category if category is None or isinstance(category, str) else object()
    return row


def _find_hour(
    row: JudgedRow, instant: datetime, fetch: Fetch, hours: Mapping[datetime, LocalHour]
) -> None:
    row.is_hour_lost = False
    inside = fetch.window.contains(instant)
    start = hour_start_utc(instant, fetch.zone) if inside else instant
    if instant in hours:
        row.hour = hours[instant].start_utc
    elif inside and start in hours:
        row.hour = start
        row.refuse(
            "E_NOT_HOUR_START",
            f"time {instant.isoformat()} is no start of an hour in {fetch.zone}; the hour it lies "
            f"in begins at {start.astimezone(fetch.zone).isoformat()}",
        )
    else:
        row.refuse("E_OUTSIDE_WINDOW", f"time {instant.isoformat()} lies outside what was asked")


def refuse_together(rows: Sequence[JudgedRow], not_asked: WindowsByCode) -> None:
    """Refuse what is wrong among rows; all rows of a code-hour have to be there, or none.

    Args:
        rows: judged by themselves.
        not_asked: the windows that earlier answers were asked for, by code, of codes that this
            answer was not asked for.
    """
    _refuse_not_asked(rows, not_asked)
    _refuse_repeated(rows)
    _refuse_rest_of_hour(rows)


def _refuse_not_asked(rows: Sequence[JudgedRow], not_asked: WindowsByCode) -> None:
    """Leave the rows of other codes to their own request, where there was one for the hour."""
    for row in rows:
        windows = not_asked.get(row.ext_ref_code or "", ())
        if row.instant is not None and any(window.contains(row.instant) for window in windows):
            row.refuse(
                "E_NOT_ASKED",
                f"code {row.ext_ref_code!r} was not asked here, and had a request of its own for "
                "this hour before",
            )


def _refuse_repeated(rows: Sequence[JudgedRow]) -> None:
    keys = [(row.ext_ref_code, row.instant, row.category) for row in rows]
    counts = Counter(key for key in keys if key[0] is not None and key[1] is not None)
    for row, key in zip(rows, keys, strict=True):
        if counts[key] > 1:
            row.refuse(
                "E_DUP_HOUR",
                f"{counts[key]} rows are for code {row.ext_ref_code!r}, the same hour and the same "
                "category; which one holds is not guessed",
            )


def _refuse_rest_of_hour(rows: Sequence[JudgedRow]) -> None:
    spoilt: dict[tuple[str | None, datetime | None], JudgedRow] = {
        (row.ext_ref_code, row.hour): row
        for row in reversed(rows)
        if row.refused_as and row.ext_ref_code is not None and row.hour is not None
    }
    for row in rows:
        other = spoilt.get((row.ext_ref_code, row.hour))
        if other:
            row.refuse(
                "E_HOUR_INCOMPLETE",
                f"row {other.number} of the same code and hour was refused ({other.refused_as}), "
                "and an hour is taken whole or not at all",
            )


def refused_hours(
    rows: Sequence[JudgedRow],
    fetch: Fetch,
    filled: Callable[[], set[CodeHour]],
) -> dict[CodeHour, str]:
    """Give the asked code-hours that refused rows leave open, and why.

    Args:
        rows: all that may be refused, judged, in the order of the answer.
        fetch: what was asked.
        filled: gives the code-hours that have good rows; only called where it matters.
    """
    # at most one entry per code and hour, whatever the number of refused rows
    meant: dict[tuple[str | None, datetime | None], str] = {}
    for row in rows:
        if row.refused_as is not None and (row.hour is not None or row.is_hour_lost):
            meant.setdefault((row.ext_ref_code, row.hour), row.refused_as)
    result: dict[CodeHour, str] = {}
    if not meant:
        return result
    taken, hours = filled(), whole_hours(fetch.window, fetch.zone)
    asked_codes = set(fetch.asked_codes)
    for (code, hour), refused_as in meant.items():
        for asked in fetch.asked_codes if code is None else asked_codes & {code}:
            for start in hours if hour is None else (hour,):
                if (asked, start) not in taken:
                    result.setdefault((asked, start), refused_as)
    return result
