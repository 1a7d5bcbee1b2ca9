"""When something is due: every so often, on the clock of a site.

A rule is an interval from a minute to a month, or a cron expression. Cron is read where Dagster is
(defs/steps/ticks.py); this module knows its text only.

    1m .. 59m, 1h ..   ticks of the wall clock: 15m at :00, :15, :30 and :45; they are elapsed time,
                       so the hour that an autumn night repeats ticks twice, and none is skipped
    1d ..              local midnight of each date
    1w ..              local midnight of each Monday, or of the anchor's weekday
    1mo                local midnight of the 1st, or of the anchor's day, or of the last that a
                       shorter month has

A midnight that does not exist ticks at the first instant that does; one that comes twice, once.
"""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from ksi_pipeline.core.errors import ConfigError
from ksi_pipeline.core.time import DAY, local_midnight_utc, utc_offset

Unit = Literal["m", "h", "d", "w", "mo"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_FIRST_MONDAY = date(1970, 1, 5)
_FIRST_OF_MONTH = date(1970, 1, 1)
# The longest of each that a month holds.
_MOST: dict[Unit, int] = {"m": 31 * 24 * 60, "h": 31 * 24, "d": 31, "w": 4, "mo": 1}
_STEP: dict[Unit, timedelta] = {"m": timedelta(minutes=1), "h": timedelta(hours=1)}
_INTERVAL = re.compile(r"([1-9][0-9]{0,4})(m|h|d|w|mo)")
_CRON_FIELD = r"[0-9A-Za-z*,/#-]+"
_CRON = re.compile(rf"{_CRON_FIELD}(?: {_CRON_FIELD}){{4}}")


@dataclass(frozen=True, slots=True)
class Interval:
    """Every `count` units.

    Attributes:
        anchor: a local date on which it ticks; null is any date of a fixed grid: 1 January 1970,
            for weeks the Monday after.
    """

    count: int
    unit: Unit
    anchor: date | None = None


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression of five fields, single blanks between."""

    text: str


Rule = Interval | Cron


def read_rule(text: str, anchor: date | None = None) -> Rule:
    """Read `15m`, `1h`, `1d`, `1w`, `1mo` or a cron expression.

    Args:
        text: as a person wrote it.
        anchor: of intervals; for `1mo`, 31 January ticks on the last day of each month.

    Raises:
        ConfigError: E_EVERY, it is neither, or longer than a month.
    """
    said = " ".join(text.split())
    if found := _INTERVAL.fullmatch(said):
        count, unit = int(found[1]), _unit(found[2])
        if count <= _MOST[unit]:
            return Interval(count, unit, anchor)
    elif _CRON.fullmatch(said):
        return Cron(said)
    raise ConfigError(
        f"{text!r} is no interval from a minute to a month. Write 1m, 15m, 1h, 1d, 1w, 1mo or the "
        "like, or a cron expression of five fields in quotes, like '5 * * * *'.",
        code="E_EVERY",
    )


def next_tick(rule: Interval, after: datetime, zone: ZoneInfo) -> datetime:
    """Give the first tick later than an instant.

    Args:
        rule: how often.
        after: aware.
        zone: of the site; the wall clock that ticks.

    Returns:
        An instant in UTC.
    """
    if rule.unit in _STEP:
        return _next_of_clock(rule.count * _STEP[rule.unit], after.astimezone(UTC), zone)
    today = after.astimezone(zone).date()
    dates = _months(rule, today) if rule.unit == "mo" else _days(rule, today)
    # one behind today, today's, and those that follow: one of them is later
    return next(tick for day in dates if (tick := local_midnight_utc(day, zone)) > after)


def _next_of_clock(step: timedelta, after: datetime, zone: ZoneInfo) -> datetime:
    """Go on to the next multiple of a step on the wall clock, whatever the clock does between."""
    offset = utc_offset(after, zone)
    tick = _multiple_after(step, after, offset)
    while (changed := _change_between(after, tick, zone)) is not None:
        # what the old clock would have shown then, it no longer shows
        after, offset = changed, utc_offset(changed, zone)
        tick = _multiple_after(step, after - _SECOND, offset)
    return tick


def _multiple_after(step: timedelta, after: datetime, offset: timedelta) -> datetime:
    wall = after - _EPOCH + offset
    return after + (step - wall % step)


def _change_between(after: datetime, until: datetime, zone: ZoneInfo) -> datetime | None:
    """Give the first instant in (after, until] with another offset than `after` has, to the second.

    Offsets change at most once in the pieces of a day that are looked at one after the other.
    """
    start = after
    while start < until:
        end = min(start + DAY, until)
        if utc_offset(start, zone) != utc_offset(end, zone):
            return _bisected(start, end, zone)
        start = end
    return None


def _bisected(start: datetime, end: datetime, zone: ZoneInfo) -> datetime:
    offset, begin = utc_offset(start, zone), start.replace(microsecond=0)
    low, high = 0, (end - begin) // _SECOND
    while high - low > 1:
        middle = (low + high) // 2
        if utc_offset(begin + middle * _SECOND, zone) == offset:
            low = middle
        else:
            high = middle
    return begin + high * _SECOND


def _days(rule: Interval, today: date) -> list[date]:
    length = rule.count * (7 if rule.unit == "w" else 1)
    anchor = rule.anchor or _FIRST_MONDAY
    first = today - ((today - anchor).days % length) * DAY
    return [first + n * length * DAY for n in (0, 1, 2)]


def _months(rule: Interval, today: date) -> list[date]:
    """Give the anchor's day in this month and in those after it, the last day where it has none."""
    anchor = rule.anchor or _FIRST_OF_MONTH
    since = (today.year - anchor.year) * 12 + today.month - anchor.month
    first = since - since % rule.count
    dates = []
    for n in range(3):
        year, month = divmod(anchor.year * 12 + anchor.month - 1 + first + n * rule.count, 12)
        day = min(anchor.day, monthrange(year, month + 1)[1])
        dates.append(date(year, month + 1, day))
    return dates


def _unit(text: str) -> Unit:
    return next(unit for unit in _MOST if unit == text)
