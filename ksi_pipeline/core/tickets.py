"""One answer of an hourly ticket feed: from its bytes to rows, refused rows and open hours.

Nothing is lost: every row of the answer is either in `rows` or in `rejected`. Nothing is guessed:
the unit of revision is the whole set of rows of one code and hour, so a refused row takes the rest
of its hour with it, and half an hour's tickets never stand for the hour's.

A refused row also leaves hours open (`refused_hours`), in which absence is no zero. Where its own
code or hour cannot be read, it leaves every hour open that it may have meant and no good row fills.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeVar
from zoneinfo import ZoneInfo

import pyarrow as pa

from ksi_pipeline.core.json_list import RepeatedKeys, read_list
from ksi_pipeline.core.schemas import TICKET_HOURS
from ksi_pipeline.core.ticket_row import (
    AMOUNT_COLUMNS,
    KNOWN_FIELDS,
    RowAmounts,
    RowRefused,
    read_amounts,
    read_code,
    read_time,
    require_fields,
    shown,
)
from ksi_pipeline.core.time import LocalHour, Window, hour_start_utc, local_hours

# What it means that a feed sends no row for an hour it was asked for.
AbsentMeans = Literal["zero", "missing"]
CodeHour = tuple[str, datetime]

_In = TypeVar("_In")
_Out = TypeVar("_Out")


@dataclass(frozen=True, slots=True)
class Fetch:
    """What one answer was asked for and when it came.

    Attributes:
        raw_sha256: hash of the body as received, in hex.
        fetched_at_utc: when the body was complete.
        window: asked for; both ends are starts of local hours.
        zone: of the site whose codes were asked for.
    """

    connector_id: str
    raw_sha256: str
    fetched_at_utc: datetime
    window: Window
    zone: ZoneInfo
    asked_codes: tuple[str, ...]

    @property
    def label(self) -> str:
        """How errors name it."""
        start, end = self.window.start.astimezone(self.zone), self.window.end.astimezone(self.zone)
        return f"Connector {self.connector_id!r}, {start.isoformat()} to {end.isoformat()}"


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row for the quarantine; E_UNKNOWN_CODE is a notice only, that row is in `rows` as well.

    Attributes:
        row_number: position in the answer, from 0.
        raw_value: the row's JSON text exactly as sent.
    """

    code: str
    message: str
    row_number: int
    raw_value: str


@dataclass(frozen=True, slots=True, eq=False)
class ParsedAnswer:
    """An answer, read.

    Attributes:
        rows: schema TICKET_HOURS, in the order of the answer.
        rejected: in the order of the answer.
        refused_hours: (asked code, start of hour) -> code of the refusal that leaves it open.
        unmatched_count: rows in `rows` whose code is linked to no unit.
        extra_fields: names outside the contract, sorted; their values stay in the raw answer.
    """

    fetch: Fetch
    rows: pa.Table
    rejected: tuple[RejectedRow, ...]
    refused_hours: Mapping[CodeHour, str]
    unmatched_count: int
    extra_fields: tuple[str, ...]


@dataclass(slots=True)
class _Row:
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


def whole_hours(window: Window, zone: ZoneInfo) -> dict[datetime, LocalHour]:
    """Give the local hours that lie wholly in a window, in order, by their key `start_utc`."""
    return {
        hour.start_utc: hour
        for hour in local_hours(window, zone)
        if hour.from_utc >= window.start and hour.end_utc <= window.end
    }


def parse_hourly_answer(body: bytes, fetch: Fetch, *, known_codes: Collection[str]) -> ParsedAnswer:
    """Read an answer strictly.

    Args:
        body: as received: a bare JSON list in UTF-8.
        fetch: what was asked.
        known_codes: codes that are linked to a unit. Rows of any other code are kept as unmatched
            and reported, so that they count once the code is linked and asked for.

    Raises:
        ContractError: E_NOT_JSON or E_NOT_LIST; nothing of the answer can be used.
    """
    hours = whole_hours(fetch.window, fetch.zone)
    elements = read_list(body, fetch.label)
    rows = [_read_row(n, raw, value, fetch, hours) for n, (raw, value) in enumerate(elements)]
    _refuse_not_asked(rows, fetch, known_codes)
    _refuse_repeated(rows)
    _refuse_rest_of_hour(rows)
    good = [row for row in rows if row.refused_as is None]
    unknown = Counter(row.ext_ref_code for row in good if row.ext_ref_code not in known_codes)
    names = {name for _, value in elements if isinstance(value, dict) for name in value}
    return ParsedAnswer(
        fetch=fetch,
        rows=_table(good, fetch, hours),
        rejected=tuple(_rejected(rows, fetch, unknown)),
        refused_hours=_refused_hours(rows, fetch, hours),
        unmatched_count=unknown.total(),
        extra_fields=tuple(sorted(names - KNOWN_FIELDS)),
    )


def _read_row(
    number: int, raw: str, value: object, fetch: Fetch, hours: Mapping[datetime, LocalHour]
) -> _Row:
    row = _Row(number, raw)
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
    row: _Row, instant: datetime, fetch: Fetch, hours: Mapping[datetime, LocalHour]
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


def _refuse_not_asked(rows: Sequence[_Row], fetch: Fetch, known_codes: Collection[str]) -> None:
    """Leave the rows of other linked codes to their own request, which knows their zone."""
    others = set(known_codes) - set(fetch.asked_codes)
    for row in rows:
        code = row.ext_ref_code
        if code in others:
            row.refuse("E_NOT_ASKED", f"code {code!r} has its own request and was not asked here")


def _refuse_repeated(rows: Sequence[_Row]) -> None:
    keys = [(row.ext_ref_code, row.instant, row.category) for row in rows]
    counts = Counter(key for key in keys if key[0] is not None and key[1] is not None)
    for row, key in zip(rows, keys, strict=True):
        if counts[key] > 1:
            row.refuse(
                "E_DUP_HOUR",
                f"{counts[key]} rows are for code {row.ext_ref_code!r}, the same hour and the same "
                "category; which one holds is not guessed",
            )


def _refuse_rest_of_hour(rows: Sequence[_Row]) -> None:
    spoilt: dict[tuple[str | None, datetime | None], _Row] = {
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


def _refused_hours(
    rows: Sequence[_Row], fetch: Fetch, hours: Mapping[datetime, LocalHour]
) -> dict[CodeHour, str]:
    # at most one entry per code and hour, whatever the number of refused rows
    meant: dict[tuple[str | None, datetime | None], str] = {}
    filled: set[tuple[str | None, datetime | None]] = set()
    for row in rows:
        if row.refused_as is None:
            filled.add((row.ext_ref_code, row.hour))
        elif row.hour is not None or row.is_hour_lost:
            meant.setdefault((row.ext_ref_code, row.hour), row.refused_as)
    result: dict[CodeHour, str] = {}
    asked_codes = set(fetch.asked_codes)
    for (code, hour), refused_as in meant.items():
        for asked in fetch.asked_codes if code is None else asked_codes & {code}:
            for start in hours if hour is None else (hour,):
                if (asked, start) not in filled:
                    result.setdefault((asked, start), refused_as)
    return result


def _table(good: Sequence[_Row], fetch: Fetch, hours: Mapping[datetime, LocalHour]) -> pa.Table:
    size = len(good)
    columns: dict[str, list[object]] = {
        "connector_id": [fetch.connector_id] * size,
        "ext_ref_code": [row.ext_ref_code for row in good],
        "hour_start_utc": [row.hour for row in good],
        "utc_offset_s": [hours[row.hour].utc_offset_s for row in good if row.hour is not None],
        "fetched_at_utc": [fetch.fetched_at_utc] * size,
        "raw_sha256": [fetch.raw_sha256] * size,
        "row_number": [row.number for row in good],
    }
    for name in AMOUNT_COLUMNS:
        columns[name] = [getattr(row.amounts, name) for row in good]
    return pa.Table.from_pydict(columns, schema=TICKET_HOURS)


def _rejected(
    rows: Sequence[_Row], fetch: Fetch, unknown: Counter[str | None]
) -> Iterator[RejectedRow]:
    for row in rows:
        if row.refused_as is not None:
            message = (
                f"{fetch.label}, row {row.number}: {row.why}. The row is in the quarantine and "
                "counts nowhere; it counts when the feed sends it right and is asked again."
            )
            yield RejectedRow(row.refused_as, message, row.number, row.raw)
        elif unknown[row.ext_ref_code]:
            message = (
                f"{fetch.label}: {unknown[row.ext_ref_code]} of {len(rows)} rows carry "
                f"ext_ref_code {row.ext_ref_code!r}, which is linked to no unit. They are kept as "
                "unmatched and left out of unit metrics. Link the code to a unit in the space file "
                "(links:, with its from date) and run those days again; the rows then count."
            )
            yield RejectedRow("E_UNKNOWN_CODE", message, row.number, row.raw)
