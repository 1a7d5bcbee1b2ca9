"""Instants, local hours, business dates and half-open windows.

Inside, an instant is UTC and every fact is keyed on the start of the site's *local* hour, because
09:00+05:45 is 03:15Z. `date_trunc` on local time merges the two 02:00 hours of an autumn night and
`time_bucket` ignores quarter-hour zones, so hours are found by arithmetic with the offset in force
at the instant: floor((epoch + offset) / 3600) * 3600 - offset (docs/explanation/time.md).

A change of offset that is no whole hour (Australia/Lord_Howe, 30 minutes) cuts one local hour; its
bucket then starts, by that formula, before the first instant that belongs to it. Calendar rows
therefore carry `from_utc`, the first instant, beside `start_utc`, the key.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from ksi_pipeline.core.errors import ContractError

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)
_MINUTE = timedelta(minutes=1)
_QUARTER_US = 15 * 60 * 1_000_000
# Far beyond every ticket and camera; hours of the first and last years cannot be shifted.
YEARS = range(1900, 2201)
_DATE_WITH_OFFSET = re.compile(r"(\d{4}-\d{2}-\d{2})(Z|[+-]\d{2}(?::?\d{2})?)")
_WHOLE_DAY = ((0, 24 * 60),)
_MOST_QUARTERS = 1 << 20  # thirty years


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open span of time [start, end), both aware; empty windows are refused."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ContractError(
                f"Window {self.start} to {self.end} has no UTC offset. Give both ends an offset, "
                "for example 2026-03-02T00:00:00+01:00.",
                code="E_NAIVE_TIME",
            )
        if self.end <= self.start:
            raise ContractError(
                f"Window {self.start.isoformat()} to {self.end.isoformat()} is empty: "
                "its end must lie after its start.",
                code="E_EMPTY_WINDOW",
            )

    def contains(self, instant: datetime) -> bool:
        """Tell whether start <= instant < end."""
        return self.start <= instant < self.end

    def overlap(self, other: "Window") -> "Window | None":
        """Give the common part, or None when there is none."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Window(start, end) if start < end else None

    def split(self, longest: timedelta) -> Iterator["Window"]:
        """Yield consecutive windows of at most `longest` that make up this one."""
        start = self.start
        while start < self.end:
            end = min(start + longest, self.end)
            yield Window(start, end)
            start = end


# Spans (open, close) in minutes after local midnight; a close at or before the open runs past
# midnight.
DaySpans = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class DatedHours:
    """A week of opening hours that holds from one local date to another, half-open.

    Attributes:
        weekly: the spans of each weekday (0 = Monday); a weekday without a key is closed.
        first: null means without beginning.
        end: first date on which it no longer holds; null means without end.
    """

    weekly: dict[int, DaySpans]
    first: date | None = None
    end: date | None = None

    def holds_on(self, day: date) -> bool:
        """Whether it holds on a local date."""
        return (self.first is None or self.first <= day) and (self.end is None or day < self.end)


@dataclass(frozen=True, slots=True)
class OpeningHours:
    """When a site is open, on its own wall clock.

    A local date of which nothing is said has unknown hours: all of it counts as open and says so.
    A span belongs to the date on which it begins, and runs to its end past midnight whatever the
    next date has.

    Attributes:
        weekly: the spans of each weekday (0 = Monday) on all dates that `dated` does not cover;
            empty where nothing is said of those.
        closed: local dates on which the site does not open.
        special: the spans of single local dates, in place of those of their weekday.
        dated: weeks that hold for a time; no two at once.
    """

    weekly: dict[int, DaySpans] = field(default_factory=dict)
    closed: frozenset[date] = frozenset()
    special: dict[date, DaySpans] = field(default_factory=dict)
    dated: tuple[DatedHours, ...] = ()

    def on(self, day: date) -> DaySpans | None:
        """Give the spans that begin on a local date; none where closed, null where unknown."""
        if day in self.closed:
            return ()
        if day in self.special:
            return self.special[day]
        dated = next((hours.weekly for hours in self.dated if hours.holds_on(day)), None)
        weekly = dated if dated is not None else self.weekly or None
        return None if weekly is None else weekly.get(day.weekday(), ())


@dataclass(frozen=True, slots=True)
class LocalHour:
    """One local hour of a site.

    Attributes:
        start_utc: the key: floor of the local time to the hour, as an instant.
        from_utc: first instant that belongs to the hour (later than start_utc only after a
            half-hour clock change).
        end_utc: first instant that no longer belongs to it.
        local_hour: wall-clock time of start_utc, without zone.
        utc_offset_s: offset in force in this hour.
        business_date: local date shifted back by the start of the business day.
    """

    start_utc: datetime
    from_utc: datetime
    end_utc: datetime
    local_hour: datetime
    utc_offset_s: int
    business_date: date


def parse_instant(text: str) -> datetime:
    """Read an ISO 8601 instant that carries its offset.

    Raises:
        ContractError: E_BAD_TIME when it is no ISO time, E_NAIVE_TIME when the offset is missing.
    """
    # Python takes the sign for a separator, and the offset for a time of day.
    if dated := _DATE_WITH_OFFSET.fullmatch(text.strip()):
        raise ContractError(
            f"{text!r} is a date without a time of day. Write it like "
            f"{dated[1]}T00:00:00{dated[2]}.",
            code="E_BAD_TIME",
        )
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise ContractError(
            f"{text!r} is no ISO 8601 time. Write it like 2026-03-02T09:00:00+01:00.",
            code="E_BAD_TIME",
        ) from error
    if instant.tzinfo is None:
        complete = text if ":" in text else f"{instant.date().isoformat()}T00:00:00"
        raise ContractError(
            f"{text!r} has no UTC offset, so it names no instant. Write it like {complete}+01:00.",
            code="E_NAIVE_TIME",
        )
    return instant


def utc_offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    """Give the zone's UTC offset in force at an aware instant."""
    offset = instant.astimezone(zone).utcoffset()
    if offset is None:  # ZoneInfo always answers for an aware instant
        raise ContractError(f"Zone {zone} gives no offset at {instant}.", code="E_BAD_TIME")
    return offset


def hour_start_utc(instant: datetime, zone: ZoneInfo) -> datetime:
    """Give the UTC instant at which the local hour of `instant` began."""
    return _hour_floor(instant, utc_offset(instant, zone))


def hour_starts_us(instants_us: NDArray[np.int64], zone: ZoneInfo) -> NDArray[np.int64]:
    """Give the key of the local hour for many instants.

    Args:
        instants_us: shape (N,), microseconds since the epoch, UTC.
        zone: the site's zone.

    Returns:
        Shape (N,), microseconds since the epoch: what `hour_start_utc` gives for each. Offsets
        change on quarters of an hour only (true of the tz database since 1972), so one look-up
        a quarter is enough.
    """
    if len(instants_us) == 0:
        return np.empty(0, dtype=np.int64)
    quarters = instants_us // _QUARTER_US
    first = int(quarters.min())
    span = int(quarters.max()) - first + 1
    if span > _MOST_QUARTERS:  # a table of the whole span would be larger than it is worth
        distinct, places = np.unique(quarters, return_inverse=True)
    else:
        places = quarters - first
        is_used = np.zeros(span, dtype=np.bool_)
        is_used[places] = True
        distinct = first + np.flatnonzero(is_used)
        places = (np.cumsum(is_used) - 1)[places]
    starts = [
        (hour_start_utc(_EPOCH + int(quarter) * 15 * _MINUTE, zone) - _EPOCH) // _US
        for quarter in distinct
    ]
    return np.array(starts, dtype=np.int64)[places]


def business_date(instant: datetime, zone: ZoneInfo, day_start: time) -> date:
    """Give the business date: a sale at 01:00 belongs to yesterday when the day starts at 05:00."""
    local = instant.astimezone(zone).replace(tzinfo=None)
    shift = timedelta(hours=day_start.hour, minutes=day_start.minute)
    return (local - shift).date()


def local_midnight_utc(day: date, zone: ZoneInfo) -> datetime:
    """Give the first instant of a local date; where 00:00 does not exist, the first that does."""
    return wall_to_utc(datetime.combine(day, time()), zone)


def wall_to_utc(wall: datetime, zone: ZoneInfo) -> datetime:
    """Turn wall-clock time into an instant: the earlier one if repeated, shifted on if skipped."""
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC)


def local_hours(window: Window, zone: ZoneInfo, day_start: time = time()) -> Iterator[LocalHour]:
    """Yield the local hours that overlap a window, in order; 23 or 25 of them on DST days."""
    instant = window.start.astimezone(UTC)
    start = max(hour_start_utc(instant, zone), _last_change(instant, zone))
    while start < window.end:
        offset = utc_offset(start, zone)
        key = _hour_floor(start, offset)
        end = _first_change(start, min(key + HOUR, start + HOUR), zone, offset)
        yield LocalHour(
            start_utc=key,
            from_utc=start,
            end_utc=end,
            local_hour=(key + offset).replace(tzinfo=None),
            utc_offset_s=int(offset.total_seconds()),
            business_date=business_date(start, zone, day_start),
        )
        start = end


def business_days(window: Window, zone: ZoneInfo, day_start: time) -> Window:
    """Widen a window to whole business days."""
    first = business_date(window.start, zone, day_start)
    last = business_date(window.end - _US, zone, day_start)
    return Window(
        wall_to_utc(datetime.combine(first, day_start), zone),
        wall_to_utc(datetime.combine(last + DAY, day_start), zone),
    )


def aligned_to_hours(window: Window, zone: ZoneInfo) -> Window:
    """Shift both ends on to the next start of a local hour.

    The UTC day of a +05:45 site holds the local hours that *start* in it, so that consecutive
    days share no hour and lose none.
    """
    return Window(_hour_ceiling(window.start, zone), _hour_ceiling(window.end, zone))


def open_spans(opening: OpeningHours, window: Window, zone: ZoneInfo) -> list[Window]:
    """Give the open pieces of a window, in order, merged where they touch.

    A local date with unknown opening hours is open from midnight to midnight.
    """
    first = window.start.astimezone(zone).date() - DAY
    last = window.end.astimezone(zone).date()
    spans: list[Window] = []
    day = first
    while day <= last:
        begun = opening.on(day)
        spans.extend(_day_spans(_WHOLE_DAY if begun is None else begun, day, zone))
        day += DAY
    clipped = (span.overlap(window) for span in spans)
    return merged(span for span in clipped if span is not None)


def merged(windows: Iterable[Window]) -> list[Window]:
    """Join windows that overlap or touch; the result is sorted and disjoint."""
    result: list[Window] = []
    for window in sorted(windows, key=lambda w: (w.start, w.end)):
        if result and window.start <= result[-1].end:
            result[-1] = Window(result[-1].start, max(result[-1].end, window.end))
        else:
            result.append(window)
    return result


def minus(window: Window, taken: Iterable[Window]) -> list[Window]:
    """Give the pieces of a window that none of the others covers, in order."""
    pieces: list[Window] = []
    start = window.start
    for other in merged(taken):
        if other.end <= start:
            continue
        if other.start >= window.end:
            break
        if other.start > start:
            pieces.append(Window(start, other.start))
        start = max(start, other.end)
    if start < window.end:
        pieces.append(Window(start, window.end))
    return pieces


def _hour_floor(instant: datetime, offset: timedelta) -> datetime:
    return instant.astimezone(UTC) - (instant - _EPOCH + offset) % HOUR


def _hour_ceiling(instant: datetime, zone: ZoneInfo) -> datetime:
    floor = hour_start_utc(instant, zone)
    if floor == instant:
        return floor
    return next(local_hours(Window(instant, instant + _US), zone)).end_utc


def _day_spans(spans: DaySpans, day: date, zone: ZoneInfo) -> Iterator[Window]:
    midnight = datetime.combine(day, time())
    for opens, closes in spans:
        minutes = closes if closes > opens else closes + 24 * 60
        start = wall_to_utc(midnight + timedelta(minutes=opens), zone)
        end = wall_to_utc(midnight + timedelta(minutes=minutes), zone)
        if start < end:
            yield Window(start, end)


def _first_change(start: datetime, end: datetime, zone: ZoneInfo, offset: timedelta) -> datetime:
    """Give the first instant in (start, end) with another offset, else end; to the second."""
    if utc_offset(end - _US, zone) == offset:
        return end
    low, high = 0, int((end - start).total_seconds())
    while high - low > 1:
        middle = (low + high) // 2
        if utc_offset(start + timedelta(seconds=middle), zone) == offset:
            low = middle
        else:
            high = middle
    return start + timedelta(seconds=high)


def _last_change(instant: datetime, zone: ZoneInfo) -> datetime:
    """Give the latest change of offset in the hour before instant, else the epoch's far past."""
    hour_ago, offset = instant - HOUR, utc_offset(instant - HOUR, zone)
    if utc_offset(instant, zone) == offset:
        return datetime.min.replace(tzinfo=UTC)
    return _first_change(hour_ago, instant + _US, zone, offset)
